// A router shard and lanes played by the test: links, messages and answers.
#include "tests/support/link_shard_tools.hpp"

#include <algorithm>
#include <catch2/catch.hpp>

using namespace beeline;
using namespace beeline::test;
using namespace std::chrono_literals;
using wire::frame_type;

namespace {

const handle h1{1, 1}, h2{2, 1};

} // namespace

TEST_CASE("shard: a lane that shakes hands gets the slot map and the members, and the others hear of it") {
  shard_bench bench;
  scripted_lane e1(bench, "e1", 1), e2(bench, "e2", 2);
  e1.connects();
  CHECK(e1.hears() == lines{"slots 0-4095", "joined 0 e1/0"});
  e2.connects();
  CHECK(e2.hears() == lines{"slots 0-4095", "joined 0 e1/0", "joined 1 e2/0"});
  CHECK(e1.hears() == lines{"joined 1 e2/0"});
  CHECK(bench.shard.counters.links.get() == 2);
  CHECK(bench.shard.counters.handshakes.get() == 2);
}

TEST_CASE("shard: a lane hears a heartbeat before the slot map, so it knows the clock before it sends") {
  two_lanes t;
  t.e1.connects();
  REQUIRE(t.e1.frames.size() >= 2);
  CHECK(t.e1.frames[0].type() == wire::frame_type::heartbeat);
  CHECK(t.e1.frames[1].type() == wire::frame_type::slot_map);
  wire::heartbeat h;
  REQUIRE(h.get(t.e1.frames[0].payload()));
  CHECK(h.echo != 0);
}

TEST_CASE("shard: the slot map is one frame, as long as it may be") {
  auto config = shard_bench::in_service();
  config.map.clear();
  constexpr std::uint16_t shards = limits::shards_per_router_max, each = slot_count / shards;
  link::shard_address a;
  a.host.assign(limits::host_name_bytes_max, 'r');
  for (std::uint16_t k = 0; k < shards; ++k) {
    a.first = static_cast<std::uint16_t>(k * each);
    a.last = static_cast<std::uint16_t>(a.first + each - 1);
    a.port = static_cast<std::uint16_t>(1900 + k);
    config.map.push_back(a);
  }
  config.shards = shards;
  two_lanes t(config);
  t.e1.connects();
  std::vector<std::size_t> ranges;
  for (heard_frame& f : t.e1.frames)
    if (f.type() == wire::frame_type::slot_map)
      CHECK(wire::for_each_record<wire::slot_range>(
          f.payload(), [&](const wire::slot_range& s) { ranges.push_back(s.port - 1900u); }));
  CHECK(ranges.size() == shards);
  CHECK(std::count_if(t.e1.frames.begin(), t.e1.frames.end(),
                      [](heard_frame& f) { return f.type() == wire::frame_type::slot_map; }) == 1);
}

TEST_CASE("shard: a registration is confirmed, with the time since when it counts") {
  shard_bench bench;
  scripted_lane e1(bench, "e1", 1);
  e1.joins();
  bench.wait(1s);
  e1.registers(h1, "ann");
  CHECK(e1.hears() == lines{"registered 1.1"});
  CHECK(e1.since_of(h1) == to_us(bench.now));
  bench.wait(1s);
  e1.registers(h1, "ann", bench.now, 12345); // again, as after a restart of the shard: it keeps its since
  CHECK(e1.hears() == lines{"registered 1.1"});
  CHECK(e1.since_of(h1) == 12345);
  const auto w = bench.shard.where("ann", bench.now);
  CHECK(w.online);
  CHECK(w.edge == "e1");
  CHECK_FALSE(bench.shard.where("bob", bench.now).online);
}

TEST_CASE("shard: a message goes to its owner alone, only handle, origin and check are patched") {
  for (bool qos1 : {false, true}) {
    two_lanes_with_bob t;
    scripted_lane e3(t.bench, "e3", 3);
    e3.joins();
    t.e1.hears(), t.e2.hears();
    test_message m;
    m.qos1 = qos1;
    m.channel = "chat";
    m.payload = std::string("any \0 byte\xff", 11);
    t.e1.sends(m);
    REQUIRE(t.e2.frames.size() == 1);
    const byte_vector sent = make(m), got = t.e2.frames[0].bytes;
    REQUIRE(got.size() == sent.size());
    for (std::size_t i = 0; i < got.size(); ++i)
      if (i < 4 || i >= 16) CHECK(got[i] == sent[i]);
    const wire::message_view v = t.e2.frames[0].message();
    CHECK(v.target() == h2);
    CHECK(v.origin() == t.e1.index);
    CHECK(v.body_intact());
    CHECK(t.e1.hears().empty());
    CHECK(e3.hears().empty());
    CHECK(t.bench.shard.counters.messages_out[qos1].get() == 1);
  }
}

TEST_CASE("shard: the owner's answer reaches the origin, and nobody else") {
  two_lanes_with_bob t;
  t.e1.sends({});
  t.e2.hears();
  t.e2.answers(1, t.e1.index, answer::accepted);
  CHECK(t.e1.hears() == lines{"answer 1 accepted"});
  t.e2.answers(2, t.e1.index, answer::full);
  CHECK(t.e1.hears() == lines{"answer 2 full"});
  CHECK(t.bench.shard.counters.refused_by_owner.get() == 1);
  t.e2.answers(3, 60'000, answer::accepted); // an origin that does not exist
  CHECK(t.e1.hears().empty());
  CHECK(t.e2.c != nullptr);
}

TEST_CASE("shard: nobody has it: QoS 1 is told, QoS 0 is dropped and counted") {
  two_lanes_with_bob t;
  test_message m;
  m.to = "carol";
  t.e1.sends(m);
  CHECK(t.e1.hears() == lines{"answer 1 nobody"});
  m.qos1 = false;
  t.e1.sends(m);
  CHECK(t.e1.hears().empty());
  CHECK(t.drops(drop_reason::nobody) == 1);
}

TEST_CASE("shard: a slot of another shard is answered moved, and its registration is refused") {
  auto config = shard_bench::in_service();
  config.first_slot = config.last_slot = (slot_of(hash_of("bob")) + 1) % slot_count;
  two_lanes_with_bob t(config);
  CHECK(t.bench.shard.counters.claims_refused.get() == 1);
  t.e1.sends({});
  CHECK(t.e1.hears() == lines{"answer 1 moved"});
  t.e1.unregisters(h1, "bob");
  CHECK(t.e1.c != nullptr);
  CHECK_FALSE(t.bench.shard.owns("bob"));
}

TEST_CASE("shard: when an owner's link is full QoS 1 is told busy, QoS 0 is dropped and counted") {
  auto config = shard_bench::in_service();
  config.link_output_max = 1000;
  two_lanes_with_bob t(config);
  t.e2.reads = false;
  test_message m;
  m.payload = std::string(400, 'x');
  t.e1.sends(m);
  m.number = 2;
  t.e1.sends(m);
  CHECK(t.e1.hears().empty());
  m.number = 3;
  t.e1.sends(m);
  CHECK(t.e1.hears() == lines{"answer 3 busy"});
  m.qos1 = false;
  t.e1.sends(m);
  CHECK(t.e1.hears().empty());
  CHECK(t.drops(drop_reason::link_full) == 1);
  t.e2.reads = true;
  m.qos1 = true;
  t.e2.beats_once();
  t.bench.wait(600ms); // a heartbeat of the shard goes out, and what waited with it
  t.e1.sends(m);
  CHECK(t.e1.hears().empty());
}

TEST_CASE("shard: when an owner's link ends every lane is told once, behind the answers") {
  two_lanes_with_bob t;
  scripted_lane e3(t.bench, "e3", 3);
  e3.joins();
  t.e1.hears(), t.e2.hears();
  t.e1.sends({});
  t.e2.answers(1, t.e1.index, answer::accepted);
  t.e2.drops();
  CHECK(t.e1.hears() == lines{"answer 1 accepted", "path-lost 1"});
  CHECK(e3.hears() == lines{"path-lost 1"});
  CHECK(t.bench.shard.counters.path_lost.get() == 1);
}

TEST_CASE("shard: a lost lane's clients are answered later, then it is back") {
  two_lanes_with_bob t;
  t.e2.drops();
  t.e1.hears();
  t.e1.sends({});
  CHECK(t.e1.hears() == lines{"answer 1 later_lane about 1"});
  CHECK(t.bench.shard.where("bob", t.bench.now).lingering);
  t.bench.wait(1s);
  t.e2.connects();
  CHECK(t.e1.hears() == lines{"joined 2 e2/0"});
  t.e1.sends({});
  CHECK(t.e1.hears() == lines{"answer 1 later_lane about 1"}); // linked, not yet in sync
  t.e2.registers(h2, "bob");
  t.e2.hears();
  t.e1.sends({});
  CHECK(t.e2.hears() == lines{"message 1 to 2.1 from 0: hi"}); // its client is registered again already
  t.e2.is_in_sync();
  CHECK(t.e1.hears() == lines{"back 1", "left 1 e2/0"});
  t.bench.wait(5s); // nothing lingers
  CHECK(t.bench.shard.where("bob", t.bench.now).online);
}

TEST_CASE("shard: a lost lane that does not return is gone after the linger, its clients are nobody") {
  two_lanes_with_bob t;
  t.e2.drops();
  t.e1.sends({});
  t.bench.wait(1900ms);
  CHECK(t.e1.hears() == lines{"answer 1 later_lane about 1"});
  t.bench.wait(300ms);
  CHECK(t.e1.hears() == lines{"gone 1", "left 1 e2/0"});
  t.e1.sends({});
  CHECK(t.e1.hears() == lines{"answer 1 nobody"});
  CHECK_FALSE(t.bench.shard.where("bob", t.bench.now).online);
  CHECK(t.bench.shard.counters.linger_expired.get() == 1);
}

TEST_CASE("shard: a client that did not come back with its lane is nobody once that is in sync") {
  two_lanes_with_bob t;
  t.e2.drops();
  t.e2.joins();
  t.e1.hears();
  t.e1.sends({});
  CHECK(t.e1.hears() == lines{"answer 1 nobody"});
}

TEST_CASE("shard: a lost link on which no message was sent is no lost path") {
  two_lanes_with_bob t;
  t.e2.drops();
  CHECK(t.e1.hears().empty());
  t.e2.joins();
  t.e1.hears();
  t.e2.registers(t.bob, "bob");
  t.e1.sends({});
  const member_index on = t.e2.index;
  t.bench.wait(limits::notice_interval); // since it was told that e2 is back
  t.e2.drops();
  CHECK(t.e1.hears() == lines{"path-lost " + std::to_string(on)});
  CHECK(t.bench.shard.counters.path_lost.get() == 1);
}

TEST_CASE("shard: a lane that links again and again and is never in sync is gone, too") {
  two_lanes_with_bob t;
  t.e2.drops();
  lines heard;
  for (int i = 0; i < 40; ++i) { // 12 s
    t.e2.connects();
    REQUIRE(t.e2.c);
    t.bench.wait(std::chrono::milliseconds(300));
    t.e2.drops();
    for (const std::string& s : t.e1.hears()) heard.push_back(s);
  }
  CHECK(std::count(heard.begin(), heard.end(), "gone 1") == 1);
  t.e1.sends({});
  CHECK(t.e1.hears() == lines{"answer 1 nobody"});
}

TEST_CASE("shard: a link that registers nobody and is not in sync ends, one that goes on registering stays") {
  two_lanes t;
  t.e1.connects(), t.e2.connects();
  for (std::uint32_t s = 0; s < 30; ++s) {
    t.e1.registers({s, 1}, "c" + std::to_string(s));
    for (int i = 0; i < 2; ++i) t.bench.wait(std::chrono::milliseconds(500));
  }
  CHECK(t.e1.c);
  CHECK(t.e2.closed == close_reason::link_handshake_timeout);
}

TEST_CASE("shard: a lane that says good-bye for good is gone at once") {
  two_lanes_with_bob t;
  t.e2.leaves();
  CHECK(t.e1.hears() == lines{"gone 1", "left 1 e2/0"});
  CHECK(t.e2.closed == close_reason::link_went_away);
  t.e1.sends({});
  CHECK(t.e1.hears() == lines{"answer 1 nobody"});
}

TEST_CASE("shard: a newer link of a lane replaces the older, whose unread bytes have no effect (F8)") {
  two_lanes_with_bob t;
  conn* old = std::exchange(t.e2.c, nullptr);
  t.bench.stuck = old; // its socket is not closed yet
  scripted_lane again(t.bench, "e2", 2);
  again.connects();
  CHECK(again.index != t.e2.index);
  CHECK(old->why == close_reason::link_replaced);
  t.bench.deliver(*old, make_batch<wire::registration>(frame_type::register_clients,
                                                       {{h1, to_us(t.bench.now), 0, "eve"}}));
  CHECK_FALSE(t.bench.shard.where("eve", t.bench.now).online);
  CHECK(t.e1.hears() == lines{"joined 2 e2/0"});
  again.registers(h1, "eve");
  t.bench.shard.on_down(*old, close_reason::peer_closed, t.bench.now); // and nor has its end
  CHECK(t.bench.shard.where("eve", t.bench.now).online);
  CHECK(t.e1.hears().empty());
}

TEST_CASE("shard: a new life of an edge replaces what the old one left at once (F4, CAT-50)") {
  two_lanes_with_bob t;
  t.e2.drops();
  scripted_lane reborn(t.bench, "e2", 22);
  reborn.connects();
  CHECK(t.e1.hears() == lines{"gone 1", "left 1 e2/0", "joined 2 e2/0"});
  t.e1.sends({});
  CHECK(t.e1.hears() == lines{"answer 1 nobody"});
  reborn.registers(h1, "bob");
  t.e1.sends({});
  CHECK(reborn.hears().back() == "message 1 to 1.1 from 0: hi");
}

TEST_CASE("shard: a name in use by a lane that is alive is refused, in words") {
  two_lanes_with_bob t;
  scripted_lane other(t.bench, "e2", 22);
  other.connects();
  CHECK(
      other.hears() ==
      lines{"error: edge name 'e2' is in use by another edge that is alive: give each edge its own --name"});
  CHECK(other.closed == close_reason::link_refused);
  CHECK(t.e2.c != nullptr);
  t.e2.beats = false; // half-open: silent, but not yet given up
  t.bench.wait(1600ms);
  other.connects();
  CHECK(other.c != nullptr);
  CHECK(t.e2.closed == close_reason::link_replaced);
}

TEST_CASE("shard: a silent lane is given up after three seconds, any byte is life") {
  two_lanes_with_bob t;
  t.e2.beats = false;
  t.bench.wait(2s);
  const byte_vector beat = make(wire::heartbeat{});
  t.e2.says(byte_vector(beat.begin(), beat.begin() + 1)); // a byte of a frame
  t.bench.wait(2900ms);
  CHECK(t.e2.c != nullptr);
  t.bench.wait(300ms);
  CHECK(t.e2.closed == close_reason::link_silence);
  CHECK(t.e1.c != nullptr);
}

TEST_CASE("shard: a connection that does not shake hands is closed in time") {
  shard_bench bench;
  conn& c = bench.open();
  bench.wait(2900ms);
  CHECK_FALSE(c.closing());
  bench.wait(300ms);
  CHECK(c.why == close_reason::link_handshake_timeout);
}

TEST_CASE("shard: after a pause of its own it closes its links before it reads what waits in them") {
  two_lanes_with_bob t;
  t.bench.now += limits::pause_max + 100ms;
  t.e1.registers(h1, "eve");
  CHECK(t.e1.closed == close_reason::link_paused);
  CHECK(t.e2.closed == close_reason::link_paused);
  CHECK_FALSE(t.bench.shard.where("eve", t.bench.now).online);
}

TEST_CASE("shard: floors are told to every lane, as they rise") {
  two_lanes_with_bob t;
  t.e1.floor = 42;
  t.bench.wait(1s);
  bool told = false;
  for (heard_frame& f : t.e2.frames)
    if (f.type() == frame_type::floors)
      told = told || words(f) == lines{"floor of 0 42"} || words(f).size() == 2;
  CHECK(told);
}

TEST_CASE("shard: heartbeats are sent, busy or idle, and answered with what the peer sent") {
  two_lanes_with_bob t;
  t.bench.wait(1200ms);
  std::size_t beats = 0;
  wire::heartbeat last;
  for (heard_frame& f : t.e1.frames)
    if (f.type() == frame_type::heartbeat) ++beats, last.get(f.payload());
  CHECK(beats >= 2);
  CHECK(last.echo != 0);
  CHECK(last.value <= to_us(t.bench.now));
}

TEST_CASE("shard: shutting down says so to every lane") {
  two_lanes_with_bob t;
  t.bench.shard.shutdown(t.bench.now);
  t.bench.turn_ends();
  CHECK(t.e1.closed == close_reason::shutdown);
  CHECK(t.e1.hears().back() == "go-away: router shuts down");
  CHECK(t.e2.hears().back() == "go-away: router shuts down");
  CHECK(t.bench.open().close_now);
}
