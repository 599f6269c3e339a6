#include "common/ops/metrics.hpp"

#include "common/ops/build_info.hpp"

#include <catch2/catch.hpp>
#include <cmath>

using namespace beeline::ops;

TEST_CASE("samples stand under the HELP and TYPE of their family; a counter's name ends in _total, once") {
  metrics_page page("beeline_");
  page.family("messages", "Messages taken.", metric_type::counter);
  page.sample({{"shard", "0"}}, std::uint64_t{18446744073709551615u});
  page.sample({{"shard", "1"}}, {"qos", "1"}, std::uint64_t{2});
  page.sample({}, {"qos", "0"}, 0.5);
  page.family("drops_total", "Drops.", metric_type::counter);
  page.sample({}, std::uint64_t{4});
  page.gauge("clients", "Clients.", 3);
  page.family_as_is("process_open_fds", "Files.", metric_type::gauge);
  page.sample({}, std::uint64_t{5});
  CHECK(page.take() == "# HELP beeline_messages_total Messages taken.\n"
                       "# TYPE beeline_messages_total counter\n"
                       "beeline_messages_total{shard=\"0\"} 18446744073709551615\n"
                       "beeline_messages_total{shard=\"1\",qos=\"1\"} 2\n"
                       "beeline_messages_total{qos=\"0\"} 0.5\n"
                       "# HELP beeline_drops_total Drops.\n"
                       "# TYPE beeline_drops_total counter\n"
                       "beeline_drops_total 4\n"
                       "# HELP beeline_clients Clients.\n"
                       "# TYPE beeline_clients gauge\n"
                       "beeline_clients 3\n"
                       "# HELP process_open_fds Files.\n"
                       "# TYPE process_open_fds gauge\n"
                       "process_open_fds 5\n");
}

TEST_CASE("a histogram is buckets up to +Inf, sum and count") {
  metrics_page page("");
  page.family("wait_seconds", "Waits.", metric_type::histogram);
  const metrics_page::bucket buckets[] = {{"0.5", 2}, {"1", 3}};
  page.histogram({{"lane", "0"}}, buckets, 4, 7.25);
  CHECK(page.take() == "# HELP wait_seconds Waits.\n"
                       "# TYPE wait_seconds histogram\n"
                       "wait_seconds_bucket{lane=\"0\",le=\"0.5\"} 2\n"
                       "wait_seconds_bucket{lane=\"0\",le=\"1\"} 3\n"
                       "wait_seconds_bucket{lane=\"0\",le=\"+Inf\"} 4\n"
                       "wait_seconds_sum{lane=\"0\"} 7.25\n"
                       "wait_seconds_count{lane=\"0\"} 4\n");
}

TEST_CASE("label values and help texts are escaped") {
  metrics_page page("");
  page.family("g", "a\\b\n\"c\"", metric_type::gauge);
  page.sample({{"name", "x\"y\\z\n"}}, 0.5);
  CHECK(page.take() == "# HELP g a\\\\b\\n\"c\"\n# TYPE g gauge\ng{name=\"x\\\"y\\\\z\\n\"} 0.5\n");
}

TEST_CASE("numbers are written so that they read back") {
  metrics_page page("");
  page.gauge("a", "", std::nan(""));
  page.gauge("b", "", -HUGE_VAL);
  page.gauge("c", "", 1e300);
  page.gauge("d", "", 0.1);
  const auto text = page.take();
  for (auto line : {"\na NaN\n", "\nb -Inf\n", "\nc 1e+300\n", "\nd 0.1\n"})
    CHECK(text.find(line) != std::string::npos);
  CHECK(metrics_page("").take().empty());
}

TEST_CASE("the process knows its build and what it uses") {
  CHECK_FALSE(version().empty());
  CHECK(build_text().starts_with(std::string(version()) + " ("));
  const auto s = read_process_stats();
  CHECK(s.rss_bytes > 100'000);
  CHECK(s.open_fds >= 1);
  CHECK(s.open_fds <= s.fds_max);
  CHECK(s.uptime_seconds >= 0);
  CHECK(s.started <= std::chrono::system_clock::now());
}
