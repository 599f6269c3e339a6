// Time as the core sees it. The core never reads a clock: the shell (or the simulator) hands it
// `time_point`s of one steady clock. Microseconds, so that 64 bits last.
#pragma once
#include <chrono>
#include <cstdint>

namespace beeline {

using duration = std::chrono::microseconds;
struct steady {
  using duration = beeline::duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<steady>;
  static constexpr bool is_steady = true;
};
using time_point = steady::time_point;

inline constexpr time_point never = time_point::max();
constexpr std::uint64_t to_us(time_point t) noexcept {
  return static_cast<std::uint64_t>(t.time_since_epoch().count());
}
constexpr std::uint64_t to_us(duration d) noexcept { return static_cast<std::uint64_t>(d.count()); }

} // namespace beeline
