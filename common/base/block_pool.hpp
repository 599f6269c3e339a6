// Blocks of bytes in size classes, for messages that wait for their answer.
//
// Sizes up to 16 KiB come from free lists of powers of two, so that the hot path never calls
// malloc once it is warm; larger ones go to malloc. Owner: one thread.
#pragma once
#include "common/base/limits.hpp"

#include <array>
#include <bit>
#include <cstddef>
#include <new>

namespace beeline {

class block_pool {
public:
  block_pool() = default;
  block_pool(const block_pool&) = delete;
  block_pool& operator=(const block_pool&) = delete;
  ~block_pool() {
    for (node* n : free_)
      while (n) {
        node* next = n->next;
        ::operator delete(n);
        n = next;
      }
  }
  std::byte* take(std::size_t size) {
    const unsigned k = class_of(size);
    if (k < classes && free_[k]) {
      node* n = free_[k];
      free_[k] = n->next;
      --kept_[k];
      in_use_ += size;
      return reinterpret_cast<std::byte*>(n);
    }
    void* p = ::operator new(k < classes ? smallest << k : size); // may have a reserve, which malloc has not
    in_use_ += size;
    return static_cast<std::byte*>(p);
  }
  void give(std::byte* p, std::size_t size) noexcept {
    in_use_ -= size;
    const unsigned k = class_of(size);
    if (k >= classes || (smallest << k) * kept_[k] >= limits::pool_kept_bytes_max)
      return ::operator delete(p);
    free_[k] = new (p) node{free_[k]};
    ++kept_[k];
  }
  std::size_t bytes_in_use() const noexcept { return in_use_; }

private:
  struct node {
    node* next;
  };
  static constexpr std::size_t smallest = 64;
  static constexpr unsigned classes = 9; // 64 B to 16 KiB
  static constexpr unsigned class_of(std::size_t size) noexcept {
    return size <= smallest ? 0 : static_cast<unsigned>(std::bit_width((size - 1) / smallest));
  }
  std::array<node*, classes> free_{};
  std::array<std::size_t, classes> kept_{};
  std::size_t in_use_ = 0;
};

} // namespace beeline
