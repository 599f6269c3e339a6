// Who is let in: connections in all, from one address, in a second; what a stranger costs before its login;
// and that the descriptors which links and the admin server need are never a client's.
#include "common/base/limits.hpp"
#include "tests/support/cluster.hpp"
#include "tests/support/herd.hpp"
#include "tests/support/proc_stats.hpp"
#include "tests/support/raw_mqtt.hpp"
#include "tests/support/sanitized.hpp"

#include <catch2/catch.hpp>
#include <cstdio>

using namespace beeline;
using namespace beeline::test;

namespace {

std::string login(std::size_t k) { return encode_connect({.client_id = "C" + std::to_string(k)}); }

std::uint64_t socket_closes(const edge_process& e, const char* why) {
  return e.json("/stats")["totals"]["socket_closes"][why].get<std::uint64_t>();
}

} // namespace

TEST_CASE("--max-connections-per-address: one more from there is closed and counted, others come in, and "
          "places come back from every lane") {
  router_process r;
  edge_process e("e1", {r.address()}, {"--lanes", "3", "--max-connections-per-address", "5"});
  REQUIRE(e.mqtt() != 0);
  herd h(e.mqtt(), 2);
  h.connect(30, login); // 15 each
  REQUIRE(h.until([&] { return h.accepted() == 10 && h.closed() == 20; }));
  CHECK(socket_closes(e, "address_limit") == 20);
  CHECK(socket_closes(e, "connection_limit") == 0);
  h.hang_up(); // they had moved to the lanes of their ids
  REQUIRE(eventually([&] { return e.json("/stats")["mqtt"]["connections"] == 0; }));
  herd again(e.mqtt(), 2);
  again.connect(10, login);
  CHECK(again.until([&] { return again.accepted() == 10; }));
  CHECK(again.closed() == 0);
}

TEST_CASE("--connect-rate: a herd is taken in at that rate, nobody is turned away, and nothing spins; CAT-64 "
          "the rate is told") {
  constexpr std::size_t clients = 1'000;
  router_process r;
  edge_process e("e1", {r.address()}, {"--lanes", "2", "--connect-rate", "400"});
  REQUIRE(e.mqtt() != 0);
  const double cpu = cpu_seconds(e.os().pid());
  const auto begin = std::chrono::steady_clock::now();
  herd h(e.mqtt());
  h.connect(clients, login);
  double told = 0, connects = 0;
  REQUIRE(h.until([&] {
    if (h.begun() && h.accepted() < clients / 2) return false;
    if (told == 0) {
      const auto rates = e.json("/stats")["totals"]["rates"]["1s"];
      told = rates["accepts"].get<double>(), connects = rates["connects"].get<double>();
    }
    return h.accepted() == clients;
  }));
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  std::printf(
      "%zu connects at 400/s: all in after %.2f s; edge said %.0f accepts/s, %.0f connects/s, used %.0f "
      "%% of a processor\n",
      clients, took.count(), told, connects, 100 * (cpu_seconds(e.os().pid()) - cpu) / took.count());
  CHECK(took.count() > (clients - 2 * 20 - 20) / 400.0); // less each lane's burst, and rounding
  CHECK(h.closed() == 0);
  CHECK(told <= 480);
  if (!sanitized) CHECK(told >= 100);
  const auto totals = e.json("/stats")["totals"];
  CHECK(totals["socket_accepts"] == clients);
  CHECK(totals["socket_accepts_held_back"] >= 10);
  CHECK(totals["loop_turns"] < 60'000);
  const std::string metrics = e.get("/metrics").body;
  for (const char* name : {"beeline_edge_socket_accepts_total", "beeline_edge_connects_total",
                           "beeline_edge_socket_accepts_held_back_total"})
    CHECK(metrics.find(name) != metrics.npos);
}

TEST_CASE("--max-connections is below the file limit, which is said, and links and admin have theirs") {
  router_process r;
  const std::size_t kept = limits::descriptors_spare + 2 * limits::descriptors_per_lane;
  const std::string script = "ulimit -n " + std::to_string(kept + 50) + "; exec \"$0\" \"$@\"";
  process small("sh", {"-c", script, BEELINE_EDGE_PROGRAM, "--mqtt", "127.0.0.1:0", "--admin", "127.0.0.1:0",
                       "--name", "small", "--lanes", "2", "--router", r.address()});
  REQUIRE(small.line_with("beeline-edge ready"));
  const auto port = port_at_end(small.line_with("listening for MQTT at ").value());
  const auto admin = port_at_end(small.line_with("admin at http://").value());
  CHECK(small.err().find("at most 50 connections, not --max-connections 100000") != std::string::npos);
  herd h(port);
  h.connect(80, login);
  CHECK(h.until([&] { return h.accepted() == 50 && h.closed() == 30; }));
  CHECK(http_get(admin, "/readyz").status == 200); // beside all these
  CHECK(nlohmann::json::parse(http_get(admin, "/stats").body)["totals"]["socket_accept_errors"] == 0);

  process none("sh", {"-c", "ulimit -n 64; exec \"$0\" \"$@\"", BEELINE_EDGE_PROGRAM, "--lanes", "2",
                      "--router", r.address(), "--mqtt", "127.0.0.1:0", "--admin", "127.0.0.1:0"});
  CHECK(none.wait() == 1);
  CHECK(none.err().find("not for clients; raise the limit") != std::string::npos);
}

TEST_CASE("a lane with very many links leaves their descriptors to them, and it is said") {
  constexpr std::size_t shards = 40, clients = 50;
  router_process r({"--shards", std::to_string(shards)});
  const std::size_t kept = limits::descriptors_spare + limits::descriptors_per_lane;
  const std::size_t more = shards - limits::lane_links_covered;
  const std::string script = "ulimit -n " + std::to_string(kept + clients) + "; exec \"$0\" \"$@\"";
  process e("sh", {"-c", script, BEELINE_EDGE_PROGRAM, "--mqtt", "127.0.0.1:0", "--admin", "127.0.0.1:0",
                   "--name", "many-links", "--lanes", "1", "--router", r.address()});
  REQUIRE(e.line_with("beeline-edge ready"));
  const auto admin = port_at_end(e.line_with("admin at http://").value());
  herd h(port_at_end(e.line_with("listening for MQTT at ").value()));
  REQUIRE(h.until([&] {
    return nlohmann::json::parse(http_get(admin, "/stats").body)["mqtt"]["connections_max"] == clients - more;
  }));
  CHECK(e.err().find("at most " + std::to_string(clients - more) + " connections from now on") !=
        std::string::npos);
  h.connect(clients, login);
  CHECK(h.until([&] { return h.accepted() == clients - more && h.closed() == more; }));
}

TEST_CASE("CAT-3: CONNECTs that trickle in take no more than the budget of all lanes together") {
  const std::size_t budget = 2 * limits::MiB, clients = sanitized ? 100 : 400;
  router_process r;
  edge_process e("e1", {r.address()},
                 {"--lanes", "2", "--max-prelogin-bytes", "2MiB", "--connect-timeout", "60s"});
  REQUIRE(e.mqtt() != 0);
  const std::size_t before = rss_bytes(e.os().pid());
  herd h(e.mqtt());
  h.connect(clients, [](std::size_t) { return std::string(1, '\x10') + encode_varint(65'531); });
  REQUIRE(h.until([&] { return h.open() == clients; }));
  std::uint64_t most = 0;
  const auto look = [&] {
    const auto held = e.json("/stats")["totals"]["prelogin_bytes"].get<std::uint64_t>();
    most = std::max(most, held);
    return held;
  };
  for (int part = 0; part < 4; ++part) { // 65,535 bytes each, in the end
    h.say([](std::size_t) { return std::string(16'382, 'x'); });
    REQUIRE(h.until([&] { return look() > budget / 2 || h.closed() > 0; }));
  }
  const auto shut = [&] { return socket_closes(e, "prelogin_limit"); };
  REQUIRE(h.until([&] { return shut() >= clients - budget / 65'000 - 2 && look() <= budget; }));
  std::printf("%zu CONNECTs of 64 KiB, one byte short: at most %llu bytes held, RSS + %.1f MiB\n", clients,
              static_cast<unsigned long long>(most),
              (double(rss_bytes(e.os().pid())) - double(before)) / double(limits::MiB));
  CHECK(most <= budget);
  if (!sanitized) CHECK(rss_bytes(e.os().pid()) < before + 3 * budget);
  raw_mqtt good(e.mqtt(), "good");
  CHECK(good.publish("@/nobody-there", "x") == 0x10);
}
