// What the other end of a link understands, and how far its clock is from ours: with it, how the time that a
// message has is said over the link. No I/O, no clock. Owner: the link's thread.
#pragma once
#include "common/link/clock_offset.hpp"
#include "common/wire/frame.hpp"
#include "common/wire/message.hpp"

namespace beeline::link {

struct peer_terms {
  std::uint16_t version = wire::protocol_version; // of the link protocol, agreed on
  clock_offset clock;                             // the peer's

  bool has_deadlines() const noexcept { return version >= wire::version_with_deadlines; }
  bool has_receipts() const noexcept { return version >= wire::version_with_receipts; }

  // A deadline by the peer's clock, or before version 3 a time to live. 0: no limit, also while the peer's
  // clock is not known yet.
  std::uint32_t time_limit(std::uint32_t ttl_ms, time_point now) const noexcept {
    if (ttl_ms == 0 || !has_deadlines()) return ttl_ms;
    return clock.known() ? wire::deadline_of(ttl_ms, clock.to_peer(now)) : 0;
  }
};

} // namespace beeline::link
