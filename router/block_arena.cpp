#include "router/block_arena.hpp"

#include <new>
#include <sys/mman.h>

namespace beeline::router {

chunk_list::~chunk_list() {
  while (!chunks_.empty()) remove_last();
}

void chunk_list::add() {
  chunks_.reserve(chunks_.size() + 1 > chunks_.capacity() ? chunks_.size() + chunks_.size() / 8 + 8 : 0);
  void* p = ::mmap(nullptr, chunk_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) throw std::bad_alloc();
  chunks_.push_back(static_cast<std::byte*>(p));
}

void chunk_list::remove_last() noexcept {
  ::munmap(chunks_.back(), chunk_bytes_);
  chunks_.pop_back();
}

} // namespace beeline::router
