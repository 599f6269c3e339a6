// The router's dashboard: asks /stats and /edges once a second, /drops every other time, and shows what they say.
import { Chart, KEEP_MS, missing } from "./charts.js";
import { Edges } from "./edges.js";
import { linesByKind, perSecond } from "./kinds.js";
import { Page, Panel } from "./panels.js";
import { Picture, stateText } from "./picture.js";
import { dropCells, lookUp } from "./lookup.js";
import { ask, askAll, repeat } from "./poll.js";
import { byId, bytes, clock, count, element, micros, rate, rows, set, setText, share, span } from "./dom.js";

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
    { name: "slowest now", value: (s) => s.slowest }] }),
  new Chart({ title: "Clients", format: count, least: 4, lines: [{ name: "clients", value: (s) => s.clients }] }),
  new Chart({ title: "Memory of queues to links", format: bytes, base: 1024, least: 1024,
              lines: [{ name: "queues", value: (s) => s.queue }] }),
  new Chart({ title: "QoS 0 drops a second, by reason", format: rate, least: 4, nothing: "no drops",
              lines: linesByKind((s) => s.drops) }),
  new Chart({ title: "QoS 1 answers a second, by kind (logarithmic)", format: rate, nothing: "no answers", wide: true,
              logarithmic: true, lines: linesByKind((s) => s.answers) }),
];

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

let answeredAt = null, silentSince = null, stats = null; // stats: the newest

function showState(state, text) {
  set(byId("state"), { "data-state": state });
  setText(byId("state"), text);
}

function answers(now) {
  if (silentSince !== null) happened(`the router answers again, after ${span((now - silentSince) / 1000)}`);
  answeredAt = now, silentSince = null;
  if (pages.stats.problem !== null) showState("not-known", `▲ state not known: /stats: ${pages.stats.problem}`);
  else if (stats.ready) showState("ready", "● in service");
  else showState("not-ready", `◐ not in service: ${stats.why_not_ready}`);
}

function silent(why) {
  if (silentSince === null) {
    silentSince = answeredAt ?? Date.now();
    happened(`the router is not answering: ${why}`);
  }
  showState("silent", `▲ not answering since ${clock(new Date(silentSince))} (${why}); what is below is old`);
}

// --- numbers ---

let before = null; // counters of the answer before

// Nothing happened: no value, which is not 0.
const lately = ({ last_10s: l }) => (l.count ? { p50: l.p50_us, p99: l.p99_us, inTime: l.count_within_1s / l.count }
  : { p50: null, p99: null, inTime: null });

function keep(sample) {
  samples.push(sample);
  while (samples[0].at < sample.at - KEEP_MS) samples.shift();
  for (const chart of charts) chart.update(samples);
}

function sample(now) {
  const t = stats.totals, rates = t.rates["1s"];
  const seconds = before ? (now - before.at) / 1000 : 0;
  const made = { at: now, in: rates.messages_in, out: rates.messages_out, answered: lately(t.latency.publish_to_answer),
                 roundTrip: lately(t.latency.link_round_trip), slowest: t.links ? t.link_round_trip_us : null,
                 clients: t.clients, queue: t.queue_bytes, drops: perSecond(t.drops, before?.drops, seconds),
                 answers: perSecond(t.answers, before?.answers, seconds) };
  before = { at: now, drops: t.drops, answers: t.answers };
  return made;
}

function showNumbers() {
  const t = stats.totals, rates = t.rates["1s"];
  setText(byId("about"), `slots ${stats.slots}, version ${stats.version}, up for ${span(stats.uptime_seconds)}`);
  const tiles = [["in", rate(rates.messages_in), "messages in"],
                 ["out", rate(rates.messages_out), "messages out"],
                 ["answer", micros(lately(t.latency.publish_to_answer).p99), "p99 to answer"],
                 ["in-time", share(lately(t.latency.publish_to_answer).inTime), "answered in 1 s"],
                 ["refused", rate(rates.refused), "QoS 1 refused"], ["dropped", rate(rates.drops), "QoS 0 drops"],
                 ["edges", pages.edges.problem === null ? count(edges.present) : "-", "edges"],
                 ["clients", count(t.clients), "clients"], ["queue", bytes(t.queue_bytes), "queued for links"]];
  const list = byId("numbers");
  if (!list.childElementCount)
    for (const [id, , name] of tiles)
      list.append(element("div", {}, element("dt", {}, name), element("dd", { id: "n-" + id })));
  for (const [id, value] of tiles) setText(byId("n-" + id), value);
}

function showStats(told, now) {
  if (stats !== null && stats.started !== told.started) {
    happened("the router was started anew");
    before = null;
  }
  stats = told;
  showNumbers();
  keep(sample(now));
}

function showEdges() {
  picture.update(edges.list(), stats?.shards ?? []);
  rows(byId("edges"), edges.list().map((e) => [e.name, stateText(e), String(e.lanes().length), count(e.clients),
    rate(e.fromRate), rate(e.toRate), bytes(e.told.queue_bytes), micros(e.told.round_trip_us || null)])); // 0: not measured yet
}

function showDrops(page) {
  rows(byId("drops"), page.drops.map(dropCells));
  byId("no-drops").hidden = page.drops.length > 0;
}

// --- the turn ---

const pages = { // edges first: stats counts them
  edges: new Page("edges", (told, now) => edges.update(told, now, edgeChanged),
                  { asks: () => askAll("edges", "edges") }),
  stats: new Page("stats", showStats),
  drops: new Page("drops", showDrops, { asks: () => ask("drops?limit=50"), every: 2 }),
};
const panels = [...document.querySelectorAll("[data-pages]")].map(
  (section) => new Panel(section, section.dataset.pages.split(" ").map((name) => pages[name])));
let turns = 0;

async function turn() {
  const asked = Object.values(pages).filter((p) => p.due(turns));
  ++turns;
  const results = await Promise.allSettled(asked.map((p) => p.ask()));
  const now = Date.now();
  asked.forEach((p, i) => p.take(results[i], now));
  if (pages.stats.problem !== null) keep(missing(now)); // asked in every turn
  const answered = asked.some((p) => p.problem === null);
  if (answered) {
    answers(now);
    try {
      showEdges();
    } catch (e) {
      pages.edges.problem = e.message;
    }
  } else {
    const why = asked[0].problem;
    for (const p of Object.values(pages)) p.problem ??= why; // those too that were not asked this time
    silent(why);
  }
  for (const panel of panels) panel.refresh();
  return answered;
}

byId("charts").append(...charts.map((c) => c.node));
lookUp((edge) => { picture.found = edge; });
repeat(turn);
