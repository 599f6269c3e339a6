#include "tests/chaos/plan.hpp"

#include "common/base/rng.hpp"

#include <algorithm>

namespace beeline::chaos {
namespace {

constexpr std::int64_t ms = 1000;

struct draft {
  rng random;
  const run_options& options;
  run_plan plan;

  bool chance(unsigned percent) { return random.below(100) < percent; }
  std::int64_t between(std::int64_t low, std::int64_t high) {
    return high <= low
               ? low
               : low + static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(high - low)));
  }
};

std::vector<fault> kinds_of(const run_options& o, bool client_proxy) {
  using enum fault;
  std::vector<fault> all{edge_kill,   edge_kill_long,   edge_term,   edge_pause,
                         router_kill, router_kill_long, router_term, router_pause};
  if (o.netns) {
    all.insert(all.end(), {net_blackhole, net_one_way, net_down, net_blackhole, net_one_way, net_down});
  } else {
    all.insert(all.end(), {link_cut, link_reset, link_stall, link_stall_up, link_stall_down, link_blackhole,
                           link_trickle, link_flip, dials_refused, dials_hang, edge_cut_off});
    if (client_proxy) all.insert(all.end(), {clients_reset, clients_stall, clients_trickle});
  }
  if (!o.only.empty()) std::erase_if(all, [&](fault f) { return name_of(f) != o.only; });
  return all;
}

std::int64_t lasts(draft& d, fault f) {
  using enum fault;
  // In a short run faults are short too, so that several have room.
  const auto most = std::min<std::int64_t>(5000, static_cast<std::int64_t>(d.options.seconds * 250)) * ms;
  switch (f) {
  case link_cut:
  case link_reset:
  case link_flip:
  case clients_reset: return 0;
  case edge_kill:
  case router_kill: return d.between(0, 500 * ms);
  case edge_term:
  case router_term: return d.between(0, 300 * ms);
  case edge_kill_long:
  case router_kill_long: return d.between(std::min(1000 * ms, most), most);
  case link_stall:
  case link_stall_up:
  case link_stall_down:
  case link_blackhole:
  case edge_cut_off:
  case net_blackhole:
  case net_one_way:
    return d.chance(40) ? d.between(200 * ms, 1000 * ms) : d.between(std::min(1000 * ms, most), most);
  default: return d.between(300 * ms, most);
  }
}

// Two faults of one process at a time make no sense: it is down, or stopped.
bool collides(const planned_fault& a, const planned_fault& b) {
  const bool both_processes = scope_of(a.kind) == scope_of(b.kind) &&
                              (scope_of(a.kind) == scope::edge || scope_of(a.kind) == scope::router);
  const bool same_links = scope_of(a.kind) == scope_of(b.kind) && !both_processes;
  constexpr std::int64_t room = 300 * ms;
  return (both_processes || same_links) && a.edge == b.edge && a.begin < b.end + room &&
         b.begin < a.end + room;
}

// What begins while its links are down, or are just made again, hits nothing.
bool hits_nothing(const planned_fault& a, const planned_fault& down) {
  using enum fault;
  const bool ends = scope_of(down.kind) == scope::router || scope_of(down.kind) == scope::edge ||
                    down.kind == dials_refused || down.kind == dials_hang || down.kind == edge_cut_off;
  if (!ends || down.kind == edge_pause || down.kind == router_pause) return false;
  const bool same = down.edge < 0 || down.edge == a.edge;
  const bool fragile = scope_of(a.kind) == scope::links || scope_of(a.kind) == scope::clients;
  constexpr std::int64_t before = 100 * ms, after = 1500 * ms;
  return same && fragile && a.begin + before > down.begin && a.begin < down.end + after;
}

void draw_faults(draft& d) {
  const run_options& o = d.options;
  const auto all = static_cast<std::int64_t>(o.seconds * 1e6);
  const std::int64_t from = all / 8, to = all - all / 6; // calm before and after
  const unsigned n = o.faults >= 0 ? static_cast<unsigned>(o.faults)
                                   : 4 + static_cast<unsigned>(d.random.below(o.seconds < 12 ? 2 : 4));
  std::vector<fault> kinds = kinds_of(o, d.plan.client_proxy);
  d.plan.faults_drawn = kinds.empty() ? 0 : n;
  for (unsigned i = 0; i < n && !kinds.empty(); ++i) {
    for (int tries = 0; tries < 50; ++tries) {
      planned_fault f;
      f.kind = kinds[d.random.below(kinds.size())];
      const std::int64_t slot = (to - from) / n;
      f.begin = from + slot * i + d.between(0, slot * (d.chance(25) ? 3 : 1) / 2);
      f.begin = std::min(f.begin, to - 300 * ms);
      f.end = std::min(f.begin + lasts(d, f.kind), to);
      if (scope_of(f.kind) != scope::router) f.edge = static_cast<int>(d.random.below(d.plan.lanes.size()));
      const bool one_shard = scope_of(f.kind) == scope::links && f.kind != fault::edge_cut_off && !o.netns;
      if (one_shard && d.chance(60)) f.shard = static_cast<int>(d.random.below(d.plan.shards));
      const bool again = std::any_of(d.plan.faults.begin(), d.plan.faults.end(),
                                     [&](const planned_fault& x) { return x.kind == f.kind; });
      const bool in_vain =
          std::any_of(d.plan.faults.begin(), d.plan.faults.end(), [&](const planned_fault& x) {
            return collides(x, f) || hits_nothing(x, f) || hits_nothing(f, x);
          });
      // Each kind once, as long as there are kinds.
      if (in_vain || (again && tries < 40)) continue;
      d.plan.faults.push_back(f);
      break;
    }
  }
  std::sort(d.plan.faults.begin(), d.plan.faults.end(),
            [](const planned_fault& a, const planned_fault& b) { return a.begin < b.begin; });
}

void draw_clients(draft& d) {
  for (unsigned i = 0; i < d.options.clients; ++i) {
    client_plan c;
    c.id = "c" + std::to_string(i);
    c.v5 = !d.chance(15);
    if (c.v5 && d.chance(20)) c.receive_max = static_cast<std::uint16_t>(d.between(5, 100));
    if (d.chance(12)) c.late_ack_ms = static_cast<int>(d.between(5, 80));
    d.plan.clients.push_back(c);
  }
}

} // namespace

run_plan draw(const run_options& o) {
  draft d{rng(o.seed), o, {}};
  run_plan& p = d.plan;
  for (int e = 0; e < 3; ++e) p.lanes.push_back(d.chance(50) ? 1 : 2);
  p.client_proxy = !o.netns && d.chance(50);
  p.small_queues = d.chance(25);
  p.qos0_percent = static_cast<unsigned>(d.between(5, 30));
  p.payload_max = d.chance(20) ? 2000 : 256;
  p.churn = d.chance(20) ? 0 : static_cast<double>(d.between(2, 15));
  if (p.small_queues) {
    p.edge_options = {"--max-pending", std::to_string(d.between(5, 60))};
    if (d.chance(50)) p.edge_options.insert(p.edge_options.end(), {"--max-client-output", "64KiB"});
  }
  draw_clients(d);
  draw_faults(d);
  p.receipt_percent = static_cast<unsigned>(d.between(3, 15));
  p.receipt_timeout = d.between(500, 8000) * ms; // shorter and longer than outages
  p.edge_options.insert(p.edge_options.end(),
                        {"--receipt-timeout", std::to_string(p.receipt_timeout / ms) + "ms"});
  p.deadline_percent = static_cast<unsigned>(d.between(3, 15));
  return p;
}

run_plan steady(const run_options& o) {
  run_plan p;
  p.lanes = {1, 1, 1};
  p.churn = 0;
  for (unsigned i = 0; i < o.clients; ++i) {
    client_plan c;
    c.id = "c" + std::to_string(i);
    c.home = static_cast<int>(i % p.lanes.size());
    p.clients.push_back(c);
  }
  return p;
}

} // namespace beeline::chaos
