// Messages between a server built on libbeeline and MQTT clients at an edge, and what becomes of them.
#include "tests/embed/embed_world.hpp"
#include "tests/support/raw_mqtt.hpp"

#include <algorithm>

using namespace beeline;
using namespace beeline::test;

namespace {
struct world {
  world() {
    REQUIRE(edge.mqtt());
    REQUIRE(game.becomes_ready());
    REQUIRE(game.meanwhile([&] { return router.becomes_ready(); })); // QoS 0 does not wait for a warm-up
  }
  boost::asio::io_context context{1};
  router_process router;
  edge_process edge{"e1", {router.address()}};
  server game{context, {router.address()}};
  std::unique_ptr<raw_mqtt> mqtt(const std::string& id) {
    return game.meanwhile([&] { return std::make_unique<raw_mqtt>(edge.mqtt(), id); });
  }
  // Connects closer together than the links' round trips may be taken in either order (docs/architecture.md).
  void later_beyond_doubt() {
    const auto begin = std::chrono::steady_clock::now();
    REQUIRE(game.until([&] { return std::chrono::steady_clock::now() - begin > longest_round_trip(); }));
  }

private:
  std::chrono::microseconds longest_round_trip() {
    std::vector<std::uint64_t> all;
    for (const auto& l : game.lane->statistics().link) all.push_back(l.round_trip_us);
    const auto stats = edge.json("/stats");
    for (const auto& l : stats["lanes"][0]["per_link"])
      all.push_back(l["round_trip_us"].get<std::uint64_t>());
    const bool measured = std::find(all.begin(), all.end(), 0u) == all.end(); // 0: no heartbeat came back yet
    return measured ? std::chrono::microseconds(*std::max_element(all.begin(), all.end())) : 1h;
  }
};
std::string text(const mqtt::packet& p) {
  mqtt::publish_packet m;
  REQUIRE(mqtt::decode_publish(p, protocol_version::v5, m, mqtt::sender::server) == mqtt::reason::success);
  return std::string(m.topic) + ": " + std::string(as_text(m.payload));
}
} // namespace

TEST_CASE("embed: a player of a game server and an MQTT client send to each other") {
  world w;
  const auto p1 = w.game.joins("p1");
  CHECK(w.game.lane->registered(p1));
  const auto c1 = w.mqtt("C1");
  CHECK(w.game.meanwhile([&] { return c1->publish("@/p1/chat", "hello"); }) == 0x00);
  REQUIRE(w.game.until([&] { return !w.game.heard.empty(); }));
  CHECK(w.game.heard.back() == "C1 -> p1/chat: hello");
  CHECK(w.game.sends(p1, "C1", "good day", "chat") == "accepted");
  CHECK(w.game.meanwhile([&] { return text(c1->next()); }) == "@/p1/chat: good day");
  const auto page = w.router.json("/clients/p1");
  CHECK(page["edge"] == "game");
  CHECK(page["lane"] == 0);
}

TEST_CASE("embed: QoS 0 goes both ways without a receipt") {
  world w;
  const auto p1 = w.game.joins("p1");
  const auto c1 = w.mqtt("C1");
  error_code ec;
  link::message m;
  m.to = "C1", m.payload = link::bytes_of("psst");
  CHECK(w.game.lane->send(p1, m, ec));
  CHECK(w.game.meanwhile([&] { return text(c1->next()); }) == "@/p1: psst");
  m.to = "p1";
  const auto p2 = w.game.joins("p2");
  std::optional<link::qos> level;
  w.game.also = [&](link::client_handle to, const link::message_view& v) {
    CHECK(to == p1);
    level = v.qos();
    return outcome::accepted;
  };
  CHECK(w.game.lane->send(p2, m, ec));
  REQUIRE(w.game.until([&] { return level.has_value(); }));
  CHECK(*level == link::qos::at_most_once);
  CHECK(w.game.lane->statistics().sent_qos0 == 2);
  CHECK(w.game.lane->statistics().accepted_qos0 == 1);
}

TEST_CASE("embed: every answer of the contract comes as a receipt") {
  world w;
  const auto p1 = w.game.joins("p1"), p2 = w.game.joins("p2");
  CHECK(w.game.sends(p1, "nobody-there", "x") == "nobody");
  for (outcome o : {outcome::full, outcome::refused, outcome::accepted}) {
    w.game.also = [&](link::client_handle, const link::message_view&) { return o; };
    CHECK(w.game.sends(p1, "p2", "x") == name_of(o));
  }
  w.game.also = [](link::client_handle, const link::message_view&) -> outcome {
    throw std::runtime_error("a bug of the game's");
  };
  CHECK(w.game.sends(p1, "p2", "x") == "refused");
  CHECK(w.game.lane->statistics().handler_failures == 1);
  CHECK(w.game.log.find("a bug of the game's") != std::string::npos);
  w.game.also = nullptr;
  const auto c1 = w.mqtt("C1");
  w.game.also = [](link::client_handle, const link::message_view&) { return outcome::full; };
  CHECK(w.game.meanwhile([&] { return c1->publish("@/p2", "x"); }) ==
        0x97); // as of an MQTT client's full queue
  w.game.lane->detach(p2);
  REQUIRE(w.game.until([&] { return w.router.json("/clients/p2")["online"] == false; }));
  CHECK(w.game.sends(p1, "p2", "x") == "nobody");
  const auto s = w.game.lane->statistics();
  CHECK(s.receipts[static_cast<std::size_t>(outcome::nobody)] == 2);
  CHECK(s.receipts[static_cast<std::size_t>(outcome::refused)] == 2);
}

TEST_CASE("embed: who asks the recipient is told what that made of it") {
  world w;
  const auto p1 = w.game.joins("p1");
  w.game.joins("p2");
  const auto c1 = w.mqtt("C1");
  const auto asks = [&](std::string_view to) {
    link::message m;
    m.to = to, m.payload = link::bytes_of("?"), m.ask_recipient = true;
    std::optional<link::receipt> r;
    w.game.lane->async_send(p1, m, [&](error_code e, link::receipt told) {
      CHECK_FALSE(e);
      r = told;
    });
    if (to == "C1") {
      mqtt::publish_packet p;
      REQUIRE(w.game.meanwhile(
          [&] { return test::decode_publish(c1->next(), protocol_version::v5, p) == reason::success; }));
      std::string ack;
      append_puback(ack, p.packet_id);
      c1->send(ack);
    }
    REQUIRE(w.game.until([&] { return r.has_value(); }));
    return *r;
  };
  for (const char* to : {"p2", "C1"}) {
    const link::receipt r = asks(to);
    CHECK(r.accepted());
    CHECK(r.by_recipient == link::recipient::acknowledged);
  }
  const link::receipt absent = asks("nobody-there");
  CHECK(absent.what == outcome::nobody);
  CHECK(absent.by_recipient == link::recipient::not_asked);
  const auto s = w.game.lane->statistics();
  CHECK(s.by_recipient[static_cast<std::size_t>(link::recipient::acknowledged)] == 2);
  CHECK(s.receipts[static_cast<std::size_t>(outcome::accepted)] == 2);
  REQUIRE(w.game.until([&] {
    const auto now = w.game.lane->statistics();
    return now.receipts_awaited == 0 && now.receipts_owed == 0;
  }));
}

TEST_CASE("embed: properties and deadlines travel both ways") {
  world w;
  const auto p1 = w.game.joins("p1");
  w.game.joins("p2");
  const std::pair<std::string_view, std::string_view> user[] = {{"k1", "v1"}, {"k1", "v2"}};
  link::message m;
  m.to = "p2", m.channel = "ask", m.payload = link::bytes_of("{}");
  m.deadline = 20s;
  m.properties.content_type = "application/json", m.properties.response_topic = "@/p1/answers";
  m.properties.correlation_data = link::bytes_of("\x01\x02");
  m.properties.is_text = true, m.properties.user = user;
  bool seen = false;
  w.game.also = [&](link::client_handle, const link::message_view& v) {
    CHECK(v.content_type() == "application/json");
    CHECK(v.response_topic() == "@/p1/answers");
    CHECK(link::text_of(v.correlation_data()) == "\x01\x02");
    CHECK(v.is_text());
    CHECK(v.qos() == link::qos::at_least_once);
    REQUIRE(v.deadline());
    CHECK(*v.deadline() <= 20s);
    CHECK(*v.deadline() > 10s);
    link::message_view::cursor c;
    std::string_view name, value;
    std::string all;
    while (v.next_user_property(c, name, value)) all += std::string(name) + "=" + std::string(value) + " ";
    CHECK(all == "k1=v1 k1=v2 ");
    seen = true;
    return outcome::accepted;
  };
  CHECK(w.game.sends(p1, m) == "accepted");
  CHECK(seen);
  m.properties = {};
  m.deadline = {};
  w.game.also = [&](link::client_handle, const link::message_view& v) {
    CHECK(v.content_type().empty());
    CHECK_FALSE(v.is_text());
    CHECK_FALSE(v.deadline());
    return outcome::accepted;
  };
  CHECK(w.game.sends(p1, m) == "accepted");
}

TEST_CASE("embed: an MQTT client that takes the id kicks the player, and the other way round") {
  world w;
  const auto p1 = w.game.joins("p1");
  w.later_beyond_doubt();
  const auto c = w.mqtt("p1");
  REQUIRE(w.game.until([&] { return !w.game.kicked.empty(); }));
  CHECK(w.game.kicked == kicks{{"p1", errc::taken_over}});
  CHECK_FALSE(w.game.lane->detach(p1)); // it is detached already
  error_code ec;
  link::message m;
  m.to = "x";
  CHECK_FALSE(w.game.lane->send(p1, m, ec));
  CHECK(ec == link::errc::not_attached);
  w.game.joins("p1");
  CHECK(w.game.meanwhile([&] { return c->next().type(); }) == mqtt::packet_type::disconnect);
  CHECK(w.game.lane->statistics().takeovers == 1);
}
