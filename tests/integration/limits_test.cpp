// Limits of the router, hit from outside: what happens to who hits them, and to everybody else.
#include "tests/support/cluster.hpp"
#include "tests/support/raw_mqtt.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <catch2/catch.hpp>

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
  CHECK(second.publish("@/C1", "still here") == 0);
  first.reset();
  CHECK(eventually([&] { return login(e.mqtt(), "C3") == "in"; }));
}
