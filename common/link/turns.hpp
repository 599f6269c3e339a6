// Who sends next on a link whose window is full: the senders that wait for it take turns, and so do the flows
// of each sender, so that a sender with a hundred destinations gets no more of the link than one with a
// single destination (round robin on two levels).
//
//   link:    sender A  ->  sender B  ->  sender C        the first has the turn
//              |             |             |
//   flows:   a1 a2 a3        b1          c1 c2           the first of its sender sends
//
// A turn is limits::sender_turn_messages or limits::sender_turn_bytes, whichever is used up first. What of it
// a flow leaves goes to the sender's next. Flows, senders and links are the caller's small numbers. All but
// reserve() is noexcept and takes constant time (with the number of links on which a sender waits). No I/O,
// no clock. Owner: the outbox of one lane.
#pragma once
#include "common/base/slab.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace beeline::link {

class turns {
public:
  void add_link() { links_.emplace_back(); }
  // Room for flows and senders of numbers below these. Throws bad_alloc, and is then as before.
  void reserve(std::size_t flows, std::size_t senders);

  bool waits(std::uint32_t flow) const noexcept { return flow < flows_.size() && flows_[flow].party != none; }
  // The flow waits for the link from now on, as the last of its sender. It waits nowhere yet.
  void add(std::uint16_t link, std::uint32_t sender, std::uint32_t flow) noexcept;
  void remove(std::uint32_t flow) noexcept; // it may wait nowhere

  bool empty(std::uint16_t link) const noexcept { return links_[link].first == none; }
  bool alone(std::uint16_t link) const noexcept; // one flow waits
  // Begins the turn of the first, if it has not begun. Not when empty.
  std::uint32_t first(std::uint16_t link) noexcept;
  bool has_turn(std::uint16_t link) const noexcept {
    const queue& q = links_[link];
    return q.begun && q.messages_left && q.bytes_left;
  }
  void sent(std::uint16_t link, std::size_t bytes) noexcept; // by the first, in its turn
  void
  over(std::uint16_t link) noexcept; // the flow goes behind its sender's others, the sender behind the rest
  void interrupt(std::uint16_t link) noexcept { links_[link].begun = false; } // it begins anew

private:
  struct node {
    std::uint32_t party = none, next = none, prev = none;
  };
  struct party { // a sender that waits for a link
    std::uint32_t sender = none;
    std::uint16_t link = 0;
    std::uint32_t first = none, last = none; // of its flows
    std::uint32_t next = none, prev = none;  // of the link's
    std::uint32_t elsewhere = none;          // the same sender's, for another link
  };
  struct queue {
    std::uint32_t first = none, last = none;
    bool begun = false;
    std::size_t messages_left = 0, bytes_left = 0;
  };

  std::uint32_t party_of(std::uint16_t link, std::uint32_t sender) noexcept;
  void put_last(std::uint32_t p) noexcept;
  void take_out(std::uint32_t p) noexcept;
  void put_last(party& p, std::uint32_t flow) noexcept;
  void take_out(party& p, std::uint32_t flow) noexcept;

  std::vector<node> flows_;
  std::vector<std::uint32_t> senders_; // the first of each one's parties
  slab<party> parties_;
  std::vector<queue> links_;
};

} // namespace beeline::link
