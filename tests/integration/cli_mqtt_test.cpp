// send, listen and bench of the beeline tool, and what it says of a real router and real edges.
#include "tests/support/cli.hpp"
#include "tests/support/cluster.hpp"
#include "tests/support/sanitized.hpp"

#include <catch2/catch.hpp>
#include <memory>

using namespace beeline::test;
using Catch::Matchers::Contains;
using nlohmann::json;

namespace {
struct world : two_edges {
  std::string admins() const {
    return loopback(router.admin()) + "," + loopback(e1.admin()) + "," + loopback(e2.admin());
  }
  cli_result send(arguments a) { return cli(arguments{"send", "--edge", loopback(e1.mqtt())} + a); }
  // A listener at the second edge that can be reached.
  std::unique_ptr<process> listen(const arguments& more) {
    auto p = std::make_unique<process>(BEELINE_CLI_PROGRAM,
                                       arguments{"listen", "--edge", loopback(e2.mqtt())} + more);
    // It may have ended by now, as it was told to.
    REQUIRE(eventually([&] {
      const bool ended = !p->running(); // asked first: what it wrote before it ended counts
      return p->err().find("listening as") != std::string::npos || ended;
    }));
    REQUIRE(p->err().find("listening as") != std::string::npos);
    return p;
  }
};
} // namespace

TEST_CASE("send and listen: text, JSON and bytes, across two edges, both versions of MQTT") {
  world w;
  for (const char* version : {"-3", "-5"}) {
    CAPTURE(version);
    auto text = w.listen({"--id", "C2", "--count", "2", version});
    auto lines = w.listen({"--id", "C3", "--count", "2", "--json"});
    temporary_folder folder;
    const std::string bytes = folder.write("bytes", std::string("\xff\x00\x01", 3));
    CHECK(w.send({"C2/chat", "a\tb\x1b", "--id", "C1", version}).code == 0);
    CHECK(w.send({"@/C2", "--file", bytes, "--id", "C1", version}).code == 0);
    CHECK(w.send({"--qos", "0", "--id", "C1", version, "C3/x/y", "--", "-text"})
              .says("sent (QoS 0 has no receipt)"));
    CHECK(w.send({"C3", "--file", bytes, "--id", "C1", version}).code == 0);
    CHECK(finish(*text).out == "C1/chat: a\tb\\x1b\nC1: base64 /wAB\n");
    const cli_result r = finish(*lines);
    CHECK(r.code == 0);
    const auto end = r.out.find('\n');
    const json first = json::parse(r.out.substr(0, end)), second = json::parse(r.out.substr(end));
    CHECK(first ==
          json{{"from", "C1"}, {"channel", "x/y"}, {"topic", "@/C1/x/y"}, {"qos", 0}, {"payload", "-text"}});
    CHECK(second == json{{"from", "C1"}, {"topic", "@/C1"}, {"qos", 1}, {"payload_base64", "/wAB"}});
  }
}

TEST_CASE("send tells what the receipt says, and its exit code says whether it was accepted") {
  world w;
  auto c2 = w.listen({"--id", "C2"});
  const cli_result taken = w.send({"C2", "x"});
  CHECK(taken.code == 0);
  CHECK_THAT(taken.out, Contains("C2: accepted: it is in the recipient's session (0x00)"));
  const cli_result nobody = w.send({"C9", "x"});
  CHECK(nobody.code == 3);
  CHECK_THAT(nobody.out, Contains("C9: nobody there"));
  const json j = w.send({"C9", "x", "--json"}).json();
  CHECK(j["code"] == 0x10);
  CHECK(j["outcome"] == "nobody");
  CHECK(w.send({"C9", "x", "-3"}).says("settled"));
  const cli_result three = w.send({"C2", "x", "--count", "3", "--interval", "1ms"});
  CHECK_THAT(three.out, Contains("3 of 3 not refused"));
  CHECK(w.send({"C2", std::string(130, 'x') + "/" + std::string(1500, 'y')}).code ==
        0); // a payload, no address
  const cli_result address = w.send({std::string(130, 'x'), "x"});
  CHECK(address.code == 3);
  CHECK_THAT(address.out, Contains("not an address"));
  temporary_folder folder;
  const cli_result large = w.send({"C2", "--file", folder.write("large", std::string(2'000'000, 'x'))});
  CHECK(large.code == 1);
  CHECK_THAT(large.err, Contains("not sent"));
  CHECK(c2->stop() == 0);
  const cli_result id = w.send({"C2", "x", "--id", "a/b"});
  CHECK(id.code == 1);
  CHECK_THAT(id.err, Contains("refused the client id (0x85)"));
  const cli_result gone = cli({"send", "C2", "x", "--edge", "127.0.0.1:1"});
  CHECK(gone.code == 1);
  CHECK_THAT(gone.err, Contains("is not reachable"));
}

TEST_CASE("a wrong port is told by what answers there") {
  world w;
  const auto says = [](const arguments& a, const std::string& words) {
    const cli_result r = cli(a);
    INFO(r.out + r.err);
    CHECK(r.code == 1);
    CHECK((r.complains(words) || r.says(words)));
  };
  const std::string admin = loopback(w.e1.admin()), link = w.router.address(), mqtt = loopback(w.e1.mqtt());
  for (const arguments& client : {arguments{"send", "C2", "x"}, {"listen", "--id", "C2"}, {"bench"}}) {
    says(client + arguments{"--edge", admin}, "speaks HTTP, as an --admin port does; give the MQTT address");
    says(client + arguments{"--edge", link}, "speaks the link protocol, as a router's --listen port does");
  }
  for (const arguments& asker : {arguments{"status"}, {"where", "C2"}}) {
    says(asker + arguments{"--admin", link}, "it speaks the link protocol, as a router's --listen port does");
    says(asker + arguments{"--admin", mqtt},
         "it does not speak HTTP (end of stream); give the --admin address");
  }
}

TEST_CASE("listen ends with 3 when too little came in time, and with 1 when another takes the id") {
  world w;
  CHECK(finish(*w.listen({"--id", "C2", "--count", "1", "--timeout", "200ms"})).code == 3);
  CHECK(finish(*w.listen({"--id", "C2", "--timeout", "200ms"})).code == 0);
  auto first = w.listen({"--id", "C2"}), second = w.listen({"--id", "C2"});
  const cli_result r = finish(*first);
  CHECK(r.code == 1);
  CHECK_THAT(r.err, Contains("the same id connected elsewhere (0x8E)"));
  CHECK(second->stop(SIGINT) == 0);
  // It said good-bye: nobody lingers.
  CHECK(cli({"where", "C2", "--admin", w.admins()}).code == 3);
}

TEST_CASE("listen ends in time also while messages come") {
  world w;
  process sender(BEELINE_CLI_PROGRAM, {"send", "--edge", loopback(w.e1.mqtt()), "C2", "x", "--count",
                                       "100000", "--interval", "10ms"});
  REQUIRE(sender.line_with("C2: "));
  const cli_result r = finish(*w.listen({"--id", "C2", "--timeout", "1s"}));
  CHECK(r.code == 0);
  CHECK(r.says(": x\n"));
  CHECK(sender.running());
}

TEST_CASE("send takes memory for the message that is there, not for the largest one") {
  if (sanitized) return; // a sanitizer reserves address space without end
  world w;
  auto c2 = w.listen({"--id", "C2", "--count", "2"});
  temporary_folder folder;
  const std::string file = folder.write("two", "hi"), limited = "ulimit -v 200000; ";
  const std::string send = BEELINE_CLI_PROGRAM " send C2 --id C1 --edge " + loopback(w.e1.mqtt());
  for (const std::string& from : {" --file " + file, " - < " + file}) {
    process p("sh", {"-c", limited + send + from});
    CHECK(finish(p).says("accepted"));
  }
  CHECK(finish(*c2).out == "C1: hi\nC1: hi\n");
}

TEST_CASE("explain in a cluster of two routers: the other one is no failure, the slot's own is needed") {
  router_process low({"--shards", "1", "--slots", "0-2047"}), high({"--shards", "1", "--slots", "2048-4095"});
  edge_process edge("e1", {low.address(), high.address()});
  REQUIRE(edge.mqtt());
  REQUIRE(edge.becomes_ready());
  const std::string admins =
      loopback(low.admin()) + "," + loopback(high.admin()) + "," + loopback(edge.admin());
  process c2(BEELINE_CLI_PROGRAM, {"listen", "--id", "C2", "--edge", loopback(edge.mqtt())});
  REQUIRE(eventually([&] { return c2.err().find("listening as") != std::string::npos; }));

  const cli_result whole = cli({"explain", "C2", "--admin", admins});
  INFO(whole.out);
  CHECK(whole.code == 0);
  CHECK_FALSE(whole.says("No answer from"));
  CHECK(cli({"explain", "C9", "--admin", admins}).code == 3);
  router_process& owner = low.get("/explain/C2").status == 200 ? low : high;
  const cli_result no_edge = cli({"explain", "C2", "--admin", loopback(owner.admin())});
  CHECK(no_edge.code == 0);
  CHECK_THAT(no_edge.out, Contains("Edge e1, which has it, was not among those asked"));

  // An id of the same slot range that nobody has.
  std::string absent = "A";
  while (owner.get("/explain/" + absent).status != 200) absent += "A";
  owner.os().stop(SIGKILL);
  const cli_result unknown = cli({"explain", absent, "--admin", admins});
  CHECK(unknown.code == 1);
  CHECK_THAT(unknown.out, Contains("It is not known whether client '" + absent + "' is online: no router"));
  CHECK_THAT(unknown.out, Contains("No answer from " + loopback(owner.admin())));
  CHECK_FALSE(unknown.says("is not online"));
  CHECK(cli({"explain", absent, "--json", "--admin", admins}).json()["online"].is_null());
  const cli_result here = cli({"explain", "C2", "--admin", admins}); // an edge that has it knows
  CHECK(here.code == 0);
  CHECK_THAT(here.out, Contains("No router that serves its slot answered."));
}

TEST_CASE("status, where, explain and top of a real cluster") {
  world w;
  auto c2 = w.listen({"--id", "C2"});
  REQUIRE(w.send({"C2", "x"}).code == 0);
  const cli_result status = cli({"status", "--admin", w.admins()});
  INFO(status.out);
  CHECK(status.code == 0);
  CHECK_THAT(status.out, Contains("router 0-4095"));
  CHECK_THAT(status.out, Contains("edge e2"));
  CHECK_THAT(status.out, Contains("1.00")); // copies
  CHECK_FALSE(status.says("served by none"));
  const json all = cli({"status", "--json", "--admin", w.admins()}).json();
  CHECK(all["servers"].size() == 3);
  CHECK(all["servers"][0]["edges"].size() == 2);
  const cli_result where = cli({"where", "C2", "--admin", w.admins()});
  CHECK(where.code == 0);
  CHECK_THAT(where.out, Contains("'C2' is online at edge e2, lane "));
  CHECK(cli({"where", "a/b", "--admin", w.admins()}).code == 2);
  const cli_result explain = cli({"explain", "C2", "--admin", w.admins()});
  CHECK(explain.code == 0);
  CHECK_THAT(explain.out, Contains("There it is online at edge e2"));
  CHECK(cli({"top", "-n", "1", "-i", "100ms", "--admin", w.admins()}).says("edge e1"));

  w.e2.os().stop(SIGKILL);
  const cli_result broken = cli({"status", "--admin", w.admins()});
  CHECK(broken.code == 1);
  CHECK_THAT(broken.out, Contains("is not reachable"));
}

TEST_CASE("bench: a judgement, and the same as JSON") {
  world w;
  const cli_result r = cli({"bench", "--edge", loopback(w.e1.mqtt()), "--edge", loopback(w.e2.mqtt()),
                            "--clients", "20", "--messages", "2000", "--json"});
  CHECK(r.code == 0);
  CHECK(r.json()["held"] == true);
  CHECK(r.json()["delivered"] == 2000);
  CHECK(cli({"bench", "--edge", loopback(w.e1.mqtt()), "--messages", "100", "--qos", "0"}).says("held "));
  CHECK(cli({"bench", "--edge", "127.0.0.1:1"}).code == 1);
  CHECK(cli({"bench", "--edge", "127.0.0.1:1", "--other-edges-only"}).code == 2);
}
