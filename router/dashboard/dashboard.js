// The router's dashboard: asks /stats and /edges once a second, /drops every other time, and shows what they say.
import { Chart, KEEP_MS } from "./charts.js";
import { Edges } from "./edges.js";
import { Picture, stateText } from "./picture.js";
import { dropCells, lookUp } from "./lookup.js";
import { ask, askAll, repeat } from "./poll.js";
import { byId, bytes, clock, count, element, micros, rate, rows, set, setText, span } from "./dom.js";

const EVENTS_MAX = 50;
const samples = [];
const edges = new Edges();
const picture = new Picture(byId("picture"));
const charts = [
  new Chart({ title: "Messages a second", format: rate, least: 4, lines: [
    { name: "in, from edges", value: (s) => s.in }, { name: "out, to edges", value: (s) => s.out }] }),
  new Chart({ title: "Publish to answer, all edges, last 10 s", format: micros, least: 100,
              nothing: "no messages in the last 10 s", lines: [
    { name: "p50", value: (s) => s.answered.p50 }, { name: "p99", value: (s) => s.answered.p99 }] }),
  new Chart({ title: "Round trip of links, last 10 s", format: micros, least: 100, nothing: "no links", lines: [
    { name: "p50", value: (s) => s.roundTrip.p50 }, { name: "p99", value: (s) => s.roundTrip.p99 },
    { name: "slowest link now", value: (s) => s.slowest }] }),
  new Chart({ title: "Clients", format: count, least: 4, lines: [{ name: "clients", value: (s) => s.clients }] }),
  new Chart({ title: "Memory of queues to links", format: bytes, base: 1024, least: 1024,
              lines: [{ name: "queues", value: (s) => s.queue }] }),
  new Chart({ title: "Drops a second, by reason (QoS 0)", format: rate, least: 4, nothing: "no drops",
              lines: dropLines }),
];

// The reasons that occurred while the chart looks back, the most frequent first.
function dropLines(all) {
  const totals = {};
  for (const s of all)
    for (const [reason, n] of Object.entries(s.drops)) if (n > 0) totals[reason] = (totals[reason] ?? 0) + n;
  return Object.keys(totals).sort((a, b) => totals[b] - totals[a] || (a < b ? -1 : 1))
    .map((reason) => ({ name: reason, value: (s) => s.drops[reason] ?? 0 }));
}

// --- what happened, in words ---

function happened(text) {
  byId("events").prepend(element("li", {}, `${clock(new Date())} ${text}`));
  while (byId("events").childElementCount > EVENTS_MAX) byId("events").lastElementChild.remove();
}

function edgeChanged(edge, before) {
  if (before === "new") happened(`edge ${edge.name} is here: ${stateText(edge)}`);
  else happened(`edge ${edge.name}: ${stateText(edge)}`);
}

// --- is the router there? ---

let answeredAt = null, silentSince = null, startedAt = null;

function answers(stats) {
  if (silentSince !== null) happened(`the router answers again, after ${span((Date.now() - silentSince) / 1000)}`);
  if (startedAt !== null && startedAt !== stats.started) {
    happened("the router was started anew");
    before = null;
  }
  answeredAt = Date.now(), silentSince = null, startedAt = stats.started;
  set(byId("state"), { "data-state": stats.ready ? "ready" : "not-ready" });
  setText(byId("state"), stats.ready ? "● in service" : "◐ warming up: not yet in service");
  byId("main").classList.remove("stale");
}

function silent(why) {
  if (silentSince === null) {
    silentSince = answeredAt ?? Date.now();
    happened(`the router is not answering: ${why}`);
  }
  set(byId("state"), { "data-state": "silent" });
  setText(byId("state"), `▲ not answering since ${clock(new Date(silentSince))} (${why}); what is below is old`);
  byId("main").classList.add("stale");
}

// --- numbers ---

let before = null; // drops of the answer before

// Nothing happened: no value, which is not 0.
const lately = ({ last_10s: l }) => (l.count ? { p50: l.p50_us, p99: l.p99_us } : { p50: null, p99: null });

function sample(stats, now) {
  const t = stats.totals, rates = t.rates["1s"];
  const seconds = before ? (now - before.at) / 1000 : 0;
  const drops = {};
  for (const [reason, n] of Object.entries(t.drops))
    drops[reason] = seconds > 0 ? Math.max(0, n - before.drops[reason]) / seconds : 0;
  before = { at: now, drops: t.drops };
  samples.push({ at: now, in: rates.messages_in, out: rates.messages_out, answered: lately(t.latency.publish_to_answer),
                 roundTrip: lately(t.latency.link_round_trip), slowest: t.links ? t.link_round_trip_us : null,
                 clients: t.clients, queue: t.queue_bytes, drops });
  while (samples[0].at < now - KEEP_MS) samples.shift();
}

function showNumbers(stats) {
  const t = stats.totals, rates = t.rates["1s"];
  setText(byId("about"), `slots ${stats.slots}, version ${stats.version}, up for ${span(stats.uptime_seconds)}`);
  const tiles = [["in", rate(rates.messages_in), "messages from edges"],
                 ["out", rate(rates.messages_out), "messages to edges"],
                 ["answer", micros(lately(t.latency.publish_to_answer).p99), "p99 to the answer"],
                 ["edges", count(edges.present), "edges"], ["clients", count(t.clients), "clients"],
                 ["queue", bytes(t.queue_bytes), "queued for links"], ["dropped", rate(rates.drops), "drops"]];
  const list = byId("numbers");
  if (!list.childElementCount)
    for (const [id, , name] of tiles)
      list.append(element("div", {}, element("dt", {}, name), element("dd", { id: "n-" + id })));
  for (const [id, value] of tiles) setText(byId("n-" + id), value);
}

function showEdges(stats) {
  picture.update(edges.list(), stats.shards);
  rows(byId("edges"), edges.list().map((e) => [e.name, stateText(e), String(e.lanes().length), count(e.clients),
    rate(e.fromRate), rate(e.toRate), bytes(e.told.queue_bytes), micros(e.told.round_trip_us)]));
}

function showDrops(page) {
  rows(byId("drops"), page.drops.map(dropCells));
  byId("no-drops").hidden = page.drops.length > 0;
}

// --- the turn ---

let turns = 0;

async function turn() {
  try {
    const [stats, told, drops] = await Promise.all(
      [ask("stats"), askAll("edges", "edges"), turns++ % 2 === 0 ? ask("drops?limit=50") : null]);
    const now = Date.now();
    answers(stats);
    edges.update(told, now, edgeChanged);
    sample(stats, now);
    showNumbers(stats);
    showEdges(stats);
    for (const chart of charts) chart.update(samples);
    if (drops) showDrops(drops);
    return true;
  } catch (e) {
    silent(e.message);
    return false;
  }
}

byId("charts").append(...charts.map((c) => c.node));
lookUp((edge) => { picture.found = edge; });
repeat(turn);
