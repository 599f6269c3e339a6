// Statistics named once, told as JSON and as Prometheus text; rules on secrets and loopback.
#include "common/ops/latency_window.hpp"
#include "common/ops/program_options.hpp"
#include "common/ops/start_error.hpp"
#include "common/ops/stats_page.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using namespace beeline;
using namespace beeline::ops;
using Catch::Matchers::Contains;

namespace {

struct numbers {
  counter clients, round_trip_us, messages[2], drops[drop_reason_count];
  stats_part tell() const {
    stats_part p;
    p.gauge("clients", "Clients", clients);
    p.greatest("round_trip_us", "Round trip", round_trip_us);
    p.by_qos("messages_in", "Messages", messages);
    p.family("drops", "Drops", "reason", drop_reason_names, drops);
    return p;
  }
};

nlohmann::json json_of(const stats_part& p) {
  json_text out;
  out.object();
  p.tell(out);
  out.end();
  return nlohmann::json::parse(out.take());
}

} // namespace

TEST_CASE("stats: JSON of a part, and totals: sums, but the greatest round trip") {
  numbers a, b;
  a.clients.add(3), b.clients.add(4);
  a.round_trip_us.set(1500), b.round_trip_us.set(500);
  b.messages[1].add(7);
  a.drops[1].add(1), b.drops[1].add(2);
  const auto part = json_of(b.tell());
  CHECK(part["clients"] == 4);
  CHECK(part["messages_in"]["qos1"] == 7);
  CHECK(part["drops"].size() == drop_reason_count);
  stats_part totals;
  totals.add(a.tell());
  totals.add(b.tell());
  const auto sum = json_of(totals);
  CHECK(sum["clients"] == 7);
  CHECK(sum["round_trip_us"] == 1500);
  CHECK(sum["drops"][std::string(drop_reason_names[1])] == 3);
  CHECK(totals.value_of("messages_in", "qos1") == 7);
}

TEST_CASE("stats: the same numbers as Prometheus text, in base units, parts side by side") {
  numbers a, b;
  a.round_trip_us.set(1500);
  a.messages[0].add(9);
  b.messages[0].add(5);
  metrics_page page("x_");
  const labelled_part parts[] = {{{{"shard", "3"}}, a.tell()}, {{{"shard", "4"}}, b.tell()}};
  labelled_part::tell(page, parts);
  const auto text = page.take();
  CHECK_THAT(text, Contains("# TYPE x_clients gauge\nx_clients{shard=\"3\"} 0\nx_clients{shard=\"4\"} 0\n"));
  CHECK_THAT(text, Contains("x_round_trip_seconds{shard=\"3\"} 0.0015\n"));
  CHECK_THAT(
      text,
      Contains(
          "# TYPE x_messages_in_total counter\nx_messages_in_total{shard=\"3\",qos=\"0\"} 9\n"
          "x_messages_in_total{shard=\"3\",qos=\"1\"} 0\nx_messages_in_total{shard=\"4\",qos=\"0\"} 5\n"));
  CHECK_THAT(text, Contains("x_drops_total{shard=\"3\",reason=\"nobody\"} 0\n"));
}

TEST_CASE("stats: a family told in two places adds up by key") {
  numbers a, b;
  a.drops[0].add(1), b.drops[0].add(10);
  stats_part p;
  p.family("drops", "Drops", "reason", drop_reason_names, a.drops);
  p.family("drops", "Drops", "reason", drop_reason_names, b.drops);
  CHECK(p.value_of("drops", drop_reason_names[0]) == 11);
  CHECK(json_of(p)["drops"].size() == drop_reason_count);
}

TEST_CASE("stats: times are told in UTC, names that are not UTF-8 break no page") {
  using namespace std::chrono;
  CHECK(utc_text(system_clock::time_point(milliseconds(1714555800123))) == "2024-05-01T09:30:00.123Z");
  CHECK(json_page({{"id", "a\xff"}}).status == 200);
  CHECK(ready_page("").status == 200);
  CHECK(ready_page("shard 0 is warming up").status == 503);
  CHECK(health_page({"lane 1"}).status == 503);
}

TEST_CASE("loopback is what no other machine can reach; all else needs a secret") {
  for (const char* host : {"127.0.0.1", "127.8.9.10", "::1", "localhost"}) CHECK(is_loopback(host));
  for (const char* host :
       {"0.0.0.0", "::", "192.0.2.1", "128.0.0.1", "localhost.example", "", "127.0.0.1.example"})
    CHECK_FALSE(is_loopback(host));
  program_config c;
  CHECK_NOTHROW(require_secret_or_loopback(c, {{"127.0.0.1", 1}}));
  CHECK_THROWS_AS(require_secret_or_loopback(c, {{"127.0.0.1", 1}, {"0.0.0.0", 1}}), start_error);
  c.secret = "swordfish";
  CHECK_NOTHROW(require_secret_or_loopback(c, {{"0.0.0.0", 1}}));
}

TEST_CASE("stats: a latency is quantiles in JSON and a histogram for Prometheus; parts merge") {
  histogram a, b;
  a.record_us(100), a.record_us(100), b.record_us(70'000'000);
  stats_part one, two, totals;
  one.latency("publish_to_answer", "Latency", a);
  two.latency("publish_to_answer", "Latency", b);
  totals.add(one);
  totals.add(two);
  const auto x = json_of(totals)["latency"]["publish_to_answer"];
  CHECK(x["count"] == 3);
  CHECK(x["max_us"] == 70'000'000);
  CHECK(x["p50_us"] == 103); // the end of its bucket
  CHECK(x["p999_us"] == 70'000'000);
  CHECK(x["mean_us"] == 23'333'400.0);
  metrics_page page("p_");
  const labelled_part parts[] = {{{{"lane", "0"}}, one}, {{{"lane", "1"}}, two}};
  labelled_part::tell(page, parts);
  const std::string text = page.take();
  CHECK_THAT(text,
             Contains("# TYPE p_publish_to_answer_duration_seconds histogram") &&
                 Contains("p_publish_to_answer_duration_seconds_bucket{lane=\"0\",le=\"6.4e-05\"} 0\n") &&
                 Contains("p_publish_to_answer_duration_seconds_bucket{lane=\"0\",le=\"0.000128\"} 2\n") &&
                 Contains("p_publish_to_answer_duration_seconds_bucket{lane=\"1\",le=\"33.554432\"} 0\n") &&
                 Contains("p_publish_to_answer_duration_seconds_bucket{lane=\"1\",le=\"+Inf\"} 1\n") &&
                 Contains("p_publish_to_answer_duration_seconds_sum{lane=\"0\"} 0.0002\n") &&
                 Contains("p_publish_to_answer_duration_seconds_count{lane=\"0\"} 2\n"));
}

TEST_CASE("stats: windows of a latency stand beside it, and add up in totals; Prometheus has none") {
  histogram a, b;
  latency_windows windows(2);
  const auto tell = [](const histogram& h) {
    stats_part p;
    p.latency("publish_to_answer", "Latency", h);
    return p;
  };
  time_point now{std::chrono::hours(1)};
  a.record_us(50'000);
  for (int second = 0; second < 20; ++second, now += std::chrono::seconds(1)) {
    windows.sample(0, tell(a), now);
    windows.sample(1, tell(b), now);
  }
  a.record_us(100), b.record_us(200), b.record_us(200);
  windows.sample(0, tell(a), now);
  windows.sample(1, tell(b), now);
  stats_part totals;
  for (std::size_t k : {0, 1}) {
    stats_part part = tell(k == 0 ? a : b);
    windows.tell(k, part);
    totals.add(part);
    CHECK(json_of(part)["latency"]["publish_to_answer"]["last_10s"]["count"] == (k == 0 ? 1 : 2));
  }
  const auto x = json_of(totals)["latency"]["publish_to_answer"];
  CHECK(x["count"] == 4);
  CHECK(x["p99_us"] == 50'000);
  CHECK(x["last_10s"]["count"] == 3);
  CHECK(x["last_10s"]["p50_us"] == 200);
  CHECK(x["last_10s"]["max_us"] == 200);
  CHECK(x["last_60s"]["count"] == 4);
  CHECK(x["last_60s"]["max_us"] == 50'000);
  metrics_page page("p_");
  const labelled_part parts[] = {{{}, totals}};
  labelled_part::tell(page, parts);
  CHECK_THAT(page.take(), !Contains("last_"));
}

TEST_CASE("stats: bytes and messages a write; none before the first write") {
  net::io_counters io;
  const auto told = [&io](std::uint64_t messages) {
    stats_part p;
    add_io(p, io);
    json_text out;
    out.object();
    tell_per_write(out, p, messages);
    out.end();
    return nlohmann::json::parse(out.take());
  };
  CHECK(told(0)["bytes_per_write"].is_null());
  io.writes.add(4), io.bytes_out.add(1000);
  CHECK(told(10)["bytes_per_write"] == 250.0);
  CHECK(told(10)["messages_per_write"] == 2.5);
}

TEST_CASE("stats: no parts, no families") {
  metrics_page page("x_");
  labelled_part::tell(page, {});
  tell_admin(page, nullptr);
  CHECK(page.take().empty());
}
