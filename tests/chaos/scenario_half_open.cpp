// F5 (CAT-41, CAT-42): links that are dead and look alive: idle, with data in flight, with a peer that does
// not read, and one link alone among living ones.
#include "tests/chaos/scenario.hpp"
#include "tests/support/sanitized.hpp"

#include <algorithm>
#include <csignal>

namespace beeline::chaos::scripts {
namespace {

constexpr int router = -1;

double silent_links(run& r, int part) { return r.servers().number(part, "/totals/link_closes/link_silence"); }

// How long until an edge has closed so many links for silence, and until the router has.
void noticed(run& r, int edge, double at_edge_before, double at_router_before, double links,
             double limit_ms) {
  const std::int64_t from = r.now();
  double by_edge = -1, by_router = -1;
  const auto look = [&](int part, double before, double& took) {
    if (took < 0 && silent_links(r, part) >= before + links) took = static_cast<double>(r.now() - from) / 1e3;
  };
  const bool both = r.until(
      [&] {
        look(edge, at_edge_before, by_edge);
        look(router, at_router_before, by_router);
        return by_edge >= 0 && by_router >= 0;
      },
      20);
  if (!both) r.broken("a dead link was not noticed at both ends within 20 s");
  r.figure("noticed by the edge after", by_edge, "ms", 0, r.time_limit(limit_ms));
  r.figure("noticed by the router after", by_router, "ms", 0, r.time_limit(limit_ms));
}

void links_are_back(run& r, int edge) {
  r.time_until(
      "all links again after", [&] { return !r.servers().ask(edge, "/readyz").is_discarded(); }, 5'000);
}

std::vector<double> of_each_link(run& r, int edge, const char* field) {
  std::vector<double> all;
  const auto stats = r.servers().ask(edge, "/stats");
  if (!stats.is_object()) return all;
  for (const auto& lane : stats["lanes"])
    for (const auto& link : lane["per_link"]) all.push_back(link[field].get<double>());
  return all;
}

// The fewest frames that one link of the cluster brought in that time, without any message.
void every_link_beats(run& r, double seconds) {
  std::vector<std::vector<double>> before;
  for (int e = 0; e < static_cast<int>(r.servers().edges()); ++e)
    before.push_back(of_each_link(r, e, "frames_in"));
  r.load_for(seconds);
  double fewest = 1e9;
  unsigned links = 0;
  for (std::size_t e = 0; e < before.size(); ++e) {
    const auto after = of_each_link(r, static_cast<int>(e), "frames_in");
    if (after.size() != before[e].size() || after.empty())
      return r.broken("an edge does not tell of its links");
    for (std::size_t i = 0; i < after.size(); ++i, ++links)
      fewest = std::min(fewest, after[i] - before[e][i]);
  }
  r.figure("idle links", links, "", 1);
  r.figure("fewest frames on one of them, a second", fewest / seconds, "", 1);
}

double links_of(run& r, int edge) {
  return static_cast<double>(r.plan().lanes[static_cast<std::size_t>(edge)] * r.plan().shards);
}

void edge_is_cut_off(run& r, double limit_ms) {
  constexpr int edge = 0;
  const double at_edge = silent_links(r, edge), at_router = silent_links(r, router);
  const std::size_t f = r.faults().begin_now({fault::net_blackhole, edge, -1, 0, 0});
  noticed(r, edge, at_edge, at_router, links_of(r, edge), limit_ms);
  r.faults().end_now(f);
  links_are_back(r, edge);
}

} // namespace

run_plan idle_plan(const run_options& o) {
  run_plan p = steady(o);
  p.lanes = {2, 1, 1};
  return p;
}

// Bytes enough to fill the sockets of a peer that does not read.
run_plan heavy_plan(const run_options& o) {
  run_plan p = steady(o);
  p.payload_max = 4'000;
  return p;
}

void half_open_idle(run& r) {
  every_link_beats(r, 2);
  edge_is_cut_off(r, 4'000);
}

void half_open_in_flight(run& r) {
  r.load_for(r.options().seconds / 3);
  const double before = r.servers().number(0, "/totals/messages_resent");
  edge_is_cut_off(r, 6'000);
  r.load_for(r.options().seconds / 3);
  r.figure("messages that the edge sent again", r.servers().number(0, "/totals/messages_resent") - before, "",
           1);
}

// First the router stands still, then an edge: the others' sockets to it fill up, and its window is 0.
void half_open_not_reading(run& r) {
  r.load_for(r.options().seconds / 4);
  const double before = silent_links(r, 0),
               queued = (test::sanitized ? 4 : 16) * 1024; // sanitized, less is sent
  std::size_t f = r.faults().begin_now({fault::router_pause, -1, -1, 0, 0});
  r.time_until(
      "router stopped: noticed by the edge after",
      [&] { return silent_links(r, 0) >= before + links_of(r, 0); }, 10'000);
  r.figure("bytes that waited for one link of that edge",
           r.servers().number(0, "/totals/link_queue_bytes_high_water"), "B", queued);
  r.faults().end_now(f);
  r.time_until(
      "all edges linked again after", [&] { return r.servers().ready(); }, 8'000);
  r.load_for(r.options().seconds / 4);
  const double at_router = silent_links(r, router);
  f = r.faults().begin_now({fault::edge_pause, 1, -1, 0, 0});
  r.time_until(
      "edge stopped: noticed by the router after",
      [&] { return silent_links(r, router) >= at_router + links_of(r, 1); }, 10'000);
  r.figure("bytes that waited at the router for one link",
           r.servers().number(router, "/totals/link_queue_bytes_high_water"), "B", queued);
  r.faults().end_now(f);
  r.time_until(
      "that edge linked again after", [&] { return r.servers().ready(); }, 8'000);
  r.load_for(r.options().seconds / 4);
}

// One link of each of two edges dies. Those and no others are lost, though all are idle.
void half_open_one_link(run& r) {
  const unsigned rounds = r.options().full ? 2 : 1;
  for (unsigned round = 0; round < rounds; ++round) {
    std::vector<std::size_t> dead;
    std::vector<std::vector<double>> before;
    for (unsigned e : {1u, 2u}) {
      before.push_back(of_each_link(r, static_cast<int>(e), "losses"));
      dead.push_back(r.faults().begin_now(
          {fault::net_blackhole, static_cast<int>(e), static_cast<int>((e + round) % 2), 0, 0}));
    }
    const auto lost = [&](unsigned e) {
      const auto now = of_each_link(r, static_cast<int>(e), "losses");
      std::vector<unsigned> which;
      for (unsigned i = 0; i < std::min(now.size(), before[e - 1].size()); ++i)
        if (now[i] > before[e - 1][i]) which.push_back(i);
      return which;
    };
    r.time_until(
        "one dead link of each of two edges, noticed after",
        [&] { return !lost(1).empty() && !lost(2).empty(); }, 4'000);
    for (const std::size_t f : dead) r.faults().end_now(f);
    for (unsigned e : {1u, 2u}) links_are_back(r, static_cast<int>(e));
    for (unsigned e : {1u, 2u})
      if (lost(e) != std::vector<unsigned>{(e + round) % 2})
        r.broken("another link than the dead one of e" + std::to_string(e + 1) + " was lost");
  }
}

} // namespace beeline::chaos::scripts
