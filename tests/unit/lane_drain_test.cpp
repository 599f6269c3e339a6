// A lane that is to end: clients are told to go, and nothing of theirs is lost on the way.
#include "tests/support/lane_test.hpp"

#include <catch2/catch.hpp>

using namespace beeline;
using namespace beeline::test;

namespace {

struct drained_world : lane_world {
  explicit drained_world(std::function<void(edge::lane_config&)> more = {})
      : lane_world({.lane = [this, more](edge::lane_config& c) {
          if (more) more(c);
          c.on_drained = [this] { ++done; };
        }}) {}
  void drain(std::size_t edge = 0) {
    lane(edge).drain(now());
    run();
  }
  int done = 0;
};

} // namespace

TEST_CASE("lane_drain: an idle client is told 0x9C at once, and then the lane is done", "[lane]") {
  drained_world w;
  auto& c = w.connect("C1");
  auto& old = w.connect("C2", {.v = protocol_version::v311});
  w.drain();
  w.advance(100ms);
  REQUIRE(c.closed_with(0x9c));
  REQUIRE((old.nothing() && old.closed()));
  REQUIRE(w.done == 1);
  REQUIRE(closes(w, close_reason::drained) == 2);
  w.advance(5s);
  REQUIRE(w.done == 1);
  REQUIRE_FALSE(w.shard().where("C1", w.now()).online);
}

TEST_CASE("lane_drain: a lane without clients is done at once", "[lane]") {
  drained_world w;
  w.drain();
  REQUIRE(w.done == 1);
}

TEST_CASE("lane_drain: MQTT 5 clients are told where to go, as DISCONNECT and as CONNACK", "[lane]") {
  drained_world w([](edge::lane_config& c) {
    c.server_reference = "edge-2:1883";
    c.drain_reason = reason::server_moved;
  });
  auto& c = w.connect("C1");
  auto& late = w.open();
  auto& late_old = w.open(protocol_version::v311);
  w.drain();
  w.advance(100ms);
  mqtt::packet p;
  const std::string bytes = c.take_bytes();
  REQUIRE(mqtt::next_packet(as_bytes(bytes), SIZE_MAX, p) == mqtt::parse::done);
  mqtt::disconnect_packet d;
  REQUIRE(test::decode_disconnect(p, protocol_version::v5, d) == reason::success);
  REQUIRE(d.code == reason::server_moved);
  REQUIRE(d.server_reference == "edge-2:1883");
  late.connect({.client_id = "C2"});
  REQUIRE(late.next_connack().code == 0x9d);
  REQUIRE(late.closed());
  late_old.connect({.version = protocol_version::v311, .client_id = "C3"});
  REQUIRE(late_old.next_connack().code == 3);
  REQUIRE(w.lane(0).counters.sent_away.get() == 2);
}

TEST_CASE("lane_drain: clients go at the rate, not all at once", "[lane]") {
  drained_world w([](edge::lane_config& c) { c.drain_rate = 10; });
  std::vector<mqtt_client*> all;
  for (int k = 0; k < 30; ++k) all.push_back(&w.connect(numbered("c", static_cast<std::uint64_t>(k))));
  const auto gone = [&] {
    return std::count_if(all.begin(), all.end(), [](auto* c) { return c->closed(); });
  };
  w.drain();
  w.advance(1s);
  REQUIRE((gone() >= 9 && gone() <= 12));
  REQUIRE(w.done == 0);
  w.advance(2500ms);
  REQUIRE(gone() == 30);
  REQUIRE(w.done == 1);
}

TEST_CASE("lane_drain: what a recipient was promised is delivered before it is told to go", "[lane]") {
  drained_world w;
  auto& sender = w.connect("S", {.edge = 1});
  auto& c = w.connect("C1", {.properties = receive_maximum(1)});
  for (int k = 0; k < 3; ++k) {
    sender.publish("@/C1", std::to_string(k));
    REQUIRE(sender.next_puback().reason == 0);
  }
  w.drain();
  sender.publish("@/C1", "meant for where it turns up"); // kept by its origin
  for (int k = 0; k < 3; ++k) {
    const auto m = c.next_publish();
    REQUIRE(m.payload == std::to_string(k));
    REQUIRE(sender.nothing());
    c.puback(m.id);
  }
  w.advance(20ms);
  REQUIRE(c.closed_with(0x9c));
  auto& again = w.connect("C1", {.edge = 1});
  w.advance(300ms);
  const auto code = sender.next_puback().reason; // it came back in time, or nobody was there for a moment
  if (code == 0) REQUIRE(again.next_publish().payload == "meant for where it turns up");
  else REQUIRE(code == 0x10);
  REQUIRE(counter_of(w.lane(0).counters.drops, drop_reason::recipient_gone) == 0);
}

TEST_CASE(
    "lane_drain: what a sender was read is answered before it is told to go, what was not is left to it",
    "[lane]") {
  drained_world w;
  auto& c = w.connect("C1");
  w.connect("C2", {.edge = 1});
  w.stall_link(0, true);
  const auto id = c.publish("@/C2", "read");
  w.drain();
  c.publish("@/C2", "not read any more");
  w.advance(500ms);
  REQUIRE((c.nothing() && !c.closed()));
  w.stall_link(0, false);
  w.advance(50ms);
  const auto a = c.next_puback();
  REQUIRE(a.id == id);
  REQUIRE(a.reason == 0);
  REQUIRE(c.closed_with(0x9c));
  REQUIRE(w.done == 1);
}

TEST_CASE("lane_drain: who is to go and goes on sending is heard: it leaves once its PUBACK has come",
          "[lane]") {
  drained_world w;
  auto& sender = w.connect("S", {.edge = 1});
  auto& c = w.connect("C1");
  sender.publish("@/C1", "to be acknowledged");
  REQUIRE(sender.next_puback().reason == 0);
  const auto got = c.next_publish();
  w.drain();
  c.publish("@/S", "QoS 1: it comes again, elsewhere");
  c.publish("@/S", "QoS 0: nobody would send it again", 0);
  c.puback(got.id);
  w.advance(100ms);
  REQUIRE(c.closed_with(0x9c)); // no PUBACK for the one in between
  REQUIRE(sender.next_publish().payload == "QoS 0: nobody would send it again");
  REQUIRE(sender.nothing());
  REQUIRE(w.done == 1);
}

TEST_CASE("lane_drain: a client whose CONNECT came before goes as soon as it is in", "[lane]") {
  drained_world w;
  w.stall_link(0, true);
  auto& c = w.open();
  c.connect({.client_id = "C1"});
  w.drain();
  w.advance(200ms);
  REQUIRE((c.nothing() && !c.closed()));
  REQUIRE(w.done == 0);
  w.stall_link(0, false);
  w.advance(100ms);
  REQUIRE(c.next_connack().code == 0);
  REQUIRE(c.closed_with(0x9c));
  REQUIRE(w.done == 1);
}

TEST_CASE("lane_drain: a client that does not settle goes after a while", "[lane]") {
  drained_world w;
  auto& sender = w.connect("S", {.edge = 1});
  auto& c = w.connect("C1");
  sender.publish("@/C1", "never acknowledged");
  REQUIRE(sender.next_puback().reason == 0);
  c.next_publish();
  w.drain();
  w.advance(limits::drain_patience - 100ms);
  REQUIRE_FALSE(c.closed());
  w.advance(200ms);
  REQUIRE(c.closed_with(0x9c));
  REQUIRE(w.done == 1);
}
