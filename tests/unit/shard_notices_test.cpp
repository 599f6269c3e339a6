// What the other lanes are told when links are lost, come back or are gone: the same for each, but no more
// often than needed when many fall at once.
#include "tests/support/link_shard_tools.hpp"

#include <algorithm>
#include <catch2/catch.hpp>

using namespace beeline;
using namespace beeline::test;
using namespace std::chrono_literals;
using wire::frame_type;

namespace {

// 200 lanes, each with a client that was sent a message; one more lane listens.
struct hundreds_of_lanes {
  static constexpr unsigned fallen = 200;
  shard_bench bench;
  scripted_lane listener{bench, "listener", 1};
  std::vector<std::unique_ptr<scripted_lane>> others;

  explicit hundreds_of_lanes(std::uint16_t listener_speaks = wire::protocol_version) {
    listener.version = listener_speaks;
    listener.joins();
    for (unsigned k = 0; k < fallen; ++k) {
      auto& l =
          *others.emplace_back(std::make_unique<scripted_lane>(bench, "e" + std::to_string(k), 100 + k));
      l.joins();
      l.registers({1, 1}, client(k));
      test_message m;
      m.to = client(k);
      m.number = k + 1;
      listener.sends(m);
      l.beats = false;
    }
    listener.hears();
  }
  static std::string client(unsigned k) { return "c" + std::to_string(k); }

  // One turn finds all of them gone.
  void fall_in_one_turn() {
    bench.shard.begin_turn(bench.now);
    for (auto& l : others) {
      conn& c = *std::exchange(l->c, nullptr);
      bench.shard.on_down(c, close_reason::network_error, bench.now);
      bench.shard.dirty().remove(c);
      c.link->clear();
    }
    bench.shard.end_turn(bench.now);
    bench.turn_ends();
  }
  struct heard {
    std::size_t frames = 0, bytes = 0;
  };
  heard counts(frame_type t) const {
    heard h;
    for (const heard_frame& f : listener.frames)
      if (f.type() == t) ++h.frames, h.bytes += f.bytes.size();
    return h;
  }
};

} // namespace

TEST_CASE("shard_notices: 200 lanes that fall in one turn are three frames for each other link, not 600") {
  hundreds_of_lanes t;
  t.fall_in_one_turn();
  t.bench.wait(limits::linger + 1s);
  CHECK(t.counts(frame_type::path_lost).frames == 1);
  CHECK(t.counts(frame_type::gone).frames == 1);
  CHECK(t.counts(frame_type::members).frames == 1);
  std::size_t bytes = 0;
  for (frame_type f : {frame_type::path_lost, frame_type::gone, frame_type::members})
    bytes += t.counts(f).bytes;
  CHECK(bytes < 4000); // 9,490 when each fallen lane had frames of its own
  CHECK(t.bench.shard.counters.path_lost.get() == t.fallen);

  lines heard = t.listener.hears(); // each of them is named
  for (unsigned k = 0; k < t.fallen; ++k)
    for (const std::string& line :
         {"gone " + std::to_string(k + 1), "left " + std::to_string(k + 1) + " e" + std::to_string(k) + "/0"})
      CHECK(std::count(heard.begin(), heard.end(), line) == 1);
}

// CAT-62: what takes a whole edge's clients away is one event.
TEST_CASE(
    "shard_notices: the end of an edge with 10,000 clients is three frames for another, not one a client") {
  two_joined_lanes t;
  for (std::uint32_t n = 0; n < 10'000; ++n) t.e2.registers({n, 1}, "c" + std::to_string(n));
  test_message m;
  m.to = "c7";
  t.e1.sends(m);
  t.e1.hears();
  t.e2.drops();
  t.bench.wait(limits::linger + 1s);
  CHECK(t.e1.hears() == lines{"path-lost 1", "gone 1", "left 1 e2/0"});
  CHECK(!t.online("c7"));
}

TEST_CASE("shard_notices: a lane that speaks version 1 is told of each link in a frame of its own") {
  hundreds_of_lanes t(1);
  t.fall_in_one_turn();
  t.bench.wait(limits::linger + 1s);
  CHECK(t.counts(frame_type::gone).frames == t.fallen);
  const lines heard = t.listener.hears();
  for (unsigned k = 0; k < t.fallen; ++k)
    CHECK(std::count(heard.begin(), heard.end(), "gone " + std::to_string(k + 1)) == 1);
}

TEST_CASE("shard_notices: lanes that fall turn by turn are told of at once, then once in a while") {
  hundreds_of_lanes t;
  t.bench.wait(50ms);                  // a check is done, the next one is far
  for (auto& l : t.others) l->drops(); // a turn each, in no time
  CHECK(t.counts(frame_type::path_lost).frames == 1);
  CHECK(t.bench.shard.next_deadline() == t.bench.now + limits::notice_interval);
  t.bench.wait(limits::notice_interval);
  CHECK(t.counts(frame_type::path_lost).frames == 2);
  t.bench.wait(limits::notice_interval);
  CHECK(t.counts(frame_type::path_lost).frames == 2); // once for the rest
}

TEST_CASE("shard_notices: they come behind every answer that was given before") {
  two_lanes_with_bob t;
  t.e1.sends({});
  t.e2.hears();
  t.bench.shard.begin_turn(t.bench.now); // one turn: an answer that names the lost link, its end for good
  conn& c = *std::exchange(t.e2.c, nullptr);
  byte_vector bye = make(wire::go_away{true, "bye"});
  t.bench.shard.on_bytes(c, bye, t.bench.now);
  test_message late;
  late.number = 2;
  byte_vector more = make(late);
  t.bench.shard.on_bytes(*t.e1.c, more, t.bench.now);
  t.bench.shard.end_turn(t.bench.now);
  t.bench.turn_ends();
  CHECK(t.e1.hears() == lines{"answer 2 nobody", "path-lost 1", "gone 1", "left 1 e2/0"});
}

TEST_CASE("shard_notices: held `later` answers are released behind them, however close the lane's end is") {
  auto config = shard_bench::in_service();
  config.linger = duration::zero();
  two_lanes_with_bob t(config);
  scripted_lane e3(t.bench, "e3", 3);
  e3.joins();
  t.e1.hears();
  e3.drops(); // a notice of its own was told a moment ago
  t.e2.drops();
  t.e1.sends({});
  CHECK(t.e1.hears() == lines{"answer 1 later_lane about 1"});
  t.bench.wait(100ms);
  CHECK(t.e1.hears() == lines{"gone 1", "gone 2", "left 1 e2/0", "left 2 e3/0"});
}

TEST_CASE("shard_notices: a lane that comes while some wait hears of nobody whom it never knew") {
  two_lanes_with_bob t;
  scripted_lane e3(t.bench, "e3", 3), e4(t.bench, "e4", 4);
  e3.joins();
  e3.leaves(); // told at once; what follows waits
  t.e1.hears();
  t.e2.leaves();
  CHECK(t.e1.hears().empty());
  e4.connects();
  CHECK(e4.hears() == lines{"slots 0-4095", "joined 0 e1/0", "joined 3 e4/0"});
  CHECK(t.e1.hears() == lines{"gone 1", "left 1 e2/0", "joined 3 e4/0"});
  t.bench.wait(1s);
  CHECK(e4.hears().empty());
}

TEST_CASE("shard_notices: floors are told when they have changed, and to a new link") {
  two_joined_lanes t;
  scripted_lane e3(t.bench, "e3", 3);
  const auto floors = [](scripted_lane& l) {
    lines all;
    for (heard_frame& f : l.frames)
      if (f.type() == frame_type::floors)
        for (std::string& s : words(f)) all.push_back(std::move(s));
    l.frames.clear();
    return all;
  };
  t.bench.wait(3s);
  CHECK(floors(t.e1).empty()); // a floor of 1 says nothing
  t.e2.floor = 5;
  t.bench.wait(2s);
  CHECK(floors(t.e1) == lines{"floor of 1 5"});
  t.bench.wait(3s);
  CHECK(floors(t.e1).empty());
  e3.joins(); // e2 is quiet now, and e3 has never heard of its floor
  t.bench.wait(3s);
  CHECK(floors(e3) == lines{"floor of 1 5"});
  CHECK(floors(t.e1).empty());
  t.e1.floor = 9;
  t.bench.wait(1s);
  CHECK(floors(e3) == lines{"floor of 0 9"});
  t.e2.drops();
  scripted_lane e4(t.bench, "e4", 4); // comes while e2 is away
  e4.joins();
  t.bench.wait(1s);
  CHECK(floors(e4) == lines{"floor of 0 9"});
  t.e2.joins();
  t.bench.wait(1s);
  CHECK(floors(e4) == lines{"floor of " + std::to_string(t.e2.index) + " 5"});
}
