#include "common/net/memory_reserve.hpp"

#include "common/base/check.hpp"

#include <cstdlib>
#include <new>

namespace beeline::net {
namespace {
thread_local memory_reserve* of_this_thread = nullptr;
}

memory_reserve::memory_reserve(std::size_t bytes)
    : full_(bytes / limits::memory_reserve_block),
      last_(full_ * limits::memory_reserve_last / limits::memory_reserve_bytes) {
  CHECK_INVARIANT(!of_this_thread);
  blocks_.reserve(full_);
  if (!refill()) {
    while (give_back()) {
    }
    throw std::bad_alloc();
  }
  of_this_thread = this;
}

memory_reserve::~memory_reserve() {
  of_this_thread = nullptr;
  while (give_back()) {
  }
}

void memory_reserve::install() noexcept { std::set_new_handler(on_no_memory); }
memory_reserve* memory_reserve::current() noexcept { return of_this_thread; }

bool memory_reserve::refill() noexcept {
  while (blocks_.size() < full_) {
    void* block = std::malloc(limits::memory_reserve_block); // asks no new-handler
    if (!block) return false;
    blocks_.push_back(block); // within what was reserved
  }
  return true;
}

bool memory_reserve::give_back() noexcept {
  if (blocks_.empty()) return false;
  std::free(blocks_.back());
  blocks_.pop_back();
  ++given_;
  return true;
}

void memory_reserve::on_no_memory() {
  memory_reserve* const r = of_this_thread;
  if (!r || optional_work::now() || (refusable_work::now() && !r->has_spare()) || !r->give_back())
    throw std::bad_alloc();
}

} // namespace beeline::net
