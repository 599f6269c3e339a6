// How far a peer's steady clock is from ours, measured over a link (docs/decisions/0004-clock-offset.md):
//
//   our clock = the peer's clock + offset, off by at most half the round trip of the best sample
//
// Clocks drift, so an old sample counts less and less. No I/O, no clock. Owner: the link's thread.
#pragma once
#include "common/base/time.hpp"

namespace beeline::link {

class clock_offset {
public:
  // The peer read `peer_us` and we have it at `now`; what it answers left us `round_trip_us` ago. Unsigned,
  // as what a peer says may be any number.
  void sample(std::uint64_t peer_us, std::uint64_t round_trip_us, time_point now) noexcept {
    best_round_trip_ += best_round_trip_ / 64 + 1;
    if (known_ && round_trip_us > best_round_trip_) return;
    known_ = true;
    best_round_trip_ = round_trip_us;
    offset_ = to_us(now) - peer_us - round_trip_us / 2;
  }
  void forget() noexcept { *this = {}; }
  bool known() const noexcept { return known_; }
  std::int64_t us() const noexcept { return static_cast<std::int64_t>(offset_); }
  std::uint64_t to_peer(time_point ours) const noexcept { return to_us(ours) - offset_; }

private:
  std::uint64_t offset_ = 0, best_round_trip_ = 0;
  bool known_ = false;
};

} // namespace beeline::link
