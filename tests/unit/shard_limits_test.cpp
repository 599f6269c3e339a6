// The shard's own limits: each is counted when it is hit, and only what hit it is affected.
#include "tests/support/drop_lines.hpp"
#include "tests/support/link_shard_tools.hpp"

#include <algorithm>
#include <catch2/catch.hpp>

using namespace beeline;
using namespace beeline::test;
using namespace std::chrono_literals;

namespace {
test_message to_bob(std::uint64_t number, std::size_t bytes) {
  test_message m;
  m.to = "bob";
  m.number = number;
  m.payload = std::string(bytes, 'x');
  return m;
}
byte_vector thousand_to_nobody() { // each is answered
  byte_vector all;
  for (std::uint64_t n = 1; n <= 1000; ++n) {
    test_message m = to_bob(n, 0);
    m.to = "nobody";
    const byte_vector one = make(m);
    all.insert(all.end(), one.begin(), one.end());
  }
  return all;
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
  CHECK(t.drops(drop_reason::memory_limit) == 1);
  CHECK(t.bench.pool.bytes_in_use() < 2 * config.outputs_max);
  t.e2.reads = true;
  t.e2.beats_once();
  t.bench.wait(std::chrono::milliseconds(600));
  t.e1.hears();
  t.e1.sends(to_bob(++sent, 4000));
  CHECK(t.e1.hears().empty()); // it went out
}

TEST_CASE(
    "shard: more links than its limit are refused in words and counted; a place that is free again serves") {
  auto config = shard_bench::in_service();
  config.links_max = 2;
  two_lanes_with_bob t(config);
  scripted_lane e3(t.bench, "e3", 3);
  e3.connects();
  CHECK(e3.closed == close_reason::connection_limit);
  CHECK(e3.hears() == lines{"error: the shard has as many links as it may (--links-max)"});
  CHECK(t.closes(close_reason::connection_limit) == 1);
  CHECK(t.bench.shard.counters.handshakes_refused.get() == 1);
  CHECK(t.bench.shard.counters.members.get() == 2); // it has not come to be
  t.e1.drops();
  e3.joins();
  CHECK(e3.c != nullptr);
  CHECK(t.e2.c != nullptr);
}

TEST_CASE("shard: at its limit of links a lane's newer link still takes the place of its older one") {
  auto config = shard_bench::in_service();
  config.links_max = 2;
  two_joined_lanes t(config);
  scripted_lane again(t.bench, "e1", 1); // the network has eaten the end of its older link
  again.joins();
  CHECK(again.c != nullptr);
  CHECK(t.e1.closed == close_reason::link_replaced);
  CHECK(t.bench.shard.counters.links.get() == 2);
  again.beats = false;
  t.bench.wait(limits::silence_max / 2); // long enough for another life of the same edge
  scripted_lane reborn(t.bench, "e1", 11);
  reborn.joins();
  CHECK(reborn.c != nullptr);
  CHECK(t.bench.shard.counters.links.get() == 2);
}

TEST_CASE("shard: who only connects keeps no lane out: the oldest of them makes room") {
  auto config = shard_bench::in_service();
  config.links_max = 2;
  config.handshakes_max = 8;
  two_lanes t(config);
  std::vector<conn*> idle;
  for (int k = 0; k < 50; ++k) idle.push_back(&t.bench.open());
  CHECK(t.bench.shard.counters.handshakes_open.get() == 8);
  CHECK(t.bench.shard.counters.handshakes_displaced.get() == 42);
  CHECK(t.closes(close_reason::connection_limit) == 42);
  CHECK(idle[41]->close_now);
  CHECK_FALSE(idle[42]->closing());
  t.join(); // they count neither as links nor against them
  CHECK(t.e1.c != nullptr);
  CHECK(t.e2.c != nullptr);
  CHECK(t.bench.shard.counters.links.get() == 2);
  CHECK(t.bench.shard.counters.handshakes_open.get() == 7); // one made room for e1, then there was some
  t.bench.wait(limits::handshake_max);
  CHECK(t.bench.shard.counters.handshakes_open.get() == 0);
  CHECK(t.closes(close_reason::link_handshake_timeout) == 7);
  CHECK(t.e1.c != nullptr);
}

TEST_CASE("shard: a lane between its hello and its proof outlives idle connections that came before it") {
  auto config = shard_bench::in_service();
  config.handshakes_max = 8;
  two_lanes t(config);
  for (int k = 0; k < 8; ++k) t.bench.open();
  t.bench.hold = true; // its challenge is still on its way ...
  t.e1.connects();
  t.bench.hold = false;
  for (int k = 0; k < 7; ++k) t.bench.open(); // ... while others come
  REQUIRE(t.e1.c != nullptr);
  CHECK_FALSE(t.e1.c->closing());
}

TEST_CASE("shard: last words for strangers that read nothing are bounded, too") {
  auto config = shard_bench::in_service();
  config.handshakes_max = 8;
  two_joined_lanes t(config);
  t.bench.hold = true;
  std::vector<conn*> all;
  for (int k = 0; k < 50; ++k) t.bench.deliver(*all.emplace_back(&t.bench.open()), make(test_message{}));
  CHECK(t.bench.shard.counters.handshakes_refused.get() == 50);
  CHECK(std::count_if(all.begin(), all.end(), [](conn* c) { return c->close_after_flush; }) == 8);
  CHECK(std::count_if(all.begin(), all.end(), [](conn* c) { return c->close_now; }) == 42);
}

TEST_CASE(
    "shard: above its limit of clients a claim is refused; who is known already is not, nor its takeover") {
  auto config = shard_bench::in_service();
  config.clients_max = 2;
  two_lanes_with_bob t(config);
  const handle ann{1, 1}, cid{3, 1}, bob_at_e1{4, 1};
  t.e1.registers(ann, "ann");
  t.e1.registers(cid, "cid");
  CHECK(t.e1.hears() == lines{"registered 1.1", "full 3.1 for cid"});
  CHECK(t.bench.shard.counters.claims_refused.get() == 1);
  CHECK(t.bench.shard.counters.takeovers.get() == 0);
  CHECK_FALSE(t.online("cid"));
  CHECK(lines_of(t.bench.shard.drops(1).newest) == lines{"connect registration_refused cid>"});
  t.e1.unregisters(cid, "cid"); // as its lane says when it has closed it
  t.e1.registers(ann, "ann");   // again, over a newer link perhaps
  CHECK(t.e1.hears() == lines{"registered 1.1"});
  t.bench.wait(std::chrono::milliseconds(10));
  t.e1.registers(bob_at_e1, "bob");
  CHECK(t.e1.hears() == lines{"registered 4.1"});
  t.e2.identifies(t.bob, "bob", "bob");
  t.e2.unregisters(t.bob, "bob");
  CHECK(t.owner("bob") == "e1");

  t.e1.unregisters(ann, "ann");
  t.e1.registers(cid, "cid");
  CHECK(t.e1.hears() == lines{"registered 3.1"});
  CHECK(t.bench.shard.counters.claims_refused.get() == 1);
}

TEST_CASE("shard: a lane that speaks version 1, which knows no refusals, is told of a takeover") {
  auto config = shard_bench::in_service();
  config.clients_max = 1;
  two_lanes t(config);
  t.e1.version = 1;
  t.e1.joins();
  t.e1.registers({1, 1}, "ann");
  t.e1.registers({2, 1}, "cid");
  CHECK(t.e1.hears() == lines{"registered 1.1", "kick 2.1 for cid"});
  CHECK(t.bench.shard.counters.claims_refused.get() == 1);
}

TEST_CASE("shard: clients of a lane that is gone make room") {
  auto config = shard_bench::in_service();
  config.clients_max = 1;
  two_lanes_with_bob t(config);
  t.e2.leaves();
  t.bench.wait(std::chrono::seconds(1));
  t.e1.registers({1, 1}, "ann");
  CHECK(t.owner("ann") == "e1");
}

TEST_CASE("shard: a lane that is away beyond linger may find the room of its clients taken") {
  auto config = shard_bench::in_service();
  config.clients_max = 1;
  two_lanes_with_bob t(config);
  t.e2.drops();
  t.bench.wait(config.linger + std::chrono::milliseconds(100));
  t.e1.registers({1, 1}, "ann");
  CHECK(t.owner("ann") == "e1");
  t.e2.joins();
  t.e2.hears();
  t.e2.registers(t.bob, "bob");
  CHECK(t.e2.hears() == lines{"full 2.1 for bob"});
  CHECK_FALSE(t.online("bob"));
  CHECK(t.bench.shard.counters.claims_refused.get() == 1);
}

TEST_CASE("shard: a lane that takes no answers loses its link before they fill the memory [P6]") {
  two_lanes_with_bob t(shard_bench::in_service());
  t.e1.reads = false;
  const byte_vector thousand = thousand_to_nobody();
  int rounds = 0;
  for (; rounds < 5000 && t.closes(close_reason::out_of_memory) == 0; ++rounds) t.e1.says(thousand);
  CHECK(t.closes(close_reason::out_of_memory) == 1);
  CHECK(rounds > 1000); // not before two whole outputs of a link
  CHECK(t.e2.c != nullptr);
}

TEST_CASE(
    "shard: above its limit of contested ids a claim is refused, counted and told so; the owner stays") {
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
  CHECK(t.e1.hears() == lines{"busy 5.1 for cid"});
  CHECK(lines_of(t.bench.shard.drops(1).newest) == lines{"connect registration_busy cid>"});
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
  const byte_vector many = thousand_to_nobody();
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

TEST_CASE("shard_limits: a lane that lives and takes nothing is given up after ten seconds (CAT-42)") {
  two_joined_lanes t;
  t.e2.reads = false;
  t.bench.wait(9900ms); // its heartbeats come, and ours pile up
  CHECK(t.bench.shard.counters.closes[static_cast<std::size_t>(close_reason::link_write_stall)].get() == 0);
  t.bench.wait(1s);
  CHECK(t.bench.shard.counters.closes[static_cast<std::size_t>(close_reason::link_write_stall)].get() == 1);
  CHECK(t.bench.shard.counters.links.get() == 1);
}
