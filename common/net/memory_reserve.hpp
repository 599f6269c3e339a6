// Memory that a thread keeps for when there is no more: so that what is being done can be finished, and
// the one it is done for can be let go, instead of stopping in the middle.
//
//   operator new finds no memory -> the process's new-handler gives a block of this thread's reserve back
//   to the heap -> operator new tries again; nothing left to give -> std::bad_alloc
//
// The shell does a client's work inside a `memory_guard`. When that says the reserve was used, the client is
// closed: its work is whole, and its memory comes back. A last part of the reserve is kept from such work and
// from messages for clients (base/refusable_work.hpp), for the ends of connections, for answers and for what
// links say. A thread without a reserve gets std::bad_alloc at once, as ever.
//
// It is of use where the system says that there is no memory: under `ulimit -v` and with strict overcommit.
// The limit of a container kills instead.
//
// Owner: the thread that made it, which has one at most.
#pragma once
#include "common/base/limits.hpp"
#include "common/base/refusable_work.hpp"

#include <vector>

namespace beeline::net {

class memory_reserve {
public:
  explicit memory_reserve(std::size_t bytes = limits::memory_reserve_bytes); // throws std::bad_alloc
  ~memory_reserve();
  memory_reserve(const memory_reserve&) = delete;
  memory_reserve& operator=(const memory_reserve&) = delete;

  static void install() noexcept;            // the process's new-handler; of programs, not of libraries
  static memory_reserve* current() noexcept; // of this thread; may be null
  static void top_up() noexcept {            // this thread's, if it has one, as far as there is memory
    if (memory_reserve* r = current()) (void)r->refill();
  }

  bool whole() const noexcept { return blocks_.size() == full_; }
  bool has_spare() const noexcept { return blocks_.size() > last_; } // for work that may be refused
  bool refill() noexcept;                                            // true: it is whole
  std::size_t bytes() const noexcept { return blocks_.size() * limits::memory_reserve_block; }

private:
  friend class memory_guard;
  static void on_no_memory();
  bool give_back() noexcept;

  const std::size_t full_, last_; // blocks
  std::uint64_t given_ = 0;       // blocks given back, ever
  std::vector<void*> blocks_;
};

// Around work for one client, in a thread with or without a reserve.
class memory_guard {
public:
  memory_guard() noexcept
      : reserve_(memory_reserve::current()), given_before_(reserve_ ? reserve_->given_ : 0) {}
  bool used_reserve() const noexcept { return reserve_ && reserve_->given_ != given_before_; }

private:
  const refusable_work marked_;
  const memory_reserve* const reserve_;
  const std::uint64_t given_before_;
};

} // namespace beeline::net
