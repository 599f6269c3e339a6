// What one event loop counts about its sockets. Written by the loop's thread, read by any.
#pragma once
#include "common/base/counters.hpp"
#include "common/base/reasons.hpp"

#include <array>

namespace beeline::net {

struct io_counters {
  counter turns;
  counter bytes_in, bytes_out;
  counter reads, writes;
  counter partial_writes; // the kernel took less than there was
  counter accepts, accept_errors;
  counter accepts_held_back; // times that connections waited in the kernel for --connect-rate
  counter connects_ok, connects_failed;
  counter streams;    // gauge: open now, those that only drain their last words included
  counter rest_bytes; // gauge: bytes of cut frames kept for all connections
  std::array<counter, close_reason_count> closed;

  counter& closed_by(close_reason r) noexcept { return closed[static_cast<std::size_t>(r)]; }
  const counter& closed_by(close_reason r) const noexcept { return closed[static_cast<std::size_t>(r)]; }
};

} // namespace beeline::net
