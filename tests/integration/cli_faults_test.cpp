// The beeline tool when things go wrong: servers that do not answer, that are no Beeline servers, output that
// nobody takes. Whatever it is, the user gets a line and an exit code, and never a library's exception.
#include "tests/support/cli.hpp"
#include "tests/support/fake_admin.hpp"

#include <catch2/catch.hpp>
#include <deque>

using namespace beeline;
using namespace beeline::test;
using Catch::Matchers::Contains;

namespace {

using words = std::vector<std::string>;
const std::vector<words> asking = {{"status"},        {"top", "-n", "1", "-i", "100ms"},
                                   {"clients"},       {"where", "C2"},
                                   {"explain", "C2"}, {"drops"}};

cli_result ask(words command, const std::string& admin, const words& more = {"--timeout", "300ms"}) {
  command.insert(command.end(), {"--admin", admin});
  command.insert(command.end(), more.begin(), more.end());
  return cli(command);
}

void fails_in_one_line(const cli_result& r) {
  CAPTURE(r.out, r.err);
  CHECK(r.code == 1);
  CHECK_FALSE(r.says("exception"));
  CHECK_FALSE(r.complains("exception"));
  CHECK(std::count(r.err.begin(), r.err.end(), '\n') <= 1);
  CHECK_FALSE((r.out + r.err).empty());
}

cli_result shell(const std::string& line) {
  process p("sh", {"-c", line});
  return finish(p);
}
} // namespace

TEST_CASE("an answer that does not come, or comes without an end, is given up in time") {
  for (const auto mode : {endless_server::mode::never, endless_server::mode::trickle})
    for (const words& command : asking) {
      CAPTURE(int(mode), command);
      endless_server server(mode);
      const cli_result r = ask(command, server.address());
      fails_in_one_line(r);
      CHECK_THAT(r.out + r.err, Contains("no answer in time"));
    }
}

TEST_CASE("an answer that is too long is given up") {
  fake_server router(router_pages());
  router.put("/stats", std::string(70 << 20, ' '));
  const cli_result big = ask({"status"}, router.address(), {"--timeout", "20s"});
  CHECK(big.code == 1);
  CHECK_THAT(big.out, Contains("body limit exceeded"));
}

TEST_CASE("twenty servers that do not answer cost the time of one") {
  std::deque<endless_server> dead;
  std::string all;
  for (int i = 0; i < 20; ++i)
    all += (i ? "," : "") + dead.emplace_back(endless_server::mode::never).address();
  for (const words& command : asking) {
    CAPTURE(command);
    const auto begin = std::chrono::steady_clock::now();
    CHECK(ask(command, all, {"--timeout", "1s"}).code == 1);
    CHECK(std::chrono::steady_clock::now() - begin < 10s); // top looks twice
  }
}

TEST_CASE("what answers and is no Beeline server fails in a line, whatever JSON it says") {
  for (const char* body :
       {"[]", "[1]", "\"text\"", "7", "null", "true", "{}", "<html>", "", R"({"program": 7})",
        R"({"program": "other"})", R"({"id": "C2", "online": "yes"})", R"({"id": "C3", "online": true})",
        R"({"online": true})", R"({"id": "C2", "here": 1})", R"({"clients": [1, null]})", R"({"drops": 3})",
        R"({"drops": [4], "recorded": 1})", R"({"error": ["x"]})"})
    for (const int status : {200, 404, 500}) {
      CAPTURE(body, status);
      fake_server stranger({});
      for (const char* path :
           {"/stats", "/readyz", "/edges", "/clients", "/drops", "/clients/C2", "/explain/C2"})
        stranger.put(path, body, status);
      for (const words& command : asking) {
        CAPTURE(command);
        fails_in_one_line(ask(command, stranger.address(), {}));
      }
    }
  fake_server other({{"/stats", page({{"program", "other"}})}});
  CHECK(ask({"status"}, other.address()).says(other.address() + " is no Beeline server"));
}

TEST_CASE("pages of a wrong shape from what says it is a Beeline server fail in a line") {
  for (const char* body : {"[]", "{}", R"({"edges": 1})", R"({"clients": {}})", R"({"clients": ["C2"]})",
                           R"({"id": "C2", "online": 1})", R"({"id": "C2", "here": "yes"})",
                           R"({"drops": [1], "recorded": 1})", R"({"drops": [], "recorded": "x"})"}) {
    CAPTURE(body);
    fake_server router(router_pages()), edge(edge_pages("e1"));
    router.put_slots("0-4095");
    for (fake_server* s : {&router, &edge})
      for (const char* path : {"/edges", "/clients", "/drops", "/clients/C2", "/explain/C2"})
        s->put(path, body);
    for (const words& command : asking) {
      CAPTURE(command);
      if (command[0] == "top") continue; // asks for neither
      const std::string& whom = command[0] == "clients" ? edge.address() : router.address();
      fails_in_one_line(ask(command, whom, {}));
    }
  }
}

TEST_CASE("with --json a failure is JSON on standard output, beside the line for people") {
  endless_server dead(endless_server::mode::never);
  for (const words& command :
       std::vector<words>{{"where", "C2", "--admin", dead.address(), "--timeout", "50ms"},
                          {"explain", "C2", "--admin", dead.address(), "--timeout", "50ms"},
                          {"send", "C2", "x", "--edge", "127.0.0.1:1"},
                          {"listen", "--id", "C2", "--edge", "127.0.0.1:1"},
                          {"bench", "--edge", "127.0.0.1:1"},
                          {"status", "--timeout", "never"}}) {
    CAPTURE(command);
    words with_json = command;
    with_json.emplace_back("--json");
    const cli_result r = cli(with_json);
    CAPTURE(r.out);
    CHECK(r.code == (command[0] == "status" ? 2 : 1));
    REQUIRE(r.json().is_object());
    CHECK(r.json()["error"].is_string());
    CHECK(std::count(r.err.begin(), r.err.end(), '\n') == 1);
    CHECK(cli(command).out.empty());
  }
  for (const char* command : {"clients", "drops"}) {
    const json j = ask({command, "--json"}, dead.address()).json();
    REQUIRE(j["silent"].size() == 1);
    CHECK(j["silent"][0] == dead.address() + ": no answer in time");
    CHECK(j[command].empty());
  }
  const json status = ask({"status", "--json"}, dead.address()).json();
  CHECK(status["ready"] == false);
}

TEST_CASE("output that nobody takes is a failure, and goes to nobody else") {
  fake_server router(router_pages()), edge(edge_pages("e1"));
  router.put_slots("0-4095");
  router.put("/drops", {{"recorded", 0}, {"drops", json::array()}});
  router.put("/clients/C2", {{"id", "C2"}, {"online", true}, {"edge", "e1"}});
  edge.put("/clients", {{"clients", json::array({client_of("C2")})}, {"next", nullptr}});
  const std::string both = " --admin " + router.address() + "," + edge.address();
  for (const char* command :
       {"status", "clients", "where C2", "status --json", "clients --json", "top -i 100ms"}) {
    for (const char* where : {" >&-", " > /dev/full"}) {
      CAPTURE(command, where);
      const cli_result r = shell(BEELINE_CLI_PROGRAM " " + std::string(command) + both + where);
      CHECK(r.code == 1);
      CHECK_THAT(r.err, Contains("cannot write to standard output: "));
      CHECK(std::count(r.err.begin(), r.err.end(), '\n') == 1);
    }
  }
  CHECK(shell(BEELINE_CLI_PROGRAM " status" + both + " <&- 2>&-").code == 0); // these are not needed
}

TEST_CASE("clients: printed as they come, not kept until the last") {
  fake_server edge(edge_pages("e1"));
  json many = json::array();
  for (int i = 0; i < 1000; ++i) many.push_back(client_of("id-" + std::to_string(i)));
  // A list without an end: two pages that name each other.
  edge.put("/clients", {{"clients", many}, {"next", "x"}});
  edge.put("/clients?after=x&limit=1000", {{"clients", many}, {"next", "y"}});
  edge.put("/clients?after=y&limit=1000", {{"clients", many}, {"next", "x"}});
  const std::string all =
      "timeout 25 " BEELINE_CLI_PROGRAM " clients --limit 100000000 --admin " + edge.address();
  const auto begin = std::chrono::steady_clock::now();
  CHECK(shell(all + " | head -n 3001").says("id-999"));
  CHECK(shell(all + " --json | head -n 3001").says("id-999"));
  CHECK(std::chrono::steady_clock::now() - begin < 20s);

  edge.put("/clients?after=y&limit=1000", {{"error", "lane 1 does not answer"}}, 504);
  const cli_result r = ask({"clients", "--limit", "5000", "--json"}, edge.address(), {});
  CHECK(r.code == 1);
  REQUIRE(r.json().is_object());
  CHECK(r.json()["clients"].size() == 2000);
  CHECK(r.json()["silent"][0] == edge.address() + ": lane 1 does not answer");
  const cli_result table = ask({"clients", "--limit", "5000"}, edge.address(), {});
  CHECK(table.out.find("CONNECTED FOR") == table.out.rfind("CONNECTED FOR")); // one head
  CHECK(table.says("\n2000 clients\n"));
}

TEST_CASE("status: pages that are missing and slots that nobody serves are no success") {
  fake_server router(router_pages()), edge(edge_pages("e1"));
  router.put_slots("0-4095");
  CHECK(ask({"status"}, router.address()).code == 0);
  router.put("/edges", {{"error", "shard 1 does not answer"}}, 504);
  const cli_result silent = ask({"status"}, router.address());
  CHECK(silent.code == 1);
  CHECK_THAT(silent.out, Contains("does not tell its edges: shard 1 does not answer"));
  const json j = ask({"status", "--json"}, router.address()).json();
  CHECK(j["ready"] == false);
  CHECK(j["servers"][0]["edges_problem"] == "shard 1 does not answer");

  router.put("/edges", router_pages()["/edges"]["body"]);
  router.put_slots("0-2047");
  CHECK(ask({"status"}, router.address()).code == 1);
  // An edge is ready when it has a shard for every slot: the routers asked are not all there are.
  CHECK(ask({"status"}, router.address() + "," + edge.address()).code == 0);
  edge.put("/readyz", {{"why", "no shard for slots 2048-4095"}}, 503);
  CHECK(ask({"status"}, router.address() + "," + edge.address()).code == 1);
}

TEST_CASE("status: an edge whose links linger is told") {
  fake_server router(router_pages());
  router.put_slots("0-4095");
  json edges = router_pages()["/edges"]["body"];
  CHECK_FALSE(ask({"status"}, router.address()).says("linger"));
  edges["edges"][0]["links"].push_back(edges["edges"][0]["links"][0]);
  edges["edges"][0]["links"][1]["state"] = "lingering";
  router.put("/edges", edges);
  CHECK_THAT(ask({"status"}, router.address()).out,
             Contains("edge e1 is lost to the router at " + router.address()) &&
                 Contains("1 of 2 links lingering"));
}

TEST_CASE("status: edges that a router tells on several pages are all there, or the list is none") {
  fake_server router(router_pages());
  router.put_slots("0-4095");
  const auto page_of = [](const std::string& edge, const json& next) {
    json edges = router_pages()["/edges"]["body"];
    edges["edges"][0]["edge"] = edge;
    edges["next"] = next;
    return edges;
  };
  router.put("/edges?limit=1000", page_of("e 1", "e 1"));
  router.put("/edges?after=e 1&limit=1000", page_of("e2", nullptr));
  const cli_result both = ask({"status"}, router.address());
  CHECK(both.code == 0);
  CHECK(both.says("\ne 1 "));
  CHECK(both.says("\ne2 "));
  CHECK(ask({"status", "--json"}, router.address()).json()["servers"][0]["edges"].size() == 2);

  router.put("/edges?after=e 1&limit=1000", page_of("e2", "e 1")); // leads nowhere: it ends all the same
  CHECK(ask({"status"}, router.address()).code == 0);
  router.put("/edges?after=e 1&limit=1000", {{"error", "shard 1 does not answer"}}, 504);
  const cli_result half = ask({"status"}, router.address());
  CHECK(half.code == 1);
  CHECK(half.says("does not tell its edges: shard 1 does not answer"));
}

TEST_CASE("top: looks that a stall made it miss are left out") {
  fake_server router(router_pages());
  process p(BEELINE_CLI_PROGRAM, {"top", "--json", "-n", "8", "-i", "200ms", "--admin", router.address()});
  REQUIRE(p.line_with("\"at\""));
  p.signal(SIGSTOP);
  std::this_thread::sleep_for(3s);
  const auto begin = std::chrono::steady_clock::now();
  p.signal(SIGCONT);
  CHECK(p.wait() == 0);
  // At least five of the seven looks to come wait for their time; all that were missed at once would take
  // none.
  CHECK(std::chrono::steady_clock::now() - begin > 800ms);
}

TEST_CASE("drops --follow: goes on while servers come and go, and tells each change once") {
  fake_server router(router_pages()), edge(edge_pages("e1"));
  edge.put("/drops", {{"error", "lane 0 does not answer"}}, 504); // away from the start
  router.put("/drops", {{"recorded", 5}, {"drops", json::array({drop_of("2026-01-01T00:00:01Z", "A")})}});
  const std::string both = router.address() + "," + edge.address();
  process p(BEELINE_CLI_PROGRAM, {"drops", "--follow", "--interval", "100ms", "--admin", both});
  REQUIRE(p.line_with("-> A"));
  const auto looks = [&](fake_server& s, std::size_t more) {
    const std::size_t before = s.asked().size();
    return eventually([&] { return s.asked().size() >= before + more; });
  };
  REQUIRE(looks(edge, 4));
  edge.put("/drops", {{"recorded", 2}, {"drops", json::array({drop_of("2026-01-01T00:00:02Z", "B")})}});
  REQUIRE(p.line_with("-> B"));
  REQUIRE(eventually([&] { return p.err().find("answers again") != std::string::npos; }));
  CHECK(p.err() == "beeline: drops: " + edge.address() +
                       ": lane 0 does not answer\nbeeline: drops: " + edge.address() + ": answers again\n");
  // More than the page tells.
  router.put("/drops", {{"recorded", 1505}, {"drops", json::array({drop_of("2026-01-01T00:00:03Z", "C")})}});
  CHECK(p.line_with("1499 more not shown: they came faster than " + router.address() + " was asked"));
  CHECK(p.line_with("-> C"));
  p.stop();

  process lines(BEELINE_CLI_PROGRAM,
                {"drops", "--follow", "--json", "--interval", "100ms", "--admin", router.address()});
  REQUIRE(lines.line_with("\"to\":\"C\""));
  router.put("/drops", {{"recorded", 1507}, {"drops", json::array({drop_of("2026-01-01T00:00:04Z", "D")})}});
  const auto lost = lines.line_with("not_shown");
  REQUIRE(lost);
  CHECK(json::parse(*lost) == json{{"admin", router.address()}, {"not_shown", 1}});
  lines.stop();
}
