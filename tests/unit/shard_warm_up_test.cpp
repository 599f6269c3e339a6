// Warm-up: whom a shard that has just started waits for, and for how long.
#include "tests/support/link_shard_tools.hpp"

#include <catch2/catch.hpp>

using namespace beeline;
using namespace beeline::test;
using namespace std::chrono_literals;

namespace {

const handle h1{1, 1};

test_message to(std::string id, std::uint64_t number = 1) {
  test_message m;
  m.to = std::move(id), m.number = number;
  return m;
}
wire::member seen(const scripted_lane& l, std::uint8_t list = wire::member::whole) {
  return {0, list, l.who.id, l.who.number, l.who.edge_name};
}

} // namespace

TEST_CASE("shard_warm_up: while warming up every message is answered later, known or not") {
  two_joined_lanes t(shard_bench::warming());
  CHECK(t.bench.shard.warming_up());
  t.e1.registers(h1, "ann");
  CHECK(t.e1.hears() == lines{"registered 1.1"});
  CHECK(t.e1.since_of(h1) == wire::since_warm_up);
  t.e2.sends(to("ann"));
  t.e2.sends(to("bob", 2));
  CHECK(t.e2.hears() == lines{"answer 1 later_warm_up", "answer 2 later_warm_up"});
  test_message quick = to("ann");
  quick.qos1 = false;
  t.e2.sends(quick);
  CHECK(t.drops(drop_reason::warming_up) == 1);
}

TEST_CASE("shard_warm_up: in service as soon as every lane that anybody remembers is in sync") {
  shard_bench bench(shard_bench::warming());
  scripted_lane e1(bench, "e1", 1), e2(bench, "e2", 2), e3(bench, "e3", 3);
  e1.connects();
  e1.remembers({seen(e1), seen(e2), seen(e3)});
  e1.is_in_sync();
  CHECK(bench.shard.warming_up());
  e2.connects();
  e2.is_in_sync();
  CHECK(bench.shard.warming_up());
  scripted_lane reborn(bench, "e3", 33); // another life of a lane that was remembered will do
  reborn.connects();
  CHECK(bench.shard.warming_up());
  e1.hears();
  reborn.is_in_sync();
  CHECK_FALSE(bench.shard.warming_up());
  CHECK(e1.hears() == lines{"in-service"});
  CHECK(bench.shard.counters.warm_ups_incomplete.get() == 0);
}

TEST_CASE("shard_warm_up: a remembered lane that says good-bye is not waited for") {
  shard_bench bench(shard_bench::warming());
  scripted_lane e1(bench, "e1", 1), e2(bench, "e2", 2);
  e2.connects();
  e1.connects();
  e1.remembers({seen(e1), seen(e2)});
  e1.is_in_sync();
  CHECK(bench.shard.warming_up());
  e2.leaves();
  bench.wait(200ms);
  CHECK_FALSE(bench.shard.warming_up());
}

TEST_CASE("shard_warm_up: a lane that is missing holds the shard for six seconds beyond the last progress") {
  shard_bench bench(shard_bench::warming());
  scripted_lane e1(bench, "e1", 1), e2(bench, "e2", 2);
  e1.connects();
  e1.remembers({seen(e1), {0, 1, lane_id{9}, 0, "e9"}});
  e1.is_in_sync();
  e2.connects();
  bench.wait(4s);
  e2.registers(h1, "ann");
  e2.is_in_sync();
  bench.wait(5800ms);
  CHECK(bench.shard.warming_up());
  bench.wait(400ms);
  CHECK_FALSE(bench.shard.warming_up());
  CHECK(e1.hears().back() == "in-service incomplete");
  CHECK(bench.shard.counters.warm_ups_incomplete.get() == 1);
}

TEST_CASE("shard_warm_up: with no list at all the warm-up lasts six seconds") {
  shard_bench bench(shard_bench::warming());
  scripted_lane e1(bench, "e1", 1);
  e1.connects();
  e1.is_in_sync();
  bench.wait(5800ms);
  CHECK(bench.shard.warming_up());
  bench.wait(400ms);
  CHECK_FALSE(bench.shard.warming_up());
}

TEST_CASE("shard_warm_up: where all lists are stale, lanes that joined later have time to come") {
  shard_bench bench(shard_bench::warming());
  scripted_lane e1(bench, "e1", 1), e2(bench, "e2", 2);
  e1.connects();
  e1.remembers({seen(e1, wire::member::stale)});
  e1.is_in_sync();
  bench.wait(1s);
  CHECK(bench.shard.warming_up());
  SECTION("nobody comes") {
    bench.wait(700ms);
    CHECK_FALSE(bench.shard.warming_up());
  }
  SECTION("one comes, and is waited for") {
    e2.connects();
    bench.wait(1s);
    CHECK(bench.shard.warming_up());
    e2.is_in_sync();
    CHECK_FALSE(bench.shard.warming_up());
  }
  SECTION("one comes whose list is not") {
    e2.connects();
    e2.remembers({seen(e1), seen(e2)});
    e2.is_in_sync();
    CHECK_FALSE(bench.shard.warming_up());
  }
  bench.wait(200ms);
  CHECK(bench.shard.counters.warm_ups_incomplete.get() == 0);
}
