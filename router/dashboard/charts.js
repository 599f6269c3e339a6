// Line charts of the last five minutes (of one minute while there is no more), as SVG. A line has a colour and a dash
// of its own, so that nobody needs the colours. A missing answer is a gap; how long a step is says nothing of that, as
// a hidden tab asks less often.
import { clock, drawn, element, onWidth, set, setText } from "./dom.js";

export const KEEP_MS = 300_000;
const FIRST_MS = 60_000;
const lineClass = (line, i) => `line ${line.style ?? "line-" + i}`;
const LEFT = 58, RIGHT = 10, TOP = 8, BOTTOM = 22, HEIGHT = 170;

// Round numbers from 0 to above `most`; in the unit's own steps, as bytes count in powers of two.
function ticks(most, base) {
  if (!(most > 0)) most = 1;
  const rough = most / 4;
  const power = base === 1024 ? 1024 ** Math.max(0, Math.floor(Math.log(rough) / Math.log(1024)))
                              : 10 ** Math.floor(Math.log10(rough));
  const factors = base === 1024 ? [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024] : [1, 2, 5, 10];
  const step = Math.max(power * factors.find((f) => f * power >= rough), base === 1024 ? 1 : 0);
  return Array.from({ length: Math.ceil(most / step) + 1 }, (_, i) => i * step);
}

// 0, 1, 10, 100, ... to above `most`, a step each: for what differs a thousandfold and must be seen all the same.
const powers = (most) =>
  [0, ...Array.from({ length: 1 + Math.ceil(Math.log10(Math.max(10, most))) }, (_, i) => 10 ** i)];
const steps = (v) => (v < 1 ? v : 1 + Math.log10(v));

// A sample that says: asked, and not answered.
export const missing = (at) => ({ at, missing: true });
const value = (line, sample) => (sample.missing ? null : line.value(sample) ?? null);

export class Chart {
  // lines: [{name, value: (sample) => number or null, style}], or a function of the samples that gives them; without a
  // style a line has that of its place. nothing: what to say of a moment without values.
  constructor({ title, format, lines, base = 1000, least = 0, nothing = "none", logarithmic = false, wide = false }) {
    Object.assign(this, { title, format, lines, base, least, nothing, logarithmic, samples: [], cursor: null });
    this.readout = element("p", { class: "readout" });
    this.legend = element("ul", { class: "legend" });
    this.svg = drawn("svg", { role: "img", tabindex: 0, height: HEIGHT, "aria-label": title });
    this.node = element("figure", { class: wide ? "chart wide-chart" : "chart" }, element("figcaption", {}, title),
                        this.svg, this.legend, this.readout);
    this.svg.addEventListener("pointermove", (e) => this.#point(e));
    this.svg.addEventListener("pointerleave", () => this.#show(null));
    this.svg.addEventListener("blur", () => this.#show(null));
    this.svg.addEventListener("keydown", (e) => this.#key(e));
    onWidth(this.node, () => this.draw());
  }

  update(samples) {
    this.samples = samples;
    this.draw();
  }

  draw() {
    const wide = Math.max(240, Math.floor(this.node.clientWidth));
    const now = this.samples.at(-1)?.at ?? Date.now();
    this.drawnLines = typeof this.lines !== "function" ? this.lines
      : this.lines(this.samples.filter((s) => !s.missing));
    let most = this.least;
    for (const s of this.samples) for (const l of this.drawnLines) most = Math.max(most, value(l, s) ?? 0);
    const empty = this.samples.length > 0 && !this.samples.some((s) => this.#has(s));
    const marks = this.logarithmic ? powers(most) : ticks(most, this.base);
    const height = this.logarithmic ? steps : (v) => v;
    const back = this.samples.length && now - this.samples[0].at > FIRST_MS ? KEEP_MS : FIRST_MS;
    this.x = (at) => LEFT + ((at - now + back) / back) * (wide - LEFT - RIGHT);
    this.y = (v) => HEIGHT - BOTTOM - (height(v) / height(marks.at(-1))) * (HEIGHT - TOP - BOTTOM);
    set(this.svg, { viewBox: `0 0 ${wide} ${HEIGHT}`, width: wide });
    this.svg.replaceChildren(...this.#axes(marks, wide, now, back),
      ...this.drawnLines.map((l, i) => drawn("path", { class: lineClass(l, i), d: this.#path(l) })),
      ...(empty ? [drawn("text", { x: LEFT + (wide - LEFT - RIGHT) / 2, y: HEIGHT / 2, class: "nothing middle" },
                         this.#nothingAt(this.samples.at(-1)))] : []),
      this.mark = drawn("path", { class: "cursor", d: "" }));
    this.#showLegend();
    this.#show(this.cursor);
  }

  #has(sample) {
    return this.drawnLines.some((l) => value(l, sample) !== null);
  }

  #nothingAt(sample) {
    return sample.missing ? "no answer" : this.nothing;
  }

  #axes(marks, wide, now, back) {
    const nodes = [];
    for (const v of marks)
      nodes.push(drawn("path", { class: "grid", d: `M${LEFT} ${this.y(v)}H${wide - RIGHT}` }),
                 drawn("text", { x: LEFT - 6, y: this.y(v) + 4, class: "tick end" }, this.format(v)));
    const [step, unit, each] = back === KEEP_MS ? [60_000, "min", 1] : [15_000, "s", 15];
    for (let k = back / step; k >= 0; --k)
      nodes.push(drawn("text", { x: this.x(now - k * step), y: HEIGHT - 6, class: "tick " + (k === 0 ? "end" : "middle") },
                       k === 0 ? "now" : `−${k * each} ${unit}`));
    return nodes;
  }

  #path(line) {
    let d = "", before = null;
    for (const s of this.samples) {
      const v = value(line, s);
      if (v !== null) d += `${before === null ? "M" : "L"}${this.x(s.at).toFixed(1)} ${this.y(v).toFixed(1)}`;
      before = v;
    }
    return d;
  }

  #showLegend() {
    const names = this.drawnLines.map((l) => l.name).join("\n");
    if (names === this.legendNames) return;
    this.legendNames = names;
    this.legend.replaceChildren(...this.drawnLines.map((l, i) => element("li", {},
      drawn("svg", { width: 26, height: 8, "aria-hidden": "true" },
            drawn("path", { class: lineClass(l, i), d: "M0 4H26" })),
      " " + l.name)));
  }

  // --- a moment's values ---

  #point(event) {
    const box = this.svg.getBoundingClientRect();
    const at = event.clientX - box.left;
    let best = null;
    for (const s of this.samples)
      if (best === null || Math.abs(this.x(s.at) - at) < Math.abs(this.x(best.at) - at)) best = s;
    this.#show(best);
  }

  #key(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -30, PageDown: 30, Home: -Infinity, End: Infinity }[event.key];
    if (step === undefined || !this.samples.length) return;
    event.preventDefault();
    const last = this.samples.length - 1;
    const from = this.cursor ? this.samples.findIndex((s) => s.at >= this.cursor.at) : last;
    this.#show(this.samples[Math.min(last, Math.max(0, (from < 0 ? last : from) + step))]);
  }

  #show(sample) {
    this.cursor = sample;
    const shown = sample ?? this.samples.at(-1);
    if (this.mark) set(this.mark, { d: sample ? `M${this.x(sample.at)} ${TOP}V${HEIGHT - BOTTOM}` : "" });
    if (!shown || !this.drawnLines) return;
    const values = this.drawnLines.map((l) => `${l.name} ${this.format(value(l, shown))}`);
    setText(this.readout, `${sample ? clock(new Date(sample.at)) : "now"}: ` +
      (this.#has(shown) ? values.join(", ") : this.#nothingAt(shown)));
    set(this.svg, { "aria-label": `${this.title}. ${this.readout.textContent}` });
  }
}
