// Marks what this thread does as work that may be refused when memory is short (a client's packet, a message
// for a client), and within it what has to be done all the same (the end of a session, a receipt). Whoever
// keeps a reserve of memory for such times (net/memory_reserve.hpp) leaves the last part of it to what may
// not be refused.
//
// They nest. Two stores; nothing else changes by it. Owner: the thread.
#pragma once
#include <utility>

namespace beeline {

class refusable_work {
public:
  refusable_work() noexcept : refusable_work(true) {}
  ~refusable_work() { on_ = outer_; }
  refusable_work(const refusable_work&) = delete;
  refusable_work& operator=(const refusable_work&) = delete;

  static bool now() noexcept { return on_; }

protected:
  explicit refusable_work(bool on) noexcept : outer_(std::exchange(on_, on)) {}

private:
  static inline constinit thread_local bool on_ = false;
  const bool outer_;
};

class necessary_work : refusable_work {
public:
  necessary_work() noexcept : refusable_work(false) {}
};

} // namespace beeline
