// Marks what this thread does as work that may be refused when memory is short: a client's packet, a message
// for a client. Whoever keeps a reserve of memory for such times (net/memory_reserve.hpp) leaves the last
// part of it to what is not marked: ends of connections, answers, what links have to say.
//
// They nest. Two stores; nothing else changes by it. Owner: the thread.
#pragma once
#include <utility>

namespace beeline {

class refusable_work {
public:
  refusable_work() noexcept : outer_(std::exchange(on_, true)) {}
  ~refusable_work() { on_ = outer_; }
  refusable_work(const refusable_work&) = delete;
  refusable_work& operator=(const refusable_work&) = delete;

  static bool now() noexcept { return on_; }

private:
  static inline constinit thread_local bool on_ = false;
  const bool outer_;
};

} // namespace beeline
