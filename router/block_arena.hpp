// Fixed-size blocks for the presence table, always dense: block ids are 0 … used-1, without holes.
//
// A block has one owner, whose 32-bit name is kept beside it. When a block is given back, the last
// block moves into its place and the owner of the moved block is told the new id; so there is no
// fragmentation, and memory that is no longer used goes back to the system from the end.
// Blocks live in chunks of their own mapping, which never move: growth copies nothing.
//
// Owner: the thread of the presence table. A pointer to a block lives until the next take or give.
#pragma once
#include "common/base/check.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace beeline::router {

template <std::size_t BlockBytes> class block_arena;

// The mappings under an arena; apart, so that it is not a template.
class chunk_list {
public:
  explicit chunk_list(std::size_t chunk_bytes) noexcept : chunk_bytes_(chunk_bytes) {}
  chunk_list(const chunk_list&) = delete;
  chunk_list& operator=(const chunk_list&) = delete;
  ~chunk_list();

  void add(); // throws std::bad_alloc
  void remove_last() noexcept;
  std::byte* operator[](std::size_t i) const noexcept { return chunks_[i]; }
  std::size_t size() const noexcept { return chunks_.size(); }
  std::size_t memory_bytes() const noexcept {
    return chunks_.size() * chunk_bytes_ + chunks_.capacity() * sizeof(std::byte*);
  }

private:
  std::vector<std::byte*> chunks_;
  std::size_t chunk_bytes_;
};

template <std::size_t BlockBytes> class block_arena {
public:
  using block_id = std::uint32_t;
  using owner_name = std::uint32_t;

  std::byte* operator[](block_id id) const noexcept {
    return chunks_[id / blocks_per_chunk] + id % blocks_per_chunk * BlockBytes;
  }

  block_id take(owner_name owner) { // content undefined; throws std::bad_alloc and then changes nothing
    if (used_ == chunks_.size() * blocks_per_chunk) {
      if (owners_.capacity() < used_ + blocks_per_chunk)
        owners_.reserve(used_ + used_ / 8 + blocks_per_chunk);
      chunks_.add();
    }
    owners_.push_back(owner);
    return used_++;
  }

  // moved(owner, new_id) is called if another block had to move; never for the given block itself.
  template <class Moved> void give(block_id id, Moved moved) noexcept {
    DCHECK_INVARIANT(id < used_);
    const block_id last = --used_;
    const owner_name owner = owners_.back();
    owners_.pop_back();
    if (id != last) {
      std::memcpy((*this)[id], (*this)[last], BlockBytes);
      owners_[id] = owner;
      moved(owner, id);
    }
    // One empty chunk is kept, so that a table at a chunk's edge, or at none, does not map and unmap for
    // ever.
    if (chunks_.size() * blocks_per_chunk - used_ >= 2 * blocks_per_chunk) trim();
  }

  std::size_t used() const noexcept { return used_; }
  owner_name owner_of(block_id id) const noexcept { return owners_[id]; }
  std::size_t memory_bytes() const noexcept {
    return chunks_.memory_bytes() + owners_.capacity() * sizeof(owner_name);
  }

private:
  static constexpr std::size_t blocks_per_chunk = 512;

  void trim() noexcept {
    chunks_.remove_last();
    if (owners_.capacity() > 2 * (used_ + blocks_per_chunk)) owners_.shrink_to_fit();
  }

  chunk_list chunks_{blocks_per_chunk * BlockBytes};
  std::vector<owner_name> owners_;
  block_id used_ = 0;
};

} // namespace beeline::router
