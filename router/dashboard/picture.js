// The picture: shards in the middle, edges on both sides (narrow screens: on the left), a line for each link.
// Nodes stay while the structure does; only their texts, states and widths change.
import { clock, count, drawn, onWidth, rate, set, setText } from "./dom.js";

const EDGES_MAX = 40;    // more are counted, not drawn
const LANES_MAX = 48;    // more lanes than this: one line for an edge and shard instead of one for a lane
const HEAD = 46, LANE = 18, GAP = 14, SHARD = 98, MARGIN = 8, CHARACTER = 6.4;
const glyphs = { "in-sync": "●", syncing: "◐", lost: "▲", gone: "✕" };
const names = { "in-sync": "in sync", syncing: "syncing", lost: "lost", gone: "gone" };
const worst = ["gone", "lost", "syncing", "in-sync"];

const width = (perSecond) => (1 + 1.3 * Math.log10(1 + perSecond)).toFixed(1);
const cut = (text, room) =>
  (text.length * CHARACTER <= room ? text : text.slice(0, Math.max(1, room / CHARACTER - 1)) + "…");
const isLost = (edge) => edge.state === "lost" || edge.state === "gone";

export function stateText(edge) {
  if (isLost(edge) && !edge.partly) return `${names[edge.state]}, last seen ${clock(new Date(edge.lastSeen))}`;
  return names[edge.state] + (edge.partly ? ", in part" : "");
}

// Links of one line, as one.
function joined(links) {
  return {
    state: worst.find((s) => links.some((l) => l.state === s)),
    fromRate: links.reduce((n, l) => n + l.fromRate, 0),
    toRate: links.reduce((n, l) => n + l.toRate, 0),
  };
}

// Which edges are drawn: those in trouble first, when there are too many.
function chosen(edges) {
  if (edges.length <= EDGES_MAX) return edges;
  const rank = (e) => worst.indexOf(e.state) * 1e9 - (e.fromRate + e.toRate);
  return [...edges].sort((a, b) => rank(a) - rank(b)).slice(0, EDGES_MAX).sort((a, b) => (a.name < b.name ? -1 : 1));
}

export class Picture {
  #holder;
  #structure = "";
  #edges = new Map();
  #shards = new Map();
  #links = [];
  #svg;
  #data;
  found = null; // name of the edge that holds the client that was looked up

  constructor(holder) {
    this.#holder = holder;
    onWidth(holder, () => this.#data && this.update(this.#data.edges, this.#data.shards));
  }

  update(edges, shards) {
    this.#data = { edges, shards };
    const shown = chosen(edges);
    const byLane = shown.reduce((n, e) => n + e.lanes().length, 0) <= LANES_MAX;
    const wide = Math.max(320, Math.floor(this.#holder.clientWidth));
    const structure = JSON.stringify([wide, edges.length - shown.length, shards.map((s) => [s.shard, s.slots]),
                                      shown.map((e) => [e.name, byLane, ...e.links.keys()])]);
    if (structure !== this.#structure) this.#build(shown, shards, byLane, wide, edges.length - shown.length);
    this.#structure = structure;
    this.#refresh(shown, shards);
    const lost = edges.filter(isLost);
    set(this.#svg, { "aria-label": `${shards.length} shards and ${edges.length} edges` +
                                   (lost.length ? `, lost: ${lost.map((e) => e.name).join(", ")}` : ", none lost") });
  }

  // --- structure ---

  #build(edges, shards, byLane, wide, more) {
    const sides = wide >= 720 ? 2 : 1;
    const edgeWidth = Math.min(230, wide * (sides === 2 ? 0.3 : 0.48));
    const shardWidth = Math.min(190, wide * 0.38);
    const shardX = sides === 2 ? (wide - shardWidth) / 2 : wide - shardWidth - MARGIN;
    const columns = Array.from({ length: sides }, () => ({ items: [], height: 0 }));
    edges.forEach((edge, i) => {
      const lanes = byLane ? edge.lanes() : [];
      const height = HEAD + lanes.length * LANE + (lanes.length ? 6 : 0);
      const column = columns[i % sides];
      column.items.push({ edge, lanes, height });
      column.height += height + GAP;
    });
    const tall = Math.max(shards.length * (SHARD + GAP), ...columns.map((c) => c.height), 60) + 2 * MARGIN - GAP;
    this.#svg = drawn("svg", { role: "img", viewBox: `0 0 ${wide} ${tall + (more ? 24 : 0)}`, width: wide,
                               height: tall + (more ? 24 : 0) });
    const lines = drawn("g"), boxes = drawn("g");
    this.#svg.append(lines, boxes);
    if (more) boxes.append(drawn("text", { x: MARGIN, y: tall + 16 }, `and ${more} more edges; the table has all`));
    this.#edges.clear(), this.#shards.clear(), this.#links = [];

    const top = (height) => MARGIN + (tall - 2 * MARGIN - height + GAP) / 2;
    const places = new Map();
    let y = top(shards.length * (SHARD + GAP));
    for (const shard of shards) {
      boxes.append(this.#shardBox(shard, shardX, y, shardWidth));
      places.set(shard.shard, y);
      y += SHARD + GAP;
    }
    columns.forEach((column, side) => {
      const x = side === 0 ? MARGIN : wide - edgeWidth - MARGIN;
      let at = top(column.height);
      for (const item of column.items) {
        boxes.append(this.#edgeBox(item, x, at, edgeWidth));
        const port = { x: side === 0 ? x + edgeWidth : x, to: side === 0 ? shardX : shardX + shardWidth };
        this.#connect(item, at, port, places, lines);
        at += item.height + GAP;
      }
    });
    this.#holder.replaceChildren(this.#svg);
  }

  #shardBox(shard, x, y, w) {
    const g = drawn("g", { class: "shard", "data-shard": shard.shard, transform: `translate(${x} ${y})` },
                    drawn("rect", { width: w, height: SHARD, rx: 6 }));
    const texts = [17, 34, 52, 70, 88].map((dy, i) => drawn("text", { x: 10, y: dy, class: i ? "small" : "name" }));
    g.append(...texts);
    this.#shards.set(shard.shard, { g, texts, room: w - 14 });
    return g;
  }

  #edgeBox({ edge, lanes, height }, x, y, w) {
    const g = drawn("g", { class: "edge", "data-edge": edge.name, transform: `translate(${x} ${y})` },
                    drawn("rect", { width: w, height, rx: 6 }), drawn("title", {}, edge.name));
    const name = drawn("text", { x: 10, y: 18, class: "name" });
    const numbers = drawn("text", { x: 10, y: 36, class: "small" });
    g.append(name, numbers);
    const laneTexts = new Map(lanes.map(({ number }, i) => {
      const at = HEAD + i * LANE;
      const text = drawn("text", { x: 16, y: at + 12, class: "small" });
      g.append(drawn("rect", { class: "lane", x: 6, y: at - 1, width: w - 12, height: LANE - 2, rx: 3 }), text);
      return [number, text];
    }));
    this.#edges.set(edge.name, { g, name, numbers, laneTexts, room: w - 14 });
    return g;
  }

  #connect({ edge, lanes, height }, y, port, places, lines) {
    const ports = lanes.length ? lanes.map(({ number }, i) => [number, y + HEAD + i * LANE + LANE / 2 - 2])
                               : [[null, y + height / 2]];
    for (const [lane, from] of ports)
      for (const [shard, shardY] of places) {
        const to = shardY + SHARD * (0.25 + (0.5 * (from - MARGIN)) / Number(this.#svg.getAttribute("height")));
        const middle = (port.x + port.to) / 2;
        const title = drawn("title");
        const path = drawn("path", { class: "link", "data-edge": edge.name,
          d: `M${port.x} ${from}C${middle} ${from} ${middle} ${to} ${port.to} ${to}` }, title);
        lines.append(path);
        this.#links.push({ path, title, edge: edge.name, lane, shard });
      }
  }

  // --- numbers ---

  #refresh(edges, shards) {
    const byName = new Map(edges.map((e) => [e.name, e]));
    for (const shard of shards) this.#refreshShard(this.#shards.get(shard.shard), shard);
    for (const edge of edges) this.#refreshEdge(this.#edges.get(edge.name), edge);
    for (const line of this.#links) {
      const links = [...byName.get(line.edge).links.values()].filter(
        (l) => l.shard === line.shard && (line.lane === null || l.lane === line.lane));
      set(line.path, { visibility: links.length ? "visible" : "hidden" });
      if (!links.length) continue;
      const all = joined(links);
      set(line.path, { "data-state": all.state, "stroke-width": width(all.fromRate + all.toRate) });
      setText(line.title, `${line.edge}${line.lane === null ? "" : ` lane ${line.lane}`} and shard ${line.shard}: ` +
                          `${names[all.state]}, ${rate(all.fromRate)} from it, ${rate(all.toRate)} to it`);
    }
  }

  #refreshShard(box, shard) {
    const rates = shard.rates["1s"];
    const lines = [`shard ${shard.shard}${shard.warming_up ? ", warming up" : ""}`, `slots ${shard.slots}`,
                   `in ${rate(rates.messages_in)}`, `out ${rate(rates.messages_out)}`,
                   `${count(shard.clients)} clients, ${count(shard.links)} links`];
    lines.forEach((text, i) => setText(box.texts[i], cut(text, box.room)));
    set(box.g, { "data-state": shard.warming_up ? "warming-up" : "ready" });
  }

  #refreshEdge(box, edge) {
    set(box.g, { "data-state": edge.state, class: edge.name === this.found ? "edge found" : "edge",
                 "data-rate": Math.round(edge.fromRate + edge.toRate) });
    const state = `${glyphs[edge.state]} ${stateText(edge)}`;
    setText(box.name, `${cut(edge.name, Math.max(70, box.room - state.length * CHARACTER))}  ${isLost(edge) ? "" : state}`);
    setText(box.numbers, cut(isLost(edge) ? state
      : `${count(edge.clients)} clients, ↑${rate(edge.fromRate)} ↓${rate(edge.toRate)}`, box.room));
    for (const { number, links } of edge.lanes()) {
      const text = box.laneTexts.get(number);
      if (!text) continue;
      const all = joined(links);
      setText(text, cut(`lane ${number}  ` + (isLost(all) ? names[all.state]
        : `↑${rate(all.fromRate)} ↓${rate(all.toRate)}`), box.room - 8));
    }
  }
}
