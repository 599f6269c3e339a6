// What an operator may ask a shard beside who is where: contests, drops, queues and round trips of links.
#include "tests/support/link_shard_tools.hpp"

#include <catch2/catch.hpp>

using namespace beeline;
using namespace beeline::test;

namespace {
void send_to_bob(two_lanes& t, std::uint64_t many) {
  for (std::uint64_t k = 1; k <= many; ++k) {
    test_message m;
    m.to = "bob";
    m.number = k;
    m.payload = std::string(1'000, 'x');
    t.e1.sends(m);
  }
}
} // namespace

TEST_CASE("shard: a client that two sessions claim is told as contested until it is settled") {
  two_joined_lanes t;
  for (scripted_lane* l : {&t.e1, &t.e2}) l->hash_bits = 64;
  t.e1.registers({1, 1}, "ann", t.bench.now);
  CHECK_FALSE(t.bench.shard.where("ann", t.bench.now).contested);
  t.e2.registers({1, 1}, "ann", t.bench.now + std::chrono::seconds(1));
  CHECK(t.bench.shard.where("ann", t.bench.now).contested);
  t.e1.unregisters({1, 1}, "ann");
  const auto w = t.bench.shard.where("ann", t.bench.now);
  CHECK_FALSE(w.contested);
  CHECK(w.edge == "e2");
}

TEST_CASE("shard: the most that waited for a link stays known when it has drained") {
  two_lanes_with_bob t;
  t.e2.reads = false;
  send_to_bob(t, 10);
  const auto most = t.bench.shard.counters.queue_high_water.get();
  CHECK(most > 10'000);
  CHECK(t.bench.shard.counters.output_bytes_high_water.get() >= most);
  t.e2.reads = true;
  t.e2.beats_once();
  t.bench.wait(std::chrono::milliseconds(600));
  for (const auto& l : t.bench.shard.lanes().lanes) {
    if (l.edge != "e2") continue;
    CHECK(l.output_bytes < 1'000);
    CHECK(l.queue_high_water == most);
    CHECK(l.messages_out == 10);
  }
}

TEST_CASE("shard: answers and messages that were sent before are counted at their link") {
  two_lanes_with_bob t;
  test_message m;
  m.to = "bob";
  m.number = 1;
  t.e1.sends(m);
  m.flags = wire::flag_again | wire::flag_resent;
  t.e1.sends(m);
  t.e2.answers(1, t.e1.index, answer::accepted);
  for (const auto& l : t.bench.shard.lanes().lanes) {
    CHECK(l.resent_in == (l.edge == "e1" ? 1u : 0u));
    CHECK(l.answers_in == (l.edge == "e2" ? 1u : 0u));
  }
}

TEST_CASE("shard: what links have carried is told by link, and lanes from an edge's name on") {
  two_lanes_with_bob t;
  test_message m;
  m.to = "bob";
  m.number = 1;
  m.payload = std::string(100, 'x');
  t.e1.sends(m);
  const auto totals = t.bench.shard.link_totals();
  REQUIRE(totals.size() == 2);
  for (const auto& l : totals) {
    const bool sender = l.link == t.e1.index;
    CHECK(l.link == (sender ? t.e1 : t.e2).index);
    CHECK(l.messages_in == (sender ? 1u : 0u));
    CHECK(l.messages_out == (sender ? 0u : 1u));
    CHECK((sender ? l.bytes_in : l.bytes_out) > 100);
  }
  const auto behind = t.bench.shard.lanes("e1").lanes;
  REQUIRE(behind.size() == 1);
  CHECK(behind[0].edge == "e2");
  CHECK(behind[0].link == t.e2.index);
  CHECK(t.bench.shard.lanes("e2").lanes.empty());

  t.e2.drops();
  CHECK(t.bench.shard.link_totals().size() == 1);
  CHECK(t.bench.shard.lanes("e1").lanes.at(0).link == no_member); // it lingers
}

TEST_CASE("shard: each heartbeat that is answered is a round trip") {
  two_joined_lanes t;
  wire::heartbeat beat;
  beat.sent_at = 1;
  t.e1.says(make(beat)); // echoes nothing yet
  CHECK(t.bench.shard.link_round_trip.snapshot().count() == 0);
  beat.echo = to_us(t.bench.now - std::chrono::milliseconds(7));
  beat.held_us = 2'000;
  t.e1.says(make(beat));
  t.e2.says(make(beat));
  CHECK(t.bench.shard.link_round_trip.snapshot().count() == 2);
  CHECK(t.bench.shard.link_round_trip.snapshot().max_us == 5'000);
}

TEST_CASE("shard: answers that are not final are no drops; a lane that is refused is one") {
  two_lanes t(shard_bench::warming());
  t.e1.joins();
  test_message m;
  m.to = "bob";
  m.number = 1;
  t.e1.sends(m);
  CHECK(t.bench.shard.drops(9).recorded == 0); // later
  m.qos1 = false;
  t.e1.sends(m);
  REQUIRE(t.bench.shard.drops(9).recorded == 1);
  CHECK(std::string(t.bench.shard.drops(9).newest[0].reason) == "warming_up");
  scripted_lane twin(t.bench, "e1", 9);
  twin.connects();
  REQUIRE(t.bench.shard.drops(9).recorded == 2);
  CHECK(t.bench.shard.drops(9).newest[0].from() == "e1");
  CHECK(t.bench.shard.drops(9).newest[0].kind == drop_kind::connect);
}

TEST_CASE("shard: lanes are told by their edges' names, so many edges and links as are asked for, each edge "
          "whole") {
  shard_bench bench;
  std::vector<std::unique_ptr<scripted_lane>> lanes;
  for (const char* edge : {"d", "b", "a", "c"}) // of "b" three lanes, of the others one
    for (std::uint16_t k = 0; k < (*edge == 'b' ? 3 : 1); ++k) {
      lanes.push_back(std::make_unique<scripted_lane>(bench, edge, lanes.size() + 1, k));
      lanes.back()->who.lanes = 3;
      lanes.back()->joins();
    }
  const auto told = [&](std::string_view after, std::size_t edges, std::size_t links) {
    const auto t = bench.shard.lanes(after, edges, links);
    std::string all;
    for (const auto& l : t.lanes) all += l.edge + std::to_string(l.lane) + " ";
    return all + (t.more ? "..." : "");
  };
  CHECK(told("", 9, 9) == "a0 b0 b1 b2 c0 d0 ");
  CHECK(told("", 4, 6) == "a0 b0 b1 b2 c0 d0 "); // both limits are met, not passed
  CHECK(told("", 2, 9) == "a0 b0 b1 b2 ...");
  CHECK(told("", 9, 4) == "a0 b0 b1 b2 ...");
  CHECK(told("", 9, 3) == "a0 ..."); // "b" would be cut
  CHECK(told("a", 9, 2) == "b0 b1 b2 ...");
  CHECK(told("b", 1, 1) == "c0 ...");
  CHECK(told("c", 1, 1) == "d0 ");
  CHECK(told("d", 1, 1).empty());
}

TEST_CASE("shard: what went into a link's socket is told, and in how many writes") {
  two_lanes_with_bob t;
  const auto link_of_bob = [&] { return t.bench.shard.lanes("e1").lanes.at(0); };
  const auto before = link_of_bob();
  CHECK(before.writes > 0); // welcome and what follows it
  send_to_bob(t, 3);
  const auto after = link_of_bob();
  CHECK(after.writes == before.writes + 3);
  CHECK(after.written_bytes - before.written_bytes == after.bytes_out - before.bytes_out);
}
