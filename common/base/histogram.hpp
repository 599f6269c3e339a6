// Durations as a histogram that one thread writes and any thread reads, like counters.hpp.
//
//   µs   0 1 .. 7 | 8 9 .. 15 | 16 18 .. 30 | 32 36 .. 60 | ...      (HdrHistogram's idea)
//        linear     8 buckets for each power of two up to 134 s, so a bucket is at most 1/8 wide
//
// Fixed memory (1.6 KiB), no clock: the caller gives durations between the times of turns. A reader
// takes a snapshot; snapshots of several threads merge by adding.
#pragma once
#include "common/base/counters.hpp"
#include "common/base/time.hpp"

#include <algorithm>
#include <array>
#include <bit>

namespace beeline {

namespace histogram_shape {
inline constexpr unsigned linear_bits = 3;     // 8 buckets for each power of two
inline constexpr unsigned greatest_power = 27; // what is longer than 134 s counts as that
inline constexpr std::uint64_t value_max = (std::uint64_t{1} << greatest_power) - 1;
inline constexpr std::size_t buckets = (greatest_power - linear_bits + 1) << linear_bits;

constexpr std::size_t bucket_of(std::uint64_t us) noexcept { // us <= value_max
  const unsigned shift = static_cast<unsigned>(std::bit_width(us | 8)) - 1 - linear_bits;
  return (std::size_t{shift} << linear_bits) + static_cast<std::size_t>(us >> shift);
}
constexpr std::uint64_t last_of(std::size_t bucket) noexcept { // the greatest value that falls into it
  if (bucket < 8) return bucket;
  const unsigned shift = static_cast<unsigned>(bucket >> linear_bits) - 1;
  return (((bucket & 7) + 8 + 1) << shift) - 1;
}
} // namespace histogram_shape

struct histogram_snapshot {
  std::array<std::uint64_t, histogram_shape::buckets> counts{};
  std::uint64_t sum_us = 0, max_us = 0;

  std::uint64_t count() const noexcept {
    std::uint64_t n = 0;
    for (const std::uint64_t c : counts) n += c;
    return n;
  }
  // How many are not above `us`, to the end of its bucket.
  std::uint64_t count_within(std::uint64_t us) const noexcept {
    std::uint64_t n = 0;
    for (std::size_t i = 0; i <= histogram_shape::bucket_of(std::min(us, histogram_shape::value_max)); ++i)
      n += counts[i];
    return n;
  }
  void merge(const histogram_snapshot& o) noexcept {
    for (std::size_t i = 0; i < counts.size(); ++i) counts[i] += o.counts[i];
    sum_us += o.sum_us;
    max_us = std::max(max_us, o.max_us);
  }
  // What came after `older`, an earlier snapshot of the same: counts and sum exactly; the greatest exactly
  // when it is the greatest ever, else to the end of its bucket.
  histogram_snapshot since(const histogram_snapshot& older) const noexcept {
    histogram_snapshot d;
    std::size_t last = counts.size();
    for (std::size_t i = 0; i < counts.size(); ++i)
      if ((d.counts[i] = counts[i] - older.counts[i]) != 0) last = i;
    if (last == counts.size()) return {};
    d.sum_us = sum_us - older.sum_us;
    d.max_us = max_us > older.max_us ? max_us : std::min(histogram_shape::last_of(last), max_us);
    return d;
  }
  // The value that the share `q` (0..1] of all are not above, to the end of its bucket. 0 when empty.
  std::uint64_t quantile_us(double q) const noexcept { return quantiles_us({q})[0]; }
  // Of several shares that rise, in one pass.
  template <std::size_t N>
  std::array<std::uint64_t, N> quantiles_us(const double (&shares)[N]) const noexcept {
    std::array<std::uint64_t, N> out;
    out.fill(max_us);
    const std::uint64_t all = count();
    const auto wanted = [all](double q) {
      return std::max<std::uint64_t>(1, static_cast<std::uint64_t>(q * static_cast<double>(all) + 0.999999));
    };
    std::uint64_t seen = 0;
    for (std::size_t i = 0, k = 0; all && i < counts.size() && k < N; ++i)
      for (seen += counts[i]; k < N && seen >= wanted(shares[k]); ++k)
        out[k] = std::min(histogram_shape::last_of(i), max_us);
    return out;
  }
};

class histogram {
public:
  void record(duration d) noexcept { record_us(d.count() > 0 ? to_us(d) : 0); }
  void record_us(std::uint64_t us) noexcept {
    us = std::min(us, histogram_shape::value_max);
    counts_[histogram_shape::bucket_of(us)].add();
    sum_us_.add(us);
    max_us_.see(us);
  }
  void merge(const histogram_snapshot& s) noexcept { // what somebody else recorded
    for (std::size_t i = 0; i < counts_.size(); ++i)
      if (s.counts[i]) counts_[i].add(s.counts[i]);
    sum_us_.add(s.sum_us);
    max_us_.see(s.max_us);
  }
  histogram_snapshot snapshot() const noexcept {
    histogram_snapshot s;
    for (std::size_t i = 0; i < counts_.size(); ++i) s.counts[i] = counts_[i].get();
    s.sum_us = sum_us_.get();
    s.max_us = max_us_.get();
    return s;
  }

private:
  std::array<counter, histogram_shape::buckets> counts_;
  counter sum_us_, max_us_;
};
static_assert(sizeof(histogram) < 2048);

} // namespace beeline
