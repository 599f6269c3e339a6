// The strong types that name things across files (glossary: docs/architecture.md).
#pragma once
#include "common/base/siphash.hpp"

#include <compare>
#include <cstdint>

namespace beeline {

// A random number for each life of a lane: with it, a message's number is unique for ever.
enum class lane_id : std::uint64_t {};

// The shard's name for one incarnation of a link. Not reused within limits::index_quarantine.
using member_index = std::uint16_t;
inline constexpr member_index no_member = 0xffff;

// A lane's name for one of its client sessions: an index into its table and the generation of the
// slot, so that a handle of a session that has ended never names its successor.
struct handle {
  std::uint32_t index = 0xffffffff;
  std::uint16_t generation = 0;
  friend auto operator<=>(const handle&, const handle&) = default;
};

// Hash of a client id, keyed by the cluster secret; its top 12 bits are the slot.
using id_hash = std::uint64_t;
inline constexpr unsigned slot_bits = 12;
inline constexpr std::uint32_t slot_count = 1u << slot_bits;
constexpr std::uint32_t slot_of(id_hash h) noexcept {
  return static_cast<std::uint32_t>(h >> (64 - slot_bits));
}

// Hashes ids. `bits` below 64 makes collisions common, for tests: only that many different hashes
// exist, spread over all slots.
struct id_hasher {
  siphash_key key;
  unsigned bits = 64;
  id_hash operator()(std::string_view id) const noexcept {
    id_hash h = siphash(key, id);
    return bits >= 64 ? h : (h >> (64 - bits)) * (0x9e3779b97f4a7c15ull | 1);
  }
};

} // namespace beeline
