// What is known of each edge: the answers of /edges one after the other, as rates and states. An edge that is no
// longer told of is kept for a minute, so that who watches sees that it went and when.
const KEEP_GONE_MS = 60_000;

const words = { "in sync": "in-sync", syncing: "syncing", lingering: "lost" };
const sum = (list, f) => list.reduce((total, x) => total + f(x), 0);
const worst = ["gone", "lost", "syncing", "in-sync"];

class Link {
  constructor(told) {
    this.shard = told.shard;
    this.lane = told.lane;
    this.fromRate = this.toRate = 0;
  }
  update(told, seconds) {
    // Counters begin anew with each connection.
    const perSecond = (now, before) => (seconds > 0 ? (now >= before ? now - before : now) / seconds : 0);
    const before = this.told ?? told;
    this.fromRate = perSecond(told.messages_in, before.messages_in);
    this.toRate = perSecond(told.messages_out, before.messages_out);
    this.told = told;
    this.state = words[told.state] ?? "syncing";
  }
  end() {
    this.state = "gone";
    this.fromRate = this.toRate = 0;
  }
}

class Edge {
  constructor(name) {
    this.name = name;
    this.links = new Map(); // "lane/shard" -> Link
    this.state = "new";
  }
  update(told, seconds, now) {
    const left = new Set(this.links.keys());
    for (const link of told.links) {
      const key = `${link.lane}/${link.shard}`;
      left.delete(key);
      if (!this.links.has(key)) this.links.set(key, new Link(link));
      this.links.get(key).update(link, seconds);
    }
    // Of a lost edge one shard forgets its lanes before another does: then these links are gone. Else they are of
    // an earlier number of lanes or shards.
    const states = new Set(told.links.map((l) => this.links.get(`${l.lane}/${l.shard}`).state));
    const lost = [...states].every((s) => s === "lost");
    for (const key of left) {
      if (lost) this.links.get(key).end();
      else this.links.delete(key);
    }
    this.told = told;
    this.goneAt = null;
    if (!lost) this.lastSeen = now;
    this.lastSeen ??= now;
    this.state = worst.find((s) => states.has(s)) ?? "syncing";
    this.partly = states.size > 1;
  }
  end(now) {
    if (this.goneAt === null) this.goneAt = now;
    this.state = "gone";
    this.partly = false;
    for (const link of this.links.values()) link.end();
  }
  lanes() {
    const lanes = new Map();
    for (const l of this.links.values()) lanes.set(l.lane, [...(lanes.get(l.lane) ?? []), l]);
    return [...lanes].sort(([a], [b]) => a - b).map(([number, links]) => ({ number, links }));
  }
  get fromRate() { return sum([...this.links.values()], (l) => l.fromRate); }
  get toRate() { return sum([...this.links.values()], (l) => l.toRate); }
  get clients() { return this.state === "gone" ? 0 : this.told.clients; }
}

export class Edges {
  #all = new Map();
  #at = null;

  // Calls tell(edge, state before) for each edge whose state changed.
  update(page, now, tell) {
    const seconds = this.#at === null ? 0 : (now - this.#at) / 1000;
    this.#at = now;
    const left = new Set(this.#all.keys());
    const changed = (edge, before) => { if (edge.state !== before) tell(edge, before); };
    for (const told of page.edges) {
      left.delete(told.edge);
      if (!this.#all.has(told.edge)) this.#all.set(told.edge, new Edge(told.edge));
      const edge = this.#all.get(told.edge);
      const before = edge.state;
      edge.update(told, seconds, now);
      changed(edge, before);
    }
    for (const name of left) {
      const edge = this.#all.get(name);
      const before = edge.state;
      edge.end(now);
      changed(edge, before);
      if (now - edge.goneAt > KEEP_GONE_MS) this.#all.delete(name);
    }
  }

  list() { return [...this.#all.values()].sort((a, b) => (a.name < b.name ? -1 : 1)); }
  get present() { return this.list().filter((e) => e.state !== "gone" && e.state !== "lost").length; }
}
