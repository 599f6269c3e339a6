// Exponential backoff with jitter: how long to wait before trying again.
//
// The n-th wait is drawn evenly from [b/2, b] with b = min(first * 2^n, cap), so that many peers
// that lost one server at one moment do not come back at one moment. It never gives up. No clock
// and no randomness here: the caller brings a random number and sets its own timer.
#pragma once
#include "common/base/check.hpp"
#include "common/base/time.hpp"

#include <algorithm>

namespace beeline {

class backoff {
public:
  constexpr backoff(duration first, duration cap) noexcept : first_(first), cap_(cap), bound_(first) {
    CHECK_INVARIANT(duration::zero() < first && first <= cap && cap <= std::chrono::hours(24));
  }

  // The next wait; `random` is any 64-bit random number.
  constexpr duration next(std::uint64_t random) noexcept {
    const auto whole = static_cast<std::uint64_t>(bound_.count());
    const std::uint64_t half = whole / 2;
    bound_ = std::min(bound_ * 2, cap_);
    __extension__ using u128 = unsigned __int128;
    const auto jitter = static_cast<std::uint64_t>(static_cast<u128>(random) * (whole - half + 1) >> 64);
    return duration(static_cast<duration::rep>(half + jitter));
  }
  constexpr void reset() noexcept { bound_ = first_; } // it worked: begin anew next time

private:
  duration first_, cap_, bound_;
};

} // namespace beeline
