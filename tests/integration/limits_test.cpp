// Limits of the router, hit from outside: what happens to who hits them, and to everybody else.
#include "tests/support/cli.hpp"
#include "tests/support/cluster.hpp"
#include "tests/support/raw_mqtt.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <catch2/catch.hpp>

using namespace beeline;
using namespace beeline::test;

namespace {

namespace asio = boost::asio;

// Connections that say nothing and stay.
class idle_connections {
public:
  idle_connections(std::uint16_t port, std::size_t count) {
    for (std::size_t k = 0; k < count; ++k)
      all_.emplace_back(io_).connect({asio::ip::address_v4::loopback(), port});
  }

private:
  asio::io_context io_;
  std::vector<asio::ip::tcp::socket> all_;
};

std::string login(std::uint16_t port, const std::string& id) {
  try {
    raw_mqtt c(port, id);
    return "in";
  } catch (const std::runtime_error& e) {
    return e.what();
  }
}

} // namespace

TEST_CASE("--handshakes-max: connections that say nothing do not keep an edge from getting in") {
  router_process r({"--shards", "1", "--links-max", "2", "--handshakes-max", "16"});
  const idle_connections idle(r.port(), 200);
  edge_process e("e1", {r.address()}, {"--lanes", "2"});
  REQUIRE(e.mqtt() != 0);
  CHECK(e.becomes_ready());
  const auto shard = r.json("/stats")["totals"];
  CHECK(shard["links"] == 2);
  CHECK(shard["handshakes_displaced"] >= 200 - 16);
  CHECK(shard["link_closes"]["connection_limit"] == shard["handshakes_displaced"]);
  CHECK(eventually([&] { return r.json("/stats")["totals"]["handshakes_open"] == 0; })); // their time is over

  edge_process third("e2", {r.address()}, {"--lanes", "1"});
  CHECK(third.is_not_ready_because("as many links as it may"));
}

TEST_CASE(
    "--clients-max: one more is told 0x97 and counted, the others stay, and a place that is free serves") {
  router_process r({"--shards", "1", "--clients-max", "2"});
  edge_process e("e1", {r.address()}, {"--lanes", "1"});
  REQUIRE(e.mqtt() != 0);
  auto first = std::make_unique<raw_mqtt>(e.mqtt(), "C1");
  raw_mqtt second(e.mqtt(), "C2");
  CHECK(login(e.mqtt(), "C3") == "CONNACK with code 151");
  CHECK(r.json("/stats")["totals"]["claims_refused"] == 1);
  CHECK(e.json("/stats")["totals"]["registrations_refused"] == 1);
  CHECK(e.json("/drops")["drops"][0]["reason"] == "registration_refused");
  CHECK(cli({"listen", "--id", "C3", "--edge", loopback(e.mqtt())}).complains("its router is full (0x97)"));
  CHECK(second.publish("@/C1", "still here") == 0);
  first.reset();
  CHECK(eventually([&] { return login(e.mqtt(), "C3") == "in"; }));
}

TEST_CASE("--clients-max: who is connected is told 0x97 by DISCONNECT when the router comes back smaller") {
  const arguments where{"--listen", "127.0.0.1:" + std::to_string(free_ports(1)), "--admin", "127.0.0.1:0"};
  std::optional<router_process> r(std::in_place, arguments{"--shards", "1"}, where);
  edge_process e("e1", {r->address()}, {"--lanes", "1"});
  REQUIRE(e.mqtt() != 0);
  raw_mqtt clients[] = {{e.mqtt(), "C1"}, {e.mqtt(), "C2"}};
  r->os().signal(SIGKILL);
  r->os().wait();
  r.emplace(arguments{"--shards", "1", "--clients-max", "1"}, where);
  REQUIRE(eventually([&] { return e.json("/stats")["totals"]["clients"] == 1; }));
  const bool c1_stays = r->json("/clients/C1")["online"] == true;
  raw_mqtt& refused = clients[c1_stays];
  mqtt::disconnect_packet p;
  REQUIRE(mqtt::decode_disconnect(refused.next(), v5, p, mqtt::sender::server) == mqtt::reason::success);
  CHECK(p.code == mqtt::reason::quota_exceeded);
  CHECK(p.reason_string == "the router has as many clients as it may");
  const auto edge = e.json("/stats")["totals"];
  CHECK(edge["client_closes"]["registration_refused"] == 1);
  CHECK(edge["registrations_refused"] == 1);
  CHECK(edge["takeovers"] == 0);
  const auto drop = e.json("/drops")["drops"][0];
  CHECK(drop["reason"] == "registration_refused");
  CHECK(drop["from"] == (c1_stays ? "C2" : "C1"));
  const std::string stays = c1_stays ? "C1" : "C2";
  CHECK(eventually([&] { return clients[!c1_stays].publish("@/" + stays, "still here") == 0; }));
}
