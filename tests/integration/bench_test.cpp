// beeline bench when things go wrong: lost edges, wrong addresses, a load that is too much, an interrupt.
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
  arguments bench(const arguments& more) {
    return arguments{"bench", "--edge", loopback(e1.mqtt()), "--edge", loopback(e2.mqtt()), "--json"} + more;
  }
  std::unique_ptr<process> start(const arguments& more, std::uint64_t until_delivered) {
    auto p = std::make_unique<process>(BEELINE_CLI_PROGRAM, bench(more));
    REQUIRE(eventually(
        [&] { return !p->running() || e1.json("/stats")["totals"]["messages_in"] >= until_delivered; }));
    REQUIRE(p->running());
    return p;
  }
};

json report_of(const cli_result& r) {
  INFO(r.out + r.err);
  json j = r.json();
  REQUIRE(j.is_object());
  return j;
}
} // namespace

TEST_CASE("bench --faults: an edge is killed, its clients are left out, and the others' run ends and holds") {
  world w;
  auto load = w.start({"--clients", "40", "--messages", "20000", "--rate", "5000", "--faults"}, 1000);
  w.e2.os().signal(SIGKILL);
  const auto begin = std::chrono::steady_clock::now();
  const cli_result r = finish(*load);
  const json j = report_of(r);
  INFO(j.dump(2) + r.err);
  CHECK(r.code == 0);
  CHECK(std::chrono::steady_clock::now() - begin < 25s); // and not after --timeout, 30 s without progress
  CHECK(j["held"] == true);
  CHECK(j["disconnects"] == 20);
  CHECK(j["never_published"] > 0);
  CHECK(j["published"].get<int>() + j["never_published"].get<int>() == 20000);
  CHECK(j["answers"].contains("0x10")); // the others were told about those who are gone
  const json& reasons = j["disconnect_reasons"];
  for (const auto& [text, count] : reasons.items()) CHECK_THAT(text, Contains(loopback(w.e2.mqtt()) + ": "));
  CHECK_THAT(r.err,
             Contains("20 clients lost, the first: client '") && Contains("left out of the judgement"));
}

TEST_CASE("bench --faults, QoS 0: messages that a killed edge took are not waited for until the timeout") {
  world w;
  auto load =
      w.start({"--clients", "40", "--messages", "20000", "--rate", "5000", "--qos", "0", "--faults"}, 1000);
  w.e2.os().signal(SIGKILL);
  const cli_result r = finish(*load);
  const json j = report_of(r);
  INFO(j.dump(2) + r.err);
  CHECK(r.code == 0);
  CHECK(j["left_out"] > 0);
  CHECK(j["seconds"] < 10);
}

TEST_CASE(
    "bench: two runs with one prefix: the first is told who took its clients; without one they do not meet") {
  world w;
  auto first = w.start({"--prefix", "same", "--messages", "1000000", "--rate", "2000", "--window", "1"}, 10);
  cli(w.bench({"--prefix", "same", "--messages", "100"}));
  const cli_result r = finish(*first);
  INFO(r.err);
  CHECK(r.code == 1);
  CHECK_THAT(r.err, Contains("100 clients lost, the first: client 'same-") && Contains(" at 127.0.0.1:") &&
                        Contains("the same id connected elsewhere (0x8E)"));
  auto apart = w.start({"--messages", "4000", "--rate", "2000"}, 1);
  CHECK(cli(w.bench({"--messages", "100"})).code == 0);
  CHECK(finish(*apart).code == 0);
}

TEST_CASE("bench: a load above what the windows allow is late, and the report says how much") {
  world w;
  const cli_result r = cli(w.bench(
      {"--clients", "2", "--window", "1", "--rate", "1000000", "--messages", sanitized ? "10000" : "50000"}));
  const json j = report_of(r);
  INFO(j.dump(2));
  CHECK(r.code == 1);
  CHECK(j["held"] == false);
  CHECK(j["offered_per_second"] == 1000000);
  CHECK(j["published_per_second"] < 500000);
  CHECK(j["behind_max_us"] > 100000);
  CHECK(j["answer_p99_us"] > 100000); // from when it was due, not from when there was room
  CHECK(r.complains("fell behind --rate 1000000"));
  const cli_result fits = cli(w.bench({"--rate", "500", "--messages", "200"}));
  CHECK(report_of(fits)["held"] == true);
  CHECK(fits.code == 0);
}

TEST_CASE("bench: an interrupt ends it with a judgement of what there is") {
  world w;
  auto load = w.start({"--messages", "1000000", "--rate", "1000"}, 100);
  load->signal(SIGINT);
  const cli_result r = finish(*load);
  const json j = report_of(r);
  INFO(j.dump(2));
  CHECK(r.code == 1);
  CHECK(j["published"] > 100);
  CHECK(j["published"] < 1000000);
  CHECK(j["delivered"] == j["published"]);
  CHECK(j["unanswered"] == 0);
  CHECK(r.complains("interrupted after "));
}

TEST_CASE("bench: an interrupt that comes twice at once is one, and what is owed is waited for") {
  world w;
  auto load = w.start({"--messages", "1000000", "--rate", "1000"}, 100);
  w.e2.os().signal(SIGSTOP); // what is sent to its clients stays owed
  const auto sent = [&] { return w.e1.json("/stats")["totals"]["messages_in"].get<std::uint64_t>(); };
  const auto before = sent();
  REQUIRE(eventually([&] { return sent() >= before + 100; }));
  const auto begin = std::chrono::steady_clock::now();
  load->signal(SIGTERM);
  load->signal(SIGTERM);
  const cli_result r = finish(*load);
  CHECK(std::chrono::steady_clock::now() - begin >= 2s);
  w.e2.os().signal(SIGCONT);
  CHECK(r.code == 1);
  CHECK(r.complains("interrupted after "));
}

TEST_CASE("bench: who cannot connect is told where and why") {
  world w;
  const cli_result port = cli({"bench", "--edge", "127.0.0.1:1", "--prefix", "p"});
  CHECK(port.code == 1);
  CHECK(port.complains("client 'p-0' at 127.0.0.1:1: cannot connect: Connection refused"));
  const cli_result id = cli(w.bench({"--prefix", "a/b"}));
  CHECK(id.code == 1);
  CHECK(id.complains(": the edge refused the client id (0x85)"));
  // A name is tried at all its addresses: the edge listens at IPv4's, and ::1 may come first.
  const std::string name = "localhost:" + std::to_string(w.e1.mqtt());
  CHECK(cli({"bench", "--edge", name, "--messages", "100"}).code == 0);
  CHECK(cli({"bench", "--edge", "no.such.name.invalid:1"})
            .complains("cannot resolve no.such.name.invalid:1: "));
}

TEST_CASE("bench: an edge that is stopped gives no CONNACK, and is named") {
  world w;
  w.e2.os().signal(SIGSTOP);
  const cli_result r = cli(w.bench({"--clients", "4", "--timeout", "1s"}));
  w.e2.os().signal(SIGCONT);
  CHECK(r.code == 1);
  CHECK(r.complains(loopback(w.e2.mqtt()) + " gave 2 clients no CONNACK in 1s"));
}

TEST_CASE("bench: the rate counts until the last delivery, not until it gave up") {
  world w;
  auto load =
      w.start({"--clients", "20", "--messages", "1000000", "--rate", "2000", "--timeout", "3s"}, 1000);
  w.e1.os().signal(SIGSTOP);
  w.e2.os().signal(SIGSTOP);
  const cli_result r = finish(*load);
  w.e1.os().signal(SIGCONT);
  w.e2.os().signal(SIGCONT);
  const json j = report_of(r);
  INFO(j.dump(2));
  CHECK(r.code == 1);
  CHECK(r.complains("nothing moved for 3s (--timeout)"));
  CHECK(j["unanswered"] > 0);
  const double rate = j["messages_per_second"];
  CHECK(rate > 1500);
}
