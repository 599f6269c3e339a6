// The presence table of one router shard: keyed hash of a client id → who owns the client.
//
// The shard owns the slots [first, last]. Each slot (top 12 bits of the hash) has a sub-table: an
// array in hash order with linear probing and no wrap-around. With h the 52 bits below the slot,
//
//   home(h) = h * homes / 2^52            (monotone, so hash order and probe order are the same)
//   position of an entry = max(home, position of its predecessor + 1)
//
//   |..A.|BC..|.DEF|G...|   four blocks; C, E, F, G may stand right of their homes
//    <--- homes ---> <-> overflow room
//
// so the layout is a function of the set and `homes` alone: a miss ends at the first larger hash or hole, a
// resize is one linear pass, erasing leaves no tombstone.
//
// An array is made of blocks of 16 slots (320 bytes, five cache lines) out of one dense arena. It
// grows by one sixth (at least a block) above a load of 0.88 and shrinks below 0.75.
//
// Why blocks: measured with 4096 sub-tables filled from 0.5 M to 2 M random ids, arrays from malloc
// that grow by the same sixth need 24.5 bytes an entry but 28.5 to 30.2 of RSS (holes of the sizes left
// behind), and arrays of whole pages would need 33 at 0.5 M. Blocks: 25.3 to 25.9 of RSS (26.1 with 2048
// sub-tables), 26.2 at most from 8 M to 16 M. While the table empties: at most 27.7 by memory_bytes(),
// but RSS also keeps the heap that the block lists had at the table's greatest size: at 0.5 M entries
// 28.5 bytes after 1 M, 29.2 after 2 M, 47 after 16 M.
// Speed at 1 M to 2 M on a 2-core EPYC machine shared with other work, so rough: inserts 3.3 to
// 4.7 M/s, 6.6 M/s in the quietest run; cold find 164 to 199 ns (quietest 110), of an unknown id 119 to
// 136 (83), prefetched in batches of 16 53 to 63 (38).
//
// Owner: the shard's thread. Nothing that is handed out refers into the table. Callbacks of sweep
// and for_each must not touch the table.
// Memory: an insert that finds none throws std::bad_alloc and leaves the table as it was.
#pragma once
#include "common/base/bytes.hpp"
#include "common/base/check.hpp"
#include "common/base/ids.hpp"
#include "router/block_arena.hpp"

#include <optional>
#include <utility>
#include <vector>

namespace beeline::router {

struct presence_entry {
  handle owner_handle;
  member_index link = no_member; // never no_member in the table
  std::uint64_t connected = 0;   // below 2^44: steady time in units of 10 µs, biased by the caller
  friend bool operator==(const presence_entry&, const presence_entry&) = default;
};

struct sweep_cursor {
  std::uint32_t next = 0; // sub-table at which the next step goes on
};

class presence_table {
public:
  static constexpr unsigned connected_bits = 44;
  static constexpr std::size_t slot_entries_max =
      12'000'000; // a sub-table has at most 2^20 blocks, and grows

  explicit presence_table(std::uint32_t first_slot = 0, std::uint32_t last_slot = slot_count - 1);
  presence_table(const presence_table&) = delete;
  presence_table& operator=(const presence_table&) = delete;
  ~presence_table();

  // Everything below that takes an id demands that the shard owns it.
  bool owns(id_hash id) const noexcept { return slot_of(id) - first_slot_ < tables_.size(); }
  std::optional<presence_entry> find(id_hash id) const noexcept;
  bool insert_or_assign(id_hash id, const presence_entry& entry); // true if the id is new
  bool erase(id_hash id) noexcept;                                // true if it was there
  // Asks for the cache lines that find(id) will read. In a batch: prefetch all, then find each.
  void prefetch(id_hash id) const noexcept;

  std::size_t size() const noexcept { return size_; }
  std::size_t memory_bytes() const noexcept;
  std::uint64_t grows() const noexcept { return grows_; }
  std::size_t longest_growth() const noexcept { return longest_growth_; } // in entries moved

  // One step through the sub-tables from the cursor on: erases every entry whose link is dead(link)
  // and calls on_erase(id_hash) for it; stops at a sub-table's end when `budget` entries have been
  // seen. True when it has come to the end of the table: the cursor is at the start again. A round
  // finds all entries of a link if none is inserted for that link after the round began.
  template <class Dead, class OnErase>
  bool sweep(sweep_cursor& cursor, std::size_t budget, Dead dead, OnErase on_erase);

  template <class F> void for_each(F f) const; // f(id_hash, const presence_entry&), in hash order

  bool check() const; // all invariants, for tests: slow

private:
  static constexpr std::uint32_t block_slots = 16;

  struct packed_entry {
    std::uint32_t
        words[5]; // 0,1: hash (52 bits) and connected's top 12; 2: its rest; 3: index; 4: generation, link

    std::uint64_t key() const noexcept { return load_le<std::uint64_t>(words) & key_mask; }
    bool empty() const noexcept { return member() == no_member; }
    member_index member() const noexcept { return static_cast<member_index>(words[4]); }
    presence_entry unpack() const noexcept;
    static packed_entry pack(std::uint64_t key, const presence_entry& e) noexcept;
  };
  static_assert(sizeof(packed_entry) == 20 && alignof(packed_entry) == 4);

  // A key is the hash without its slot, shifted to the top: 52 bits and 12 zeros.
  static constexpr std::uint64_t key_mask = ~std::uint64_t{0} << slot_bits;
  static std::uint64_t key_of(id_hash id) noexcept { return id << slot_bits; }

  struct sub_table {
    std::uint32_t* blocks = nullptr; // ids in the arena
    std::uint32_t block_count = 0;
    std::uint32_t homes = 0;
    std::uint32_t count = 0;

    std::uint32_t slots() const noexcept { return block_count * block_slots; }
    std::uint32_t home(std::uint64_t key) const noexcept {
      __extension__ using u128 = unsigned __int128;
      return static_cast<std::uint32_t>(static_cast<u128>(key) * homes >> 64);
    }
  };

  const sub_table& table_of(id_hash id) const noexcept {
    CHECK_INVARIANT(owns(id));
    return tables_[slot_of(id) - first_slot_];
  }
  sub_table& table_of(id_hash id) noexcept {
    return const_cast<sub_table&>(std::as_const(*this).table_of(id));
  }
  id_hash id_of(const sub_table& t, const packed_entry& e) const noexcept {
    const auto slot = static_cast<std::uint64_t>(&t - tables_.data()) + first_slot_;
    return slot << (64 - slot_bits) | e.key() >> slot_bits;
  }
  packed_entry* block(const sub_table& t, std::uint32_t i) const noexcept {
    return reinterpret_cast<packed_entry*>(arena_[t.blocks[i]]);
  }
  packed_entry* at(const sub_table& t, std::uint32_t position) const noexcept {
    return block(t, position / block_slots) + position % block_slots;
  }

  std::uint32_t locate(const sub_table& t, std::uint64_t key) const noexcept;
  std::uint32_t first_hole(const sub_table& t, std::uint32_t position) const noexcept;
  void open_gap(sub_table& t, std::uint32_t position);
  void close_gap(sub_table& t, std::uint32_t position) noexcept;

  void add_blocks(sub_table& t, std::uint32_t count);
  void drop_blocks(sub_table& t, std::uint32_t keep) noexcept;
  void gather(const sub_table& t) noexcept;
  std::uint32_t blocks_needed(std::uint32_t blocks, std::uint32_t homes) const noexcept;
  void lay_out(sub_table& t) noexcept;
  void grow(sub_table& t);
  void shrink_if_sparse(sub_table& t) noexcept;
  bool check(const sub_table& t) const;

  block_arena<block_slots * sizeof(packed_entry)> arena_;
  std::vector<sub_table> tables_;
  std::vector<packed_entry> scratch_; // entries of the sub-table that is being laid out anew
  std::uint32_t first_slot_;
  std::size_t size_ = 0;
  std::size_t directory_bytes_ = 0; // malloc'ed for sub_table::blocks
  std::uint64_t grows_ = 0;
  std::size_t longest_growth_ = 0;
};

inline presence_entry presence_table::packed_entry::unpack() const noexcept {
  const std::uint64_t high = load_le<std::uint64_t>(words) & ~key_mask;
  return {{words[3], static_cast<std::uint16_t>(words[4] >> 16)}, member(), high << 32 | words[2]};
}

inline presence_table::packed_entry presence_table::packed_entry::pack(std::uint64_t key,
                                                                       const presence_entry& e) noexcept {
  packed_entry p;
  store_le(p.words, key | e.connected >> 32);
  p.words[2] = static_cast<std::uint32_t>(e.connected);
  p.words[3] = e.owner_handle.index;
  p.words[4] = std::uint32_t{e.owner_handle.generation} << 16 | e.link;
  return p;
}

// The first position from the home on that is empty or holds a key that is not smaller; slots() if none.
inline std::uint32_t presence_table::locate(const sub_table& t, std::uint64_t key) const noexcept {
  std::uint32_t position = t.home(key);
  for (std::uint32_t i = position / block_slots; i < t.block_count; ++i) {
    const packed_entry* e = block(t, i);
    for (std::uint32_t k = position % block_slots; k < block_slots; ++k, ++position)
      if (e[k].empty() || e[k].key() >= key) return position;
  }
  return position;
}

inline std::optional<presence_entry> presence_table::find(id_hash id) const noexcept {
  const sub_table& t = table_of(id);
  const std::uint64_t key = key_of(id);
  const std::uint32_t position = locate(t, key);
  if (position >= t.slots()) return std::nullopt;
  const packed_entry& e = *at(t, position);
  if (e.empty() || e.key() != key) return std::nullopt;
  return e.unpack();
}

inline void presence_table::prefetch(id_hash id) const noexcept {
  const sub_table& t = table_of(id);
  if (t.block_count == 0) return;
  const auto* p = reinterpret_cast<const char*>(at(t, t.home(key_of(id))));
  __builtin_prefetch(p);
  __builtin_prefetch(p +
                     64); // probing takes about four entries, 80 bytes; past the block's end it does no harm
}

template <class F> void presence_table::for_each(F f) const {
  for (const sub_table& t : tables_)
    for (std::uint32_t i = 0; i < t.block_count; ++i) {
      const packed_entry* e = block(t, i);
      for (std::uint32_t k = 0; k < block_slots; ++k)
        if (!e[k].empty()) f(id_of(t, e[k]), e[k].unpack());
    }
}

template <class Dead, class OnErase>
bool presence_table::sweep(sweep_cursor& cursor, std::size_t budget, Dead dead, OnErase on_erase) {
  std::size_t seen = 0;
  while (cursor.next < tables_.size()) {
    if (seen >= budget && seen > 0) return false;
    sub_table& t = tables_[cursor.next++];
    seen += t.count + 1; // an empty sub-table costs a step too
    if (t.count == 0) continue;
    gather(t);
    const auto gone = std::erase_if(scratch_, [&](const packed_entry& e) {
      if (!dead(e.member())) return false;
      on_erase(id_of(t, e));
      return true;
    });
    if (gone == 0) continue;
    size_ -= gone;
    t.count -= static_cast<std::uint32_t>(gone);
    lay_out(t); // nobody moves right, so all fit
    shrink_if_sparse(t);
  }
  cursor.next = 0;
  return true;
}

} // namespace beeline::router
