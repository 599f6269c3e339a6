// The pages of the router that are asked for, and the panels that show them. One page that fails leaves the panels of
// the others as they are; its own say since when what they show is old.
import { ask } from "./poll.js";
import { clock, element, setText } from "./dom.js";

export class Page {
  answeredAt = null; // when it was last shown
  problem = null;    // why the newest answer was not

  // Asked in each turn, or every second, third ... one while it is answered. show(page, now) may throw.
  constructor(name, show, { asks = () => ask(name), every = 1 } = {}) {
    Object.assign(this, { name, show, ask: asks, every });
  }

  due(turn) { return turn % this.every === 0 || this.problem !== null; }

  take(result, now) {
    try {
      if (result.status === "rejected") throw result.reason;
      this.show(result.value, now);
      this.answeredAt = now, this.problem = null;
    } catch (e) {
      this.problem = e.message;
    }
  }

  get trouble() {
    if (this.problem === null) return "";
    return this.answeredAt === null ? `Missing: no answer from /${this.name} yet (${this.problem}).`
      : `Old: no answer from /${this.name} since ${clock(new Date(this.answeredAt))} (${this.problem}).`;
  }
}

export class Panel {
  constructor(section, pages) {
    Object.assign(this, { section, pages, note: element("p", { class: "trouble", role: "status", hidden: "" }) });
    const head = section.querySelector("h2");
    if (head) head.after(this.note);
    else section.prepend(this.note);
  }

  refresh() {
    const trouble = this.pages.map((p) => p.trouble).filter(Boolean).join(" ");
    setText(this.note, trouble && "▲ " + trouble);
    this.note.hidden = !trouble;
    this.section.classList.toggle("old", trouble !== "");
  }
}
