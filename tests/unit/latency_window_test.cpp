// Latencies of the last seconds, from a histogram that counts since the start and is sampled now and then.
#include "common/ops/latency_window.hpp"

#include <catch2/catch.hpp>

using namespace beeline;
using namespace beeline::ops;
using namespace std::chrono_literals;

namespace {

struct sampled {
  histogram h;
  latency_window window;
  time_point now{1h};
  // One second in which `n` messages took `us` each.
  void second(int n, std::uint64_t us, duration passed = 1s) {
    for (int k = 0; k < n; ++k) h.record_us(us);
    now += passed;
    window.sample(h.snapshot(), now);
  }
  void rest(int seconds) {
    for (int k = 0; k < seconds; ++k) second(0, 0);
  }
  std::uint64_t count(duration d) const { return window.last(d).count(); }
};

} // namespace

TEST_CASE("latency_window: nothing was sampled, or nothing happened: it is empty") {
  sampled s;
  CHECK(s.count(10s) == 0);
  s.rest(3);
  CHECK(s.count(10s) == 0);
  CHECK(s.window.last(60s).quantile_us(0.99) == 0);
}

TEST_CASE("latency_window: while it is younger than the window, it tells all since the start") {
  sampled s;
  s.second(7, 100);
  CHECK(s.count(10s) == 7);
  CHECK(s.count(60s) == 7);
  s.rest(8);
  s.second(1, 200);
  CHECK(s.count(10s) == 8);
}

TEST_CASE("latency_window: a burst leaves each window in its time") {
  sampled s;
  s.rest(100);
  s.second(5, 100);
  s.rest(9);
  CHECK(s.count(10s) == 5);
  s.rest(1);
  CHECK(s.count(10s) == 0);
  s.rest(49);
  CHECK(s.count(60s) == 5);
  s.rest(7); // up to 6 s longer
  CHECK(s.count(60s) == 0);
}

TEST_CASE("latency_window: a window of a minute is never shorter, and at most 6 s longer") {
  for (int phase = 0; phase < 6; ++phase) {
    sampled s;
    s.rest(90 + phase);
    for (int k = 0; k < 200; ++k) {
      s.second(1, 100);
      if (k < 70) continue;
      CHECK(s.count(10s) == 10);
      CHECK(s.count(60s) >= 60);
      CHECK(s.count(60s) < 66);
    }
  }
}

TEST_CASE("latency_window: quantiles are those of the window, not of what was before") {
  sampled s;
  s.second(1'000'000, 100'000);
  s.rest(70);
  s.second(99, 100);
  s.second(1, 5'000);
  const auto w = s.window.last(10s);
  CHECK(w.count() == 100);
  CHECK(w.sum_us == 99 * 100 + 5'000);
  CHECK(w.quantile_us(0.5) == 103); // the end of its bucket
  CHECK(w.quantile_us(0.999) == 5'119);
  CHECK(w.max_us == 5'119);
}

TEST_CASE("latency_window: samples that are not punctual to half a second change nothing") {
  sampled s;
  s.rest(30);
  s.second(5, 100, 1400ms);
  for (int k = 0; k < 9; ++k) s.second(0, 0, k % 2 ? 960ms : 1010ms);
  CHECK(s.count(10s) == 5);
  s.second(0, 0, 1040ms);
  CHECK(s.count(10s) == 0);
}

TEST_CASE("latency_window: after a pause of the program the window reaches back over it") {
  sampled s;
  s.rest(30);
  s.second(5, 100, 45s); // stopped meanwhile
  CHECK(s.count(10s) == 5);
  s.rest(8);
  CHECK(s.count(10s) == 5);
  s.rest(2);
  CHECK(s.count(10s) == 0);
  CHECK(s.count(60s) == 5);
}

TEST_CASE("latency_window: samples that come too fast shorten it to what is kept, and lose no order") {
  sampled s;
  for (int k = 0; k < 1000; ++k) s.second(1, 100, 10ms);
  CHECK(s.count(60s) >= 60);
  CHECK(s.count(60s) <= 72);
}

TEST_CASE("latency_window: memory is what the page says") { CHECK(sizeof(latency_window) < 37'500); }
