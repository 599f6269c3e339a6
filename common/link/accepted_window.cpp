#include "common/link/accepted_window.hpp"

#include <bit>

namespace beeline::link {

void accepted_window::insert(std::uint64_t n) {
  CHECK_INVARIANT(n >= floor_ && !beyond(n));
  const std::uint64_t first = floor_ >> 6, need = (n >> 6) + 1 - first;
  if (end_ < first << 6) end_ = first << 6;
  if (need > words_.size()) grow(need);
  for (; end_ <= n; end_ += 64) words_[end_ >> 6 & (words_.size() - 1)] = 0;
  words_[n >> 6 & (words_.size() - 1)] |= std::uint64_t{1} << (n & 63);
}

void accepted_window::grow(std::uint64_t words) {
  std::vector<std::uint64_t> bigger(std::bit_ceil(words < 4 ? 4 : words));
  for (std::uint64_t w = floor_ >> 6; w < end_ >> 6; ++w)
    bigger[w & (bigger.size() - 1)] = words_[w & (words_.size() - 1)];
  words_ = std::move(bigger);
}

void accepted_window::raise_floor(std::uint64_t floor) noexcept {
  if (floor > floor_) floor_ = floor;
  // Bits below the floor within its word stay; contains() never looks at them.
  if (floor_ >> 6 >= end_ >> 6 && words_.size() > 64)
    words_ = std::vector<std::uint64_t>(), end_ = 0; // all settled: give the memory back
}

} // namespace beeline::link
