// Slot maps at the lane's end: several shards, several routers, wrong addresses, maps that change.
#include "tests/support/link_endpoint_tools.hpp"

#include <algorithm>
#include <catch2/catch.hpp>

using namespace beeline;
using namespace beeline::test;
using namespace std::chrono_literals;
using wire::frame_type;

namespace {

const link::router_map one_shard{{0, 4095, "", 1900}};

void announce(scripted_shard& s, const link::router_map& map) {
  std::vector<wire::slot_range> ranges;
  for (const link::shard_address& a : map) ranges.push_back({a.first, a.last, a.port, a.host});
  s.says(make_batch(frame_type::slot_map, ranges));
}

struct two {
  two() {
    s0.map = s1.map = two_shards;
    bench.wait(1ms);
    s0.welcomes();
    bench.wait(100ms);
    s1.welcomes();
    bench.told(), s0.hears(), s1.hears();
  }
  endpoint_bench bench;
  scripted_shard s0{bench, 1900, 0, 2}, s1{bench, 1901, 1, 2};
};

} // namespace

TEST_CASE("endpoint_map: a map with two shards opens the second link, and each client goes to its own") {
  endpoint_bench bench;
  scripted_shard s0(bench, 1900, 0, 2), s1(bench, 1901, 1, 2);
  s0.map = s1.map = two_shards;
  const std::string low = id_in(0, 2047), high = id_in(2048, 4095);
  bench.attach(low);
  bench.attach(high);
  bench.wait(1ms);
  s0.welcomes();
  CHECK(s0.hears() == lines{"register 0.1 " + low, "in-sync"});
  CHECK_FALSE(bench.lane.ready());
  CHECK(bench.lane.problem() == "not in sync with router router:1901 (shard 1)");
  bench.wait(100ms);
  s1.welcomes();
  CHECK(s1.hears() == lines{"register 1.1 " + high, "in-sync"});
  CHECK(bench.lane.ready());
}

TEST_CASE(
    "endpoint_map: an address that is another shard's is refused in words, and forgiven when it is right") {
  two t;
  t.s1.number = 0;
  t.s1.closes();
  t.bench.wait(1s);
  t.s1.welcomes();
  CHECK(t.s1.closed == close_reason::map_changed);
  CHECK_FALSE(t.bench.lane.ready());
  CHECK(t.bench.lane.problem().find("is its shard 0, not shard 1") != std::string::npos);
  t.s1.number = 1;
  t.bench.wait(1s);
  t.s1.welcomes();
  CHECK(t.bench.lane.problem() == "");
  CHECK(t.bench.lane.ready());
}

TEST_CASE("endpoint_map: a gap or an overlap between routers is told in words, and it is not ready") {
  for (bool gap : {true, false}) {
    endpoint_bench bench(endpoint_bench::config(2));
    scripted_shard a(bench, 1900), b(bench, 2900);
    a.map = {{0, gap ? std::uint16_t{1999} : std::uint16_t{2047}, "", 1900}};
    b.map = {{gap ? std::uint16_t{2048} : std::uint16_t{2000}, 4095, "", 2900}};
    bench.wait(1ms);
    a.welcomes();
    CHECK(bench.lane.problem() == "router router:2900 has not announced its slots yet");
    b.welcomes();
    CHECK_FALSE(bench.lane.ready());
    CHECK(bench.lane.problem().find(gap ? "slots 2000-2047 served by no router" : "served by both router") !=
          std::string::npos);
    b.map = {{gap ? std::uint16_t{2000} : std::uint16_t{2048}, 4095, "", 2900}};
    announce(b, b.map);
    CHECK(bench.lane.ready());
  }
}

TEST_CASE("endpoint_map: a router that comes back with fewer shards takes over their clients, and with more "
          "gives them back") {
  two t;
  const std::string high = id_in(2048, 4095);
  t.bench.attach(high);
  CHECK(t.s1.hears() == lines{"register 0.1 " + high});
  t.s0.map = one_shard;
  t.s0.closes();
  t.bench.wait(1s);
  t.s0.welcomes();
  CHECK(t.s1.closed == close_reason::map_changed);
  CHECK(t.s0.hears() == lines{"seen edge-1", "register 0.1 " + high, "in-sync"});
  CHECK(t.bench.lane.ready());
  CHECK(t.bench.lane.counters.links.get() == 1); // what is retired needs no descriptor
  t.s0.map = two_shards;
  t.s0.closes();
  t.bench.wait(1s);
  t.s0.welcomes();
  t.bench.wait(1s);
  t.s1.welcomes();
  CHECK(t.s1.hears().back() == "in-sync");
  CHECK(t.bench.lane.ready());
  CHECK(t.bench.lane.counters.links.get() == 2);
}

TEST_CASE(
    "endpoint_map: a link that is retired while it is dialled is dialled again when it is needed (CAT-40)") {
  endpoint_bench bench;
  scripted_shard s0(bench, 1900, 0, 2);
  s0.map = two_shards;
  bench.wait(1ms);
  s0.welcomes(); // nobody is at 1901 yet
  connect_request dial;
  while (!bench.lane.take_connect(dial, bench.now)) bench.now += 10ms; // it is being dialled ...
  REQUIRE(dial.port == 1901);
  announce(s0, one_shard); // ... when it is not needed any more
  conn late(conn::kind_t::link, bench.pool);
  late.owner = dial.link;
  bench.lane.on_up(late, bench.now);
  CHECK(late.close_now);
  bench.dirty.remove(late);
  CHECK(bench.lane.ready());
  scripted_shard s1(bench, 1901, 1, 2);
  s1.map = two_shards;
  announce(s0, two_shards);
  bench.wait(2s);
  s1.welcomes();
  CHECK(bench.lane.ready());
}

TEST_CASE("endpoint_map: messages in flight follow their slot to its new link, in order") {
  two t;
  const std::string high = id_in(2048, 4095);
  const handle ann = t.bench.attach(id_in(0, 2047));
  t.bench.submits(ann, 1, high);
  t.bench.submits(ann, 2, high);
  t.s0.hears();
  CHECK(t.s1.hears() == lines{"message 1 to 0.0 from 0: 1", "message 2 to 0.0 from 0: 2"});
  t.s0.map = one_shard;
  announce(t.s0, one_shard);
  CHECK(t.s0.hears() == lines{"message 1 to 0.0 from 0: 1", "message 2 to 0.0 from 0: 2"});
}

TEST_CASE("endpoint_map: a shard that announces other slots than its router's shard 0 is not linked") {
  two t;
  t.s1.map = {{0, 1000, "", 1900}, {1001, 4095, "", 1901}};
  t.s1.closes();
  t.bench.wait(1s);
  t.s1.welcomes();
  CHECK(t.s1.closed == close_reason::map_changed);
  CHECK_FALSE(t.bench.lane.ready());
}

namespace {
// Two routers; the second is about to get slots of the first. `low` is of slots that stay, `moving` of those
// that go.
struct slots_move {
  slots_move() {
    a.map = a_before, b.map = b_before;
    bench.wait(1ms);
    for (scripted_shard* s : {&a, &b}) s->welcomes();
    client = bench.attach(moving);
    bench.attach(low);
    a.registers_all();
    for (scripted_shard* s : {&a, &b}) s->hears();
    bench.told();
  }
  void starts_anew(scripted_shard& s, const link::router_map& map) {
    s.map = map;
    s.closes();
    bench.wait(1s);
    s.welcomes();
  }
  endpoint_bench bench{endpoint_bench::config(2)};
  scripted_shard a{bench, 1900}, b{bench, 2900};
  const link::router_map a_before{{0, 2047, "", 1900}}, a_after{{0, 999, "", 1900}},
      b_before{{2048, 4095, "", 2900}}, b_after{{1000, 4095, "", 2900}};
  const std::string low = id_in(0, 999), moving = id_in(1000, 2047);
  handle client;
};
} // namespace

TEST_CASE("endpoint_map: a router that claims slots of another hears `in sync` once they are not in doubt") {
  slots_move t;
  t.starts_anew(t.b, t.b_after); // before the one that gives them away
  CHECK(t.b.hears() == lines{"seen edge-1"});
  CHECK(t.bench.lane.problem().find("served by both router") != std::string::npos);
  t.bench.wait(3s);
  CHECK(t.b.hears().empty());
  t.starts_anew(t.a, t.a_after);
  CHECK(t.a.hears().back() == "in-sync");
  CHECK(t.b.hears() == lines{"register 0.1 " + t.moving, "in-sync"});
  CHECK(t.bench.lane.ready());
}

TEST_CASE(
    "endpoint_map: it is held for as long as the router warms up, and only by clients of its own slots") {
  slots_move t;
  t.starts_anew(t.b, t.b_after);
  t.b.hears();
  SECTION("then its other clients come first") {
    t.bench.wait(limits::warm_up - 1s);
    CHECK(t.b.hears().empty());
    t.bench.wait(1s);
    CHECK(t.b.hears() == lines{"in-sync"});
  }
  SECTION("this one has others in doubt") {
    t.starts_anew(t.b, {{2048, 2999, "", 2900}, {3000, 4095, "", 2901}}); // slots that nobody serves, as yet
    t.starts_anew(t.a, {{0, 2047, "", 1900}});
    CHECK(t.a.hears().back() == "in-sync");
  }
}

TEST_CASE("endpoint_map: who connects, or leaves, while its slot is in doubt holds up no router") {
  slots_move t;
  t.starts_anew(t.b, t.b_after);
  CHECK(t.b.hears() == lines{"seen edge-1"});
  t.bench.attach(id_in(1000, 2047)); // nobody knows of it yet
  CHECK(t.b.hears().empty());
  t.bench.detach(t.client);
  CHECK(t.b.hears() == lines{"in-sync"});
}

TEST_CASE(
    "endpoint_map: a client whose slot is in doubt stays registered where it is, and is a ghost nowhere") {
  slots_move t;
  announce(t.b, t.b_after);
  announce(t.b, t.b_before); // it was a mistake
  CHECK(t.a.hears().empty());
  CHECK(t.bench.lane.find(t.client)->registered);
  announce(t.b, t.b_after);
  t.bench.detach(t.client);
  CHECK(t.a.hears() == lines{"unregister 0.1"});
}

TEST_CASE(
    "endpoint_map: a client that comes back to its shard out of doubt is what that shard has said of it") {
  slots_move t;
  const bool said = GENERATE(false, true);
  t.bench.lane.find(t.client)->since = 77;
  t.a.closes();
  t.bench.wait(1s);
  t.a.welcomes(); // it registers again, since 77; the answer is on its way
  announce(t.b, t.b_after);
  t.a.hears();
  if (said) t.a.says(make_batch<wire::registered_client>(frame_type::registered, {{t.client, 123}}));
  CHECK_FALSE(t.bench.lane.find(t.client)->registered);
  announce(t.b, t.b_before);
  CHECK(t.a.hears() == lines{"register 0.1 " + t.moving + (said ? " since 123" : "")});
}

TEST_CASE("endpoint_map: a client whose router is lost while its slot is in doubt is new to the next one") {
  slots_move t;
  announce(t.b, t.b_after);
  t.bench.lane.find(t.client)->since = 77;
  t.starts_anew(t.a, t.a_after);
  CHECK(t.b.hears() == lines{"register 0.1 " + t.moving});
  CHECK(t.bench.lane.find(t.client)->since == 0);
}
