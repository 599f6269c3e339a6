// The commands of the beeline tool that ask admin servers, against servers that answer what the test says.
#include "tests/support/cli.hpp"
#include "tests/support/fake_admin.hpp"

#include <catch2/catch.hpp>
#include <regex>
#include <sstream>

using namespace beeline;
using namespace beeline::test;
using Catch::Matchers::Contains;
using nlohmann::json;

TEST_CASE("the tool's arguments: help, mistakes and the environment") {
  CHECK(cli({"--help"}).code == 0);
  CHECK(cli({"--version"}).says("beeline 0."));
  for (const char* command :
       {"status", "top", "clients", "where", "explain", "drops", "send", "listen", "bench"}) {
    CAPTURE(command);
    CHECK(cli({"--help"}).says(command));
    const cli_result help = cli({"help", command});
    CHECK(help.code == 0);
    CHECK(help.says("Examples:\n  beeline " + std::string(command)));
    CHECK(help.says("--json"));
    CHECK(cli({command, "--help"}).out == help.out);
    const cli_result wrong = cli({command, "--jsn"});
    CHECK(wrong.code == 2);
    CHECK_THAT(wrong.err, Contains("unknown option '--jsn'; did you mean '--json'?"));
  }
  for (const std::vector<std::string>& wrong : {std::vector<std::string>{},
                                                {"stauts"},
                                                {"--wrong"},
                                                {"where"},
                                                {"where", "a", "b"},
                                                {"status", "x"},
                                                {"status", "--timeout", "0s"},
                                                {"status", "--admin", "nowhere"},
                                                {"status", "--config", "f"},
                                                {"listen"},
                                                {"send", "C2"},
                                                {"send", "C2", "x", "--file", "f"},
                                                {"send", "C/+", "x"},
                                                {"send", "C2", "x", "-3", "-5"},
                                                {"bench"},
                                                {"help", "wrong"}}) {
    CAPTURE(wrong);
    const cli_result r = cli(wrong);
    CHECK(r.code == 2);
    CHECK(r.out.empty());
    CHECK(std::count(r.err.begin(), r.err.end(), '\n') == 1);
  }
  fake_server router(router_pages());
  router.put_slots("0-4095");
  // Of the environment only BEELINE_ADMIN counts: what is meant for the servers does not stop the tool.
  CHECK(cli({"status"}, {"BEELINE_ADMIN=" + router.address(), "BEELINE_LANES=4"}).code == 0);
  CHECK(cli({"status", "--admin", router.address()}, {"BEELINE_ADMIN=127.0.0.1:1"}).code == 0);
  // As the programs print it.
  CHECK(cli({"status", "--admin", "http://" + router.address() + "/"})
            .says("  " + router.address() + "  ready"));
  CHECK(cli({"status"}, {"BEELINE_ADMIN=http://" + router.address()}).code == 0);
  CHECK(cli({"status", "--admin", "ftp://a:1"}).complains("no URL is wanted here"));
}

TEST_CASE("an option that a command does not know may be meant as text, and it says where text goes") {
  for (const std::vector<std::string>& wrong :
       {std::vector<std::string>{"send", "C2", "-x"}, {"send", "C2", "--hello"}, {"where", "-x"}}) {
    CAPTURE(wrong);
    const cli_result r = cli(wrong);
    CHECK(r.code == 2);
    CHECK(r.complains("unknown option '" + wrong.back() + "'"));
    CHECK(r.complains("a word that begins with '-' goes after --"));
  }
  CHECK_FALSE(cli({"status", "-x"}).complains("goes after --")); // it takes no words
}

TEST_CASE("status: servers, lanes and what is wrong; exit code 1 when something is not ready") {
  fake_server router(router_pages()), edge(edge_pages("e1"));
  const std::string both = router.address() + "," + edge.address();
  const cli_result good = cli({"status", "--admin", both});
  INFO(good.out);
  CHECK(good.code == 0);
  CHECK_THAT(good.out, Contains("router 0-2047  " + router.address() + "  ready"));
  CHECK_THAT(good.out, Contains("1 min 15 s"));
  // Messages a second, times to the answer, copies, refused (answers but accepted), drops.
  CHECK_THAT(good.out, Contains("123  290 us  1.5 ms  87.5 %    1.00        6      4\n"));
  CHECK_THAT(good.out, Contains("edge e1"));
  CHECK_THAT(good.out, Contains("-       -       -       -        8      -\n")); // of its outcomes
  CHECK_THAT(good.out, Contains("in sync        7       30     29  2.0 KiB       85 us\n"));
  CHECK_THAT(good.out, Contains("slots 2048-4095 are served by none of the routers asked"));
  const json j = cli({"status", "--json", "--admin", both}).json();
  CHECK(j["ready"] == true);
  CHECK(j["servers"][0]["refused"] == 6);
  CHECK(j["servers"][1]["refused"] == 8);
  CHECK(j["servers"][0]["stats"]["totals"]["clients"] == 7);
  CHECK(j["servers"][0]["edges"][0]["edge"] == "e1");
  auto pages = router_pages();
  pages["/edges"]["body"]["edges"][0]["links"][0]["round_trip_us"] = 0; // none was measured yet
  fake_server fresh(pages);
  CHECK_THAT(cli({"status", "--admin", fresh.address()}).out, Contains("30     29  2.0 KiB           -\n"));
  CHECK(cli({"status", "--admin", router.address()}).code == 1); // here nobody shows that others serve them

  router.put("/readyz", {{"ready", false}, {"why", "shard 0 is warming up"}}, 503);
  const cli_result warming = cli({"status", "--admin", both});
  CHECK(warming.code == 1);
  CHECK_THAT(warming.out, Contains("is not ready: shard 0 is warming up"));
  // Newer servers say it in /stats: the two cannot differ.
  json stats = router_pages()["/stats"]["body"];
  stats["why_not_ready"] = "shard 1 does not answer";
  router.put("/stats", stats);
  const cli_result stalled = cli({"status", "--admin", both});
  CHECK(stalled.code == 1);
  CHECK_THAT(stalled.out, Contains("is not ready: shard 1 does not answer\n"));
  CHECK(cli({"status", "--json", "--admin", both}).json()["servers"][0]["why"] == "shard 1 does not answer");
  stats["why_not_ready"] = nullptr;
  router.put("/stats", stats);
  CHECK(cli({"status", "--admin", both}).code == 0);
  const cli_result gone = cli({"status", "--admin", router.address() + ",127.0.0.1:1"});
  CHECK(gone.code == 1);
  CHECK_THAT(gone.out, Contains("127.0.0.1:1 is not reachable: "));
  router.put("/stats", "<html>");
  CHECK(cli({"status", "--admin", router.address()}).says("is not JSON"));
}

TEST_CASE("status of a server that tells little shows a dash for each number that is missing") {
  fake_server bare(
      {{"/stats", page({{"program", "beeline-edge"}, {"name", "old"}})}, {"/readyz", page(json::object())}});
  const cli_result r = cli({"status", "--admin", bare.address()});
  CHECK(r.code == 0);
  CHECK_THAT(r.out,
             Contains("ready   -  -              -           -    -    -       -       -        -      -\n"));
}

TEST_CASE("top: rates are differences of two looks, and a server started anew has none yet") {
  fake_server router(router_pages());
  process p(BEELINE_CLI_PROGRAM, {"top", "--json", "-n", "200", "-i", "100ms", "--admin", router.address()});
  const auto look_where = [&](const std::string& text) {
    const auto line = p.line_with(text);
    REQUIRE(line);
    return json::parse(*line)["servers"][0];
  };
  CHECK(look_where(R"("in_per_second":0.0)")["clients"] == 7);
  CHECK(look_where(R"("in_per_second":0.0)")["p50_us"] == 290.0);
  CHECK(look_where(R"("in_per_second":0.0)")["p99_us"] == 1500.0);
  CHECK(look_where(R"("in_per_second":0.0)")["share_within_1s"] == 0.875);
  auto pages = router_pages();
  pages["/stats"]["body"]["totals"]["messages_in"]["qos1"] = 1020;
  pages["/stats"]["body"]["totals"]["answers"] = {{"accepted", 1015}, {"nobody", 104}, {"busy", 2}};
  router.put("/stats", pages["/stats"]["body"]);
  REQUIRE(eventually([&] {
    const std::string out = p.out();
    std::istringstream lines(out.substr(0, out.rfind('\n') + 1));
    for (std::string line; std::getline(lines, line);) {
      const json now = json::parse(line)["servers"][0];
      if (now["in_per_second"] == 0.0) continue;
      // 1,000 messages came in between, of 1,100 answers 100 were no `accepted`.
      CHECK(now["in_per_second"].get<double>() ==
            Approx(10 * now["refused_per_second"].get<double>()).epsilon(0.001));
      return true;
    }
    return false;
  }));
  pages["/stats"]["body"]["started"] = "2026-01-01T00:01:00.000Z";
  pages["/stats"]["body"]["totals"]["latency"]["publish_to_answer"] = answer_times(0);
  router.put("/stats", pages["/stats"]["body"]);
  CHECK(look_where(R"("in_per_second":null)")["state"] == "ready");
  CHECK(look_where(R"("in_per_second":null)")["p99_us"].is_null()); // no messages lately
  CHECK(look_where(R"("in_per_second":null)")["share_within_1s"].is_null());
  p.stop();

  const cli_result text = cli({"top", "-n", "2", "-i", "100ms", "--admin", router.address()});
  CHECK(text.code == 0);
  CHECK(text.out.find('\x1b') == std::string::npos); // no terminal: no escapes, a block a look
  const std::regex head("(^|\n)SERVER +ADMIN");
  CHECK(std::distance(std::sregex_iterator(text.out.begin(), text.out.end(), head), std::sregex_iterator()) ==
        2);
  CHECK_THAT(text.out, Contains("  REFUSED/S  DROPS/S  "));
}

TEST_CASE("top --json tells what its text does: queues, memory, why a server is not ready, remarks") {
  auto pages = router_pages();
  json& stats = pages["/stats"]["body"];
  stats["totals"]["queue_bytes"] = 2048;
  stats["why_not_ready"] = "shard 0 is warming up";
  fake_server router(pages), edge(edge_pages("e1"));
  const json told =
      cli({"top", "--json", "-n", "1", "-i", "100ms", "--admin", router.address() + "," + edge.address()})
          .json();
  const json& r = told["servers"][0];
  CHECK(r["queue_bytes"] == 2048);
  CHECK(r["rss_bytes"] == 1048576);
  CHECK(r["why"] == "shard 0 is warming up");
  const json& e = told["servers"][1];
  CHECK(e["queue_bytes"].is_null()); // not told
  CHECK_FALSE(e.contains("why"));
  CHECK(told["remarks"] ==
        json::array({"router 0-2047 at " + router.address() + " is not ready: shard 0 is warming up",
                     "slots 2048-4095 are served by none of the routers asked"}));
}

TEST_CASE("clients: pages of all edges until the limit, routers left out") {
  fake_server router(router_pages()), e1(edge_pages("e1")), e2(edge_pages("e2"));
  e1.put("/clients", {{"clients", json::array({client_of("A"), client_of("B")})}, {"next", "t /1"}});
  e1.put("/clients?after=t /1&limit=98", {{"clients", json::array({client_of("C\x1b")})}, {"next", nullptr}});
  e2.put("/clients", {{"clients", json::array({client_of("D"), client_of("E")})}, {"next", nullptr}});
  const std::string all = router.address() + "," + e1.address() + "," + e2.address();
  const json j = cli({"clients", "--json", "--admin", all}).json();
  REQUIRE(j["clients"].size() == 5);
  CHECK(j["clients"][2]["edge"] == "e1");
  CHECK(j["clients"][4]["id"] == "E");
  CHECK(j["more"] == false);
  const cli_result text = cli({"clients", "--admin", all});
  CHECK(text.code == 0);
  CHECK_THAT(text.out, Contains("live   5.0           3.5 s          2        4  2.0 KiB"));
  CHECK_THAT(text.out, Contains("C\\x1b")); // no id reaches the terminal raw
  CHECK_THAT(text.out, Contains("\n5 clients\n"));
  CHECK(cli({"clients", "--limit", "4", "--admin", e2.address() + "," + e1.address()})
            .says("4 clients, and more"));
  const cli_result wrong = cli({"clients", "--admin", router.address()});
  CHECK(wrong.code == 2);
  CHECK_THAT(wrong.err, Contains("only edges list their clients"));
  fake_server older(edge_pages("e3"));
  const cli_result missing = cli({"clients", "--admin", older.address()});
  CHECK(missing.code == 1);
  CHECK_THAT(missing.err, Contains("an older server"));
}

TEST_CASE("where: asks on until a router serves the slot; 3 when the client is not online") {
  fake_server low(router_pages()), high(router_pages());
  low.put("/clients/a b", {{"error", "slot 3000 of this id is served by another router"}}, 404);
  const std::string both = low.address() + "," + high.address();
  json here{{"id", "a b"},
            {"online", true},
            {"edge", "e1"},
            {"lane", 2},
            {"since", "2026-01-01T00:00:00Z"},
            {"connected_for_seconds", 4}};
  for (fake_server* s : {&low, &high}) s->put("/clients/a%20b", {{"error", "served by another router"}}, 404);
  CHECK(cli({"where", "a b", "--admin", both}).code == 1);
  high.put("/clients/a%20b", here);
  const cli_result found = cli({"where", "a b", "--admin", both});
  CHECK(found.code == 0);
  CHECK(found.out == "'a b' is online at edge e1, lane 2, for 4.0 s (since 2026-01-01T00:00:00Z)\n");
  CHECK(cli({"where", "a b", "--json", "--admin", both}).json()["admin"] == high.address());
  high.put("/clients/a%20b", {{"id", "a b"}, {"online", false}});
  CHECK(cli({"where", "a b", "--admin", both}).code == 3);
  high.put("/clients/a%20b", {{"error", "a client id has 1 to 128 bytes"}}, 400);
  CHECK(cli({"where", "a b", "--admin", high.address()}).code == 2);
  CHECK(cli({"where", "a b", "--admin", "127.0.0.1:1"}).err ==
        "beeline: where: the router at 127.0.0.1:1 did not answer: Connection refused\n");
  const cli_result some = cli({"where", "a b", "--admin", "127.0.0.1:1," + low.address()});
  CHECK(some.code == 1);
  CHECK(some.complains("the server at 127.0.0.1:1 did not answer: Connection refused (" + low.address() +
                       ": served by another router)"));
}

TEST_CASE("explain: router and edges in one text, with what does not fit together") {
  fake_server router(router_pages()), e1(edge_pages("e1")), e2(edge_pages("e2"));
  const json known{{"id", "C2"},
                   {"slot", 77},
                   {"shard", 1},
                   {"online", true},
                   {"edge", "e2"},
                   {"lane", 0},
                   {"connected_for_seconds", 9},
                   {"contested", true},
                   {"drops", json::array({drop_of("2026-01-01T00:00:02Z", "C2")})}};
  const json away{{"id", "C2"}, {"here", false}, {"link_state", "in sync"}};
  const json here{{"id", "C2"},
                  {"here", true},
                  {"lane", 0},
                  {"state", "live"},
                  {"registered", true},
                  {"protocol", "3.1.1"},
                  {"window", {{"in_flight", 5}, {"max", 16}}},
                  {"queue", {{"messages", 8}, {"bytes", 4096}}},
                  {"output_bytes", 100},
                  {"unanswered_messages", 1},
                  {"link_state", "in sync"},
                  {"drops", json::array({drop_of("2026-01-01T00:00:01Z", "C2")})}};
  router.put("/explain/C2", known);
  e1.put("/explain/C2", away);
  e2.put("/explain/C2", here);
  const std::string all = router.address() + "," + e1.address() + "," + e2.address();
  const cli_result r = cli({"explain", "C2", "--admin", all});
  INFO(r.out);
  CHECK(r.code == 0);
  CHECK_THAT(r.out, Contains("Client 'C2' is online.\nIts slot is 77, served by shard 1 of the router at "));
  CHECK_THAT(r.out, Contains("online at edge e2, lane 0, for 9.0 s. Two sessions claim the id"));
  CHECK_THAT(r.out, Contains("Edge e1 at " + e1.address() + " does not have it."));
  CHECK_THAT(
      r.out,
      Contains("has it on lane 0: live, MQTT 3.1.1, 5 of at most 16 messages in flight to it, 8 waiting "
               "(4.0 KiB), 100 B that its socket has not taken, 1 of its own unanswered."));
  CHECK(r.out.find("00:00:01Z") < r.out.find("00:00:02Z"));
  CHECK_FALSE(r.says("at fault"));

  e2.put("/explain/C2", away);
  e1.put("/explain/C2", here);
  const cli_result odd = cli({"explain", "C2", "--admin", all});
  CHECK_THAT(odd.out, Contains("Edge e1 has a session of the id, but the router says edge e2."));
  CHECK_THAT(odd.out, Contains("The router says edge e2, which has no such session."));
  CHECK(cli({"explain", "C2", "--json", "--admin", all}).json()["edges"].size() == 2);

  json cut = away;
  cut["link_state"] = "idle"; // the link's name for it: there is none
  e2.put("/explain/C2", cut);
  CHECK_THAT(cli({"explain", "C2", "--admin", all}).out,
             Contains("Its link to the slot's shard is not connected, and dialled again in a moment."));

  router.put("/explain/C2", {{"id", "C2"}, {"slot", 77}, {"shard", 1}, {"online", false}});
  CHECK(cli({"explain", "C2", "--admin", router.address()}).code == 3);
  CHECK(cli({"explain", "C3", "--admin", router.address()}).code == 1); // it has neither page
}

TEST_CASE("drops: of all servers by time, and followed as they come") {
  fake_server router(router_pages()), edge(edge_pages("e1"));
  router.put("/drops", {{"recorded", 1}, {"drops", json::array({drop_of("2026-01-01T00:00:02Z", "B")})}});
  edge.put(
      "/drops",
      {{"recorded", 9},
       {"drops", json::array({drop_of("2026-01-01T00:00:03Z", "C"), drop_of("2026-01-01T00:00:01Z", "A")})}});
  const std::string both = router.address() + "," + edge.address();
  const json j = cli({"drops", "--json", "--admin", both}).json()["drops"];
  REQUIRE(j.size() == 3);
  CHECK(j[0]["to"] == "A");
  CHECK(j[1]["admin"] == router.address());
  CHECK(cli({"drops", "--admin", both}).says("2026-01-01T00:00:01Z  drop  nobody  C1 -> A, QoS 1, lane 0, "));
  CHECK(cli({"drops", "--json", "--limit", "1", "--admin", both}).json()["drops"][0]["to"] == "C");

  process p(BEELINE_CLI_PROGRAM, {"drops", "--follow", "--interval", "100ms", "--admin", both});
  REQUIRE(p.line_with("-> C"));
  router.put(
      "/drops",
      {{"recorded", 2},
       {"drops", json::array({drop_of("2026-01-01T00:00:04Z", "D"), drop_of("2026-01-01T00:00:02Z", "B")})}});
  REQUIRE(p.line_with("-> D"));
  CHECK(p.out().find("-> B") == p.out().rfind("-> B")); // what was shown is not shown again
  p.stop();
  fake_server older(edge_pages("e3"));
  CHECK(cli({"drops", "--admin", older.address()}).code == 1);
}
