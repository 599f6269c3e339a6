// Counters and gauges that one thread writes and any thread reads.
//
// A single writer needs no locked instruction: load and store relaxed compile to plain moves, and a
// reader sees a value that was true a moment ago. This is how statistics cross threads without
// stopping a hot loop.
#pragma once
#include <atomic>
#include <cstdint>

namespace beeline {

class counter {
public:
  void add(std::uint64_t n = 1) noexcept { value_.store(get() + n, std::memory_order_relaxed); }
  void set(std::uint64_t n) noexcept { value_.store(n, std::memory_order_relaxed); }
  void sub(std::uint64_t n = 1) noexcept { value_.store(get() - n, std::memory_order_relaxed); }
  void see(std::uint64_t n) noexcept { // a high-water mark: keeps the greatest
    if (n > get()) set(n);
  }
  std::uint64_t get() const noexcept { return value_.load(std::memory_order_relaxed); }

private:
  std::atomic<std::uint64_t> value_{0};
};

} // namespace beeline
