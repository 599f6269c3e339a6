#include "tests/bench/report.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using namespace beeline::bench;
using nlohmann::json;

namespace {
settings crowd_at(double rate) {
  settings s;
  s.what = workload::crowd;
  s.rate = rate;
  s.servers = {{"router", 1}, {"edge", 2}};
  return s;
}
result run_of(std::uint64_t delivered, double router_us) {
  result r;
  r.sent = r.delivered = delivered;
  r.measured_seconds = 1;
  r.cpu_us = {router_us, 2};
  r.rss_after = {1 << 20, 2 << 20};
  r.latency.record(1000);
  return r;
}
} // namespace

TEST_CASE("bench: a report has the median and the spread of its runs, and the servers' sum") {
  const json j = to_json(crowd_at(1000), {run_of(1000, 1), run_of(1010, 9), run_of(990, 3)});
  CHECK(j["held"] == true);
  CHECK(j["median"]["server_us"] == 5);
  CHECK(j["median"]["server_us router"] == 3);
  CHECK(j["least"]["server_us"] == 3);
  CHECK(j["most"]["server_us"] == 11);
  CHECK(j["median"]["messages_per_second"] == 1000);
  CHECK(j["median"]["rss_mib edge"] == 2);
  CHECK(j["runs"].size() == 3);
  const std::string table = to_table(j);
  CHECK(table.find("3 runs") != table.npos);
  CHECK(table.find("server_us router") != table.npos);
}

TEST_CASE("bench: a run that broke a promise says so, and the report did not hold") {
  result bad = run_of(1000, 1);
  bad.lost = 3;
  bad.doubled = 1;
  bad.reordered = 2;
  const json j = to_json(crowd_at(1000), {run_of(1000, 1), bad});
  CHECK(j["held"] == false);
  CHECK(j["runs"][0]["problems"].empty());
  CHECK(j["runs"][1]["problems"] ==
        json({"3 messages did not arrive", "1 messages arrived twice", "2 messages arrived out of order"}));
  CHECK(to_table(j).find("run 2: 3 messages did not arrive") != std::string::npos);
}

TEST_CASE("bench: a rate that was not held is a problem of loads with a rate alone") {
  CHECK(problems(crowd_at(1000), run_of(979, 1)).size() == 1);
  CHECK(problems(crowd_at(1000), run_of(981, 1)).empty());
  settings trunk = crowd_at(1000);
  trunk.what = workload::trunk;
  CHECK(problems(trunk, run_of(1, 1)).empty());
}

TEST_CASE("bench: clients that connect are told by connects, CPU and bytes of each") {
  settings s = crowd_at(0);
  s.what = workload::storm;
  s.clients = 1000;
  result r;
  r.connect_seconds = 0.5;
  r.connect_cpu_us = {10, 20};
  r.rss_before = {1000, 2000};
  r.rss_after = {2'000'000, 502'000};
  const json j = to_json(s, {r});
  CHECK(j["median"]["connects_per_second"] == 2000);
  CHECK(j["median"]["connect_us"] == 30);
  CHECK(j["median"]["bytes_per_client edge"] == 500);
  CHECK(j["median"]["bytes_per_client"] == Approx(2499));
}
