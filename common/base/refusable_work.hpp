// Marks what this thread does as work that may be refused when memory is short (a client's packet, a message
// for a client), and within it what has to be done all the same (the end of a session, a receipt), or what
// only would be good (to give memory back). Whoever keeps a reserve of memory for such times
// (net/memory_reserve.hpp) leaves the last part of it to what may not be refused, and gives nothing to what
// only would be good.
//
// They nest. Two stores; nothing else changes by it. Owner: the thread.
#pragma once
#include <cstdint>
#include <utility>

namespace beeline {

class refusable_work {
public:
  refusable_work() noexcept : refusable_work(kind::refusable) {}
  ~refusable_work() { now_ = outer_; }
  refusable_work(const refusable_work&) = delete;
  refusable_work& operator=(const refusable_work&) = delete;

  static bool now() noexcept { return now_ != kind::necessary; }

protected:
  enum class kind : std::uint8_t { necessary, refusable, optional };
  explicit refusable_work(kind k) noexcept : outer_(std::exchange(now_, k)) {}
  static inline constinit thread_local kind now_ = kind::necessary;

private:
  const kind outer_;
};

class necessary_work : refusable_work {
public:
  necessary_work() noexcept : refusable_work(kind::necessary) {}
};

class optional_work : refusable_work {
public:
  optional_work() noexcept : refusable_work(kind::optional) {}
  static bool now() noexcept { return now_ == kind::optional; }
};

} // namespace beeline
