// MQTT clients that ask for their recipient's own acknowledgement (`ack: received`), or say how long a
// message is good (`deadline-ms`).
#include "tests/support/lane_test.hpp"

#include <catch2/catch.hpp>

using namespace beeline;
using namespace beeline::test;

namespace {

const std::string asks = property_list().user("ack", "received").bytes();
std::string within(std::string_view ms) { return property_list().user("deadline-ms", ms).bytes(); }

struct pair_of_clients : lane_world {
  explicit pair_of_clients(std::string_view of_c2 = {}, world_options o = {}) : lane_world(o) {
    c1 = &connect("C1");
    c2 = &connect("C2", {.edge = 1, .properties = of_c2});
  }
  mqtt_client *c1, *c2;
};

} // namespace

TEST_CASE("lane_receipts: PUBACK comes after the recipient's own", "[lane]") {
  pair_of_clients w;
  w.c1->publish("@/C2", "hi", 1, asks);
  const auto m = w.c2->next_publish();
  REQUIRE(m.properties == asks); // a property like any other for its recipient
  w.advance(1s);
  REQUIRE(w.c1->nothing());
  w.c2->puback(m.id);
  const auto a = w.c1->next_puback();
  REQUIRE(a.reason == 0);
  REQUIRE(counter_of(w.lane(0).endpoint().receipt_counts.told, wire::receipt::received) == 1);
}

TEST_CASE("lane_receipts: other values, QoS 0 and MQTT 3.1.1 recipients: as everywhere", "[lane]") {
  pair_of_clients w;
  w.c1->publish("@/C2", "hi", 1, property_list().user("ack", "no").user("Ack", "received").bytes());
  REQUIRE(w.c1->next_puback().reason == 0);
  w.c1->publish("@/C2", "hi", 0, asks);
  REQUIRE(w.c1->nothing());
  auto& old = w.connect("old", {.v = protocol_version::v311, .edge = 1});
  w.c1->publish("@/old", "hi", 1, asks);
  REQUIRE(w.c1->nothing());
  old.puback(old.next_publish().id);
  REQUIRE(w.c1->next_puback().reason == 0);
}

TEST_CASE("lane_receipts: nobody is told at once", "[lane]") {
  pair_of_clients w;
  w.c1->publish("@/C9", "hi", 1, asks);
  REQUIRE(w.c1->next_puback().reason == 0x10);
}

TEST_CASE("lane_receipts: a recipient that never acknowledges: its senders are told, nobody is held up",
          "[lane]") {
  pair_of_clients w(receive_maximum(2), {.lane = [](auto& c) { c.pending_max = 3; }});
  auto& c3 = w.connect("C3", {.edge = 1});
  for (int i = 0; i < 6; ++i) w.c1->publish("@/C2", std::to_string(i), 1, asks);
  REQUIRE(w.c1->next_puback().reason == 0x97); // two in flight, three wait
  w.c1->publish("@/C3", "others go on");
  REQUIRE(c3.next_publish().payload == "others go on");
  REQUIRE(w.c1->next_puback().reason == 0);
  REQUIRE(w.c2->next_publish().payload == "0");
  REQUIRE(w.c2->next_publish().payload == "1");
  REQUIRE(w.c2->nothing());
  REQUIRE(w.lane(0).endpoint().outgoing.idle()); // their windows are free
  w.advance(31s);
  for (int i = 0; i < 5; ++i) {
    const auto a = w.c1->next_puback();
    REQUIRE(a.reason == 0x83);
    REQUIRE(a.text == "taken, but the recipient has not acknowledged it in time");
  }
  REQUIRE(w.lane(0).counters.outcomes_taken.get() == 5);
  REQUIRE(counter_of(w.lane(0).counters.outcomes, answer::unknown) == 0);
  w.c2->puback(1); // late: of no use to anybody, and no harm
  REQUIRE(w.c1->nothing());
  w.advance(1s);
  REQUIRE(w.lane(1).endpoint().receipt_counts.owed.get() == 4);
}

TEST_CASE("lane_receipts: the recipient's session ends, with messages in flight and waiting", "[lane]") {
  pair_of_clients w(receive_maximum(1));
  for (int i = 0; i < 2; ++i) w.c1->publish("@/C2", std::to_string(i), 1, asks);
  w.c2->next_publish();
  w.c2->hang_up();
  w.advance(1s);
  for (int i = 0; i < 2; ++i) {
    const auto a = w.c1->next_puback();
    REQUIRE(a.reason == 0x83);
    REQUIRE(a.text == "taken, but the recipient's session ended before it acknowledged");
  }
}

TEST_CASE("lane_receipts: a PUBACK with an error is told as one", "[lane]") {
  pair_of_clients w;
  w.c1->publish("@/C2", "hi", 1, asks);
  w.c2->next_publish();
  w.c2->send(std::string("\x40\x03\x00\x01\x80", 5));
  const auto a = w.c1->next_puback();
  REQUIRE(a.reason == 0x83);
  REQUIRE(a.text == "taken, and the recipient acknowledged it with an error");
}

TEST_CASE("lane_receipts: the sender may send as many as its Receive Maximum says, no more", "[lane]") {
  pair_of_clients w({}, {.lane = [](auto& c) { c.inflight_max = 3; }});
  for (int i = 0; i < 3; ++i) w.c1->publish("@/C2", std::to_string(i), 1, asks);
  for (int i = 0; i < 3; ++i) w.c2->next_publish();
  REQUIRE(w.c1->nothing());
  w.c1->publish("@/C2", "one too many", 1, asks);
  REQUIRE(w.c1->closed_with(0x93));
}

TEST_CASE("lane_receipts: a router restart between PUBLISH and PUBACK loses no receipt", "[lane]") {
  pair_of_clients w;
  w.c1->publish("@/C2", "hi", 1, asks);
  const auto m = w.c2->next_publish();
  w.router_down();
  w.advance(100ms);
  w.c2->puback(m.id);
  w.router_up();
  w.advance(10s);
  REQUIRE(w.c1->next_puback().reason == 0);
  REQUIRE(w.lane(1).endpoint().receipt_counts.owed.get() == 0);
}

// --- deadlines ----------------------------------------------------------------------------------------

TEST_CASE("lane_deadlines: deadline-ms ends what waits, to the millisecond, and the sender is told",
          "[lane]") {
  pair_of_clients w;
  w.router_down();
  w.c1->publish("@/C2", "late", 1, within("150"));
  w.advance(140ms);
  REQUIRE(w.c1->nothing());
  w.advance(20ms);
  const auto a = w.c1->next_puback();
  REQUIRE(a.reason == 0x83);
  REQUIRE(a.text == "the message expired on its way");
}

TEST_CASE("lane_deadlines: what waits for a recipient leaves its queue when it is late, wherever it stands",
          "[lane]") {
  pair_of_clients w(receive_maximum(1), {.lane = [](auto& c) { c.pending_max = 2; }});
  w.c1->publish("@/C2", "in flight");
  w.c1->publish("@/C2", "waits");
  w.c1->publish("@/C2", "late", 1, asks + within("300"));
  for (int i = 0; i < 2; ++i) REQUIRE(w.c1->next_puback().reason == 0);
  w.c1->publish("@/C2", "no room");
  REQUIRE(w.c1->next_puback().reason == 0x97);
  w.advance(2s);
  const auto a = w.c1->next_puback();
  REQUIRE(a.reason == 0x83);
  REQUIRE(a.text == "taken, but it expired before the recipient could be sent it");
  w.c1->publish("@/C2", "room again");
  REQUIRE(w.c1->next_puback().reason == 0);
  REQUIRE(drops(w, drop_reason::expired, 1) == 1);
}

TEST_CASE(
    "lane_deadlines: the shorter of deadline-ms and Message Expiry counts; its recipient is told seconds",
    "[lane]") {
  pair_of_clients w;
  w.c1->publish("@/C2", {}, 1, expiry(100) + within("2600"));
  REQUIRE(w.c2->next_publish().expiry == 3u);
  w.c1->publish("@/C2", {}, 1, expiry(2) + within("60000"));
  REQUIRE(w.c2->next_publish().expiry == 2u);
}

TEST_CASE("lane_deadlines: a deadline that is no number is refused in words", "[lane]") {
  pair_of_clients w;
  for (const char* bad : {"", "0", "-1", "1.5", " 1", "1s", "2147483648", "99999999999999999999"}) {
    w.c1->publish("@/C2", {}, 1, within(bad));
    const auto a = w.c1->next_puback();
    REQUIRE(a.reason == 0x99);
    REQUIRE(a.text == "deadline-ms has to be a number from 1 to 2147483647");
    w.c1->publish("@/C2", {}, 0, within(bad));
  }
  REQUIRE(w.c2->nothing());
  REQUIRE(drops(w, drop_reason::bad_property) == 16);
}

TEST_CASE("lane_deadlines: what took longer than a second to be answered is counted apart", "[lane]") {
  pair_of_clients w;
  w.c1->publish("@/C2", "in time");
  w.router_down();
  w.c1->publish("@/C2", "late");
  w.advance(2s);
  w.router_up();
  w.advance(10s);
  REQUIRE(w.lane(0).endpoint().outgoing.counters.answered.get() == 2);
  REQUIRE(w.lane(0).endpoint().outgoing.counters.answered_late.get() == 1);
}
