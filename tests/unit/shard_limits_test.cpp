// The shard's own limits: each is counted when it is hit, and only what hit it is affected.
#include "tests/support/link_shard_tools.hpp"

#include <catch2/catch.hpp>

using namespace beeline;
using namespace beeline::test;

namespace {
test_message to_bob(std::uint64_t number, std::size_t bytes) {
  test_message m;
  m.to = "bob";
  m.number = number;
  m.payload = std::string(bytes, 'x');
  return m;
}
} // namespace

TEST_CASE("shard: when all its outputs together are full, QoS 1 is told busy and QoS 0 is dropped [P6]") {
  auto config = shard_bench::in_service();
  config.outputs_max = 64 * limits::KiB;
  two_lanes_with_bob t(config);
  t.e2.reads = false;
  std::uint64_t sent = 0;
  while (sent < 200 && t.e1.hears().empty()) t.e1.sends(to_bob(++sent, 4000));
  CHECK(sent < 40); // far from the limit of one link
  CHECK(t.answers(answer::busy) == 1);
  test_message m = to_bob(0, 4000);
  m.qos1 = false;
  t.e1.sends(m);
  CHECK(t.drops(drop_reason::link_full) == 1);
  CHECK(t.bench.pool.bytes_in_use() < 2 * config.outputs_max);
  t.e2.reads = true;
  t.e2.beats_once();
  t.bench.wait(std::chrono::milliseconds(600));
  t.e1.hears();
  t.e1.sends(to_bob(++sent, 4000));
  CHECK(t.e1.hears().empty()); // it went out
}

TEST_CASE(
    "shard: more links than its limit are closed at once and counted; a place that is free again serves") {
  auto config = shard_bench::in_service();
  config.links_max = 2;
  two_lanes_with_bob t(config);
  CHECK(t.bench.open().close_now);
  t.bench.turn_ends();
  CHECK(t.closes(close_reason::connection_limit) == 1);
  t.e1.drops();
  scripted_lane e3(t.bench, "e3", 3);
  e3.joins();
  CHECK(e3.c != nullptr);
  CHECK(t.e2.c != nullptr);
}

TEST_CASE("shard: a lane that takes no answers loses its link before they fill the memory [P6]") {
  two_lanes_with_bob t(shard_bench::in_service());
  t.e1.reads = false;
  byte_vector thousand;
  for (std::uint64_t n = 1; n <= 1000; ++n) {
    test_message m = to_bob(n, 0);
    m.to = "nobody";
    const byte_vector one = make(m);
    thousand.insert(thousand.end(), one.begin(), one.end());
  }
  int rounds = 0;
  for (; rounds < 5000 && t.closes(close_reason::out_of_memory) == 0; ++rounds) t.e1.says(thousand);
  CHECK(t.closes(close_reason::out_of_memory) == 1);
  CHECK(rounds > 1000); // not before two whole outputs of a link
  CHECK(t.e2.c != nullptr);
}

TEST_CASE("shard: above its limit of contested ids a claim is refused, counted and kicked; the owner stays") {
  auto config = shard_bench::in_service();
  config.contested_max = 1;
  two_lanes_with_bob t(config);
  const handle cid{3, 1}, bob_at_e1{4, 1}, cid_at_e1{5, 1};
  t.e2.registers(cid, "cid");
  t.e2.hears();
  t.bench.wait(std::chrono::milliseconds(10));
  t.e1.registers(bob_at_e1, "bob"); // open until e2 has said what its bob is
  CHECK(t.e1.hears() == lines{"registered 4.1"});
  CHECK(t.e2.hears() == lines{"kick 2.1 for bob"});
  t.e1.registers(cid_at_e1, "cid");
  CHECK(t.e1.hears() == lines{"kick 5.1 for cid"});
  CHECK(t.e2.hears().empty());
  CHECK(t.bench.shard.counters.claims_refused.get() == 1);
  CHECK(t.bench.shard.counters.contested.get() == 1);
  CHECK(t.owner("cid") == "e2");

  t.e2.unregisters(t.bob, "bob"); // there is room again
  CHECK(t.bench.shard.counters.contested.get() == 0);
  CHECK(t.owner("bob") == "e1");
  t.e1.registers(cid_at_e1, "cid");
  CHECK(t.e1.hears() == lines{"registered 5.1"});
  CHECK(t.e2.hears() == lines{"kick 3.1 for cid"});
  CHECK(t.bench.shard.counters.claims_refused.get() == 1);
}

TEST_CASE("shard: a shutdown in a turn that brings a lane over its limit says good-bye to the others") {
  two_joined_lanes t;
  byte_vector many;
  for (std::uint64_t n = 1; n <= 1000; ++n) {
    test_message m = to_bob(n, 0);
    m.to = "nobody";
    const byte_vector one = make(m);
    many.insert(many.end(), one.begin(), one.end());
  }
  conn& c = *t.e1.c;
  t.bench.shard.begin_turn(t.bench.now);
  while (c.link->urgent.size() <= limits::urgent_bytes_max) {
    byte_vector in = many;
    REQUIRE(t.bench.shard.on_bytes(c, in, t.bench.now) == in.size());
  }
  t.bench.shard.shutdown(t.bench.now);
  t.bench.turn_ends();
  CHECK(t.closes(close_reason::out_of_memory) == 1);
  CHECK(t.e2.hears().back() == "go-away: router shuts down");
}
