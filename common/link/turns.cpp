#include "common/link/turns.hpp"

#include "common/base/limits.hpp"

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
  parties_[p].flows.push_back(flows_, flow);
}

std::uint32_t turns::party_of(std::uint16_t link, std::uint32_t sender) noexcept {
  DCHECK_INVARIANT(link < links_.size() && sender < senders_.size());
  for (std::uint32_t p = senders_[sender]; p != none; p = parties_[p].elsewhere)
    if (parties_[p].link == link) return p;
  const std::uint32_t p = parties_.take();
  parties_[p] = {};
  parties_[p].sender = sender;
  parties_[p].link = link;
  parties_[p].elsewhere = std::exchange(senders_[sender], p);
  links_[link].parties.push_back(parties_, p);
  return p;
}

void turns::remove(std::uint32_t flow) noexcept {
  if (!waits(flow)) return;
  const std::uint32_t p = std::exchange(flows_[flow].party, none);
  party& a = parties_[p];
  queue& q = links_[a.link];
  if (q.parties.head == p && a.flows.head == flow) q.used = false;
  a.flows.remove(flows_, flow);
  if (!a.flows.empty()) return; // what is left of the turn is the next flow's
  if (q.parties.head == p) q.begun = false;
  q.parties.remove(parties_, p);
  std::uint32_t* at = &senders_[a.sender];
  while (*at != p) at = &parties_[*at].elsewhere;
  *at = a.elsewhere;
  parties_.give(p);
}

bool turns::alone(std::uint16_t link) const noexcept {
  const slab_queue& q = links_[link].parties;
  if (q.empty() || q.head != q.tail) return false;
  const slab_queue& flows = parties_[q.head].flows;
  return flows.head == flows.tail;
}

std::uint32_t turns::first(std::uint16_t link) noexcept {
  DCHECK_INVARIANT(!empty(link));
  queue& q = links_[link];
  party& a = parties_[q.parties.head];
  if (!std::exchange(q.begun, true)) a.bytes += limits::sender_turn_bytes;
  return a.flows.head;
}

void turns::sent(std::uint16_t link, std::size_t bytes) noexcept {
  DCHECK_INVARIANT(!empty(link) && links_[link].begun);
  queue& q = links_[link];
  party& a = parties_[q.parties.head];
  q.used = true;
  if (alone(link)) a.bytes = limits::sender_turn_bytes; // nothing is saved, nothing owed
  else a.bytes -= static_cast<std::int64_t>(bytes);
}

void turns::over(std::uint16_t link) noexcept {
  DCHECK_INVARIANT(!empty(link));
  queue& q = links_[link];
  const std::uint32_t p = q.parties.head;
  slab_queue& flows = parties_[p].flows;
  if (std::exchange(q.used, false)) {
    const std::uint32_t f = flows.head;
    flows.remove(flows_, f);
    flows.push_back(flows_, f);
  }
  q.begun = false;
  q.parties.remove(parties_, p);
  q.parties.push_back(parties_, p);
}

} // namespace beeline::link
