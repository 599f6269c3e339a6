// Rates over windows, from counters sampled now and then.
#include "common/ops/rates.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <optional>

using namespace beeline;
using namespace beeline::ops;
using namespace std::chrono_literals;

namespace {

constexpr rate_source sources[] = {
    {"messages_in", {{{"messages_in"}}}},
    {"accepted", {{{"answers", "accepted"}}}},
    {"both", {{{"messages_in"}, {"sent"}}}},
    {"refused", {{{"answers"}}}, {"answers", "accepted"}},
};

struct sampled {
  counter messages[2], answers[answer_count], sent;
  rate_meter meter{sources};
  time_point now{1h};
  stats_part part() const {
    stats_part p;
    p.by_qos("messages_in", "Messages", messages);
    p.family("answers", "Answers", "kind", answer_names, answers);
    p.counter("sent", "Sent", sent);
    return p;
  }
  void second(std::uint64_t n, duration passed = 1s) {
    messages[0].add(n / 2), messages[1].add(n - n / 2);
    answers[0].add(n / 10), answers[1].add(1000);
    sent.add(1);
    now += passed;
    meter.sample(part(), now);
  }
  double rate(const char* window, const char* name = "messages_in") {
    return told(meter)["rates"][window][name].get<double>();
  }
  static nlohmann::json told(const auto& meter) {
    json_text out;
    out.object();
    meter.tell(out);
    out.end();
    return nlohmann::json::parse(out.take());
  }
};

// One of several meters: all of them together without a number.
struct one_of {
  const rate_meters& all;
  std::optional<std::size_t> part;
  void tell(json_text& out) const {
    if (part) all.tell_part(out, *part);
    else all.tell_all(out);
  }
};

} // namespace

TEST_CASE("rates: nothing was sampled, or once: all are 0") {
  sampled s;
  CHECK(s.rate("60s") == 0);
  s.meter.sample(s.part(), s.now);
  CHECK(s.rate("1s") == 0);
}

TEST_CASE("rates: families add up, are told by key or less one, several counters add up") {
  sampled s;
  s.meter.sample(s.part(), s.now);
  s.second(100);
  CHECK(s.rate("1s") == 100);
  CHECK(s.rate("1s", "accepted") == 10);
  CHECK(s.rate("1s", "both") == 101);
  CHECK(s.rate("1s", "refused") == 1000);
}

TEST_CASE("rates: a burst leaves the windows one after the other") {
  sampled s;
  s.meter.sample(s.part(), s.now);
  s.second(600);
  CHECK(s.rate("1s") == 600);
  CHECK(s.rate("60s") == 600); // of the second that there was
  for (int k = 0; k < 9; ++k) s.second(0);
  CHECK(s.rate("1s") == 0);
  CHECK(s.rate("10s") == 60);
  s.second(0);
  CHECK(s.rate("10s") == 0);
  for (int k = 0; k < 49; ++k) s.second(0);
  CHECK(s.rate("60s") == 10);
  s.second(0);
  CHECK(s.rate("60s") == 0);
}

TEST_CASE("rates: samples that come late count by the time that was really between them") {
  sampled s;
  s.meter.sample(s.part(), s.now);
  s.second(300, 3s);
  CHECK(s.rate("1s") == 100);
  CHECK(s.rate("10s") == 100);
}

TEST_CASE("rates: parts and all of them together") {
  sampled a, b;
  rate_meters all(sources, 2);
  const auto tell = [&](std::size_t k) { return k == 0 ? a.part() : b.part(); };
  all.sample(tell, time_point(1h));
  a.second(10), b.second(32);
  all.sample(tell, time_point(1h) + 1s);
  CHECK(sampled::told(one_of{all, 0})["rates"]["1s"]["messages_in"] == 10.0);
  CHECK(sampled::told(one_of{all, 1})["rates"]["1s"]["messages_in"] == 32.0);
  CHECK(sampled::told(one_of{all, {}})["rates"]["1s"]["messages_in"] == 42.0);
}
