// Durations in buckets: where a value falls, quantiles, merging, what a reader sees meanwhile.
#include "common/base/histogram.hpp"

#include <catch2/catch.hpp>

using namespace beeline;
using namespace std::chrono_literals;

TEST_CASE("histogram: each value falls into the bucket that holds it, at most an eighth wide") {
  using namespace histogram_shape;
  std::size_t last = 0;
  for (std::uint64_t v = 0; v <= value_max; v += v / 1000 + 1) {
    const std::size_t b = bucket_of(v);
    REQUIRE(b < buckets);
    REQUIRE(b >= last);
    REQUIRE(b - last <= 1);
    REQUIRE(v <= last_of(b));
    REQUIRE((b == 0 || v > last_of(b - 1)));
    REQUIRE((last_of(b) - v) * 8 <= std::max<std::uint64_t>(v, 8));
    last = b;
  }
  CHECK(bucket_of(value_max) == buckets - 1);
  CHECK(last_of(buckets - 1) == value_max);
}

TEST_CASE("histogram: count, sum, greatest and quantiles") {
  histogram h;
  CHECK(h.snapshot().count() == 0);
  CHECK(h.snapshot().quantile_us(0.99) == 0);
  for (int k = 1; k <= 1000; ++k) h.record(duration(k));
  const auto s = h.snapshot();
  CHECK(s.count() == 1000);
  CHECK(s.sum_us == 500'500);
  CHECK(s.max_us == 1000);
  CHECK(s.quantile_us(0.5) >= 500);
  CHECK(s.quantile_us(0.5) <= 563);
  CHECK(s.quantile_us(0.001) == 1);
  CHECK(s.quantile_us(1.0) == 1000); // never above what was there
}

TEST_CASE("histogram: one slow value among a thousand shows at the end only") {
  histogram h;
  for (int k = 0; k < 999; ++k) h.record(100us);
  h.record(3s);
  const auto s = h.snapshot();
  CHECK(s.quantile_us(0.99) < 112);
  CHECK(s.quantile_us(0.999) < 112);
  CHECK(s.quantile_us(0.9999) == 3'000'000);
}

TEST_CASE("histogram: how many took at most so long, to the end of its bucket") {
  histogram h;
  CHECK(h.snapshot().count_within(1'000'000) == 0);
  for (const std::uint64_t us : {0u, 7u, 999'999u, 1'048'575u}) h.record_us(us);
  h.record_us(1'048'576);
  h.record_us(std::uint64_t{1} << 40);
  CHECK(h.snapshot().count_within(7) == 2);
  CHECK(h.snapshot().count_within(1'000'000) == 4);
  CHECK(h.snapshot().count_within(~std::uint64_t{0}) == 6);
}

TEST_CASE("histogram: what is negative counts as nothing, what is too long as the longest") {
  histogram h;
  h.record(-5us);
  h.record(std::chrono::hours(1));
  const auto s = h.snapshot();
  CHECK(s.counts.front() == 1);
  CHECK(s.counts.back() == 1);
  CHECK(s.max_us == histogram_shape::value_max);
}

TEST_CASE("histogram: snapshots of several threads merge") {
  histogram a, b;
  a.record(10us), a.record(20us);
  b.record(10us), b.record(5ms);
  auto all = a.snapshot();
  all.merge(b.snapshot());
  CHECK(all.count() == 4);
  CHECK(all.sum_us == 5040);
  CHECK(all.max_us == 5000);
  CHECK(all.counts[histogram_shape::bucket_of(10)] == 2);
}

TEST_CASE("histogram: powers of two are borders between buckets") {
  using namespace histogram_shape;
  for (unsigned p = linear_bits; p < greatest_power; ++p) {
    const std::uint64_t border = std::uint64_t{1} << p;
    CHECK(last_of(bucket_of(border - 1)) == border - 1);
    CHECK(bucket_of(border) == bucket_of(border - 1) + 1);
  }
}

TEST_CASE("histogram: what came since an earlier snapshot") {
  histogram h;
  h.record(100us), h.record(3ms);
  const auto before = h.snapshot();
  CHECK(h.snapshot().since(before).count() == 0);
  CHECK(h.snapshot().since({}).max_us == 3000);
  h.record(100us), h.record(500us);
  auto d = h.snapshot().since(before);
  CHECK(d.count() == 2);
  CHECK(d.sum_us == 600);
  CHECK(d.max_us == 511); // not the greatest ever: to the end of its bucket
  h.record(7ms);
  d = h.snapshot().since(before);
  CHECK(d.count() == 3);
  CHECK(d.max_us == 7000); // the greatest ever
  const auto later = h.snapshot();
  h.record(6999us);
  CHECK(h.snapshot().since(later).max_us == 7000); // never above the greatest ever
}

TEST_CASE("histogram: what others recorded adds up to what one would have") {
  histogram one, other, all, both;
  one.record(10us), all.record(10us);
  other.record(20us), other.record(5ms), all.record(20us), all.record(5ms);
  both.merge(one.snapshot());
  both.merge(other.snapshot());
  CHECK(both.snapshot().counts == all.snapshot().counts);
  CHECK(both.snapshot().sum_us == 5030);
  CHECK(both.snapshot().max_us == 5000);
}

TEST_CASE("histogram: several quantiles in one pass are those of one by one") {
  histogram h;
  CHECK(h.snapshot().quantiles_us({0.5, 0.99}) == std::array<std::uint64_t, 2>{0, 0});
  for (std::uint64_t k = 1; k <= 1000; ++k) h.record_us(k * k);
  const auto s = h.snapshot();
  CHECK(s.quantiles_us({0.001, 0.5, 0.5, 0.99, 1.0}) == std::array{s.quantile_us(0.001), s.quantile_us(0.5),
                                                                   s.quantile_us(0.5), s.quantile_us(0.99),
                                                                   s.max_us});
}
