// The two programs as an operator meets them: options, exit codes, what they say, their pages.
#include "tests/support/cluster.hpp"
#include "tests/support/raw_mqtt.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <catch2/catch.hpp>
#include <fstream>

using namespace beeline::test;
using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;

namespace {

const std::string router_program = BEELINE_ROUTER_PROGRAM, edge_program = BEELINE_EDGE_PROGRAM;

struct failed_start {
  int code;
  std::string message; // the last line of stderr
};
failed_start start(const std::string& program, const arguments& a, const arguments& environment = {}) {
  process p(program, a, environment);
  const int code = p.wait().value_or(-1);
  CHECK(p.out().find("ready") == std::string::npos);
  std::string text = p.err();
  if (!text.empty() && text.back() == '\n') text.pop_back();
  return {code, text.substr(text.rfind('\n') + 1)};
}

// A port that somebody else listens on.
struct taken_port {
  boost::asio::io_context io;
  boost::asio::ip::tcp::acceptor acceptor{io, {boost::asio::ip::address_v4::loopback(), 0}};
  std::string address() const { return "127.0.0.1:" + std::to_string(acceptor.local_endpoint().port()); }
};

bool logs_in(std::uint16_t port, const std::string& id) {
  try {
    raw_mqtt c(port, id);
    return true;
  } catch (const std::runtime_error&) {
    return false;
  }
}

bool connects(std::uint16_t port) {
  boost::asio::io_context io;
  boost::asio::ip::tcp::socket s(io);
  boost::system::error_code e;
  s.connect({boost::asio::ip::address_v4::loopback(), port}, e);
  return !e;
}

} // namespace

TEST_CASE("help and version are printed on stdout with exit code 0") {
  for (const auto& program : {router_program, edge_program}) {
    process help(program, {"--help"}), version(program, {"--version"});
    CHECK(help.wait() == 0);
    CHECK_THAT(help.out(), StartsWith("Usage: beeline-") && Contains("--cluster-secret-file"));
    CHECK(version.wait() == 0);
    CHECK_THAT(version.out(), StartsWith("beeline-") && Contains("0."));
    CHECK(help.err() + version.err() == "");
  }
}

TEST_CASE("wrong options: one line that says what to do, exit code 2") {
  const auto [program, wrong, words] = GENERATE(table<std::string, arguments, std::string>({
      {router_program, {"--shard", "2"}, "did you mean '--shards'"},
      {router_program, {"--shards", "0"}, "--shards"},
      {router_program, {"--slots", "5-6", "--shards", "3"}, "fewer shards or more --slots"},
      {router_program, {"--slots", "9-5"}, "--slots"},
      {router_program, {"--listen", "127.0.0.1:65535", "--shards", "2"}, "above 65535"},
      {router_program, {"--listen", "nowhere"}, "--listen"},
      {router_program, {"--advertise", "a b"}, "--advertise"},
      {router_program, {"--warm-up", "6"}, "--warm-up"},
      {router_program, {"extra"}, "unexpected argument 'extra'"},
      {edge_program, {}, "--router is needed"},
      {edge_program, {"--router", "127.0.0.1:1,127.0.0.1:1"}, "given twice"},
      {edge_program, {"--router", "127.0.0.1:1", "--name", "two words"}, "without blanks"},
      {edge_program, {"--router", "127.0.0.1:1", "--name", "\xff"}, "bytes of UTF-8"},
      {edge_program, {"--router", "127.0.0.1:1", "--v311-refused", "maybe"}, "puback, disconnect"},
      {edge_program, {"--router", "127.0.0.1:1", "--max-packet-size", "2GiB"}, "--max-packet-size"},
      {edge_program, {"--router", "127.0.0.1:1", "--log-level", "loud"}, "debug, info, warning, error"},
  }));
  const auto f = start(program, wrong);
  INFO(f.message);
  CHECK(f.code == 2);
  CHECK_THAT(f.message, StartsWith("beeline-") && Contains(words));
}

TEST_CASE("a list of admin addresses in the environment, as the tool takes it, is told as what it is") {
  process p(edge_program, {"--router", "127.0.0.1:1"}, {"BEELINE_ADMIN=127.0.0.1:1,127.0.0.1:2"});
  CHECK(p.wait() == 2);
  CHECK_THAT(p.err(),
             Contains("BEELINE_ADMIN '127.0.0.1:1,127.0.0.1:2': one address is wanted here, not a list"));
}

TEST_CASE("options come from the environment and a file as well, unknown names are errors there too") {
  const temporary_folder folder;
  const auto file = folder.write("router.conf", "listen = 127.0.0.1:0\nshards = 3\nadmin = 127.0.0.1:0\n");
  process p(router_program, {"--config", file}, {"BEELINE_SLOTS=10-99"});
  REQUIRE(p.line_with("beeline-router ready"));
  CHECK_THAT(p.out(), Contains("shard 2 listening at 127.0.0.1:") && Contains("for slots 10-39"));
  CHECK(p.stop() == 0);
  CHECK_THAT(start(router_program, {}, {"BEELINE_SHARD=1"}).message,
             Contains("did you mean 'BEELINE_SHARDS'"));
  const auto bad = folder.write("bad.conf", "sharks = 3\n");
  const auto f = start(router_program, {"--config", bad});
  CHECK(f.code == 2);
  CHECK_THAT(f.message, Contains("bad.conf:1") && Contains("did you mean 'shards'"));
}

TEST_CASE("a port in use ends the start with exit code 1 and names the option") {
  const taken_port taken;
  const std::string address = taken.address();
  const std::tuple<std::string, arguments, std::string> starts[] = {
      {router_program, {"--listen", address, "--admin", "127.0.0.1:0", "--shards", "1"}, "--listen"},
      {router_program, {"--listen", "127.0.0.1:0", "--admin", address}, "--admin"},
      {edge_program, {"--router", "127.0.0.1:1", "--mqtt", address, "--admin", "127.0.0.1:0"}, "--mqtt"},
      {edge_program, {"--router", "127.0.0.1:1", "--mqtt", "127.0.0.1:0", "--admin", address}, "--admin"},
  };
  for (const auto& [program, wrong, option] : starts) {
    const auto f = start(program, wrong);
    INFO(f.message);
    CHECK(f.code == 1);
    CHECK_THAT(f.message, Contains("Address already in use") && Contains(option) && Contains(address));
  }
}

TEST_CASE("files that cannot be used: exit code 1, and the message names the file (CAT-21)") {
  const temporary_folder folder;
  const std::string& in = folder.path();
  const std::tuple<std::string, std::string, std::string> starts[] = {
      {"--cluster-secret-file", in + "/none", "cannot read"},
      {"--cluster-secret-file", folder.write("empty", "\n"), "openssl rand"},
      {"--cluster-secret-file", folder.write("open", "swordfish\n", 0644), "chmod o-rwx"},
      {"--config", in + "/none.conf", "cannot read"},
      {"--log-file", in, "log file"},
  };
  const std::pair<std::string, std::string> programs[] = {{router_program, "--listen"},
                                                          {edge_program, "--router"}};
  for (const auto& [option, path, words] : starts)
    for (const auto& [program, address] : programs) {
      const auto f = start(program, {address, "127.0.0.1:1", option, path});
      INFO(f.message);
      CHECK(f.code == 1);
      CHECK_THAT(f.message, Contains(path) && Contains(words) && !Contains("swordfish")); // CAT-37
    }
}

TEST_CASE("without a secret only loopback is allowed: everything else fails closed (CAT-21)") {
  for (const auto& a : {arguments{"--listen", "0.0.0.0:0", "--admin", "127.0.0.1:0"},
                        arguments{"--listen", "[::]:0", "--admin", "127.0.0.1:0"},
                        arguments{"--listen", "127.0.0.1:0", "--admin", "0.0.0.0:0"}}) {
    const auto f = start(router_program, a);
    CHECK(f.code == 2);
    CHECK_THAT(f.message, Contains("--cluster-secret-file"));
  }
  const auto f = start(edge_program, {"--router", "192.0.2.1:7400"});
  CHECK(f.code == 2);
  CHECK_THAT(f.message, Contains("--cluster-secret-file"));

  const temporary_folder folder;
  const auto secret = folder.write("secret", "swordfish\n");
  process p(router_program,
            {"--listen", "0.0.0.0:0", "--admin", "127.0.0.1:0", "--cluster-secret-file", secret});
  REQUIRE(p.line_with("beeline-router ready"));
  CHECK(p.stop() == 0);
  CHECK_THAT(p.out() + p.err(), !Contains("swordfish")); // CAT-37
}

TEST_CASE("SIGTERM and SIGINT end the programs cleanly, SIGHUP opens the log anew") {
  const temporary_folder folder;
  const auto log = folder.path() + "/router.log";
  router_process r({"--shards", "1", "--log-file", log});
  edge_process e("e1", {r.address()});
  REQUIRE(e.mqtt() != 0);
  REQUIRE(std::rename(log.c_str(), (log + ".1").c_str()) == 0);
  r.os().signal(SIGHUP);
  CHECK(eventually([&] { return std::ifstream(log).good(); }));
  CHECK(r.os().running());
  CHECK(e.os().stop(SIGINT) == 0);
  CHECK(r.json("/edges")["edges"].empty()); // it said good-bye: no lingering
  CHECK(r.os().stop(SIGTERM) == 0);
}

TEST_CASE("a signal that comes twice at once, as from coreutils' timeout, does not skip the good-bye") {
  router_process r({"--shards", "1"});
  edge_process e("e1", {r.address()});
  REQUIRE(e.mqtt() != 0);
  e.os().signal(SIGTERM);
  e.os().signal(SIGTERM);
  CHECK(e.os().wait() == 0);
  CHECK(r.json("/edges")["edges"].empty()); // no lingering
}

TEST_CASE("the router's pages") {
  router_process r({"--shards", "2", "--warm-up", "1s"});
  CHECK(r.is_not_ready_because("shard 0 is warming up"));
  edge_process e("e1", {r.address()});
  REQUIRE(e.mqtt() != 0);
  REQUIRE(r.becomes_ready());
  CHECK(r.get("/healthz").status == 200);

  const auto stats = r.json("/stats");
  CHECK(stats["program"] == "beeline-router");
  CHECK(stats["slots"] == "0-4095");
  CHECK(stats["shards"].size() == 2);
  CHECK(stats["shards"][1]["slots"] == "2048-4095");
  CHECK(stats["totals"]["links"] == 4);
  CHECK(stats["copies_per_message"].is_null());
  CHECK(stats["copies"]["messages"] == 0);
  for (const char* name : {"version", "build", "uptime_seconds", "process", "admin"})
    CHECK(stats.contains(name));
  for (const char* name : {"clients", "messages_in", "messages_out", "message_bytes_in", "answers", "drops",
                           "link_closes", "takeovers", "queue_bytes", "link_round_trip_us", "socket_writes"})
    CHECK(stats["totals"].contains(name));

  const auto metrics = r.get("/metrics").body;
  CHECK_THAT(metrics, Contains("# TYPE beeline_router_messages_in_total counter") &&
                          Contains("beeline_router_messages_in_total{shard=\"1\",qos=\"1\"} 0") &&
                          Contains("beeline_router_answers_total{shard=\"0\",kind=\"nobody\"} 0") &&
                          Contains("beeline_router_link_round_trip_seconds{shard=\"0\"}"));

  const auto edges = r.json("/edges")["edges"];
  REQUIRE(edges.size() == 1);
  CHECK(edges[0]["edge"] == "e1");
  CHECK(edges[0]["links"].size() == 4);
  CHECK(edges[0]["links"][0]["state"] == "in sync");
  CHECK(edges[0]["messages_in"] == 0);

  const auto nobody = r.get("/clients/C9");
  CHECK(nobody.status == 200);
  CHECK(nlohmann::json::parse(nobody.body)["online"] == false);
  CHECK(r.get("/clients/a%2Fb").status == 400);
  CHECK(r.get("/clients/a%00b").status == 400);
  CHECK(r.get("/clients/" + std::string(129, 'x')).status == 400);
  CHECK(r.get("/clients/" + std::string(128, 'x')).status == 200);
  CHECK(r.get("/none").status == 404);
}

TEST_CASE("/clients tells where a client is and since when, and copies per message are counted") {
  router_process r;
  edge_process e1("e1", {r.address()}), e2("e2", {r.address()});
  REQUIRE(r.becomes_ready());
  process sub("mosquitto_sub", {"-V", "mqttv5", "-i", "C2", "-t", "@/#", "-h", "127.0.0.1", "-p",
                                std::to_string(e2.mqtt()), "-v"});
  REQUIRE(eventually([&] { return r.json("/clients/C2")["online"] == true; }));
  const auto c2 = r.json("/clients/C2");
  CHECK(c2["edge"] == "e2");
  CHECK(c2["lingering"] == false);
  CHECK(c2["connected_for_seconds"].get<double>() >= 0);
  CHECK_THAT(c2["since"].get<std::string>(), StartsWith("20") && Contains("T") && Catch::EndsWith("Z"));
  CHECK(c2.contains("lane"));

  process pub("mosquitto_pub", {"-V", "mqttv5", "-i", "C1", "-q", "1", "-t", "@/C2/chat", "-m", "hi", "-h",
                                "127.0.0.1", "-p", std::to_string(e1.mqtt())});
  CHECK(pub.wait() == 0);
  CHECK(sub.line_with("@/C1/chat hi"));
  CHECK(eventually([&] { return r.json("/stats")["copies_per_message"] == 1.0; }));
  CHECK(e2.json("/stats")["totals"]["deliveries"]["qos1"] == 1);
}

TEST_CASE("the edge server's pages") {
  router_process r;
  edge_process e("e1", {r.address()});
  REQUIRE(e.mqtt() != 0);
  REQUIRE(e.becomes_ready());
  CHECK(e.get("/healthz").status == 200);
  const auto stats = e.json("/stats");
  CHECK(stats["program"] == "beeline-edge");
  CHECK(stats["name"] == "e1");
  CHECK(stats["lanes"].size() == 2);
  CHECK(stats["mqtt"]["open"] == true);
  CHECK(stats["totals"]["links_up"] == 4);
  for (const char* name :
       {"clients", "publishes", "deliveries", "outcomes", "drops", "client_closes", "takeovers",
        "queue_bytes", "safety_resends", "link_round_trip_us", "malformed_packets"})
    CHECK(stats["totals"].contains(name));
  CHECK_THAT(e.get("/metrics").body,
             Contains("beeline_edge_client_closes_total{lane=\"1\",reason=\"malformed\"} 0") &&
                 Contains("beeline_edge_mqtt_open 1"));
}

TEST_CASE("the MQTT port opens when the edge is in sync, and stays open when the router goes") {
  router_process first;
  const auto port = first.port();
  CHECK(first.os().stop() == 0);
  edge_process e("e1", {"127.0.0.1:" + std::to_string(port)});
  CHECK(e.is_not_ready_because("onnection refused"));
  CHECK_FALSE(e.os().line_with("listening for MQTT", 300ms));
  const arguments same{"--listen", "127.0.0.1:" + std::to_string(port), "--admin", "127.0.0.1:0"};
  {
    router_process r({"--shards", "1"}, same);
    REQUIRE(e.mqtt() != 0);
    CHECK(connects(e.mqtt()));
    REQUIRE(e.becomes_ready());
    r.os().signal(SIGKILL);
    CHECK(e.is_not_ready_because("not in sync with router 127.0.0.1"));
    CHECK(connects(e.mqtt()));
  }
  router_process again({"--shards", "1"}, same);
  CHECK(e.becomes_ready());
}

TEST_CASE("two routers: halves work, a gap or an overlap is told and the edge is not ready") {
  router_process low({"--shards", "1", "--slots", "0-2047"});
  const auto [slots, words] = GENERATE(table<std::string, std::string>({
      {"2048-4095", ""},
      {"3000-4095", "slots 2048-2999 served by no router"},
      {"2000-4095", "slots 2000-2047 served by both"},
  }));
  router_process high({"--shards", "2", "--slots", slots});
  edge_process e("e1", {low.address(), high.address()});
  if (words.empty()) {
    CHECK(e.mqtt() != 0);
    CHECK(e.becomes_ready());
    int served = 0;
    for (const auto* r : {&low, &high}) served += r->get("/clients/C1").status == 200;
    CHECK(served == 1);
  } else {
    INFO(e.get("/readyz").body);
    CHECK(e.is_not_ready_because(words));
    CHECK_FALSE(e.os().line_with("listening for MQTT", 300ms));
    CHECK_THAT(e.os().err(), Contains(words));
  }
}

TEST_CASE("a second edge of the same name is refused in words, and comes in when the first has gone") {
  router_process r;
  auto first = std::make_unique<edge_process>("twin", arguments{r.address()});
  REQUIRE(first->mqtt() != 0);
  edge_process second("twin", {r.address()});
  CHECK(second.is_not_ready_because("'twin' is in use"));
  CHECK_THAT(second.os().err(), Contains("give each edge its own --name"));
  CHECK(first->ready());
  CHECK(first->os().stop() == 0);
  CHECK(second.mqtt() != 0);
  CHECK(second.becomes_ready());
}

TEST_CASE("an edge with a wrong secret is refused on both sides and told so") {
  const temporary_folder folder;
  router_process r({"--shards", "1", "--cluster-secret-file", folder.write("right", "one\n")});
  edge_process wrong("e1", {r.address()}, {"--cluster-secret-file", folder.write("wrong", "two\n")});
  CHECK(wrong.is_not_ready_because("secret"));
  CHECK_FALSE(wrong.os().line_with("listening for MQTT", 300ms));
  CHECK(r.json("/stats")["totals"]["handshakes_refused"] > 0);
  CHECK(r.json("/stats")["totals"]["handshakes"] == 0);
  edge_process right("e1", {r.address()}, {"--cluster-secret-file", folder.path() + "/right"});
  CHECK(right.mqtt() != 0);
}

TEST_CASE(
    "--max-connections: one more is closed and counted, the others stay, and a place that is free serves") {
  router_process r;
  edge_process e("e1", {r.address()}, {"--lanes", "2", "--max-connections", "2"});
  REQUIRE(e.mqtt() != 0);
  auto first = std::make_unique<raw_mqtt>(e.mqtt(), "C1");
  raw_mqtt second(e.mqtt(), "C2");
  CHECK_FALSE(logs_in(e.mqtt(), "C3"));
  const auto stats = e.json("/stats");
  CHECK(stats["mqtt"]["connections"] == 2);
  CHECK(stats["mqtt"]["connections_max"] == 2);
  CHECK(stats["totals"]["clients"] == 2);
  CHECK(stats["totals"]["socket_closes"]["connection_limit"] == 1);
  CHECK(second.publish("@/C1", "still here") == 0);
  first.reset();
  CHECK(eventually([&] { return logs_in(e.mqtt(), "C3"); }));
}

TEST_CASE(
    "--advertise: edges reach the shards at the host that is told, without it at the one they dialled") {
  const auto [advertise, host] = GENERATE(table<arguments, std::string>({
      {arguments{"--advertise", "127.0.0.2"}, "127.0.0.2"},
      {arguments{}, "127.0.0.1"},
  }));
  const temporary_folder folder;
  const arguments secret{"--cluster-secret-file", folder.write("secret", "swordfish\n")};
  router_process r(advertise + arguments{"--shards", "3"} + secret,
                   {"--listen", "0.0.0.0:0", "--admin", "127.0.0.1:0"});
  edge_process e("e1", {r.address()}, arguments{"--lanes", "1"} + secret);
  REQUIRE(e.mqtt() != 0);
  REQUIRE(e.becomes_ready());
  CHECK(e.json("/stats")["totals"]["links_up"] == 3);
  for (const std::string shard : {"shard 1", "shard 2"}) { // shard 0 is the one whose address is given
    const std::string line = r.os().line_with(shard + " listening at ").value();
    const auto port = std::to_string(port_at_end(line.substr(0, line.find(" for slots"))));
    CHECK_THAT(e.os().err(), Contains("in sync with router " + host + ":" + port + " (" + shard + ")"));
  }
}
