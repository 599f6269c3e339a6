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

} // namespace

settings draw_settings(world& w, std::uint64_t seed, unsigned hash_bits, std::string_view plant) {
  settings s;
  s.seed = seed;
  s.plant = plant;
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
    for (bool& on : s.fault_on) on = w.chance(share);
    s.fault_on[w.random.below(fault_count)] = true;
    s.fault_on[static_cast<std::size_t>(w.chance(50) ? fault::link_reset : fault::router_crash)] = true;
  }
  return s;
}

} // namespace beeline::sim
