#include "tests/sim/settings.hpp"

#include <algorithm>

namespace beeline::sim {
namespace {

pipe_settings draw_pipe(world& w) {
  pipe_settings p;
  p.delay = w.chance(50) ? w.between(20us, 500us) : w.between(500us, 15ms);
  p.jitter = w.chance(50) ? duration(0) : w.between(10us, 10ms);
  p.capacity = w.chance(40) ? w.between(600, 8'000) : w.between(8'000, 256'000);
  p.bytes_per_second = w.chance(20) ? w.between(500'000, 2'000'000) : w.between(2'000'000, 200'000'000);
  // At least 500 kB/s: a link that is slower than its clients for seconds is another story.
  p.capacity = std::max<std::size_t>(p.capacity, static_cast<std::size_t>(to_us(p.delay + p.jitter)));
  p.cut_percent = static_cast<unsigned>(w.chance(30) ? 0 : w.between(5, 70));
  p.partial_percent = static_cast<unsigned>(w.chance(50) ? 0 : w.between(5, 40));
  return p;
}

void draw_limits(world& w, settings& s) {
  if (w.chance(60)) s.inflight_max = static_cast<std::uint16_t>(w.between(4, 64));
  if (w.chance(40)) s.pending_max = w.between(2, 60);
  if (w.chance(50)) s.window_messages = std::uint64_t{16} << w.between(0, 6);
  if (w.chance(40)) s.link_window_bytes = w.between(2'000, 60'000);
  s.tiny_links = w.chance(25);
  if (s.tiny_links) s.link_output_max = w.between(2'000, 40'000);
  if (s.tiny_links) s.payload_max = s.link_output_max / 3; // what never fits is another story
  if (w.chance(20)) s.link_output_high = w.between(2'000, 30'000);
  if (w.chance(20)) s.client_output_max = w.between(2'000, 20'000);
}

void draw_first_generation(world& w, settings& s, unsigned hash_bits) {
  s.routers = w.chance(70) ? 1 : 2;
  s.shards = w.chance(60) ? 1 : 2;
  s.edges = static_cast<unsigned>(w.between(2, 4));
  for (unsigned& n : s.lanes) n = w.chance(70) ? 1 : 2;
  s.ids = static_cast<unsigned>(w.between(5, 14));
  s.hash_bits = w.chance(75) ? 64 : static_cast<unsigned>(w.between(3, 8));
  if (hash_bits) s.hash_bits = hash_bits;
  s.one_slot = s.hash_bits == 64 && w.chance(8);
  if (s.one_slot) s.ids = static_cast<unsigned>(w.between(15, 40));
  s.link = draw_pipe(w);
  s.client = draw_pipe(w);
  s.client.capacity = std::max<std::size_t>(s.client.capacity, 2'000);
  draw_limits(w, s);
  s.read_cut_percent = static_cast<unsigned>(w.between(0, 50));
  s.fault_phase = w.between(4s, 8s);
  s.churn = w.chance(80);
  s.slow_machines = w.chance(15);
  s.v311_percent = w.chance(50) ? 0 : 25;
  s.qos0_percent = static_cast<unsigned>(w.between(5, 40));
  if (w.chance(50)) s.receipt_percent = static_cast<unsigned>(w.between(5, 60));
  if (w.chance(50)) s.deadline_percent = static_cast<unsigned>(w.between(5, 40));
  s.receipt_timeout = w.chance(50) ? w.between(500ms, 8s) : w.between(20s, 30s);
  if (w.chance(30)) s.sync_output_max = w.between(60, 400);
  s.publish_gap = duration(static_cast<duration::rep>(s.ids * w.between(500, 1'600)));
  if (!w.chance(10)) {
    s.faults = static_cast<unsigned>(w.chance(70) ? w.between(2, 8) : w.between(8, 25));
    const unsigned share = static_cast<unsigned>(w.between(10, 70));
    for (std::size_t k = 0; k < faults_of_generation_1; ++k) s.fault_on[k] = w.chance(share);
    s.fault_on[w.random.below(faults_of_generation_1)] = true;
    s.fault_on[static_cast<std::size_t>(w.chance(50) ? fault::link_reset : fault::router_crash)] = true;
  }
}

// Two seeds in three that have faults have some of these too.
void draw_second_generation(settings& s) {
  s.publish_gap = s.publish_gap * 3 / 4; // with more faults there is less time to publish in
  rng r(s.seed * 0xd6e8feb86659fd93ull + 2);
  if (s.faults == 0 || r.below(100) >= 66) return;
  s.later_faults[0] = static_cast<unsigned>(1 + r.below(4));
  const std::uint64_t share = 15 + r.below(40);
  constexpr std::size_t first = faults_of_generation_1, end = faults_of_generation_2;
  for (std::size_t k = first; k < end; ++k) s.fault_on[k] = r.below(100) < share;
  s.fault_on[first + r.below(end - first)] = true;
  s.drain_rate = static_cast<unsigned>(20 + r.below(1'000));
  s.drain_max = std::chrono::milliseconds(500 + r.below(9'500));
}

// Of seeds that have faults one in six has this one, more often than it has the others.
void draw_third_generation(settings& s) {
  rng r(s.seed * 0xa3b195354a39b70dull + 3);
  if (s.faults == 0 || r.below(6) != 0) return;
  s.later_faults[1] = static_cast<unsigned>(1 + r.below(2));
  s.fault_on[static_cast<std::size_t>(fault::moved_and_lost)] = true;
}

// Of seeds that have faults and two routers one in three.
void draw_fourth_generation(settings& s) {
  rng r(s.seed * 0xc2b2ae3d27d4eb4full + 4);
  if (s.faults == 0 || s.routers < 2 || r.below(3) != 0) return;
  s.later_faults[2] = 1;
  s.fault_on[static_cast<std::size_t>(fault::slots_moved)] = true;
}

// One seed in four has limits of the kinds that others have as they are by default.
void draw_fifth_generation(settings& s) {
  rng r(s.seed * 0x94d049bb133111ebull + 5);
  if (r.below(4) != 0) return;
  const auto draw = [&](std::size_t& limit, std::size_t low, std::size_t high) {
    if (r.below(2)) limit = low + r.below(high - low);
  };
  draw(s.receipts_max, 1, 20);
  draw(s.pending_bytes_max, 500, 20'000);
  draw(s.inflight_bytes_max, 1'000, 30'000);
  draw(s.memory_max, 40'000, 400'000);
  if (s.hash_bits == 64) draw(s.contested_max, 1, 4); // ids with one hash are contested for good
  draw(s.outputs_max, 40'000, 200'000);
  s.payload_max = std::min(s.payload_max, s.outputs_max / 8); // what never fits is another story
}

void reduce(settings& s, const reductions& r) {
  s.without = r.without;
  s.stop_after = r.stop_after;
  s.messages_max = r.messages;
  s.ids = std::min(s.ids, r.clients);
  s.edges = std::min(s.edges, r.edges);
  s.routers = std::min(s.routers, r.routers);
  s.shards = std::min(s.shards, r.shards);
  for (unsigned& n : s.lanes) n = std::min(n, r.lanes);
  if (r.no_churn) s.churn = false;
  if (r.even_machines) s.slow_machines = false;
  if (r.only_v5) s.v311_percent = 0;
  if (r.only_qos1) s.qos0_percent = 0;
  if (r.no_wishes) s.receipt_percent = s.deadline_percent = 0;
  const settings usual;
  if (r.large_limits) {
    s.inflight_max = usual.inflight_max, s.pending_max = usual.pending_max;
    s.tiny_links = false, s.link_output_max = usual.link_output_max, s.payload_max = usual.payload_max;
    s.link_window_bytes = usual.link_window_bytes, s.window_messages = usual.window_messages;
    s.link_output_high = usual.link_output_high, s.client_output_max = usual.client_output_max;
    s.sync_output_max = usual.sync_output_max;
    s.receipts_max = usual.receipts_max, s.pending_bytes_max = usual.pending_bytes_max;
    s.inflight_bytes_max = usual.inflight_bytes_max, s.memory_max = usual.memory_max;
    s.contested_max = usual.contested_max, s.outputs_max = usual.outputs_max;
  }
  if (!r.plain_network) return;
  s.read_cut_percent = 0;
  for (pipe_settings* p : {&s.link, &s.client}) {
    p->jitter = duration(0), p->cut_percent = p->partial_percent = 0;
    p->capacity = std::max(p->capacity, usual.link.capacity);
  }
}

} // namespace

settings draw_settings(world& w, const draw_options& o) {
  settings s;
  s.seed = o.seed;
  s.plant = o.plant;
  draw_first_generation(w, s, o.hash_bits);
  if (o.generation > 1) draw_second_generation(s);
  if (o.generation > 2) draw_third_generation(s);
  if (o.generation > 3) draw_fourth_generation(s);
  if (o.generation > 4) draw_fifth_generation(s);
  reduce(s, o.less);
  if (o.less.salt) w.random = rng(o.seed * 0xa0761d6478bd642full + o.less.salt);
  return s;
}

std::string options_of(const reductions& r) {
  std::string out;
  const auto number = [&](const char* name, std::uint64_t n, std::uint64_t none) {
    if (n != none) out += std::string(" --") + name + " " + std::to_string(n);
  };
  const auto flag = [&](const char* name, bool on) {
    if (on) out += std::string(" --") + name;
  };
  for (std::size_t i = 0; i < r.without.size(); ++i)
    out += (i ? "," : " --without ") + std::to_string(r.without[i]);
  if (r.stop_after != duration::max()) number("stop-after", to_us(r.stop_after) / 1000, ~0ull);
  number("messages", r.messages, ~0ull);
  number("clients", r.clients, ~0u);
  number("edges", r.edges, ~0u);
  number("routers", r.routers, ~0u);
  number("shards", r.shards, ~0u);
  number("lanes", r.lanes, ~0u);
  flag("no-churn", r.no_churn);
  flag("large-limits", r.large_limits);
  flag("plain-network", r.plain_network);
  flag("even-machines", r.even_machines);
  flag("only-v5", r.only_v5);
  flag("only-qos1", r.only_qos1);
  flag("no-wishes", r.no_wishes);
  number("salt", r.salt, 0);
  return out;
}

} // namespace beeline::sim
