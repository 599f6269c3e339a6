// A cluster of real processes under load: every message is judged by beeline bench (once, in order for each
// pair, to whom it was meant, answered), and the router's statistics say that nobody else saw it.
#include "tests/support/cluster.hpp"
#include "tests/support/raw_mqtt.hpp"

#include <catch2/catch.hpp>
#include <fstream>
#include <memory>

using namespace beeline::test;
using nlohmann::json;

namespace {
struct load_result {
  int code = -1;
  json report;
};

// A beeline bench that runs; `finish` waits for its end.
class load_process {
public:
  load_process(std::vector<std::unique_ptr<edge_process>>& edges, const arguments& more)
      : process_(BEELINE_CLI_PROGRAM, all(edges, folder_.path() + "/report.json", more)) {}
  load_result finish() {
    load_result r;
    r.code = process_.wait(std::chrono::minutes(2)).value_or(-1);
    std::ifstream in(folder_.path() + "/report.json");
    r.report = json::parse(in, nullptr, false);
    INFO(process_.err());
    REQUIRE_FALSE(r.report.is_discarded());
    return r;
  }
  bool running() { return process_.running(); }

private:
  static arguments all(std::vector<std::unique_ptr<edge_process>>& edges, const std::string& report,
                       const arguments& more) {
    arguments a{"bench", "--report", report};
    for (auto& e : edges) a = a + arguments{"--edge", "127.0.0.1:" + std::to_string(e->mqtt())};
    return a + more;
  }
  temporary_folder folder_;
  process process_;
};

std::vector<std::unique_ptr<edge_process>> start_edges(int n, const arguments& routers) {
  std::vector<std::unique_ptr<edge_process>> edges;
  for (int k = 0; k < n; ++k)
    edges.push_back(std::make_unique<edge_process>("e" + std::to_string(k), routers));
  for (auto& e : edges) REQUIRE(e->mqtt() != 0);
  return edges;
}

const arguments thousand{"--clients", "1000", "--messages", "200000"};
} // namespace

TEST_CASE(
    "1,000 clients on 3 edges: 200,000 messages, each once, in order, accepted, one copy [P1][P2][P3]") {
  router_process router;
  auto edges = start_edges(3, {router.address()});
  REQUIRE(router.becomes_ready());
  load_process load(edges, thousand);
  const load_result r = load.finish();
  INFO(r.report.dump(2));
  CHECK(r.code == 0);
  CHECK(r.report["delivered"] == 200'000);
  CHECK(r.report["answers"] == json{{"0x00", 200'000}});
  const json stats = router.json("/stats");
  CHECK(stats["copies_per_message"] == 1.0);
  CHECK(stats["copies"]["messages"] == 200'000);
  for (auto& e : edges) CHECK(e->json("/stats")["totals"]["safety_resends"] == 0);
}

TEST_CASE("the same over two routers with half of the slots each") {
  router_process low({"--shards", "1", "--slots", "0-2047"}), high({"--shards", "2", "--slots", "2048-4095"});
  auto edges = start_edges(3, {low.address(), high.address()});
  REQUIRE(low.becomes_ready());
  REQUIRE(high.becomes_ready());
  load_process load(edges, thousand);
  const load_result r = load.finish();
  INFO(r.report.dump(2));
  CHECK(r.code == 0);
  CHECK(r.report["delivered"] == 200'000);
  std::uint64_t messages = 0;
  for (router_process* router : {&low, &high}) {
    const json stats = router->json("/stats");
    CHECK(stats["copies_per_message"] == 1.0);
    messages += stats["copies"]["messages"].get<std::uint64_t>();
    // Each is told by all lanes, of all messages, once.
    const auto told = [router] {
      return router->json("/stats")["totals"]["latency"]["publish_to_answer"]["count"].get<int>();
    };
    CHECK(eventually([&] { return told() >= 200'000; }));
    CHECK(told() == 200'000);
  }
  CHECK(messages == 200'000);
}

TEST_CASE("a third edge without the clients of a conversation is sent nothing") {
  router_process router;
  auto edges = start_edges(3, {router.address()});
  REQUIRE(router.becomes_ready());
  std::unique_ptr<edge_process> idle = std::move(edges.back());
  edges.pop_back();
  load_process load(edges, {"--clients", "20", "--messages", "2000", "--other-edges-only"});
  CHECK(load.finish().code == 0);
  const json totals = idle->json("/stats")["totals"];
  CHECK(totals["messages_in"] == 0);
  const json all = router.json("/edges")["edges"];
  for (const json& e : all)
    if (e["edge"] == "e2") CHECK(e["messages_out"] == 0);
}

// The router dies under load and comes back at the same place, three times: lanes register their clients
// anew, every message gets its answer, none is delivered twice, the order holds.
TEST_CASE("router killed and restarted three times under load [F1][CAT-60]") {
  const arguments place{"--listen", "127.0.0.1:" + std::to_string(free_ports(2)), "--admin", "127.0.0.1:0"};
  auto router = std::make_unique<router_process>(arguments{"--shards", "2"}, place);
  auto edges = start_edges(3, {router->address()});
  REQUIRE(router->becomes_ready());
  load_process load(edges, {"--clients", "1000", "--messages", "200000", "--rate", "20000", "--faults"});
  const auto published = [&] {
    std::uint64_t n = 0;
    for (auto& e : edges) {
      const json totals = e->json("/stats")["totals"];
      n += totals["messages_accepted"].get<std::uint64_t>();
    }
    return n;
  };
  for (std::uint64_t kill = 1; kill <= 3; ++kill) {
    REQUIRE(eventually([&] { return published() > kill * 30'000; }));
    REQUIRE(load.running());
    router->os().stop(SIGKILL);
    router = std::make_unique<router_process>(arguments{"--shards", "2", "--warm-up", "6s"}, place);
    REQUIRE(router->becomes_ready());
    // Everybody is present again.
    CHECK(eventually([&] { return router->json("/stats")["totals"]["clients"] == 1000; }));
  }
  const load_result r = load.finish();
  INFO(r.report.dump(2));
  CHECK(r.code == 0);
  CHECK(r.report["published"] == 200'000);
  CHECK(r.report["unanswered"] == 0);
  CHECK(r.report["duplicates"] == 0);
  CHECK(r.report["reordered"] == 0);
  CHECK(r.report["disconnects"] == 0);
}
