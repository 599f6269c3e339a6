// Latencies as a log-bucket histogram (HdrHistogram's idea): nanoseconds, 64 buckets for each power of two,
// so that a bucket is at most 1/64 wide; what is longer than 68 s counts as that. One thread, by value, 16
// KiB.
#pragma once
#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

namespace beeline::bench {

namespace latency_shape {
inline constexpr unsigned linear_bits = 6, greatest_power = 36;
inline constexpr std::size_t linear = 1u << linear_bits;
inline constexpr std::int64_t value_max = (std::int64_t{1} << greatest_power) - 1;
inline constexpr std::size_t buckets = (greatest_power - linear_bits + 1) << linear_bits;

constexpr std::size_t bucket_of(std::uint64_t v) noexcept { // v <= value_max
  const unsigned shift = static_cast<unsigned>(std::bit_width(v | linear)) - 1 - linear_bits;
  return (std::size_t{shift} << linear_bits) + static_cast<std::size_t>(v >> shift);
}
constexpr std::uint64_t last_of(std::size_t bucket) noexcept { // the greatest value that falls into it
  if (bucket < 2 * linear) return bucket;
  const std::size_t shift = (bucket >> linear_bits) - 1;
  return (((bucket & (linear - 1)) + linear + 1) << shift) - 1;
}
static_assert(last_of(bucket_of(127)) == 127 && last_of(bucket_of(128)) == 129 &&
              last_of(bucket_of(1000)) == 1007);
static_assert(bucket_of(value_max) == buckets - 1);
} // namespace latency_shape

class latencies {
public:
  void record(std::int64_t ns) noexcept {
    const auto v = static_cast<std::uint64_t>(std::clamp<std::int64_t>(ns, 0, latency_shape::value_max));
    ++counts_[latency_shape::bucket_of(v)];
    ++count_;
    max_ = std::max(max_, v);
  }
  std::uint64_t count() const noexcept { return count_; }
  std::uint64_t max_ns() const noexcept { return max_; }
  // The value that the share `q` of all are not above, to the end of its bucket. 0 when empty.
  std::uint64_t quantile_ns(double q) const noexcept {
    const auto wanted =
        std::max<std::uint64_t>(1, static_cast<std::uint64_t>(q * static_cast<double>(count_) + 0.999999));
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < counts_.size(); ++i)
      if ((seen += counts_[i]) >= wanted) return std::min(latency_shape::last_of(i), max_);
    return max_;
  }

private:
  std::array<std::uint64_t, latency_shape::buckets> counts_{};
  std::uint64_t count_ = 0, max_ = 0;
};

} // namespace beeline::bench
