// PUBLISH and its receipts, addresses, topic aliases, SUBSCRIBE, and what is refused with which code.
#include "tests/support/lane_test.hpp"

#include <catch2/catch.hpp>

using namespace beeline;
using namespace beeline::test;

TEST_CASE("publish: QoS 1 reaches the other edge, the receipt says success, the reply finds its way",
          "[lane]") {
  for (protocol_version v1 : {v311, v5})
    for (protocol_version v2 : {v311, v5}) {
      lane_world w({.edges = 3});
      auto& c1 = w.connect("C1", {.v = v1});
      auto& c2 = w.connect("C2", {.v = v2, .edge = 1});
      const auto id = c1.publish("@/C2/chat", "hi");
      const auto m = c2.next_publish();
      REQUIRE(m.topic == "@/C1/chat");
      REQUIRE(m.payload == "hi");
      REQUIRE(m.qos == 1);
      REQUIRE_FALSE(m.retain);
      REQUIRE_FALSE(m.dup);
      const auto a = c1.next_puback(); // at the owner; the recipient's own PUBACK is not awaited
      REQUIRE(a.id == id);
      REQUIRE(a.reason == 0);
      c2.puback(m.id);
      c2.publish(m.topic, "hello");
      const auto reply = c1.next_publish();
      REQUIRE(reply.topic == "@/C2/chat");
      REQUIRE(reply.payload == "hello");
      REQUIRE(w.lane(2).endpoint().counters.messages_in.get() == 0); // nobody else saw it
      REQUIRE(w.lane(0).counters.deliveries[1].get() + w.lane(1).counters.deliveries[1].get() == 2);
    }
}

TEST_CASE("publish: delivery comes at the published QoS, with or without a channel, also to oneself",
          "[lane]") {
  lane_world w;
  auto& c1 = w.connect("C1");
  auto& c2 = w.connect("C2", {.edge = 1});
  c1.publish("@/C2", "a", 0);
  const auto m = c2.next_publish();
  REQUIRE(m.topic == "@/C1");
  REQUIRE(m.qos == 0);
  REQUIRE(c1.nothing()); // QoS 0 has no receipt
  c1.publish("@/C2/a/b//c", "b", 0);
  REQUIRE(c2.next_publish().topic == "@/C1/a/b//c");
  c1.publish("@/C1/note", "self");
  REQUIRE(c1.next_publish().topic == "@/C1/note");
  REQUIRE(c1.next_puback().reason == 0);
}

TEST_CASE("publish: a receipt of nobody, at once", "[lane]") {
  lane_world w;
  auto& c1 = w.connect("C1");
  c1.publish("@/C2", "hi");
  REQUIRE(c1.next_puback().reason == 0x10);
  c1.publish("@/C2", "hi", 0);
  REQUIRE(c1.nothing());
  auto& old = w.connect("C3", {.v = v311});
  old.publish("@/C2", "hi");
  old.next_puback(); // settled; what was refused is counted
  REQUIRE(w.lane(0).counters.outcomes_untold.get() == 1);
  REQUIRE(outcomes(w, answer::nobody) == 2);
  REQUIRE(counter_of(w.shard().counters.drops, drop_reason::nobody) == 1);
}

TEST_CASE("publish: a receipt of full when the recipient's queue is", "[lane]") {
  lane_world w({.lane = [](edge::lane_config& c) { c.inflight_max = 2, c.pending_max = 3; }});
  auto& c1 = w.connect("C1");
  auto& c2 = w.connect("C2", {.edge = 1});
  for (int i = 0; i < 5; ++i) {
    c1.publish("@/C2", std::to_string(i));
    REQUIRE(c1.next_puback().reason == 0);
  }
  c1.publish("@/C2", "too much");
  const auto a = c1.next_puback();
  REQUIRE(a.reason == 0x97);
  REQUIRE(a.text == "the recipient's queue is full");
  REQUIRE(outcomes(w, answer::full) == 1);
  for (int i = 0; i < 5; ++i) c2.puback(c2.next_publish().id);
  REQUIRE(c2.nothing());
}

TEST_CASE("publish: reason strings only for those who want them", "[lane]") {
  lane_world w({.lane = [](edge::lane_config& c) { c.inflight_max = 1, c.pending_max = 1; }});
  auto& c1 =
      w.connect("C1", {.properties = property_list().byte(property::request_problem_information, 0).bytes()});
  w.connect("C2", {.edge = 1});
  for (unsigned expected : {0u, 0u, 0x97u}) {
    c1.publish("@/C2");
    const auto a = c1.next_puback();
    REQUIRE(a.reason == expected);
    REQUIRE(a.text.empty());
  }
}

TEST_CASE("publish: --v311-refused=disconnect ends the connection of one who cannot be told", "[lane]") {
  lane_world w({.lane = [](edge::lane_config& c) {
    c.v311_refused_disconnects = true;
    c.inflight_max = 1, c.pending_max = 1;
  }});
  auto& c1 = w.connect("C1", {.v = v311});
  auto& modern = w.connect("M");
  w.connect("C2", {.edge = 1});
  c1.publish("@/nobody"); // nobody was there: settled, not refused
  c1.next_puback();
  for (int i = 0; i < 2; ++i) {
    c1.publish("@/C2");
    c1.next_puback();
  }
  c1.publish("@/C2");
  REQUIRE(c1.nothing());
  REQUIRE(c1.closed());
  modern.publish("@/C2");
  REQUIRE(modern.next_puback().reason == 0x97);
  auto& c3 = w.connect("C3", {.v = v311});
  c3.publish("no/address");
  REQUIRE(c3.closed());
  REQUIRE(closes(w, close_reason::message_refused) == 2);
}

TEST_CASE("publish: unknown is said when the owner was lost with the message in flight", "[lane]") {
  lane_world w;
  auto& c1 = w.connect("C1");
  w.connect("C2", {.edge = 1});
  w.stall_link(1, true); // takes messages, and its answers do not come back
  c1.publish("@/C2");
  REQUIRE(c1.nothing());
  w.lane(1).shutdown(w.now());
  w.advance(15s);
  const auto a = c1.next_puback();
  REQUIRE(a.reason == 0x83);
  REQUIRE(a.text.starts_with("outcome unknown"));
}

TEST_CASE("publish: CAT-13 the edges of topics", "[lane]") {
  const std::string kib = "@/C2/" + std::string(1019, 'x');
  lane_world w;
  auto& c2 = w.connect("C2", {.edge = 1});
  // Refused with a receipt, and the connection goes on.
  const std::vector<std::string> no_address = {"$",
                                               "$SYS",
                                               "/",
                                               "//",
                                               "@",
                                               "@/",
                                               "@//x",
                                               " ",
                                               "news",
                                               "$share/a/b",
                                               "@C2",
                                               "@/\xc2\x85",
                                               kib + "x",
                                               std::string(65'535, 'x'),
                                               "@/" + std::string(129, 'x'),
                                               "@all"};
  auto& c1 = w.connect("C1");
  for (const std::string& topic : no_address) {
    CAPTURE(topic.substr(0, 40));
    c1.publish(topic, "x");
    REQUIRE(c1.next_puback().reason == 0x90);
    c1.publish(topic, "x", 0);
    REQUIRE_FALSE(c1.closed());
  }
  REQUIRE(drops(w, drop_reason::bad_topic) == 2 * no_address.size());
  c1.publish(kib, "longest");
  REQUIRE(c1.next_puback().reason == 0);
  REQUIRE(c2.next_publish().payload == "longest");
  c1.publish("@/C2/\xef\xbf\xbf", "U+FFFF is a character");
  REQUIRE(c2.next_publish().topic == "@/C1/\xef\xbf\xbf");
  REQUIRE(c1.next_puback().reason == 0);
  // Malformed: the connection is closed with the reason.
  const std::vector<std::pair<std::string, unsigned>> bad = {{"", 0x82},
                                                             {std::string("@/C2\0x", 6), 0x81},
                                                             {"@/C2/\xed\xa0\x80", 0x81},
                                                             {"@/C2/\xff", 0x81},
                                                             {"@/+", 0x90},
                                                             {"@/C2/#", 0x90}};
  for (const auto& [topic, code] : bad)
    for (unsigned qos : {0u, 1u}) {
      CAPTURE(topic, qos);
      auto& c = w.connect("bad");
      c.publish(topic, "x", qos);
      REQUIRE(c.closed_with(code));
      auto& old = w.connect("bad", {.v = v311});
      old.publish(topic, "x", qos);
      REQUIRE(old.nothing());
      REQUIRE(old.closed());
    }
  REQUIRE(w.lane(0).counters.malformed.get() == 4 * bad.size());
  REQUIRE(c2.nothing());
}

TEST_CASE("publish: topic aliases, known, unknown, 0 and above the maximum", "[lane]") {
  lane_world w;
  auto& c1 = w.connect("C1");
  auto& c2 = w.connect("C2", {.edge = 1});
  auto& c3 = w.connect("C3", {.edge = 1});
  c1.publish("@/C2/a", "1", 0, alias(1));
  c1.publish("@/C3/b", "2", 0, alias(limits::topic_alias_max));
  c1.publish("", "3", 0, alias(1));
  c1.publish("", "4", 0, alias(limits::topic_alias_max));
  c1.publish("@/C3", "5", 1, alias(1)); // told anew
  c1.publish("", "6", 1, alias(1));
  for (const char* expected : {"1", "3"}) {
    const auto m = c2.next_publish();
    REQUIRE(m.topic == "@/C1/a");
    REQUIRE(m.payload == expected);
    REQUIRE(m.properties.empty()); // an alias ends at its hop
  }
  for (const char* expected : {"2", "4", "5", "6"}) REQUIRE(c3.next_publish().payload == expected);
  c1.publish("bad/topic", "7", 1, alias(2));
  c1.publish("", "8", 1, alias(2)); // still what was said
  for (unsigned expected : {0u, 0u, 0x90u, 0x90u}) REQUIRE(c1.next_puback().reason == expected);

  const std::vector<std::pair<std::string, unsigned>> bad = {
      {alias(3), 0x82}, {alias(0), 0x94}, {alias(limits::topic_alias_max + 1u), 0x94}, {alias(65'535), 0x94}};
  for (const auto& [properties, code] : bad) {
    auto& c = w.connect("bad");
    c.publish("", "x", 1, properties);
    REQUIRE(c.closed_with(code));
  }
  auto& above = w.connect("bad");
  above.publish("@/C2", "x", 1, alias(17));
  REQUIRE(above.closed_with(0x94));
  auto& fresh = w.connect("C1"); // aliases end with the connection
  fresh.publish("", "x", 1, alias(1));
  REQUIRE(fresh.closed_with(0x82));
}

TEST_CASE("publish: QoS 2 and retain are refused as announced", "[lane]") {
  lane_world w;
  auto& c2 = w.connect("C2", {.edge = 1});
  for (protocol_version v : {v311, v5}) {
    auto& c = w.connect("C1", {.v = v});
    c.publish("@/C2", "x", 2);
    if (v == v5) REQUIRE(c.next_disconnect() == 0x9b);
    REQUIRE(c.nothing());
    REQUIRE(c.closed());
  }
  auto& retain = w.connect("C1");
  retain.send(encode_publish({.topic = "@/C2", .qos = 1, .packet_id = 1, .retain = true}));
  REQUIRE(retain.closed_with(0x9a));
  auto& old = w.connect("C1", {.v = v311}); // it was never told: settled, not kept
  old.send(encode_publish({.version = v311, .topic = "@/C2", .qos = 1, .packet_id = 1, .retain = true}));
  old.next_puback();
  REQUIRE(drops(w, drop_reason::retain) == 1);
  REQUIRE_FALSE(old.closed());
  REQUIRE(c2.nothing());
  REQUIRE(closes(w, close_reason::unsupported) == 3);
}

TEST_CASE("publish: more than the Receive Maximum without an answer is 0x93; 3.1.1 is just not read",
          "[lane]") {
  lane_world w({.lane = [](edge::lane_config& c) { c.inflight_max = 4; }});
  auto& c1 = w.open(v5);
  c1.connect({.client_id = "C1"});
  REQUIRE(c1.next_connack().properties.receive_maximum == 4);
  auto& old = w.connect("C3", {.v = v311});
  w.connect("C2", {.edge = 1});
  w.stall_link(0, true);
  for (int i = 0; i < 4; ++i) c1.publish("@/C2");
  REQUIRE_FALSE(c1.closed());
  REQUIRE(c1.is_read());
  for (int i = 0; i < 6; ++i) old.publish("@/C2");
  REQUIRE_FALSE(old.is_read());
  REQUIRE(old.unread() > 0);
  w.stall_link(0, false);
  for (int i = 0; i < 4; ++i) REQUIRE(c1.next_puback().reason == 0);
  for (int i = 0; i < 6; ++i) old.next_puback(); // nothing of it was lost
  REQUIRE(old.is_read());
  w.stall_link(0, true);
  for (int i = 0; i < 5; ++i) c1.publish("@/C2");
  REQUIRE(c1.closed_with(0x93));
  REQUIRE(closes(w, close_reason::receive_maximum_exceeded) == 1);
}

TEST_CASE("publish: a packet id that is used again before its PUBACK is another message with its own PUBACK",
          "[lane]") {
  for (protocol_version v : {v311, v5}) {
    lane_world w;
    auto& c1 = w.connect("C1", {.v = v});
    auto& c2 = w.connect("C2", {.edge = 1});
    w.stall_link(0, true);
    const std::string payloads[] = {"first", "second", "sent again"};
    for (const std::string& p : payloads)
      c1.send(encode_publish({.version = v,
                              .topic = "@/C2",
                              .payload = p,
                              .qos = 1,
                              .packet_id = 7,
                              .dup = p == payloads[2]})); // DUP is not looked at
    REQUIRE(c1.nothing());
    w.stall_link(0, false);
    for (const std::string& p : payloads) {
      REQUIRE(c2.next_publish().payload == p);
      const auto a = c1.next_puback();
      REQUIRE(a.id == 7);
      REQUIRE(a.reason == 0);
    }
    REQUIRE(c1.nothing());
    REQUIRE_FALSE(c1.closed());
    REQUIRE(w.lane(0).endpoint().outgoing.idle());
  }
}

TEST_CASE("subscribe: @/ filters are granted and change nothing, others are refused one by one", "[lane]") {
  lane_world w;
  auto& c = w.connect("C");
  c.subscribe({{"@/#", 0},
               {"@/+/chat", 1},
               {"@/X", 2},
               {"news/#", 1},
               {"#", 0},
               {"+", 0},
               {"$share/g/@/#", 1},
               {"@/#/x", 1},
               {"", 1},
               {"@/" + std::string(1023, 'x'), 1},
               {"@all", 1}});
  const auto a = c.next_suback();
  REQUIRE(a.id == 77);
  REQUIRE(a.codes == std::vector<unsigned>{0, 1, 1, 0x8f, 0x8f, 0x8f, 0x9e, 0x8f, 0x8f, 0x8f, 0x8f});
  REQUIRE(w.lane(0).counters.subscriptions_refused.get() == 8);
  auto& old = w.connect("D", {.v = v311});
  old.subscribe({{"@/#", 0}, {"@/+", 1}, {"@/x", 2}, {"news", 0}, {"$share/g/t", 1}});
  REQUIRE(old.next_suback().codes == std::vector<unsigned>{0, 1, 1, 0x80, 0x80});
  c.publish("@/D", "no copy more");
  old.next_publish();
  REQUIRE(old.nothing());
  REQUIRE(c.next_puback().reason == 0);

  c.unsubscribe({"@/#", "@/#", "news/#", "@/X"});
  REQUIRE(c.next_unsuback().codes == std::vector<unsigned>{0, 0x11, 0x11, 0});
  old.unsubscribe({"@/#", "nothing"});
  REQUIRE(old.next_unsuback().id == 78);
}

TEST_CASE("subscribe: at most 100 filters a client; one that it has costs no more", "[lane]") {
  lane_world w;
  auto& c = w.connect("C");
  for (int i = 0; i < 100; ++i) {
    c.subscribe({{numbered("@/c", i), 1}});
    REQUIRE(c.next_suback().codes == std::vector<unsigned>{1});
  }
  c.subscribe({{"@/one/more", 1}, {"@/c7", 0}});
  REQUIRE(c.next_suback().codes == std::vector<unsigned>{0x97, 0});
}

TEST_CASE("subscribe: subscription identifiers are refused as announced", "[lane]") {
  lane_world w;
  auto& c = w.connect("C");
  c.subscribe({{"@/#", 1}}, property_list().varint(property::subscription_identifier, 5).bytes());
  REQUIRE(c.closed_with(0xa1));
}

TEST_CASE("session: PING is answered, an unknown PUBACK counted, PUBREL answered with what is true",
          "[lane]") {
  lane_world w;
  for (protocol_version v : {v311, v5}) {
    auto& c = w.connect("C", {.v = v});
    c.ping();
    c.next_pingresp();
    c.puback(4711);
    c.send(encode_ack(packet_type::pubrel, 7, v));
    const auto a = c.next_pubcomp();
    REQUIRE(a.id == 7);
    REQUIRE(a.reason == (v == v5 ? 0x92 : 0));
    REQUIRE_FALSE(c.closed());
  }
  REQUIRE(w.lane(0).counters.pubacks_unknown.get() == 2);
}

TEST_CASE("publish: receipts come as outcomes arrive; one recipient that stalls holds nobody else's",
          "[lane]") {
  lane_world w({.edges = 3});
  auto& c1 = w.connect("C1");
  w.connect("far", {.edge = 1});
  w.connect("near", {.edge = 2});
  w.stall_link(1, true); // the answers of edge 2 do not come
  const auto slow = c1.publish("@/far");
  const auto quick = c1.publish("@/near");
  REQUIRE(c1.next_puback().id == quick);
  REQUIRE(c1.nothing());
  w.stall_link(1, false);
  REQUIRE(c1.next_puback().id == slow);
}
