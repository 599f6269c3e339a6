// The soak: a long load with a fault every 30 s. Each third of it has the same faults in another order, so
// that the peaks of memory in one third can be compared with those in the next. Processes are killed and
// restarted at the last edge alone: the others live from begin to end, and their memory and descriptors must
// not grow.
#include "tests/chaos/scenario.hpp"

#include "common/base/rng.hpp"
#include "tests/support/sanitized.hpp"

#include <algorithm>

namespace beeline::chaos::scripts {
namespace {

constexpr int router = -1, killed_edge = 2;
constexpr unsigned thirds = 3;
constexpr double sample_max = 10; // seconds

constexpr fault kinds[] = {
    fault::link_cut,        fault::link_reset,     fault::link_stall,        fault::link_stall_up,
    fault::link_stall_down, fault::link_blackhole, fault::link_trickle,      fault::link_flip,
    fault::link_lose_bytes, fault::link_replay,    fault::dials_refused,     fault::dials_hang,
    fault::edge_pause,      fault::edge_cut_off,   fault::link_replay_proof, fault::router_pause,
    fault::clients_reset,   fault::clients_stall,  fault::clients_trickle,   fault::edge_kill,
    fault::edge_kill_long,  fault::edge_term};

struct planned {
  planned_fault what;
  double lasts;
};

bool ends_process(fault f) {
  return f == fault::edge_kill || f == fault::edge_kill_long || f == fault::edge_term;
}

bool at_once(fault f) {
  using enum fault;
  return f == link_cut || f == link_reset || f == link_flip || f == link_lose_bytes || f == link_replay ||
         f == link_replay_proof || f == clients_reset;
}

// What one third has: kinds in turn, each with its place and length.
std::vector<planned> draw_third(rng& random, unsigned faults, double period, unsigned shards) {
  std::vector<fault> order(std::begin(kinds), std::end(kinds));
  std::shuffle(order.begin(), order.end(), random);
  std::vector<planned> third;
  for (unsigned i = 0; i < faults; ++i) {
    planned p;
    p.what.kind = order[i % order.size()];
    if (ends_process(p.what.kind)) p.what.edge = killed_edge;
    else if (scope_of(p.what.kind) != scope::router)
      p.what.edge = static_cast<int>(random.below(killed_edge));
    if (scope_of(p.what.kind) == scope::links && random.one_in(2))
      p.what.shard = static_cast<int>(random.below(shards));
    const double most = std::min(5.0, period / 2);
    p.lasts = at_once(p.what.kind) ? 0 : most * static_cast<double>(5 + random.below(96)) / 100;
    third.push_back(p);
  }
  return third;
}

// Bytes and descriptors that a part has at rest; without what its clients and links are.
constexpr const char* router_bytes[] = {"/totals/queue_bytes", "/totals/socket_rest_bytes"};
constexpr const char* edge_bytes[] = {"/totals/queue_bytes",    "/totals/waiting_bytes",
                                      "/totals/pending_bytes",  "/totals/unanswered_bytes",
                                      "/totals/prelogin_bytes", "/totals/socket_rest_bytes"};

double bytes_of(run& r, int part) {
  double n = 0;
  const auto all =
      part == router ? std::span<const char* const>(router_bytes) : std::span<const char* const>(edge_bytes);
  for (const char* field : all) n += r.servers().number(part, field);
  return n;
}

double descriptors_of(run& r, int part) {
  return r.servers().number(part, "/process/open_fds") - r.servers().number(part, "/totals/sockets");
}

double highest_rss(const std::vector<process_sample>& all, const std::string& name, std::int64_t from,
                   std::int64_t to) {
  std::uint64_t most = 0;
  for (const process_sample& s : all)
    if (s.name == name && s.at >= from && s.at < to) most = std::max(most, s.rss_bytes);
  return static_cast<double>(most) / (1 << 20);
}

void judge_memory(run& r, std::int64_t begin) {
  const std::int64_t end = r.now(), third = (end - begin) / thirds;
  for (int part = router; part < killed_edge; ++part) {
    const std::string name = r.servers().name(part);
    const double middle = highest_rss(r.sample(), name, begin + third, begin + 2 * third);
    const double last = highest_rss(r.sample(), name, begin + 2 * third, end);
    r.figure(name + ": highest memory in the middle third", middle, "MiB");
    // A short one is still filling its pools; a sanitizer keeps what was freed.
    r.figure(name + ": that of the last third, beyond it", std::max(0.0, last - middle), "MiB", 0,
             test::sanitized    ? -1
             : r.options().full ? 1
                                : 16);
  }
}

} // namespace

run_plan soak_plan(const run_options& o) {
  run_options without = o;
  without.faults = 0;
  run_plan p = draw(without);
  p.lanes = {2, 1, 1};
  p.client_proxy = true;
  p.small_queues = false;
  p.edge_options.clear();
  p.churn = 6;
  return p;
}

void soak_before(run& r) {
  for (int part = router; part < static_cast<int>(r.servers().edges()); ++part) {
    double bytes = bytes_of(r, part);
    for (int looks = 0; looks < 10; ++looks, r.load_for(0.05)) bytes = std::min(bytes, bytes_of(r, part));
    r.notes()[r.servers().name(part) + " bytes"] = bytes;
    r.notes()[r.servers().name(part) + " descriptors"] = descriptors_of(r, part);
  }
}

void soak(run& r) {
  const double seconds = r.options().seconds, period = std::min(r.options().every, seconds / 12);
  const double between_samples = std::min(sample_max, period / 3);
  const auto faults = static_cast<unsigned>(seconds / thirds / period);
  rng random(r.options().seed ^ 0x50a4);
  std::vector<planned> third = draw_third(random, faults, period, r.plan().shards);
  const std::int64_t begin = r.now();
  std::int64_t next_sample = begin;
  const auto wait_until = [&](double at) {
    const std::int64_t then = begin + static_cast<std::int64_t>(at * 1e6);
    while (r.now() < then) {
      if (r.now() >= next_sample)
        (void)r.sample(), next_sample += static_cast<std::int64_t>(between_samples * 1e6);
      r.load_for(std::min(0.05, static_cast<double>(std::max<std::int64_t>(1, then - r.now())) / 1e6));
    }
  };
  for (unsigned n = 0; n < thirds * faults; ++n) {
    if (n % faults == 0) std::shuffle(third.begin(), third.end(), random);
    const planned& p = third[n % faults];
    wait_until(period * (n + 0.4));
    const std::size_t f = r.faults().begin_now(p.what);
    const double began = static_cast<double>(r.now() - begin) / 1e6;
    wait_until(began + p.lasts);
    r.faults().end_now(f);
  }
  wait_until(seconds);
  judge_memory(r, begin);
  unsigned missed = 0;
  for (const fault_fact& f : r.faults().told()) missed += f.hits == 0;
  r.figure("faults", static_cast<double>(r.faults().told().size()), "", 1);
  r.figure("of these, found nothing to break", missed, "", 0, thirds * faults / 5);
}

void soak_at_rest(run& r) {
  for (int part = router; part < static_cast<int>(r.servers().edges()); ++part) {
    const std::string name = r.servers().name(part);
    const double bytes = r.notes()[name + " bytes"], descriptors = r.notes()[name + " descriptors"];
    // A heartbeat that is just being written has its chunk too.
    double last = 0;
    (void)r.until([&] { return (last = bytes_of(r, part)) == bytes; }, 5);
    r.figure(name + ": bytes in queues and windows at rest", last, "B", bytes, bytes);
    r.figure(name + ": descriptors beside its sockets at rest", descriptors_of(r, part), "", descriptors,
             descriptors);
  }
}

} // namespace beeline::chaos::scripts
