// Messages to clients: windows, queues, properties, expiry, the client's Maximum Packet Size.
#include "tests/support/lane_test.hpp"

#include <catch2/catch.hpp>

#include <set>

using namespace beeline;
using namespace beeline::test;

TEST_CASE("delivery: never more in flight than the client's Receive Maximum", "[lane]") {
  lane_world w;
  auto& c1 = w.connect("C1");
  auto& c2 = w.connect("C2", {.edge = 1, .properties = receive_maximum(3)});
  for (int i = 0; i < 20; ++i) {
    c1.publish("@/C2", std::to_string(i));
    REQUIRE(c1.next_puback().reason == 0);
  }
  std::deque<std::uint16_t> in_flight;
  for (int i = 0; i < 20; ++i) {
    if (in_flight.size() == 3) {
      REQUIRE(c2.nothing());
      c2.puback(in_flight.front());
      in_flight.pop_front();
    }
    const auto m = c2.next_publish();
    REQUIRE(m.payload == std::to_string(i)); // in order
    REQUIRE(m.id != 0);
    REQUIRE(std::count(in_flight.begin(), in_flight.end(), m.id) == 0);
    in_flight.push_back(m.id);
  }
  REQUIRE(w.lane(1).counters.pending.get() == 0);
  REQUIRE(w.lane(1).counters.pending_bytes.get() == 0);
  c1.publish("@/C2", "QoS 0 needs no window", 0);
  REQUIRE(c2.next_publish().qos == 0);
}

TEST_CASE("delivery: PUBACKs out of order and with errors free their places; strange ones free none",
          "[lane]") {
  lane_world w;
  auto& c1 = w.connect("C1");
  auto& c2 = w.connect("C2", {.edge = 1, .properties = receive_maximum(2)});
  for (int i = 0; i < 4; ++i) c1.publish("@/C2", std::to_string(i));
  const auto a = c2.next_publish(), b = c2.next_publish();
  REQUIRE(c2.nothing());
  c2.puback(static_cast<std::uint16_t>(a.id + b.id + 7));
  REQUIRE(c2.nothing());
  c2.puback(b.id);
  REQUIRE(c2.next_publish().payload == "2");
  c2.puback(b.id); // again
  c2.send(encode_ack(packet_type::puback, a.id, v5, reason::unspecified_error));
  REQUIRE(c2.next_publish().payload == "3");
  REQUIRE(c2.nothing());
  REQUIRE(w.lane(1).counters.pubacks_unknown.get() == 2);
}

TEST_CASE("delivery: packet ids go round and never meet one in flight", "[lane]") {
  lane_world w;
  auto& c1 = w.connect("C1");
  auto& c2 = w.connect("C2", {.edge = 1});
  c1.publish("@/C2", "kept");
  const auto kept = c2.next_publish();
  std::string burst;
  std::uint64_t heard = 0;
  for (unsigned round = 0; round < 140; ++round) {
    burst.clear();
    for (unsigned i = 1; i <= 500; ++i)
      append_publish(burst, {.topic = "@/C2", .qos = 1, .packet_id = static_cast<std::uint16_t>(i)});
    c1.send(burst);
    c1.take_bytes();
    burst.clear();
    for (unsigned i = 0; i < 500; ++i, ++heard) {
      const auto m = c2.next_publish();
      REQUIRE(m.id != kept.id);
      append_puback(burst, m.id);
    }
    c2.send(burst);
  }
  REQUIRE(heard == 70'000);
}

TEST_CASE("delivery: 1,000 messages wait for a client with a full window, then 0x97", "[lane]") {
  lane_world w;
  auto& c1 = w.connect("C1");
  auto& c2 = w.connect("C2", {.edge = 1, .properties = receive_maximum(1)});
  for (int i = 0; i < 1'001; ++i) {
    c1.publish("@/C2", std::to_string(i));
    REQUIRE(c1.next_puback().reason == 0);
  }
  REQUIRE(w.lane(1).counters.pending.get() == limits::pending_messages_max);
  c1.publish("@/C2", "one too many");
  REQUIRE(c1.next_puback().reason == 0x97);
  REQUIRE(drops(w, drop_reason::recipient_full, 1) == 1);
  for (int i = 0; i < 1'001; ++i) {
    const auto m = c2.next_publish();
    REQUIRE(m.payload == std::to_string(i));
    c2.puback(m.id);
  }
  c1.publish("@/C2", "room again");
  REQUIRE(c1.next_puback().reason == 0);
  REQUIRE(c2.next_publish().payload == "room again");
}

TEST_CASE("delivery: 1 MiB waits for a client with a full window, then 0x97", "[lane]") {
  lane_world w;
  auto& c1 = w.connect("C1");
  auto& c2 = w.connect("C2", {.edge = 1, .properties = receive_maximum(1)});
  const std::string big(300 * limits::KiB, 'x');
  c1.publish("@/C2", "first");
  for (unsigned expected : {0u, 0u, 0u, 0x97u}) {
    REQUIRE(c1.next_puback().reason == 0);
    c1.publish("@/C2", big);
    if (expected) REQUIRE(c1.next_puback().reason == expected);
  }
  REQUIRE(w.lane(1).counters.pending_bytes.get() <= limits::pending_bytes_max);
  REQUIRE(w.lane(1).counters.pending_bytes.get() > 900 * limits::KiB);
  c2.puback(c2.next_publish().id);
  for (int i = 0; i < 3; ++i) {
    const auto m = c2.next_publish();
    REQUIRE(m.payload == big);
    c2.puback(m.id);
  }
  REQUIRE(c2.nothing());
}

TEST_CASE("delivery: CAT-65 a recipient that never acknowledges blocks nobody else", "[lane]") {
  lane_world w;
  auto& c1 = w.connect("C1");
  w.connect("mute", {.edge = 1, .properties = receive_maximum(1)});
  auto& good = w.connect("good", {.edge = 1});
  unsigned full = 0;
  for (int i = 0; i < 1'500; ++i) {
    c1.publish("@/mute", "x");
    full += c1.next_puback().reason == 0x97;
    c1.publish("@/good", std::to_string(i));
    REQUIRE(c1.next_puback().reason == 0);
    const auto m = good.next_publish();
    REQUIRE(m.payload == std::to_string(i));
    good.puback(m.id);
  }
  REQUIRE(full == 499);
}

TEST_CASE("delivery: CAT-65 a recipient that takes no bytes blocks nobody else, and QoS 0 is bounded",
          "[lane]") {
  lane_world w;
  auto& c1 = w.connect("C1");
  auto& stuck = w.connect("stuck", {.edge = 1});
  auto& good = w.connect("good", {.edge = 1});
  stuck.stall();
  const std::string payload(10'000, 'p');
  for (int i = 0; i < 300; ++i) {
    c1.publish("@/stuck", payload, 0);
    c1.publish("@/good", "g", 0);
    REQUIRE(good.next_publish().payload == "g");
  }
  REQUIRE(stuck.connection().out.size() < limits::client_output_bytes_max + 11'000);
  REQUIRE(drops(w, drop_reason::recipient_slow, 1) > 150);
  stuck.resume();
  std::size_t got = 0;
  for (; !stuck.nothing(); ++got) REQUIRE(stuck.next_publish().payload == payload);
  REQUIRE(got + drops(w, drop_reason::recipient_slow, 1) == 300);
  c1.publish("@/stuck", "again", 0);
  REQUIRE(stuck.next_publish().payload == "again");
}

TEST_CASE("delivery: QoS 1 behind a slow reader waits and goes on when it reads", "[lane]") {
  lane_world w({.lane = [](edge::lane_config& c) { c.client_output_max = 5'000; }});
  auto& c1 = w.connect("C1");
  auto& c2 = w.connect("C2", {.edge = 1});
  c2.stall();
  const std::string payload(1'000, 'p');
  for (int i = 0; i < 50; ++i) {
    c1.publish("@/C2", std::to_string(i) + payload);
    REQUIRE(c1.next_puback().reason == 0);
  }
  REQUIRE(c2.connection().out.size() < 7'000);
  REQUIRE(w.lane(1).counters.pending.get() > 40);
  c2.resume(2'500); // a part, then all: it never depends on the client's PUBACKs
  c2.resume();
  for (int i = 0; i < 50; ++i) REQUIRE(c2.next_publish().payload == std::to_string(i) + payload);
  REQUIRE(w.lane(1).counters.pending.get() == 0);
}

TEST_CASE("delivery: properties come through unchanged and in order; 3.1.1 gets none", "[lane]") {
  lane_world w;
  auto& c1 = w.connect("C1");
  auto& c2 = w.connect("C2", {.edge = 1});
  auto& old = w.connect("old", {.v = v311, .edge = 1});
  const std::string a = property_list().user("k", "1").byte(property::payload_format_indicator, 1).bytes();
  const std::string b = property_list().text(property::content_type, "text/plain").user("k", "2").bytes();
  const std::string c = property_list()
                            .text(property::response_topic, "@/C1/answers")
                            .text(property::correlation_data, std::string("\0\xff\r\n\x01", 5))
                            .user("", "")
                            .user("a", "\xc3\xa9")
                            .bytes();
  const std::string hop = alias(3);
  for (unsigned qos : {0u, 1u}) {
    c1.publish("@/C2", "text", qos, a + hop + b + expiry(100) + c);
    const auto m = c2.next_publish();
    REQUIRE(m.properties == a + b + c);
    REQUIRE(m.expiry == 100);
    REQUIRE(m.payload == "text");
    c1.publish("@/old", "text", qos, a + b + expiry(100) + c);
    REQUIRE(old.next_publish().payload == "text");
    c1.publish("@/C2", "none", qos);
    REQUIRE(c2.next_publish().properties.empty());
  }
  old.publish("@/C2", "from 3.1.1");
  const auto m = c2.next_publish();
  REQUIRE(m.properties.empty());
  REQUIRE_FALSE(m.expiry);
}

TEST_CASE("delivery: CAT-27 every byte of id, channel, payload and user property comes out as it went in",
          "[lane]") {
  lane_world w;
  std::string all;
  for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
  auto& c1 = w.connect("a\"b'\\ {}$%&\xc3\xbf");
  auto& c2 = w.connect("C2", {.edge = 1});
  const std::string channel = "\x01\r\n\t\"\x7f\xc2\x80/..//";
  const std::string properties =
      property_list().text(property::correlation_data, all).user("\r\n", "\x01\x02").bytes();
  c1.publish("@/C2/" + channel, all, 1, properties);
  const auto m = c2.next_publish();
  REQUIRE(m.topic == "@/a\"b'\\ {}$%&\xc3\xbf/" + channel);
  REQUIRE(m.payload == all);
  REQUIRE(m.properties == properties);
}

TEST_CASE("delivery: message expiry counts down, and what has expired is not delivered", "[lane]") {
  lane_world w;
  auto& c1 = w.connect("C1");
  auto& c2 = w.connect("C2", {.edge = 1, .properties = receive_maximum(1)});
  c1.publish("@/C2", "first");
  c1.publish("@/C2", "long", 1, expiry(60));
  c1.publish("@/C2", "short", 1, expiry(5));
  c1.publish("@/C2", "for ever");
  w.advance(20s);
  for (const char* expected : {"first", "long", "for ever"}) {
    const auto m = c2.next_publish();
    REQUIRE(m.payload == expected);
    if (m.payload == "long") REQUIRE((m.expiry >= 39u && m.expiry <= 41u));
    else REQUIRE_FALSE(m.expiry);
    c2.puback(m.id);
  }
  REQUIRE(c2.nothing());
  REQUIRE(drops(w, drop_reason::expired, 1) == 1);
}

TEST_CASE("delivery: what expires waits where it still can, not in the output of a client that does not read",
          "[lane]") {
  lane_world w;
  auto& c1 = w.connect("C1");
  auto& c2 = w.connect("C2", {.edge = 1});
  c2.stall();
  for (int i = 0; i < 100; ++i) c1.publish("@/C2", std::string(1'000, 'x'), 1, expiry(5));
  for (int i = 0; i < 100; ++i) REQUIRE(c1.next_puback().reason == 0);
  REQUIRE(c2.connection().out.size() < 18'000);
  w.advance(7s);
  const auto late = drops(w, drop_reason::expired, 1);
  REQUIRE(late > 80);
  REQUIRE(w.lane(1).counters.pending.get() == 0);
  c1.publish("@/C2", "for ever", 1);
  c2.resume();
  for (std::size_t i = late; i < 100; ++i) c2.puback(c2.next_publish().id);
  REQUIRE(c2.next_publish().payload == "for ever");
  REQUIRE(c2.nothing());
}

TEST_CASE("delivery: the recipient is told the seconds that are left to the nearest one, and never 0",
          "[lane]") {
  lane_world w;
  auto& c1 = w.connect("C1");
  auto& c2 = w.connect("C2", {.edge = 1});
  const auto told = [&](const char* deadline_ms) {
    c1.publish("@/C2", {}, 1, property_list().user("deadline-ms", deadline_ms).bytes());
    REQUIRE(c1.next_puback().reason == 0);
    return c2.next_publish().expiry;
  };
  REQUIRE(told("60200") == 60u); // of servers whose clocks differ by as much, too
  REQUIRE(told("60700") == 61u);
  REQUIRE(told("200") == 1u);
}

TEST_CASE("delivery: a message expiry above 24 days comes as it was sent, no queue lasts it out", "[lane]") {
  lane_world w;
  auto& c1 = w.connect("C1");
  auto& c2 = w.connect("C2", {.edge = 1});
  for (const std::uint32_t seconds : {0xffff'ffffu, 2'147'484u}) {
    c1.publish("@/C2", {}, 1, expiry(seconds));
    REQUIRE(c2.next_publish().properties == expiry(seconds));
  }
  c1.publish("@/C2", {}, 1, expiry(2'147'483));
  REQUIRE(c2.next_publish().expiry == 2'147'483u);
}

TEST_CASE("delivery: what expires while its shard is away is answered so", "[lane]") {
  lane_world w;
  auto& c1 = w.connect("C1");
  auto& c2 = w.connect("C2", {.edge = 1});
  w.router_down();
  c1.publish("@/C2", "too late", 1, expiry(2));
  c1.publish("@/C2", "in time", 1, expiry(60));
  w.advance(5s);
  w.router_up();
  w.advance(5s);
  const auto late = c1.next_puback();
  REQUIRE(late.reason == 0x83);
  REQUIRE(late.text.find("expired") != std::string::npos);
  REQUIRE(c1.next_puback().reason == 0);
  const auto m = c2.next_publish();
  REQUIRE(m.payload == "in time");
  REQUIRE((m.expiry >= 45u && m.expiry <= 56u));
  REQUIRE(c2.nothing());
}

TEST_CASE("delivery: a client's Maximum Packet Size is respected", "[lane]") {
  lane_world w;
  auto& c1 = w.connect("C1");
  auto& c2 = w.connect("C2", {.edge = 1, .properties = packet_max(200)});
  const std::string fits(200 - 2 - 1 - 2 - 4 - 2 - 1, 'x'); // header, topic "@/C1", packet id, no properties
  c1.publish("@/C2", fits);
  REQUIRE(c1.next_puback().reason == 0);
  REQUIRE(c2.next_publish().payload == fits);
  c1.publish("@/C2", fits + "x");
  const auto a = c1.next_puback();
  REQUIRE(a.reason == 0x83);
  REQUIRE(a.text.find("limit") != std::string::npos);
  c1.publish("@/C2", fits + "xxx", 0);
  REQUIRE(c2.nothing());
  REQUIRE_FALSE(c2.closed());
  REQUIRE(drops(w, drop_reason::too_large_for_recipient, 1) == 2);
  c2.send(std::string("\x20\x00", 2)); // even the last word fits
  REQUIRE(c2.closed_with(0x82));
}

TEST_CASE("delivery: a packet of 1 MiB goes through, one byte more is 0x95", "[lane]") {
  lane_world w;
  auto& c1 = w.connect("C1");
  auto& c2 = w.connect("C2", {.edge = 1});
  const std::size_t head = 1 + 3 + 2 + 4 + 2 + 1;
  const std::string payload(limits::packet_bytes_max - head, 'x');
  c1.publish("@/C2", payload);
  REQUIRE(c1.next_puback().reason == 0);
  REQUIRE(c2.next_publish().payload == payload);
  c1.publish("@/C2", payload + "x");
  REQUIRE(c1.closed_with(0x95));
  REQUIRE(c2.nothing());
  // The longest names on top of it still fit one frame.
  auto& longest = w.connect(std::string(128, 's'));
  const std::string topic = "@/C2/" + std::string(1'019, 'c');
  longest.publish(topic, "alias", 1, alias(1));
  c2.next_publish();
  longest.next_puback();
  longest.publish("", std::string(limits::packet_bytes_max - 1 - 3 - 2 - 2 - 4, 'y'), 1, alias(1));
  REQUIRE(longest.next_puback().reason == 0);
  REQUIRE(c2.next_publish().topic == "@/" + std::string(128, 's') + "/" + std::string(1'019, 'c'));
}

TEST_CASE("delivery: a session's end drops what waits for it, counted; nothing is kept for the next",
          "[lane]") {
  lane_world w;
  auto& c1 = w.connect("C1");
  auto& c2 = w.connect("C2", {.edge = 1, .properties = receive_maximum(1)});
  for (int i = 0; i < 5; ++i) c1.publish("@/C2", "x");
  c2.hang_up();
  REQUIRE(drops(w, drop_reason::recipient_gone, 1) == 4);
  REQUIRE(w.lane(1).counters.deliveries_unacknowledged.get() == 1); // it was sent, and perhaps received
  REQUIRE(w.lane(1).counters.pending.get() == 0);
  auto& again = w.connect("C2", {.edge = 1});
  REQUIRE(again.nothing());
  auto& taken = w.connect("C2", {.edge = 1});
  REQUIRE(again.closed_with(0x8e));
  c1.publish("@/C2", "y");
  REQUIRE(taken.next_publish().payload == "y");
}

TEST_CASE("delivery: order from many senders to one slow recipient holds for each sender", "[lane]") {
  lane_world w({.edges = 3, .lanes = 2});
  std::vector<mqtt_client*> senders;
  for (int i = 0; i < 6; ++i)
    senders.push_back(&w.connect(numbered("S", i), {.edge = static_cast<std::size_t>(i % 3)}));
  auto& sink = w.connect("sink", {.edge = 1, .properties = receive_maximum(5)});
  for (int n = 0; n < 100; ++n)
    for (auto* s : senders) s->publish("@/sink", std::to_string(n));
  std::map<std::string, int> next;
  for (int n = 0; n < 600; ++n) {
    const auto m = sink.next_publish();
    REQUIRE(m.payload == std::to_string(next[m.topic]++));
    sink.puback(m.id);
  }
  REQUIRE(sink.nothing());
  for (auto* s : senders)
    for (int n = 0; n < 100; ++n) REQUIRE(s->next_puback().reason == 0);
}
