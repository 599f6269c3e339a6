#include "common/link/turns.hpp"

#include "common/base/limits.hpp"

#include <algorithm>
#include <utility>

namespace beeline::link {

void turns::reserve(std::size_t flows, std::size_t senders) {
  parties_.reserve(flows); // each waits as a part of one
  if (senders > senders_.size()) senders_.resize(senders, none);
  if (flows > flows_.size()) flows_.resize(flows);
}

void turns::add(std::uint16_t link, std::uint32_t sender, std::uint32_t flow) noexcept {
  DCHECK_INVARIANT(flow < flows_.size() && flows_[flow].party == none);
  const std::uint32_t p = party_of(link, sender);
  flows_[flow].party = p;
  put_last(parties_[p], flow);
}

std::uint32_t turns::party_of(std::uint16_t link, std::uint32_t sender) noexcept {
  for (std::uint32_t p = senders_[sender]; p != none; p = parties_[p].elsewhere)
    if (parties_[p].link == link) return p;
  const std::uint32_t p = parties_.take();
  party& a = parties_[p];
  a = {};
  a.sender = sender;
  a.link = link;
  a.elsewhere = std::exchange(senders_[sender], p);
  put_last(p);
  return p;
}

void turns::remove(std::uint32_t flow) noexcept {
  if (!waits(flow)) return;
  const std::uint32_t p = std::exchange(flows_[flow].party, none);
  party& a = parties_[p];
  queue& q = links_[a.link];
  const bool had_turn = q.begun && q.first == p;
  take_out(a, flow);
  if (a.first != none) { // what is left of the turn is the next flow's
    if (!had_turn || has_turn(a.link)) return;
    q.begun = false;
    take_out(p);
    put_last(p);
    return;
  }
  if (had_turn) q.begun = false;
  take_out(p);
  std::uint32_t* at = &senders_[a.sender];
  while (*at != p) at = &parties_[*at].elsewhere;
  *at = a.elsewhere;
  parties_.give(p);
}

bool turns::alone(std::uint16_t link) const noexcept {
  const queue& q = links_[link];
  return q.first != none && q.first == q.last && parties_[q.first].first == parties_[q.first].last;
}

std::uint32_t turns::first(std::uint16_t link) noexcept {
  queue& q = links_[link];
  if (!q.begun) {
    q.begun = true;
    q.messages_left = limits::sender_turn_messages;
    q.bytes_left = limits::sender_turn_bytes;
  }
  return parties_[q.first].first;
}

void turns::sent(std::uint16_t link, std::size_t bytes) noexcept {
  queue& q = links_[link];
  if (q.messages_left) --q.messages_left;
  q.bytes_left -= std::min(bytes, q.bytes_left);
}

void turns::over(std::uint16_t link) noexcept {
  queue& q = links_[link];
  q.begun = false;
  const std::uint32_t p = q.first;
  party& a = parties_[p];
  const std::uint32_t f = a.first;
  take_out(a, f);
  put_last(a, f);
  take_out(p);
  put_last(p);
}

void turns::put_last(std::uint32_t p) noexcept {
  queue& q = links_[parties_[p].link];
  parties_[p].prev = q.last;
  parties_[p].next = none;
  (q.last != none ? parties_[q.last].next : q.first) = p;
  q.last = p;
}

void turns::take_out(std::uint32_t p) noexcept {
  const party& a = parties_[p];
  queue& q = links_[a.link];
  (a.prev != none ? parties_[a.prev].next : q.first) = a.next;
  (a.next != none ? parties_[a.next].prev : q.last) = a.prev;
}

void turns::put_last(party& a, std::uint32_t flow) noexcept {
  flows_[flow].prev = a.last;
  flows_[flow].next = none;
  (a.last != none ? flows_[a.last].next : a.first) = flow;
  a.last = flow;
}

void turns::take_out(party& a, std::uint32_t flow) noexcept {
  const node& n = flows_[flow];
  (n.prev != none ? flows_[n.prev].next : a.first) = n.next;
  (n.next != none ? flows_[n.next].prev : a.last) = n.prev;
}

} // namespace beeline::link
