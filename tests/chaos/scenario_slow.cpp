// F13 (CAT-56, CAT-65): a client that does not read, an edge that stands still, an edge behind a black hole,
// at full load. Of the clients, some (feeders) send only to those that suffer (group 1); the others send only
// to each other, over the same edges, links and shards, and should not notice.
#include "tests/chaos/scenario.hpp"

#include <algorithm>

namespace beeline::chaos::scripts {
namespace {

constexpr int router = -1, victim_edge = 0;
constexpr unsigned others = 0, suffering = 1, feeding = 2;

run_plan grouped(const run_options& o) {
  run_plan p = steady(o);
  p.qos0_percent = 30;
  p.payload_max = 600;
  p.shifts_load = false; // the others' load has to be the same all the time
  for (client_plan& c : p.clients) c.group = c.sends_to = others;
  return p;
}

void make_feeder(client_plan& c) {
  c.group = feeding;
  c.sends_to = suffering;
  c.window = 1'000;
}

// What limits promise, seen at all parts. The high-water marks miss no peak.
void within_limits(run& r) {
  constexpr double link_max = 8 << 20, slack = 1 << 20; // --link-output-max, and what was begun below it
  double at_links = 0, queued = 0, waiting = 0, rss = 0;
  for (int part = router; part < static_cast<int>(r.servers().edges()); ++part) {
    const auto look = [&](const char* field) {
      double value = -1; // a part that stood still a moment ago may be busy
      if (!r.until([&] { return (value = r.servers().number(part, field)) >= 0; }, 5))
        r.broken(r.servers().name(part) + " does not say " + field);
      return value;
    };
    at_links = std::max(at_links, look("/totals/link_queue_bytes_high_water"));
    queued = std::max(queued, look("/totals/queue_bytes_high_water"));
    if (part != router) waiting = std::max(waiting, look("/totals/waiting_bytes_high_water"));
    rss = std::max(rss, look("/process/rss_bytes"));
  }
  constexpr double mib = 1 << 20;
  r.figure("most that waited for one link", at_links / mib, "MiB", 0, (link_max + slack) / mib);
  r.figure("most output of one part", queued / mib, "MiB", 0, 64);
  r.figure("most messages waiting at one edge", waiting / mib, "MiB", 0, 64);
  r.figure("largest process", rss / mib, "MiB", 0, 256);
}

// Calm, fault, calm; the judge compares the others' times and finds when the suffering ones got something
// again.
template <class Begin, class End> void between(run& r, Begin begin, End end) {
  r.load_for(r.options().seconds / 4);
  r.mark("fault");
  begin();
  r.load_for(r.options().seconds / 2);
  r.mark("over");
  end();
  within_limits(r);
  r.load_for(r.options().seconds / 4);
}

void edge_suffers(run& r, fault kind) {
  std::size_t f = 0;
  between(
      r,
      [&] {
        f = r.faults().begin_now({kind, victim_edge, -1, 0, 0});
      },
      [&] { r.faults().end_now(f); });
}

} // namespace

run_plan slow_client_plan(const run_options& o) {
  run_plan p = grouped(o);
  p.clients[0].group = suffering;
  if (!o.full) { // so that a small load fills its queue
    p.clients[0].receive_max = 50;
    p.edge_options = {"--max-pending", "100"};
  }
  for (std::size_t i = 1; i < p.clients.size(); i += 4) make_feeder(p.clients[i]);
  return p;
}

run_plan slow_edge_plan(const run_options& o) {
  run_plan p = grouped(o);
  for (std::size_t i = 0; i < p.clients.size(); ++i) {
    if (p.clients[i].home == victim_edge) p.clients[i].group = suffering;
    else if (i % 4 == 1) make_feeder(p.clients[i]);
  }
  return p;
}

void slow_client(run& r) {
  std::size_t f = 0;
  between(
      r,
      [&] {
        r.clients().deaf(0, true);
        f = r.faults().begin_now({fault::client_deaf, victim_edge, -1, 0, 0, 0}, 1);
      },
      [&] {
        r.clients().deaf(0, false);
        r.faults().end_now(f);
      });
}
void stopped_edge(run& r) { edge_suffers(r, fault::edge_pause); }
void black_hole(run& r) { edge_suffers(r, fault::net_blackhole); }

} // namespace beeline::chaos::scripts
