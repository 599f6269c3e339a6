#include "common/ops/metrics.hpp"

#include "common/ops/build_info.hpp"

#include <catch2/catch.hpp>
#include <cmath>

using namespace beeline::ops;

TEST_CASE("samples of one family stand together, under one HELP and TYPE") {
  metrics_page page;
  page.counter("beeline_messages", "Messages taken.", {{"shard", "0"}}, std::uint64_t{18446744073709551615u});
  page.gauge("beeline_clients", "Clients.", 3);
  page.counter("beeline_messages_total", "Messages taken.", {{"shard", "1"}, {"qos", "1"}}, std::uint64_t{2});
  CHECK(page.prometheus() == "# HELP beeline_messages_total Messages taken.\n"
                             "# TYPE beeline_messages_total counter\n"
                             "beeline_messages_total{shard=\"0\"} 18446744073709551615\n"
                             "beeline_messages_total{shard=\"1\",qos=\"1\"} 2\n"
                             "# HELP beeline_clients Clients.\n"
                             "# TYPE beeline_clients gauge\n"
                             "beeline_clients 3\n");
}

TEST_CASE("label values and help texts are escaped") {
  metrics_page page;
  page.gauge("g", "a\\b\n\"c\"", {{"name", "x\"y\\z\n"}}, 0.5);
  CHECK(page.prometheus() == "# HELP g a\\\\b\\n\"c\"\n# TYPE g gauge\ng{name=\"x\\\"y\\\\z\\n\"} 0.5\n");
}

TEST_CASE("numbers are written so that they read back") {
  metrics_page page;
  page.gauge("a", "", std::nan(""));
  page.gauge("b", "", -HUGE_VAL);
  page.gauge("c", "", 1e300);
  page.counter("d", "", 0.25);
  page.counter("e", "", std::uint64_t{7});
  const auto text = page.prometheus();
  for (auto line : {"\na NaN\n", "\nb -Inf\n", "\nc 1e+300\n", "\nd_total 0.25\n", "\ne_total 7\n"})
    CHECK(text.find(line) != std::string::npos);
  CHECK(metrics_page().prometheus().empty());
}

TEST_CASE("the process knows its build and what it uses") {
  CHECK_FALSE(version().empty());
  CHECK(build_text().starts_with(std::string(version()) + " ("));
  const auto s = read_process_stats();
  CHECK(s.rss_bytes > 100'000);
  CHECK(s.open_fds >= 1);
  CHECK(s.uptime_seconds >= 0);
  CHECK(s.started <= std::chrono::system_clock::now());
}
