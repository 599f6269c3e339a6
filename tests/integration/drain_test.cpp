// Edges that are to end, under load: clients go elsewhere, and nothing is lost or comes twice (F11). Routers
// that are to end: edges hold what they have.
#include "common/base/limits.hpp"
#include "tests/support/cluster.hpp"
#include "tests/support/raw_mqtt.hpp"
#include "tests/support/sanitized.hpp"

#include <catch2/catch.hpp>
#include <memory>
#include <thread>

using namespace beeline;
using namespace beeline::test;

namespace {

// Reads until the server says DISCONNECT, or closes: the reason and the reference, or 0.
std::pair<unsigned, std::string> last_words(raw_mqtt& c) {
  for (;;) {
    const mqtt::packet p = c.next();
    if (p.type() == packet_type::reserved) return {0, {}};
    mqtt::disconnect_packet d;
    if (p.type() == packet_type::disconnect &&
        test::decode_disconnect(p, protocol_version::v5, d) == reason::success)
      return {static_cast<unsigned>(d.code), std::string(d.server_reference)};
  }
}

} // namespace

TEST_CASE("drain: POST /drain sends MQTT 5 clients where they should go, and the edge ends") {
  router_process r;
  edge_process e("e1", {r.address()},
                 {"--lanes", "2", "--server-reference", "other:1883", "--drain-reason", "server-moved"});
  REQUIRE(e.mqtt() != 0);
  raw_mqtt a(e.mqtt(), "a"), b(e.mqtt(), "b"), old(e.mqtt(), "old", protocol_version::v311);
  CHECK(nlohmann::json::parse(e.get("/drain").body)["draining"] == false);
  CHECK(http_get(e.admin(), "/drain", "POST").status == 200);
  CHECK(last_words(a) == std::pair<unsigned, std::string>{0x9d, "other:1883"});
  CHECK(last_words(b).first == 0x9d);
  CHECK(old.next().type() == packet_type::reserved); // 3.1.1 has no words for it
  CHECK(e.os().wait() == 0);
  CHECK(r.json("/edges")["edges"].empty()); // a good-bye, no lingering
}

TEST_CASE("drain: asked again it goes on as before, and waits for who has not settled") {
  two_edges t;
  raw_mqtt sender(t.e2.mqtt(), "s"), c(t.e1.mqtt(), "c");
  CHECK(sender.publish("@/c", "acknowledged late") == 0);
  for (int k = 0; k < 3; ++k) CHECK(http_get(t.e1.admin(), "/drain", "POST").status == 200);
  CHECK(t.e1.is_not_ready_because("it is to end"));
  CHECK(c.next().type() == packet_type::publish);
  std::string ack;
  append_puback(ack, 1);
  c.send(ack);
  CHECK(last_words(c).first == 0x9c); // and not 0x8B
  CHECK(t.e1.os().wait() == 0);
}

TEST_CASE("drain: a client that does not settle is waited for, and a second signal waits no longer") {
  router_process r;
  edge_process e1("e1", {r.address()}, {"--drain-patience", "60s", "--drain-time", "60s"});
  edge_process e2("e2", {r.address()});
  REQUIRE((e1.mqtt() && e2.mqtt() && r.becomes_ready()));
  raw_mqtt sender(e2.mqtt(), "s"), c(e1.mqtt(), "c");
  CHECK(sender.publish("@/c", "never acknowledged") == 0);
  e1.os().signal(SIGTERM);
  CHECK(e1.is_not_ready_because("it is to end"));
  const auto begin = std::chrono::steady_clock::now();
  std::this_thread::sleep_for(limits::signal_repeat_max);
  e1.os().signal(SIGTERM);
  CHECK(e1.os().wait() == 0);
  // Under a sanitizer the end of the process alone takes a second and more.
  CHECK(std::chrono::steady_clock::now() - begin < (fast_build ? limits::drain_patience : 20s));
  CHECK(last_words(c).first == 0x8b);
}

TEST_CASE("drain: --drain-time 0 ends at once, and --drain-time bounds the wait") {
  router_process r;
  for (const char* time : {"0s", "500ms"}) {
    edge_process e("e1", {r.address()}, {"--lanes", "1", "--drain-time", time, "--drain-rate", "1"});
    REQUIRE(e.mqtt() != 0);
    raw_mqtt a(e.mqtt(), "a"), b(e.mqtt(), "b"), c(e.mqtt(), "c");
    e.os().signal(SIGTERM);
    unsigned told[2] = {};
    for (raw_mqtt* x : {&a, &b, &c}) ++told[last_words(*x).first == 0x9c];
    CHECK(told[1] ==
          (std::string_view(time) == "0s" ? 0u : 1u)); // one a second; the others are cut off: 0x8B
    CHECK(e.os().wait() == 0);
  }
}

TEST_CASE("drain: senders lose nothing, and their recipient gets nothing twice, when its edge is drained") {
  two_edges t;
  raw_mqtt sender(t.e1.mqtt(), "s");
  auto c = std::make_unique<raw_mqtt>(t.e2.mqtt(), "c");
  std::string got;
  // Takes what comes until nothing does; acknowledges it. False: the server has closed.
  const auto take = [&](raw_mqtt& x, std::size_t messages) {
    while (messages) {
      const mqtt::packet p = x.next();
      if (p.type() == packet_type::reserved || p.type() == packet_type::disconnect) return false;
      mqtt::publish_packet m;
      REQUIRE(test::decode_publish(p, protocol_version::v5, m) == reason::success);
      got += as_text(m.payload);
      got += ' ';
      std::string ack;
      append_puback(ack, m.packet_id);
      x.send(ack);
      --messages;
    }
    return true;
  };
  std::string expected;
  for (int k = 0; k < 20; ++k) {
    REQUIRE(sender.publish("@/c", std::to_string(k)) == 0);
    expected += std::to_string(k) + " ";
  }
  t.e2.os().signal(SIGTERM); // 20 messages are promised and not read yet
  take(*c, 21);
  c = std::make_unique<raw_mqtt>(t.e1.mqtt(), "c");
  CHECK(got == expected);
  CHECK(t.e2.os().wait() == 0);
  REQUIRE(sender.publish("@/c", "here") == 0);
  CHECK(take(*c, 1));
  CHECK(got == expected + "here ");
}

TEST_CASE("drain: POST /drain at a router tells its edges, which keep their clients and what these send") {
  const arguments where{"--listen", loopback(free_ports(1)), "--admin", "127.0.0.1:0"}, one{"--shards", "1"};
  auto r = std::make_unique<router_process>(one, where);
  edge_process e("e1", {r->address()}, {"--lanes", "1"});
  REQUIRE(e.mqtt() != 0);
  raw_mqtt sender(e.mqtt(), "s"), c(e.mqtt(), "c");
  CHECK(nlohmann::json::parse(r->get("/drain").body)["draining"] == false);
  for (int k = 0; k < 3; ++k) { // asked again, it ends no sooner
    const http_answer told = http_get(r->admin(), "/drain", "POST");
    CHECK(told.status == 200);
    CHECK(nlohmann::json::parse(told.body)["draining"] == true);
  }
  CHECK(r->os().wait() == 0);
  CHECK(eventually([&] { return e.json("/stats")["totals"]["link_closes"]["link_went_away"] == 1; }));
  publish_options o;
  o.topic = "@/c", o.payload = "held", o.qos = 1, o.packet_id = 1;
  sender.send(encode_publish(o));
  CHECK(eventually([&] { return e.json("/stats")["totals"]["unanswered_messages"] == 1; }));
  r = std::make_unique<router_process>(one, where);
  mqtt::publish_packet m;
  REQUIRE(test::decode_publish(c.next(), protocol_version::v5, m) == reason::success);
  CHECK(as_text(m.payload) == "held");
  CHECK(sender.next().type() == packet_type::puback);
}
