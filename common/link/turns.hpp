// Who sends next on a link whose window is full: the senders that wait for it take turns, and so do the flows
// of each sender, so that a sender with a hundred destinations, or with large messages, gets no more of the
// link's bytes than one with a single destination and small ones.
//
//   link:    sender A  ->  sender B  ->  sender C        the first has the turn
//              |             |             |
//   flows:   a1 a2 a3        b1          c1 c2           the first of its sender sends
//
// Deficit round robin (Shreedhar and Varghese, SIGCOMM 1995): each turn brings limits::sender_turn_bytes;
// what is too little for the next message is saved up while the sender waits. A flow that has sent goes
// behind its sender's others when the turn is over; what it leaves of a turn is the next one's. While one
// flow alone waits nothing is counted.
//
// Flows, senders and links are the caller's small numbers. All but reserve() and add_link() is noexcept and
// takes constant time (with the number of links for which a sender waits). No I/O, no clock. Owner: the
// outbox of one lane.
#pragma once
#include "common/base/slab.hpp"
#include "common/base/slab_queue.hpp"

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

  bool empty(std::uint16_t link) const noexcept { return links_[link].parties.empty(); }
  bool alone(std::uint16_t link) const noexcept; // one flow waits
  // Begins the turn of the first, if it has not begun. Not when empty.
  std::uint32_t first(std::uint16_t link) noexcept;
  bool may_send(std::uint16_t link, std::size_t bytes) const noexcept { // the first, in its turn
    const queue& q = links_[link];
    return q.begun && parties_[q.parties.head].bytes >= static_cast<std::int64_t>(bytes);
  }
  void sent(std::uint16_t link, std::size_t bytes) noexcept; // by the first, in its turn
  void over(std::uint16_t link) noexcept;                    // the next sender is the first

private:
  struct node {
    std::uint32_t party = none, next = none, prev = none;
  };
  struct party { // a sender that waits for a link
    std::uint32_t sender = none;
    std::uint16_t link = 0;
    std::int64_t bytes = 0; // that it may send yet; below 0: what could not wait for its turn
    slab_queue flows;
    std::uint32_t next = none, prev = none; // of the link's
    std::uint32_t elsewhere = none;         // the same sender's, for another link
  };
  struct queue {
    slab_queue parties;
    bool begun = false; // the turn of the first ...
    bool used = false;  // ... and its first flow has sent in it
  };

  std::uint32_t party_of(std::uint16_t link, std::uint32_t sender) noexcept;

  std::vector<node> flows_;
  std::vector<std::uint32_t> senders_; // the first of each one's parties
  slab<party> parties_;
  std::vector<queue> links_;
};

} // namespace beeline::link
