// A cluster whose programs are replaced one by one by those of another version of the link protocol: the
// version before this one, this one, and the next (tests/versions; F11).
#include "common/wire/frame.hpp"
#include "tests/support/cli.hpp"
#include "tests/support/cluster.hpp"
#include "tests/support/raw_mqtt.hpp"

#include <atomic>
#include <catch2/catch.hpp>
#include <cstdio>
#include <memory>
#include <thread>

using namespace beeline;
using namespace beeline::test;
using namespace std::chrono_literals;

namespace {

std::string program(const std::string& name, unsigned version) {
  const std::string path = std::string(BEELINE_PROGRAMS_DIR) + "/beeline-" + name;
  return version == wire::protocol_version ? path : path + "-v" + std::to_string(version);
}

struct upgraded_cluster {
  upgraded_cluster() {
    start_router(2);
    for (std::size_t k = 0; k < 2; ++k) start_edge(k, 2);
    REQUIRE((edges[0]->mqtt() && edges[1]->mqtt() && router->becomes_ready()));
    for (std::size_t k = 0; k < 2; ++k) login(k);
  }
  void start_router(unsigned version) {
    router = std::make_unique<router_process>(
        arguments{"--shards", "2", "--warm-up", "3s"},
        arguments{"--listen", loopback(ports), "--admin", "127.0.0.1:0"}, program("router", version));
  }
  void start_edge(std::size_t k, unsigned version) {
    edges[k] = std::make_unique<edge_process>("e" + std::to_string(k), arguments{loopback(ports)},
                                              arguments{"--lanes", "2"}, program("edge", version));
  }
  void login(std::size_t k) { clients[k] = std::make_unique<raw_mqtt>(edges[k]->mqtt(), id(k)); }
  static void ends(program_process& p) {
    p.os().signal(SIGTERM);
    p.os().wait();
  }
  void replace_router(unsigned version) {
    ends(*router);
    router.reset();
    start_router(version);
  }
  void replace_edge(std::size_t k, unsigned version) {
    ends(*edges[k]);
    edges[k].reset();
    start_edge(k, version);
    REQUIRE(edges[k]->mqtt() != 0);
    login(k);
  }
  // Until each link of each edge has heard one, by their number: links say them equally often.
  void hears_heartbeats() {
    for (const auto& e : edges) {
      const auto heard = [&] {
        return e->json("/stats")["totals"]["latency"]["link_round_trip"]["count"].get<std::uint64_t>();
      };
      const std::uint64_t links = e->json("/stats")["totals"]["links"].get<std::uint64_t>(), before = heard();
      REQUIRE(eventually([&] { return heard() >= before + 2 * links; }));
    }
  }
  static std::string id(std::size_t k) { return "c" + std::to_string(k); }

  // n messages from client k to the other; false at the first that is not answered with success, or not
  // received once and in order.
  bool exchange(std::size_t k, int n, std::chrono::milliseconds gap = 0ms) {
    for (int i = 0; i < n; ++i, std::this_thread::sleep_for(gap)) {
      const std::string payload = std::to_string(++sent);
      const unsigned told = clients[k]->publish("@/" + id(1 - k), payload);
      if (told != 0) return fails(payload, "was answered " + std::to_string(told) + " " + clients[k]->said());
      const std::string got = receive(1 - k).payload;
      if (got != payload) return fails(payload, "came as '" + got + "'");
    }
    return true;
  }
  static bool fails(const std::string& payload, const std::string& how) {
    std::fprintf(stderr, "message %s %s\n", payload.c_str(), how.c_str());
    return false;
  }
  struct received {
    std::string payload;
    std::optional<std::uint32_t> expiry;
  };
  received receive(std::size_t k) {
    const mqtt::packet p = clients[k]->next();
    mqtt::publish_packet m;
    if (test::decode_publish(p, protocol_version::v5, m) != reason::success) return {};
    const received r{std::string(as_text(m.payload)), m.properties.message_expiry};
    std::string ack;
    append_puback(ack, m.packet_id);
    clients[k]->send(ack);
    return r;
  }
  // What client k is told of a message with these properties.
  std::pair<unsigned, received> says(std::size_t k, const std::string& properties) {
    publish_options o;
    const std::string topic = "@/" + id(1 - k);
    o.topic = topic, o.payload = "x", o.qos = 1, o.packet_id = 7, o.properties = properties;
    std::string bytes;
    append_publish(bytes, o);
    clients[k]->send(bytes);
    const received r = receive(1 - k);
    mqtt::ack_packet a;
    if (test::decode_ack(clients[k]->next(), protocol_version::v5, a) != reason::success) return {};
    return {static_cast<unsigned>(a.code), r};
  }

  const std::uint16_t ports = free_ports(2);
  std::unique_ptr<router_process> router;
  std::unique_ptr<edge_process> edges[2];
  std::unique_ptr<raw_mqtt> clients[2];
  std::atomic<int> sent = 0;
};

const std::string asks = property_list().user("ack", "received").bytes();

} // namespace

TEST_CASE("rolling upgrade: edges and routers of versions N-1, N and N+1 serve together, nothing is lost") {
  upgraded_cluster c;
  CHECK(c.exchange(0, 20));
  for (const unsigned version : {3u, 4u}) {
    INFO("to version " << version);
    // Edges know the shards' time to a heartbeat: of a message that is lost on its way within one from its
    // recipient's login it is not known whether an earlier owner had it (0x83).
    c.hears_heartbeats();
    // The router first: messages that are under way meanwhile are held by the edges, and sent again.
    bool held = false;
    const int before = c.sent;
    std::thread load([&] { held = c.exchange(0, 300, 3ms); });
    CHECK(eventually([&] { return c.sent > before + 20; }));
    c.replace_router(version);
    load.join();
    CHECK(held);
    REQUIRE(c.router->becomes_ready());
    for (std::size_t k = 0; k < 2; ++k) {
      c.replace_edge(k, version);
      REQUIRE(c.router->becomes_ready());
      CHECK((c.exchange(0, 20) && c.exchange(1, 20)));
      // Between an edge that is new and one that is not, in both directions.
      const bool both_know = version > 3 || k == 1;
      for (std::size_t from = 0; from < 2; ++from) {
        CHECK(c.says(from, asks).first == (both_know ? 0x00u : 0x83u));
        const auto begin = std::chrono::steady_clock::now();
        const auto [code, got] =
            c.says(from, property_list().four_bytes(property::message_expiry_interval, 60).bytes());
        const auto took =
            std::chrono::ceil<std::chrono::seconds>(std::chrono::steady_clock::now() - begin).count();
        CHECK(code == 0);
        REQUIRE(got.expiry); // less what the way took, in whole seconds
        CHECK(*got.expiry <= 60u);
        CHECK(*got.expiry + took >= 60);
      }
    }
  }
}

TEST_CASE("rolling upgrade: an older router between newer edges gives no receipts, and says so") {
  upgraded_cluster c;
  for (std::size_t k = 0; k < 2; ++k) c.replace_edge(k, 3);
  REQUIRE(c.router->becomes_ready());
  CHECK((c.exchange(0, 20) && c.exchange(1, 20)));
  CHECK(c.says(0, asks).first == 0x83);
}

TEST_CASE("rolling upgrade: while an edge is replaced those of either version lose and refuse nothing") {
  const auto ports = free_ports(2);
  router_process router(arguments{"--shards", "2"},
                        arguments{"--listen", loopback(ports), "--admin", "127.0.0.1:0"},
                        program("router", 3));
  std::unique_ptr<edge_process> edges[3];
  const auto start = [&](std::size_t k, unsigned version) {
    edges[k] = std::make_unique<edge_process>("e" + std::to_string(k), arguments{loopback(ports)},
                                              arguments{"--lanes", "2"}, program("edge", version));
    return edges[k]->mqtt() != 0;
  };
  const auto passed = [&] {
    return router.json("/stats")["totals"]["messages_in"]["qos1"].get<std::uint64_t>();
  };
  REQUIRE((start(0, 3) && start(1, 2) && start(2, 2)));
  for (std::size_t k : {1u, 2u}) {
    REQUIRE(router.becomes_ready());
    INFO("edge " << k);
    const std::string a = loopback(edges[(k + 1) % 3]->mqtt()), b = loopback(edges[(k + 2) % 3]->mqtt());
    std::atomic<bool> over = false;
    cli_result load;
    bool started = false, in_time = false;
    const std::uint64_t before = passed();
    {
      const std::jthread others([&] {
        load = cli(
            {"bench", "--edge", a, "--edge", b, "--clients", "20", "--rate", "500", "--messages", "3000"});
        over = true;
      });
      CHECK(eventually([&] { return passed() > before + 100; }));
      edges[k]->os().signal(SIGTERM);
      edges[k]->os().wait();
      edges[k].reset();
      started = start(k, 3);
      in_time = !over; // it went on meanwhile
    }
    REQUIRE(started);
    CHECK(in_time);
    INFO(load.out << load.err);
    CHECK(load.code == 0); // each delivered once, in order, and answered with success
  }
}
