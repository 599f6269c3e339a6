// The numbers of one origin lane that this lane has accepted (docs/link-protocol.md, rules).
//
//        floor                                  floor + limit
//   -------|1011011100001000...|------------------|----
//   known   a bit for each number                 beyond: `busy`
//
// Below the origin's floor (its oldest number without an answer) nothing is kept: those are
// settled. A ring of 64-bit words that grows up to the window an origin may have in flight, so a
// quiet origin costs a few bytes. Owner: one lane's thread.
#pragma once
#include "common/base/check.hpp"
#include "common/base/limits.hpp"

#include <cstdint>
#include <vector>

namespace beeline::link {

class accepted_window {
public:
  static constexpr std::uint64_t limit = 2 * limits::window_messages_max;
  static_assert(limit >= limits::window_messages_max, "an origin's whole window is never `busy`");

  std::uint64_t floor() const noexcept { return floor_; }
  bool below_floor(std::uint64_t n) const noexcept { return n < floor_; }
  bool beyond(std::uint64_t n) const noexcept { return n >= floor_ + limit; }
  bool contains(std::uint64_t n) const noexcept {
    return n >= floor_ && n < end_ && (word(n) >> (n & 63) & 1);
  }
  void insert(std::uint64_t n);                   // floor() <= n and not beyond(n)
  void raise_floor(std::uint64_t floor) noexcept; // the highest one told counts
  std::size_t memory_bytes() const noexcept { return words_.capacity() * 8; }

private:
  std::uint64_t word(std::uint64_t n) const noexcept { return words_[n >> 6 & (words_.size() - 1)]; }
  void grow(std::uint64_t words);
  std::uint64_t floor_ = 0;
  std::uint64_t end_ = 0;            // bits [floor_ & ~63, end_) live in the ring; end_ is a multiple of 64
  std::vector<std::uint64_t> words_; // a power of two of them, or none
};

} // namespace beeline::link
