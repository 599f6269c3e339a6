// CONNECT and what is announced; who may have an id; the ways in which a session ends.
#include "tests/support/lane_test.hpp"

#include <catch2/catch.hpp>

using namespace beeline;
using namespace beeline::test;

TEST_CASE("connect: 3.1.1 and 5 come in on one port", "[lane]") {
  lane_world w;
  auto& a = w.open(v311);
  a.connect({.client_id = "A"});
  const auto ca = a.next_connack();
  REQUIRE(ca.code == 0);
  REQUIRE_FALSE(ca.session_present);
  auto& b = w.open(v5);
  b.connect({.client_id = "B"});
  const auto cb = b.next_connack();
  REQUIRE(cb.code == 0);
  REQUIRE_FALSE(cb.session_present);
  REQUIRE(w.lane(0).counters.sessions.get() == 2);
  REQUIRE(w.shard().where("A", w.now()).online);
  REQUIRE(w.shard().where("B", w.now()).online);
}

TEST_CASE("connect: CONNACK announces what is not offered and what is limited", "[lane]") {
  lane_world w;
  auto& c = w.open(v5);
  c.connect({.client_id = "C", .properties = session_expiry(3600)});
  const auto a = c.next_connack();
  REQUIRE(a.code == 0);
  REQUIRE(a.assigned_id.empty());
  REQUIRE(a.properties.session_expiry == 0u); // a session ends with its connection
  REQUIRE(a.properties.receive_maximum == limits::inflight_messages_max);
  REQUIRE(a.properties.maximum_qos == 1);
  REQUIRE(a.properties.retain_available == false);
  REQUIRE(a.properties.maximum_packet_size == limits::packet_bytes_max);
  REQUIRE(a.properties.topic_alias_maximum == limits::topic_alias_max);
  REQUIRE(a.properties.subscription_identifier_available == false);
  REQUIRE(a.properties.shared_subscription_available == false);
  REQUIRE_FALSE(a.properties.server_keep_alive); // 60 s are fine as they are
}

TEST_CASE("connect: an empty id is assigned, and the client can be reached by it", "[lane]") {
  lane_world w;
  auto& c = w.open(v5);
  c.connect({});
  const auto a = c.next_connack();
  REQUIRE(a.code == 0);
  REQUIRE(a.assigned_id.size() > 10);
  auto& b = w.connect("B", {.edge = 1});
  b.publish("@/" + a.assigned_id, "hi");
  REQUIRE(c.next_publish().payload == "hi");
  REQUIRE(b.next_puback().reason == 0);

  auto& d = w.open(v5);
  d.connect({.clean_start = false});
  REQUIRE(d.next_connack().assigned_id != a.assigned_id);
  auto& e = w.open(v311);
  e.connect({.clean_start = true});
  REQUIRE(e.next_connack().code == 0);
  auto& f = w.open(v311);
  f.connect({.clean_start = false}); // 3.1.1 cannot be told its id
  REQUIRE(f.next_connack().code == 2);
  REQUIRE(f.closed());
}

TEST_CASE("connect: CAT-25 ids that could mean something else are refused, all others are plain text",
          "[lane]") {
  lane_world w;
  const std::vector<std::string> bad = {"#", "+",      "a/b",   "a+",         "#x",
                                        "/", "a\x01z", "a\x7f", "a\xc2\x85z", std::string(129, 'x')};
  for (protocol_version v : {v311, v5})
    for (const std::string& id : bad) {
      auto& c = w.open(v);
      c.connect({.client_id = id});
      REQUIRE(c.next_connack().code == (v == v5 ? 0x85 : 2));
      REQUIRE(c.closed());
    }
  for (std::string_view malformed :
       {std::string_view("a\0b", 3), std::string_view("\xed\xa0\x80"), std::string_view("\xff")}) {
    auto& c = w.open(v5);
    c.connect({.client_id = std::string(malformed)});
    REQUIRE(c.next_connack().code == 0x81);
    REQUIRE(c.closed());
  }
  auto& sender = w.connect("sender", {.edge = 1});
  for (std::string id :
       {"$share", "%u", "%c", "$SYS", ".*", "a|b", "(", "..", "@", "\xc3\xa9", "a b", "-1"}) {
    auto& c = w.connect(id);
    sender.publish("@/" + id + "/x", id);
    REQUIRE(sender.next_puback().reason == 0);
    const auto m = c.next_publish();
    REQUIRE(m.topic == "@/sender/x");
    REQUIRE(m.payload == id);
    c.publish("@/sender", {}, 0);
    REQUIRE(sender.next_publish().topic == "@/" + id);
  }
  auto& longest = w.connect(std::string(128, 'x'));
  sender.publish("@/" + std::string(128, 'x'));
  REQUIRE(longest.next_publish().topic == "@/sender");
}

TEST_CASE("connect: clean start or not, there is never an earlier session", "[lane]") {
  lane_world w;
  for (bool clean : {true, false, false}) {
    auto& c = w.open(v5);
    c.connect({.client_id = "C", .clean_start = clean});
    REQUIRE_FALSE(c.next_connack().session_present);
    c.disconnect();
    REQUIRE(c.closed());
  }
}

TEST_CASE("connect: keep-alive is enforced at 1.5 times, in both versions", "[lane]") {
  for (protocol_version v : {v311, v5}) {
    lane_world w;
    auto& c = w.connect("C", {.v = v, .keep_alive = 10});
    w.advance(9s);
    c.ping();
    c.next_pingresp();
    w.advance(14s);
    REQUIRE_FALSE(c.closed());
    w.advance(3s);
    if (v == v5) REQUIRE(c.closed_with(0x8d));
    REQUIRE(c.closed());
    REQUIRE(c.nothing());
    REQUIRE(closes(w, close_reason::keep_alive_timeout) == 1);
    REQUIRE_FALSE(w.shard().where("C", w.now()).online);
  }
}

TEST_CASE("connect: the time in which the server stood still is not held against clients", "[lane]") {
  lane_world w;
  auto& c = w.connect("C", {.keep_alive = 10});
  auto& silent = w.open();
  silent.send(encode_connect({.client_id = "S"}).substr(0, 5)); // it has 5 s for its whole CONNECT
  w.advance(3s);
  w.stand_still(20s); // what both have sent meanwhile waits in sockets that are not read yet
  w.advance(3s);
  REQUIRE_FALSE(c.closed());
  REQUIRE_FALSE(silent.closed());
  c.ping();
  c.next_pingresp();
  w.advance(3s);
  REQUIRE(silent.closed());
  w.advance(13s); // and from then on as ever
  REQUIRE(c.closed_with(0x8d));
}

TEST_CASE("connect: any byte counts for the keep-alive", "[lane]") {
  lane_world w;
  auto& c = w.connect("C", {.keep_alive = 10});
  const std::string packet = encode_publish({.topic = "@/C", .payload = "whole"});
  for (std::size_t i = 0; i < packet.size(); ++i) {
    REQUIRE_FALSE(c.closed());
    c.send(packet.substr(i, 1));
    w.advance(14s);
  }
  REQUIRE(c.next_publish().payload == "whole");
}

TEST_CASE("connect: a keep-alive that is too long or none is replaced, and the client told", "[lane]") {
  lane_world w({.lane = [](edge::lane_config& c) { c.keep_alive_max = 20s; }});
  for (std::uint16_t asked : {0, 21, 65'535}) {
    auto& c = w.open(v5);
    c.connect({.client_id = "C", .keep_alive = asked});
    REQUIRE(c.next_connack().properties.server_keep_alive == 20);
    w.advance(29s);
    REQUIRE_FALSE(c.closed());
    w.advance(3s);
    REQUIRE(c.closed_with(0x8d));
  }
  // 3.1.1 cannot be told: 0 is off, as its specification says, and a long one is as long as asked.
  auto& none = w.connect("N", {.v = v311, .keep_alive = 0});
  auto& longer = w.connect("L", {.v = v311, .keep_alive = 100});
  w.advance(149s);
  REQUIRE_FALSE(longer.closed());
  w.advance(3s);
  REQUIRE(longer.closed());
  w.advance(3600s);
  REQUIRE_FALSE(none.closed());
}

TEST_CASE("connect: a second session of an id on the same lane takes over", "[lane]") {
  lane_world w;
  auto& old = w.connect("C");
  auto& fresh = w.connect("C");
  REQUIRE(old.closed_with(0x8e));
  REQUIRE_FALSE(fresh.closed());
  auto& b = w.connect("B", {.edge = 1});
  b.publish("@/C", "to the new one");
  REQUIRE(fresh.next_publish().payload == "to the new one");
  REQUIRE(b.next_puback().reason == 0);
  auto& third = w.connect("C", {.v = v311});
  REQUIRE(fresh.closed_with(0x8e));
  w.connect("C");
  REQUIRE(third.closed()); // 3.1.1 is just closed
  REQUIRE(third.nothing());
  REQUIRE(w.lane(0).counters.takeovers.get() == 3);
  REQUIRE(w.lane(0).counters.sessions.get() == 1);
  REQUIRE(w.lane(0).endpoint().clients() == 1);
}

TEST_CASE("connect: CAT-48 a second session of an id on another edge takes over, again and again", "[lane]") {
  lane_world w;
  auto* holder = &w.connect("C", {.edge = 0});
  auto& b = w.connect("B");
  for (std::size_t i = 1; i <= 20; ++i) {
    auto& fresh = w.connect("C", {.edge = i % 2});
    REQUIRE(holder->closed_with(0x8e));
    b.publish("@/C", std::to_string(i));
    REQUIRE(fresh.next_publish().payload == std::to_string(i));
    REQUIRE(b.next_puback().reason == 0);
    holder = &fresh;
  }
  w.advance(1s);
  REQUIRE_FALSE(holder->closed());
  REQUIRE(w.lane(0).counters.sessions.get() + w.lane(1).counters.sessions.get() == 2);
}

TEST_CASE("connect: a connection moves to the lane of its id, with the bytes behind its CONNECT", "[lane]") {
  lane_world w({.edges = 2, .lanes = 3});
  auto& sink = w.connect("sink", {.edge = 1});
  std::size_t elsewhere = 0;
  for (int i = 0; i < 30; ++i) {
    const std::string id = numbered("client-", i);
    auto& c = w.open(v5);
    connect_options o;
    o.client_id = id;
    c.send(encode_connect(o) + encode_publish({.topic = "@/sink", .payload = id, .qos = 1, .packet_id = 9}));
    REQUIRE(c.next_connack().code == 0);
    REQUIRE(c.next_puback().reason == 0);
    REQUIRE(sink.next_publish().topic == "@/" + id);
    elsewhere += w.lane(0, 1).counters.sessions.get() + w.lane(0, 2).counters.sessions.get() > 0;
    auto& twin = w.connect(id); // meets it there, whichever lane accepts
    REQUIRE(c.closed_with(0x8e));
    REQUIRE_FALSE(twin.closed());
  }
  REQUIRE(elsewhere > 20);
  REQUIRE(closes(w, close_reason::moved_lane) > 20);
  auto& empty = w.open(v5);
  empty.connect({});
  REQUIRE(empty.next_connack().code == 0); // an assigned id is one of the lane that accepted
}

TEST_CASE("connect: CONNACK comes only when the shard has registered the client", "[lane]") {
  lane_world w;
  w.stall_link(0, true); // the registration does not get out
  auto& c = w.open(v5);
  c.connect({.client_id = "C"});
  w.advance(1s);
  REQUIRE(c.nothing());
  REQUIRE_FALSE(c.is_read()); // and nothing else of it is read meanwhile
  REQUIRE_FALSE(w.shard().where("C", w.now()).online);
  w.stall_link(0, false);
  REQUIRE(c.next_connack().code == 0);
  REQUIRE(w.shard().where("C", w.now()).online);
}

TEST_CASE("connect: no shard, no CONNACK: 0x88 after a while; live sessions stay", "[lane]") {
  lane_world w;
  auto& live = w.connect("live");
  w.router_down();
  auto& c = w.open(v5);
  c.connect({.client_id = "C"});
  auto& d = w.open(v311);
  d.connect({.client_id = "D"});
  w.advance(4s);
  REQUIRE(c.nothing());
  w.advance(3s);
  REQUIRE(c.next_connack().code == 0x88);
  REQUIRE(d.next_connack().code == 3);
  REQUIRE(c.closed());
  REQUIRE(d.closed());
  REQUIRE(closes(w, close_reason::not_registered) == 2);
  REQUIRE(w.lane(0).counters.connects_refused.get() == 2);
  REQUIRE_FALSE(live.closed());
  w.router_up();
  w.advance(3s);
  REQUIRE(w.shard().where("live", w.now()).online);
  w.connect("C");
}

TEST_CASE("connect: one that waits for its registration gives way to a newer one of its id", "[lane]") {
  lane_world w;
  w.router_down();
  auto& a = w.open(v5);
  a.connect({.client_id = "C"});
  auto& b = w.open(v5);
  b.connect({.client_id = "C"});
  REQUIRE(a.next_connack().code == 0x88);
  REQUIRE(a.closed());
  w.router_up();
  w.advance(2s);
  REQUIRE(b.next_connack().code == 0);
  REQUIRE(w.lane(0).counters.sessions.get() == 1);
}

TEST_CASE("connect: what is not offered is refused with its code", "[lane]") {
  lane_world w;
  const auto refused = [&](connect_options o, protocol_version v) {
    auto& c = w.open(v);
    o.client_id = "C";
    c.connect(o);
    const unsigned code = c.next_connack().code;
    REQUIRE(c.closed());
    return code;
  };
  const std::string method = property_list().text(property::authentication_method, "SCRAM").bytes();
  REQUIRE(refused({.properties = method}, v5) == 0x8c);
  REQUIRE(refused({.will = will_options{.topic = "@/B", .payload = "bye"}}, v5) == 0x83);
  REQUIRE(refused({.will = will_options{.topic = "@/B", .retain = true}}, v5) == 0x9a);
  REQUIRE(refused({.will = will_options{.topic = "@/B", .qos = 2}}, v5) == 0x9b);
  REQUIRE(refused({.will = will_options{.topic = "@/B"}}, v311) == 3);
  REQUIRE(closes(w, close_reason::connect_refused) == 5);
  REQUIRE(w.lane(0).counters.connects_refused.get() == 5);
  REQUIRE_FALSE(w.shard().where("C", w.now()).online);
}

TEST_CASE("connect: user name and password are taken and change nothing", "[lane]") {
  lane_world w;
  auto& c = w.open(v5);
  c.connect({.client_id = "C", .user_name = "u", .password = "p"});
  REQUIRE(c.next_connack().code == 0);
}

TEST_CASE("connect: an unsupported version is answered in the form the client may know", "[lane]") {
  lane_world w;
  const auto body = [](std::string_view name, int level) {
    std::string s{'\0', static_cast<char>(name.size())};
    return s + std::string(name) + static_cast<char>(level) + std::string("\x02\0\x3c\0\1C", 6);
  };
  auto& old = w.open(v311);
  old.send(encode_packet(0x10, body("MQIsdp", 3)));
  REQUIRE(old.next_connack().code == 1);
  REQUIRE(old.closed());
  auto& future = w.open(v5);
  future.send(encode_packet(0x10, body("MQTT", 6)));
  REQUIRE(future.next_connack().code == 0x84);
  REQUIRE(future.closed());
  auto& other = w.open(v311);
  other.send(encode_packet(0x10, body("HTTP", 4)));
  REQUIRE(other.closed());
}

TEST_CASE("connect: time to CONNECT is 5 s, whatever trickles in meanwhile", "[lane]") {
  lane_world w;
  auto& silent = w.open();
  auto& trickle = w.open();
  const std::string bytes = encode_connect({.client_id = std::string(100, 'x')});
  for (int i = 0; i < 4; ++i) {
    trickle.send(bytes.substr(static_cast<std::size_t>(i), 1));
    w.advance(1s);
  }
  REQUIRE_FALSE(silent.closed());
  w.advance(2500ms);
  REQUIRE(silent.closed());
  REQUIRE(trickle.closed());
  REQUIRE(silent.nothing());
  REQUIRE(closes(w, close_reason::connect_timeout) == 2);
  REQUIRE(w.lane(0).counters.prelogin_bytes.get() == 0);
}

TEST_CASE("connect: DISCONNECT ends the session at once; 0x04 and expiry are judged", "[lane]") {
  lane_world w;
  for (reason r : {reason::success, reason::disconnect_with_will_message, reason::unspecified_error}) {
    auto& c = w.connect("C");
    c.disconnect(r);
    REQUIRE(c.nothing());
    REQUIRE(c.closed());
    REQUIRE_FALSE(w.shard().where("C", w.now()).online);
  }
  REQUIRE(closes(w, close_reason::client_disconnect) == 3);
  auto& raise = w.connect("C"); // from 0 it may not be raised
  raise.disconnect(reason::success, session_expiry(60));
  REQUIRE(raise.closed_with(0x82));
  auto& zero = w.connect("C");
  zero.disconnect(reason::success, session_expiry(0));
  REQUIRE(zero.closed());
  REQUIRE(zero.nothing());
  auto& gone = w.connect("C");
  gone.hang_up();
  REQUIRE_FALSE(w.shard().where("C", w.now()).online);
  REQUIRE(closes(w, close_reason::peer_closed) == 1);
}

TEST_CASE("connect: CAT-19 refused logins leave nothing behind", "[lane]") {
  lane_world w;
  auto& lane = w.lane(0);
  for (int i = 0; i < 2'000; ++i) {
    auto& c = w.open(i % 2 ? v5 : v311);
    c.connect({.client_id = "a/b"});
    REQUIRE(c.closed());
  }
  REQUIRE(lane.counters.connections.get() == 0);
  REQUIRE(lane.counters.connects_refused.get() == 2'000);
  REQUIRE(lane.endpoint().clients() == 0);
}

TEST_CASE("connect: an edge that shuts down says so, and its clients are gone at once", "[lane]") {
  lane_world w;
  auto& c = w.connect("C");
  auto& d = w.connect("D", {.v = v311});
  auto& early = w.open();
  auto& b = w.connect("B", {.edge = 1});
  w.lane(0).shutdown(w.now());
  w.run();
  REQUIRE(c.closed_with(0x8b));
  REQUIRE(d.closed());
  REQUIRE(early.closed());
  b.publish("@/C");
  REQUIRE(b.next_puback().reason == 0x10);
  REQUIRE(w.lane(0).counters.connections.get() == 0);
}

TEST_CASE("connect: a Maximum Packet Size below CONNACK ends the connection without a word", "[lane]") {
  lane_world w;
  auto& c = w.open();
  c.connect({.client_id = "C", .properties = packet_max(4)});
  REQUIRE(c.nothing());
  REQUIRE(c.closed());
  REQUIRE(closes(w, close_reason::packet_too_large) == 1);
}
