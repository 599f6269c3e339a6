// "Look up a client": what /explain/{id} says, for people.
import { ask } from "./poll.js";
import { byId, clock, element, rows, span } from "./dom.js";

const ID_BYTES_MAX = 128;

// Why the id cannot be asked for; empty: it can.
function wrong(id) {
  if (new TextEncoder().encode(id).length > ID_BYTES_MAX) return `A client id has at most ${ID_BYTES_MAX} bytes.`;
  if (/[/+#\u0000-\u001f\u007f]/.test(id)) return "A client id has no / + # and no control characters.";
  if (id === "." || id === "..") return "A browser cannot ask for this id, as it stands for a folder; beeline explain can.";
  return id.isWellFormed && !id.isWellFormed() ? "This is not Unicode text." : "";
}

function facts(page) {
  const where = page.online ? `edge ${page.edge}, lane ${page.lane}` : "nowhere";
  const since = page.online ? `${clock(new Date(page.since))}, for ${span(page.connected_for_seconds)}` : "-";
  const state = !page.online ? "offline" : page.lingering ? "online, but its edge is lost and may come back" : "online";
  return [["State", page.contested ? state + "; two sessions claim the id" : state], ["Where", where],
          ["Connected since", since], ["Slot", `${page.slot}, of shard ${page.shard}`]];
}

export function dropCells(d) {
  return [clock(new Date(d.at)), d.what, d.reason, d.from, d.to, d.qos === null ? "-" : String(d.qos), d.where];
}

function show(page) {
  const list = element("dl", { "data-online": page.online });
  for (const [name, value] of facts(page)) list.append(element("dt", {}, name), element("dd", {}, value));
  const nodes = [element("h3", {}, page.id), list];
  if (page.drops.length) {
    const table = byId("drops").cloneNode(true);
    table.removeAttribute("id");
    rows(table, page.drops.map(dropCells));
    nodes.push(element("p", {}, "The newest drops and refusals about it at this router:"),
               element("div", { class: "wide" }, table));
  } else {
    nodes.push(element("p", { class: "hint" }, "No drops or refusals about it at this router."));
  }
  return nodes;
}

// Calls found(name of its edge, or null).
export function lookUp(found) {
  let newest = 0;
  byId("lookup").addEventListener("submit", async (event) => {
    event.preventDefault();
    const id = byId("client").value;
    const turn = ++newest;
    let nodes, edge = null;
    try {
      const problem = wrong(id);
      if (problem) throw new Error(problem);
      const page = await ask("explain/" + encodeURIComponent(id));
      nodes = show(page);
      edge = page.online ? page.edge : null;
    } catch (e) {
      nodes = [element("p", { class: "problem" }, e.message)];
    }
    if (turn !== newest) return; // somebody has asked for another one meanwhile
    byId("found").replaceChildren(...nodes);
    found(edge);
  });
}
