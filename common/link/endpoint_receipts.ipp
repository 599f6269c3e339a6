// Receipts of an endpoint, on both sides: what its senders wait for, what its clients owe. Part of
// endpoint.ipp.
#pragma once
#include "common/link/endpoint.hpp"

namespace beeline::link {

// --- as the owner -----------------------------------------------------------------------------------

template <class Host>
void endpoint<Host>::settle_receipt(std::uint32_t receipt, wire::receipt what, time_point now) noexcept {
  const receipts_owed::entry& e = owed_.settle(receipt, what, now);
  if (say_receipt(e.link, e)) return;
  for (std::uint16_t k = 0; k < links_.size(); ++k) // the link it came over may be retired, or down for long
    if (k != e.link && say_receipt(k, e)) return;
}

// False: the origin cannot be reached over that link now. While the link shakes hands the indexes of lanes
// are still those that the shard's last life gave out; the list that follows says all of it again.
// So it is said when there is no memory for it: then the link begins anew, and with it the list.
template <class Host>
bool endpoint<Host>::say_receipt(std::uint16_t k, const receipts_owed::entry& e) noexcept try {
  shard_link& l = links_[k];
  if ((l.st != state::up && l.st != state::syncing) || !l.terms.has_receipts()) return false;
  const auto to = l.index_of.find(e.origin);
  if (to == l.index_of.end()) return false;
  touch(k); // what may find no memory comes first
  wire::receipt_record{e.number, to->second, e.what}.put(l.receipts.next(l.urgent()));
  return true;
} catch (const std::bad_alloc&) {
  links_[k].untold = some_untold_ = true;
  return true;
}

// --- as the origin ----------------------------------------------------------------------------------

// A final answer for a message whose sender wants to know of the recipient's acknowledgement.
template <class Host> void endpoint<Host>::await_receipt(const outbox::outcome& o, time_point now) {
  receipts_awaited::entry e;
  e.sender = o.sender;
  e.token = o.token;
  e.number = o.number;
  e.until = now + config_.receipt_timeout;
  if (o.link != slot_table::no_link) {
    const shard_link& l = links_[o.link];
    if (const std::uint32_t r = l.record_of(o.owner); r != none) e.owner = incoming.origin(r);
    e.link = o.link;
  }
  host_.on_taken(o, now);
  if (o.early_receipt) return tell_receipt(e, static_cast<receipt_told>(*o.early_receipt), now);
  if (o.receipt_follows && !receipts_full() && awaited_.add(e)) return;
  receipt_counts.not_promised.add();
  tell_receipt(e, receipt_told::not_promised, now);
}

template <class Host>
void endpoint<Host>::tell_receipt(const receipts_awaited::entry& e, receipt_told what, time_point now) {
  if (!clients_.find(e.sender)) return receipt_counts.unheard.add();
  if (what <= receipt_told::rejected) receipt_counts.told[static_cast<std::size_t>(what)].add();
  if (what == receipt_told::timeout) receipt_counts.timeouts.add();
  if (what == receipt_told::owner_lost) receipt_counts.owners_lost.add();
  host_.on_receipt(e.sender, e.token, what, now);
}

template <class Host> bool endpoint<Host>::on_receipts(std::uint16_t k, const_bytes payload, time_point now) {
  if (!links_[k].terms.has_receipts()) return false;
  const bool ok = wire::for_each_record<wire::receipt_record>(payload, [&](const wire::receipt_record& r) {
    if (links_[k].c) on_receipt(k, r, now); // a host may close a link from on_receipt
  });
  drain_outcomes(now);
  return ok;
}

template <class Host>
void endpoint<Host>::on_receipt(std::uint16_t k, const wire::receipt_record& r, time_point now) {
  shard_link& l = links_[k];
  if (r.what == wire::receipt::heard) {
    if (const std::uint32_t o = l.record_of(r.lane); o != none) owed_.heard(incoming.origin(o), r.number);
    return;
  }
  touch(k);
  wire::receipt_record{r.number, r.lane, wire::receipt::heard}.put(l.receipts.next(l.urgent()));
  receipts_awaited::entry e;
  if (awaited_.take(r.number, e)) return tell_receipt(e, static_cast<receipt_told>(r.what), now);
  // It has overtaken its `accepted`, or that was lost with a link: it says as much.
  if (!outgoing.wants_receipt(r.number)) return;
  wire::answer_record accepted;
  accepted.number = r.number;
  accepted.what = answer::accepted;
  outgoing.on_answer(k, accepted, now, r.what);
}

// Of what was accepted over another link that link's shard tells, if it knows the owner, or may know it yet.
template <class Host>
void endpoint<Host>::on_owners_gone(std::uint16_t k, std::span<const member_index> lanes, time_point now) {
  if (awaited_.size() == 0) return;
  const shard_link& l = links_[k];
  std::vector<lane_id> owners;
  for (const member_index i : lanes)
    if (const std::uint32_t record = l.record_of(i); record != none)
      owners.push_back(incoming.origin(record));
  std::sort(owners.begin(), owners.end());
  const auto ends = [&](receipts_awaited::entry& e) {
    if (!std::binary_search(owners.begin(), owners.end(), e.owner)) return false;
    const shard_link& by = links_[e.link];
    const bool linked = by.st == state::up || by.st == state::syncing;
    if (e.link == k || !linked) return true;
    e.owner_gone = true;
    return by.members_whole && !by.index_of.contains(e.owner);
  };
  tell_owners_lost(ends, now);
}

// The lanes that a shard in service knows are told, in a new life or over a new link. Earlier ones are not
// waited for any more; and who is gone, as another shard has said, and is not among them, is.
template <class Host> void endpoint<Host>::on_members_whole(std::uint16_t k, time_point now) {
  shard_link& l = links_[k];
  l.remembered.clear();
  l.list = wire::member::whole;
  if (std::exchange(l.members_whole, true)) return;
  const auto ends = [&](receipts_awaited::entry& e) {
    return e.link == k && e.owner_gone && !l.index_of.contains(e.owner);
  };
  tell_owners_lost(ends, now);
}

template <class Host>
template <class Ends>
void endpoint<Host>::tell_owners_lost(Ends&& ends, time_point now) {
  receipts_awaited::entry e;
  for (std::uint32_t at = awaited_.first(); awaited_.take_next(at, e, ends);)
    tell_receipt(e, receipt_told::owner_lost, now);
}

template <class Host> void endpoint<Host>::check_receipts(time_point now) {
  for (receipts_awaited::entry e; awaited_.take_late(now, e);) tell_receipt(e, receipt_told::timeout, now);
  if (owed_.any_said()) receipt_counts.forgotten.add(owed_.forget_late(now - limits::receipt_kept));
  receipt_counts.awaited.set(awaited_.size());
  receipt_counts.owed.set(owed_.size());
}

} // namespace beeline::link
