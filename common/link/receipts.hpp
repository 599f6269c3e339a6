// Receipts: what became of a message after its owner had accepted it (docs/link-protocol.md, "Receipts").
//
//   origin lane                                             owner lane
//   receipts_awaited: number -> whom to tell                receipts_owed: (origin, number) -> open | said
//        <------------------- accepted, a receipt follows ----
//        <------------------- receipt: received, ... ---------   the recipient has acknowledged
//        -------------------- receipt: heard ---------------->   forgotten
//
// A message that waits for its receipt has left the windows: it stops no flow and keeps no floor. What was
// said and not heard is said again whenever the origin has a new link to a shard.
// No I/O, no clock. Owner: one lane's thread.
#pragma once
#include "common/base/counters.hpp"
#include "common/base/ids.hpp"
#include "common/base/limits.hpp"
#include "common/base/reasons.hpp"
#include "common/base/slab_queue.hpp"
#include "common/base/time.hpp"
#include "common/wire/messages.hpp"

#include <boost/unordered/unordered_flat_map.hpp>

namespace beeline::link {

struct receipt_counters {
  counter awaited, owed; // now: by our senders; by our clients, or said and not heard yet
  counter told[std::size(wire::receipt_names)]; // to our senders, by kind
  counter timeouts;                             // our senders were told that none came in time
  counter owners_lost;                          // our senders were told that the owner was lost
  counter unheard;                              // came for a sender whose session had ended
  counter not_promised; // our senders were told: the owner, or we, at a limit or too old
  counter not_owed;     // not promised by us to other lanes' senders: a limit
  counter said_again;   // over a new link
  counter forgotten;    // said, and not heard for limits::receipt_kept
};

// The origin's side: senders that wait, all of them equally long.
class receipts_awaited {
public:
  struct entry {
    handle sender;
    std::uint64_t token = 0;
    lane_id owner{}; // that accepted it
    time_point until{};
    std::uint32_t number = 0; // low 32 bits, as links name it
    std::uint32_t prev = none, next = none;
    std::uint16_t link = 0;  // over which it was accepted
    bool owner_gone = false; // says another link's shard
  };
  bool add(const entry& e) noexcept;           // false: there is no memory for it
  bool take(std::uint32_t number, entry& out); // false: nobody waits for it
  bool take_late(time_point now, entry& out);  // the oldest, if its time is over
  // The next one for which pred(entry) holds, which may change the marks of others; start with at = first().
  template <class P> bool take_next(std::uint32_t& at, entry& out, P&& pred) {
    while (at != none && !pred(entries_[at])) at = entries_[at].next;
    if (at == none) return false;
    const std::uint32_t i = at;
    at = entries_[i].next;
    remove(i, out);
    return true;
  }
  std::uint32_t first() const noexcept { return by_age_.head; }
  std::size_t size() const noexcept { return entries_.used(); }
  time_point next_deadline() const noexcept { return by_age_.empty() ? never : entries_[by_age_.head].until; }

private:
  void remove(std::uint32_t i, entry& out);
  slab<entry> entries_;
  slab_queue by_age_;
  boost::unordered_flat_map<std::uint32_t, std::uint32_t> by_number_;
};

// The owner's side. An entry is open until the recipient's session settles it, then said until it is heard.
class receipts_owed {
public:
  struct entry {
    lane_id origin{};
    time_point said_at{};
    std::uint32_t number = 0; // low 32 bits
    std::uint32_t prev = none, next = none;
    std::uint16_t link = 0; // over which the message came
    bool used = false, said = false;
    wire::receipt what = wire::receipt::received;
  };
  explicit receipts_owed(std::size_t most) : most_(most) {}
  // none: no room, no memory, or it is there.
  std::uint32_t open(lane_id origin, std::uint32_t number, std::uint16_t link) noexcept;
  void close(std::uint32_t i); // open, and the message was not taken after all
  bool has(lane_id origin, std::uint32_t number) const { return by_number_.contains({origin, number}); }
  const entry& settle(std::uint32_t i, wire::receipt what, time_point now);
  void heard(lane_id origin, std::uint32_t number);
  std::size_t forget_late(time_point said_before); // how many
  // f(entry) for what was said and not heard.
  template <class F> void for_each_said(F&& f) const {
    for (std::uint32_t i = said_.head; i != none; i = entries_[i].next) f(entries_[i]);
  }
  std::size_t size() const noexcept { return entries_.used(); }
  bool any_said() const noexcept { return !said_.empty(); }

private:
  struct name {
    lane_id origin;
    std::uint32_t number;
    bool operator==(const name&) const = default;
  };
  struct name_hash {
    std::size_t operator()(const name& n) const noexcept {
      return static_cast<std::size_t>((static_cast<std::uint64_t>(n.origin) ^ n.number) *
                                      0x9e3779b97f4a7c15ull);
    }
  };
  void remove(std::uint32_t i);

  std::size_t most_;
  slab<entry> entries_;
  slab_queue said_; // the oldest first
  boost::unordered_flat_map<name, std::uint32_t, name_hash> by_number_;
};

} // namespace beeline::link
