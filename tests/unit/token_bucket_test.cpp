// The rate at which something may pass.
#include "common/base/token_bucket.hpp"

#include <catch2/catch.hpp>

using namespace beeline;
using namespace std::chrono_literals;

namespace {
constexpr time_point begin{std::chrono::hours(1)};
int taken(token_bucket& b, time_point now, int most = 1'000'000) {
  int n = 0;
  while (n < most && b.take(now)) ++n;
  return n;
}
} // namespace

TEST_CASE("token bucket: the burst passes at once, then the rate, however often one asks") {
  token_bucket b(1'000, 50, 50, begin);
  CHECK(taken(b, begin) == 50);
  int n = 0;
  for (duration d = 0ms; d <= 2s; d += 100us) n += taken(b, begin + d);
  CHECK(n >= 1'999);
  CHECK(n <= 2'000);
}

TEST_CASE("token bucket: a quiet time saves up a burst, and no more") {
  token_bucket b(1'000, 50, 0, begin);
  CHECK(taken(b, begin) == 0);
  CHECK(taken(b, begin + 10ms) == 10);
  CHECK(taken(b, begin + 10min) == 50);
}

TEST_CASE("token bucket: says when there will be so many, and there are, and not before") {
  token_bucket b(300, 30, 30, begin);
  CHECK(b.time_of(30, begin) == begin);
  CHECK(taken(b, begin) == 30);
  const time_point at = b.time_of(15, begin);
  CHECK(at >= begin + 50ms);
  CHECK(at <= begin + 51ms);
  CHECK(taken(b, at) == 15);
  CHECK(b.time_of(1'000, at) == b.time_of(30, at)); // as many as fit
}

TEST_CASE("token bucket: rates below one a second, none at all, and clocks that stand still or go back") {
  token_bucket slow(0.1, 0.005, 1, begin);
  CHECK(taken(slow, begin) == 1);
  CHECK(taken(slow, begin + 9s) == 0);
  CHECK(taken(slow, begin + 11s) == 1);
  token_bucket none(0, 10, 2, begin);
  CHECK(taken(none, begin + 1h) == 2);
  CHECK(none.time_of(1, begin + 1h) == never);
  token_bucket b(1'000, 10, 0, begin);
  CHECK(taken(b, begin - 1s) == 0);
  CHECK(taken(b, begin + 5ms) == 5);
  CHECK(taken(b, begin + 1ms) == 0);
  CHECK(taken(b, begin + 6ms) == 1);
}
