#include "router/presence_table.hpp"

#include <algorithm>
#include <cstdlib>
#include <new>
#include <utility>

namespace beeline::router {
namespace {
// Loads in parts of 1024.
constexpr std::uint64_t load_max = 901;    // 0.88: above it probing gets long
constexpr std::uint64_t load_shrink = 768; // 0.75: just below 0.88 / (1 + 1/6), what has grown stays
constexpr std::uint64_t load_shrunk = 840; // 0.82: in between, so that neither follows soon
constexpr std::uint32_t growth_divisor = 6;
constexpr std::uint32_t ordinal_bits = 20; // of a block's owner name: sub-table, then ordinal in it

bool above(std::uint64_t count, std::uint64_t slots, std::uint64_t load) {
  return count * 1024 > slots * load;
}

// Homes in an array of that many slots; the rest is overflow room. It fills like all others, and
// when it overflows a block is added.
std::uint32_t homes_in(std::uint32_t slots) { return slots - std::min<std::uint32_t>(8 + slots / 32, 24); }

// Blocks of one sub-table lie anywhere, so the processor does not foresee them.
void prefetch_block(const std::byte* p) {
  for (int line = 0; line < 5; ++line) __builtin_prefetch(p + 64 * line, 1);
}

// What malloc takes for a directory of n block ids.
std::size_t malloc_bytes(std::size_t n) {
  return n == 0 ? 0 : std::max<std::size_t>(32, (n * sizeof(std::uint32_t) + 8 + 15) / 16 * 16);
}
} // namespace

presence_table::presence_table(std::uint32_t first_slot, std::uint32_t last_slot) : first_slot_(first_slot) {
  CHECK_INVARIANT(first_slot <= last_slot && last_slot < slot_count);
  tables_.resize(last_slot - first_slot + 1);
}

presence_table::~presence_table() {
  for (sub_table& t : tables_) std::free(t.blocks);
}

bool presence_table::insert_or_assign(id_hash id, const presence_entry& entry) {
  CHECK_INVARIANT(entry.link != no_member && entry.connected >> connected_bits == 0);
  sub_table& t = table_of(id);
  const std::uint64_t key = key_of(id);
  std::uint32_t position = locate(t, key);
  if (position < t.slots()) {
    packed_entry& e = *at(t, position);
    if (!e.empty() && e.key() == key) {
      e = packed_entry::pack(key, entry);
      return false;
    }
  }
  if (above(t.count + 1, t.slots(), load_max)) {
    grow(t);
    position = locate(t, key);
  }
  open_gap(t, position);
  *at(t, position) = packed_entry::pack(key, entry);
  ++t.count;
  ++size_;
  return true;
}

bool presence_table::erase(id_hash id) noexcept {
  sub_table& t = table_of(id);
  const std::uint64_t key = key_of(id);
  const std::uint32_t position = locate(t, key);
  if (position >= t.slots()) return false;
  const packed_entry& e = *at(t, position);
  if (e.empty() || e.key() != key) return false;
  close_gap(t, position);
  --t.count;
  --size_;
  shrink_if_sparse(t);
  return true;
}

std::uint32_t presence_table::first_hole(const sub_table& t, std::uint32_t position) const noexcept {
  for (std::uint32_t i = position / block_slots; i < t.block_count; ++i) {
    const packed_entry* e = block(t, i);
    for (std::uint32_t k = position % block_slots; k < block_slots; ++k, ++position)
      if (e[k].empty()) return position;
  }
  return position;
}

// Moves what stands from `position` up to the next hole one to the right.
void presence_table::open_gap(sub_table& t, std::uint32_t position) {
  std::uint32_t hole = first_hole(t, position);
  if (hole == t.slots()) add_blocks(t, 1);
  while (hole > position) { // a block at a time, from the hole back
    packed_entry* b = block(t, hole / block_slots);
    const std::uint32_t start = hole / block_slots * block_slots;
    const std::uint32_t from = std::max(start, position);
    std::memmove(b + (from - start) + 1, b + (from - start), (hole - from) * sizeof(packed_entry));
    hole = from;
    if (hole > position) {
      b[0] = *at(t, hole - 1);
      --hole;
    }
  }
}

// Moves what stands behind `position` and right of its home one to the left.
void presence_table::close_gap(sub_table& t, std::uint32_t position) noexcept {
  packed_entry* to = at(t, position);
  for (std::uint32_t next = position + 1; next < t.slots(); ++next) {
    packed_entry* from = at(t, next);
    if (from->empty() || t.home(from->key()) == next) break;
    *to = *from;
    to = from;
  }
  std::memset(to, 0xff, sizeof *to);
}

void presence_table::add_blocks(sub_table& t, std::uint32_t count) {
  const std::uint32_t total = t.block_count + count;
  CHECK_INVARIANT(total < 1u << ordinal_bits);
  scratch_.reserve(total * block_slots);
  auto* blocks = static_cast<std::uint32_t*>(std::realloc(t.blocks, total * sizeof(std::uint32_t)));
  if (!blocks) throw std::bad_alloc();
  t.blocks = blocks;
  const auto owner = static_cast<std::uint32_t>(&t - tables_.data()) << ordinal_bits;
  while (t.block_count < total) {
    const std::uint32_t id = arena_.take(owner | t.block_count);
    std::memset(arena_[id], 0xff, block_slots * sizeof(packed_entry));
    directory_bytes_ += malloc_bytes(t.block_count + 1) - malloc_bytes(t.block_count);
    t.blocks[t.block_count++] = id;
  }
}

void presence_table::drop_blocks(sub_table& t, std::uint32_t keep) noexcept {
  directory_bytes_ -= malloc_bytes(t.block_count) - malloc_bytes(keep);
  while (t.block_count > keep)
    arena_.give(t.blocks[--t.block_count], [this](std::uint32_t owner, std::uint32_t id) {
      tables_[owner >> ordinal_bits].blocks[owner & ((1u << ordinal_bits) - 1)] = id;
    });
  if (keep == 0) std::free(std::exchange(t.blocks, nullptr));
  else if (void* p = std::realloc(t.blocks, keep * sizeof(std::uint32_t)))
    t.blocks = static_cast<std::uint32_t*>(p);
}

void presence_table::gather(const sub_table& t) noexcept {
  scratch_.clear();
  for (std::uint32_t i = 0; i < t.block_count; ++i) {
    if (i + 2 < t.block_count) prefetch_block(arena_[t.blocks[i + 2]]);
    const packed_entry* e = block(t, i);
    for (std::uint32_t k = 0; k < block_slots; ++k)
      if (!e[k].empty()) scratch_.push_back(e[k]); // add_blocks has made the room
  }
}

// Blocks that the gathered entries need with that many homes; at least `blocks`.
std::uint32_t presence_table::blocks_needed(std::uint32_t blocks, std::uint32_t homes) const noexcept {
  sub_table planned;
  planned.homes = homes;
  std::uint32_t end = 0;
  for (const packed_entry& e : scratch_) end = std::max(planned.home(e.key()), end) + 1;
  return std::max(blocks, (end + block_slots - 1) / block_slots);
}

// Writes the gathered entries to their positions.
void presence_table::lay_out(sub_table& t) noexcept {
  for (std::uint32_t i = 0; i < t.block_count; ++i)
    std::memset(block(t, i), 0xff, block_slots * sizeof(packed_entry));
  std::uint32_t end = 0;
  for (const packed_entry& e : scratch_) {
    const std::uint32_t position = std::max(t.home(e.key()), end);
    *at(t, position) = e;
    end = position + 1;
  }
}

void presence_table::grow(sub_table& t) {
  gather(t);
  const std::uint32_t blocks = t.block_count + std::max(1u, t.block_count / growth_divisor);
  const std::uint32_t homes = homes_in(blocks * block_slots);
  add_blocks(t, blocks_needed(blocks, homes) - t.block_count); // may throw: nothing has moved yet
  t.homes = homes;
  lay_out(t);
  ++grows_;
  longest_growth_ = std::max(longest_growth_, scratch_.size());
}

void presence_table::shrink_if_sparse(sub_table& t) noexcept {
  if (t.count == 0) {
    drop_blocks(t, 0);
    t.homes = 0;
    return;
  }
  if (above(t.count, t.slots(), load_shrink)) return;
  const auto blocks =
      static_cast<std::uint32_t>(t.count * std::uint64_t{1024} / load_shrunk / block_slots + 1);
  if (blocks >= t.block_count) return;
  gather(t);
  const std::uint32_t homes = homes_in(blocks * block_slots);
  const std::uint32_t needed = blocks_needed(blocks, homes);
  if (needed >= t.block_count) return;
  drop_blocks(t, needed);
  t.homes = homes;
  lay_out(t);
}

std::size_t presence_table::memory_bytes() const noexcept {
  return sizeof *this + arena_.memory_bytes() + directory_bytes_ + tables_.capacity() * sizeof(sub_table) +
         scratch_.capacity() * sizeof(packed_entry);
}

bool presence_table::check(const sub_table& t) const {
  const auto number = static_cast<std::uint32_t>(&t - tables_.data());
  for (std::uint32_t i = 0; i < t.block_count; ++i)
    if (t.blocks[i] >= arena_.used() || arena_.owner_of(t.blocks[i]) != (number << ordinal_bits | i))
      return false;
  std::uint32_t count = 0, end = 0;
  std::uint64_t last = 0;
  for (std::uint32_t position = 0; position < t.slots(); ++position) {
    const packed_entry& e = *at(t, position);
    if (e.empty()) continue;
    if (count > 0 && e.key() <= last) return false;
    if (position != std::max(t.home(e.key()), end)) return false;
    last = e.key();
    end = position + 1;
    ++count;
  }
  if (above(t.count, t.slots(), load_max)) return false;
  return count == t.count && (t.homes < t.slots() || t.slots() == 0) && (count > 0 || t.block_count == 0);
}

bool presence_table::check() const {
  std::size_t count = 0, blocks = 0, directory = 0;
  for (const sub_table& t : tables_) {
    if (!check(t)) return false;
    count += t.count;
    blocks += t.block_count;
    directory += malloc_bytes(t.block_count);
  }
  return count == size_ && blocks == arena_.used() && directory == directory_bytes_;
}

} // namespace beeline::router
