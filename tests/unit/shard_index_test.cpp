// Member indexes: which lane they count for, how long they rest, and what happens when none is free.
#include "tests/support/link_shard_tools.hpp"

#include <catch2/catch.hpp>

using namespace beeline;
using namespace beeline::test;
using namespace std::chrono_literals;

namespace {

router::shard_config with_indexes(std::size_t n) {
  auto c = shard_bench::in_service();
  c.members_max = n;
  return c;
}

// A shard with three indexes, two of them in use.
struct small_shard : two_lanes {
  small_shard() : two_lanes(with_indexes(3)) { join(); }
  std::uint64_t refused() const { return bench.shard.counters.handshakes_refused.get(); }
};

const lines no_index{"error: too many links in too short a time"};

} // namespace

TEST_CASE("shard_index: the index of a lane that has left rests for a minute, then a new lane gets it") {
  small_shard t;
  const member_index rests = t.e2.index;
  t.e2.leaves();
  t.bench.wait(200ms); // its entries are swept: the minute begins
  scripted_lane e3(t.bench, "e3", 3);
  e3.joins(); // takes the last index that was never used
  REQUIRE(e3.c);
  CHECK(e3.index != rests);
  CHECK(e3.index != t.e1.index);
  scripted_lane e4(t.bench, "e4", 4);
  t.bench.wait(limits::index_quarantine - 400ms);
  e4.connects();
  CHECK_FALSE(e4.c);
  t.bench.wait(500ms);
  e4.joins();
  REQUIRE(e4.c);
  CHECK(e4.index == rests);
}

TEST_CASE("shard_index: an index that is used again knows nothing of the lane that had it") {
  small_shard t;
  for (std::uint32_t i = 0; i < 100; ++i) t.e2.registers({i, 1}, "c" + std::to_string(i));
  const member_index used = t.e2.index;
  t.e2.leaves();
  scripted_lane e3(t.bench, "e3", 3), e4(t.bench, "e4", 4);
  e3.joins();
  t.bench.wait(limits::index_quarantine + 1s);
  e4.joins();
  REQUIRE(e4.index == used);
  for (std::uint32_t i = 0; i < 100; ++i)
    CHECK_FALSE(t.bench.shard.where("c" + std::to_string(i), t.bench.now).online);
  e4.registers({7, 1}, "c7");
  CHECK(t.bench.shard.where("c7", t.bench.now).edge == "e4");
  CHECK(t.bench.shard.lanes().lanes.back().clients == 1);
}

TEST_CASE("shard_index: when all are in use a new lane is refused in words and counted, the others stay") {
  small_shard t;
  scripted_lane e3(t.bench, "e3", 3), e4(t.bench, "e4", 4);
  e3.joins();
  REQUIRE(e3.c);
  for (int i = 1; i <= 3; ++i) {
    e4.connects();
    CHECK(e4.hears() == no_index);
    CHECK(e4.closed == close_reason::connection_limit);
    CHECK(t.refused() == static_cast<std::uint64_t>(i));
    CHECK(t.closes(close_reason::connection_limit) == static_cast<std::uint64_t>(i));
  }
  CHECK(t.bench.shard.counters.members.get() == 3); // what was refused leaves nothing behind
  CHECK(t.bench.shard.lanes().lanes.size() == 3);
  CHECK((t.e1.c && t.e2.c && e3.c));
}

TEST_CASE("shard_index: when all others rest a new lane is refused, and so is a new link of a known one") {
  small_shard t;
  t.e2.leaves();
  scripted_lane e3(t.bench, "e3", 3);
  e3.joins();
  e3.leaves();
  t.bench.wait(1s); // two rest, one is in use
  e3.connects();
  CHECK(e3.hears() == no_index);
  conn* old = t.e1.c;
  scripted_lane again(t.bench, "e1", 1); // a second link of e1
  again.connects();
  CHECK(again.hears() == no_index);
  CHECK_FALSE(old->closing()); // its first is not given up for it
  CHECK(t.bench.shard.counters.members.get() == 1);
}

TEST_CASE("shard_index: links that come and go for hours do with the indexes there are") {
  shard_bench bench(with_indexes(3));
  scripted_lane e1(bench, "e1", 1);
  for (int i = 0; i < 200; ++i) {
    e1.joins();
    REQUIRE(e1.c);
    e1.drops();
    bench.wait(limits::index_quarantine / 2);
  }
  CHECK(bench.shard.counters.handshakes_refused.get() == 0);
}

TEST_CASE("shard_index: a lane that is never in sync does not use them up for the others") {
  shard_bench bench(with_indexes(200));
  scripted_lane e1(bench, "e1", 1), e2(bench, "e2", 2);
  for (int i = 0; i < 600; ++i) {
    e1.connects();
    REQUIRE(e1.c);
    e1.drops();
    bench.wait(500ms);
  }
  e2.joins();
  CHECK(e2.c);
  CHECK(bench.shard.counters.handshakes_refused.get() == 0);
}

TEST_CASE("shard_index: a lane's clients count once while it registers them over a new link") {
  small_shard t;
  const auto clients = [&] { return t.bench.shard.lanes().lanes.back().clients; };
  for (std::uint32_t i = 0; i < 5; ++i) t.e2.registers({i, 1}, "c" + std::to_string(i));
  CHECK(clients() == 5);
  t.e2.drops();
  CHECK(clients() == 5);
  t.e2.connects();
  t.e2.registers({0, 1}, "c0"), t.e2.registers({1, 1}, "c1");
  CHECK(clients() == 5);
  t.e2.is_in_sync(); // the other three did not come back
  CHECK(clients() == 2);
}

TEST_CASE("shard_index: in a warm-up no more lanes are waited for than there are indexes") {
  auto config = shard_bench::warming();
  config.members_max = 3;
  shard_bench bench(config);
  scripted_lane e1(bench, "e1", 1), e2(bench, "e2", 2);
  e1.connects(), e2.connects();
  std::vector<wire::member> seen;
  for (std::uint64_t i = 1; i <= 3; ++i) seen.push_back({0, 1, lane_id{i}, 0, "e"});
  e1.remembers(seen);
  CHECK(e1.c);
  seen.push_back({0, 1, lane_id{4}, 0, "e"});
  e1.remembers(seen);
  CHECK(e1.closed == close_reason::link_bad_frame);
  seen.pop_back();
  e2.remembers(seen); // nothing new
  CHECK(e2.c);
}
