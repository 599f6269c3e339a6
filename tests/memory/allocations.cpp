#include "tests/memory/allocations.hpp"

#include "common/base/refusable_work.hpp"

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <malloc.h>
#include <new>

namespace beeline::test {
namespace {

std::atomic<std::size_t> used{0}, most{0}, biggest{0};
thread_local std::size_t left = SIZE_MAX; // allocations until none succeeds
thread_local bool failed = false, refusable_only = false;

void raise_to(std::atomic<std::size_t>& mark, std::size_t v) noexcept {
  for (std::size_t seen = mark; seen < v && !mark.compare_exchange_weak(seen, v);) continue;
}

void* take(std::size_t n) {
  if (left != SIZE_MAX && (!refusable_only || refusable_work::now())) {
    if (left == 0) {
      failed = true;
      throw std::bad_alloc();
    }
    --left;
  }
  void* p = std::malloc(n ? n : 1);
  if (!p) throw std::bad_alloc();
  raise_to(biggest, n);
  raise_to(most, used += ::malloc_usable_size(p));
  return p;
}

void give(void* p) noexcept {
  if (!p) return;
  used -= ::malloc_usable_size(p);
  std::free(p);
}

} // namespace

std::size_t allocations::in_use() noexcept { return used; }
std::size_t allocations::peak() noexcept { return most; }
std::size_t allocations::largest() noexcept { return biggest; }
void allocations::watch() noexcept {
  most = used.load();
  biggest = 0;
}
void allocations::fail_from(std::size_t k) noexcept { left = k, failed = refusable_only = false; }
void allocations::fail_refusable_from(std::size_t k) noexcept {
  fail_from(k);
  refusable_only = true;
}
bool allocations::heal() noexcept {
  left = SIZE_MAX;
  return failed;
}

} // namespace beeline::test

void* operator new(std::size_t n) { return beeline::test::take(n); }
void* operator new[](std::size_t n) { return beeline::test::take(n); }
void* operator new(std::size_t n, const std::nothrow_t&) noexcept try {
  return beeline::test::take(n);
} catch (const std::bad_alloc&) {
  return nullptr;
}
void* operator new[](std::size_t n, const std::nothrow_t& t) noexcept { return operator new(n, t); }
void operator delete(void* p) noexcept { beeline::test::give(p); }
void operator delete[](void* p) noexcept { beeline::test::give(p); }
void operator delete(void* p, std::size_t) noexcept { beeline::test::give(p); }
void operator delete[](void* p, std::size_t) noexcept { beeline::test::give(p); }
