// Every allocation of this program by operator new: counted, and made to fail when a test wants it.
// One thread asks; allocations of other threads count too.
#pragma once
#include <cstddef>

namespace beeline::test {

struct allocations {
  static std::size_t in_use() noexcept;  // bytes
  static std::size_t peak() noexcept;    // most in use since watch()
  static std::size_t largest() noexcept; // single one since watch()
  static void watch() noexcept;          // from now on
  // Of this thread's allocations number k from now on (0: the next) finds no memory, and all after it
  // neither, until heal().
  static void fail_from(std::size_t k) noexcept;
  static void fail_refusable_from(std::size_t k) noexcept; // the same of those in refusable work alone
  static bool heal() noexcept;                             // true: one has failed
};

} // namespace beeline::test
