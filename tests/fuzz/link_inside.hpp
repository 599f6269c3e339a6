// A whole cluster of two edges in which the input speaks in the name of one end of a good link, in the middle
// of what that end says itself.
#pragma once
#include "tests/fuzz/link_frames.hpp"
#include "tests/support/lane_world.hpp"

namespace beeline::fuzz {

inline void check_inside(test::lane_world& w) {
  for (std::size_t e : {0, 1}) {
    MUST_HOLD(w.lane(e).pool().bytes_in_use() < 8 * limits::MiB);
    MUST_HOLD(w.lane(e).endpoint().clients() <= 3);
  }
  MUST_HOLD(w.shard().pool().bytes_in_use() < 8 * limits::MiB);
}

// `say(world, k, frame)` puts a frame into the link of edge k; false: that is down.
template <class Say> void speak_inside(input& in, Say&& say) {
  using namespace std::chrono_literals;
  test::lane_world w({.lane = [](edge::lane_config& c) { c.link.window.window_messages = 256; }});
  auto& a = w.connect("A");
  auto& b = w.connect("B", {.edge = 1});
  frame_maker make(in, test::lane_world::secret_text);
  for (unsigned n = 0; !in.empty(); ++n) {
    if (!say(w, n % 2, make.next())) w.advance(200ms);
    if (n % 8 == 0) a.publish("@/B", "x", n / 8 % 2);
    if (n % 8 == 4) b.publish("@/A", "x", 1);
    if (n % 16 == 9) w.advance(600ms);
    check_inside(w);
  }
  w.advance(3s);
  check_inside(w);
}

} // namespace beeline::fuzz
