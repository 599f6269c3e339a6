// What one event loop counts about its sockets, and the connection budget that loops share.
//
// io_counters: written by the loop's thread, read by any. connection_budget: any thread; it outlives
// every loop that takes from it.
#pragma once
#include "common/base/counters.hpp"
#include "common/base/reasons.hpp"

#include <array>
#include <atomic>
#include <memory>

namespace beeline::net {

struct io_counters {
  counter turns;
  counter bytes_in, bytes_out;
  counter reads, writes;
  counter partial_writes; // the kernel took less than there was
  counter accepts, accept_errors;
  counter connects_ok, connects_failed;
  counter streams;    // gauge: open now, those that only drain their last words included
  counter rest_bytes; // gauge: bytes of cut frames kept for all connections
  std::array<counter, close_reason_count> closed;

  counter& closed_by(close_reason r) noexcept { return closed[static_cast<std::size_t>(r)]; }
  const counter& closed_by(close_reason r) const noexcept { return closed[static_cast<std::size_t>(r)]; }
};

class connection_budget {
public:
  explicit connection_budget(std::uint64_t max) noexcept : max_(max) {}

  bool take() noexcept {
    if (open_.fetch_add(1, std::memory_order_relaxed) < max_) return true;
    give();
    return false;
  }
  void give() noexcept { open_.fetch_sub(1, std::memory_order_relaxed); }
  std::uint64_t open() const noexcept { return open_.load(std::memory_order_relaxed); }
  std::uint64_t max() const noexcept { return max_; }

private:
  std::atomic<std::uint64_t> open_{0};
  const std::uint64_t max_;
};

// One connection's place in the budget. It travels with the socket and is given back with it; empty
// for sockets that no budget covers.
struct budget_return {
  void operator()(connection_budget* b) const noexcept { b->give(); }
};
using budget_slot = std::unique_ptr<connection_budget, budget_return>;

} // namespace beeline::net
