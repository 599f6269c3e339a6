// Objects by index, with a free list: stable 32-bit names, no allocation once warm.
// References are valid until the next take(). Owner: one thread.
#pragma once
#include "common/base/check.hpp"

#include <algorithm>
#include <cstdint>
#include <vector>

namespace beeline {

inline constexpr std::uint32_t none = 0xffffffff;

template <class T> class slab {
public:
  void reserve(std::size_t n) { // n of them in all find room from now on
    if (n > items_.capacity()) grow(std::max(n, 2 * items_.capacity()));
  }
  std::uint32_t take() {
    if (free_.empty()) {
      if (items_.size() == items_.capacity()) grow(2 * items_.size() + 8);
      items_.emplace_back();
      ++used_;
      return static_cast<std::uint32_t>(items_.size() - 1);
    }
    const std::uint32_t i = free_.back();
    free_.pop_back();
    ++used_;
    return i;
  }
  void give(std::uint32_t i) { // the caller has reset the object
    --used_;
    free_.push_back(i);
  }
  T& operator[](std::uint32_t i) noexcept {
    DCHECK_INVARIANT(i < items_.size());
    return items_[i];
  }
  const T& operator[](std::uint32_t i) const noexcept { return items_[i]; }
  std::uint32_t capacity() const noexcept { return static_cast<std::uint32_t>(items_.size()); }
  std::size_t used() const noexcept { return used_; }

private:
  // What may find no memory comes before what changes; the room for give() is there from the beginning.
  void grow(std::size_t more) {
    free_.reserve(more);
    items_.reserve(more);
  }
  std::vector<T> items_;
  std::vector<std::uint32_t> free_;
  std::size_t used_ = 0;
};

} // namespace beeline
