// A queue of objects of a slab or vector, linked through their own `prev` and `next`: in and out anywhere in
// constant time, without allocation. Owner: one thread.
#pragma once
#include "common/base/slab.hpp"

namespace beeline {

struct slab_queue {
  std::uint32_t head = none, tail = none;

  bool empty() const noexcept { return head == none; }
  template <class All> void push_back(All& all, std::uint32_t i) noexcept {
    all[i].prev = tail;
    all[i].next = none;
    (tail != none ? all[tail].next : head) = i;
    tail = i;
  }
  template <class All> void remove(All& all, std::uint32_t i) noexcept {
    const std::uint32_t prev = all[i].prev, next = all[i].next;
    (prev != none ? all[prev].next : head) = next;
    (next != none ? all[next].prev : tail) = prev;
  }
};

} // namespace beeline
