// How many may pass in how much time: tokens come at a rate, each that passes takes one, and what is not
// taken is kept up to a burst. Owner: one thread.
#pragma once
#include "common/base/time.hpp"

#include <algorithm>

namespace beeline {

class token_bucket {
public:
  token_bucket() = default; // nobody passes
  // At `now` there are `first` tokens. `burst` is at least 1: else nobody would ever pass.
  token_bucket(double per_second, double burst, double first, time_point now) noexcept
      : per_second_(per_second), burst_(std::max(burst, 1.0)), tokens_(std::min(first, burst_)), at_(now) {}

  // True: one passes. A clock that stands still or goes back gives nothing.
  bool take(time_point now) noexcept {
    if (!has(now)) return false;
    spend();
    return true;
  }
  // The same in two steps, where it shows only then whether anybody is there.
  bool has(time_point now) noexcept {
    refill(now);
    return tokens_ >= 1;
  }
  void spend() noexcept { tokens_ -= 1; }
  // When there will be `n` tokens, or as many as fit.
  time_point time_of(double n, time_point now) noexcept {
    refill(now);
    const double missing = std::clamp(n, 1.0, burst_) - tokens_;
    if (missing <= 0) return now;
    if (per_second_ <= 0) return never;
    return now + std::chrono::ceil<duration>(std::chrono::duration<double>(missing / per_second_));
  }

private:
  void refill(time_point now) noexcept {
    if (now <= at_) return;
    tokens_ = std::min(burst_, tokens_ + std::chrono::duration<double>(now - at_).count() * per_second_);
    at_ = now;
  }
  double per_second_ = 0, burst_ = 1, tokens_ = 0;
  time_point at_{};
};

} // namespace beeline
