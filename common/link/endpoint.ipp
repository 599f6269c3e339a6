// Implementation of endpoint<Host>, included by the files of a program that use its members: clients and
// their messages here, the links' lives in endpoint_links.ipp, slot maps and members in endpoint_maps.ipp.
#pragma once
#include "common/link/endpoint.hpp"

#include <algorithm>

namespace beeline::link {

template <class Host>
endpoint<Host>::endpoint(endpoint_config config, Host& host, chunk_pool&, block_pool& blocks,
                         dirty_list& dirty, time_point now)
    : outgoing(blocks, dirty, config.window, &drops), config_(std::move(config)), host_(host),
      dirty_(dirty), hasher_{config_.secret.id_key(), config_.hash_bits}, random_(config_.random_seed),
      last_turn_(now), next_check_(now), next_report_(now + limits::report_interval) {
  for (std::size_t r = 0; r < config_.routers.size(); ++r) {
    routers_.emplace_back();
    routers_[r].links.push_back(
        add_link(static_cast<std::uint16_t>(r), 0, config_.routers[r].host, config_.routers[r].port));
  }
  rebuild_slots(now);
}

template <class Host>
std::uint16_t endpoint<Host>::add_link(std::uint16_t r, std::uint16_t shard, std::string host,
                                       std::uint16_t port) {
  shard_link& l = links_.emplace_back();
  l.host = std::move(host);
  l.port = port;
  l.router = r;
  l.shard = shard;
  ++idle_;
  counters.links.add();
  outgoing.add_link();
  const auto k = static_cast<std::uint16_t>(links_.size() - 1);
  name_stats(k);
  return k;
}

// Counts under the link's address, which a new slot map may have changed.
template <class Host> void endpoint<Host>::name_stats(std::uint16_t k) {
  shard_link& l = links_[k];
  if (l.stats) l.stats->retired.set(1);
  l.stats = &board.entry(l.host + ":" + std::to_string(l.port), l.shard);
  outgoing.count_in(k, *l.stats);
}

// Once a turn, before what was queued in it is written.
template <class Host> void endpoint<Host>::note_link(shard_link& l) {
  link_stats& s = *l.stats;
  const std::uint64_t queued = l.c ? l.c->output_bytes() : 0;
  s.state.set(static_cast<std::uint64_t>(l.st));
  s.queue_bytes.set(queued);
  s.queue_high_water.see(queued);
  counters.queue_high_water.see(queued);
  if (!l.c) return;
  s.bytes_out.add(l.c->sent - l.sent_noted);
  l.sent_noted = l.c->sent;
  s.writes.add(l.c->writes - l.writes_noted);
  l.writes_noted = l.c->writes;
  s.frames_out.add(l.c->link->frames() - l.frames_noted);
  l.frames_noted = l.c->link->frames();
}
template <class Host> void endpoint<Host>::note_links() {
  for (shard_link& l : links_) note_link(l);
}

// --- clients ----------------------------------------------------------------------------------------

template <class Host> handle endpoint<Host>::attach(std::string_view id, time_point now) {
  const id_hash h = hasher_(id);
  const std::uint16_t k = slots_.link_of(h);
  const handle c = clients_.add(id, h, k, now);
  if (k == slot_table::no_link) return c;
  const shard_link& l = links_[k];
  const bool passed_by_sync = l.st == state::syncing && c.index < l.sync_cursor && !plant.sync_misses_new;
  if (l.st != state::up && !passed_by_sync) return c;
  try {
    put_registration(k, c.index);
  } catch (const std::bad_alloc&) {
    clients_.remove(c); // else the next link would register a client that nobody has
    throw;
  }
  return c;
}

template <class Host> void endpoint<Host>::detach(handle h, time_point now) {
  client* c = clients_.find(h);
  if (!c) return;
  outgoing.sender_gone(h, now);
  if (c->told != slot_table::no_link) tell_gone(*c, h);
  count_in_doubt(*c, -1);
  clients_.remove(h);
  drain_outcomes(now);
}

// A shard that cannot be told, as there is no memory, would keep a ghost: then its link begins anew.
template <class Host> void endpoint<Host>::tell_gone(const client& c, handle h) noexcept try {
  shard_link& l = links_[c.told];
  touch(c.told);
  // Its registration may still be in this turn's batch: that has to go first.
  if (!c.registered) l.registers.flush(l.urgent());
  wire::unregistration{c.hash, h}.put(l.unregisters.next(l.urgent()));
} catch (const std::bad_alloc&) {
  links_[c.told].untold = some_untold_ = true; // it ends with the turn
}

template <class Host> void endpoint<Host>::put_registration(std::uint16_t k, std::uint32_t index) {
  client& c = clients_.at(index);
  shard_link& l = links_[k];
  wire::registration r;
  r.client = {index, c.generation};
  r.connected_at = to_us(c.connected_at);
  r.since = c.since == wire::since_warm_up ? 0 : c.since;
  r.id = c.id;
  touch(k); // what may find no memory comes first
  r.put(l.registers.next(l.urgent()));
  c.told = k;
  c.said = false;
  counters.registrations.add();
}

// --- sending ----------------------------------------------------------------------------------------

template <class Host>
auto endpoint<Host>::send_qos0(const wire::message_parts& m, std::uint16_t& link, drop_reason& why) -> sent {
  link = slots_.link_of(m.hash);
  if (link == slot_table::no_link || links_[link].st != state::up) {
    why = drop_reason::link_down;
    drops.put(drop_kind::drop, name_of(why), m.sender, m.destination, 0, last_turn_);
    count_drop(why);
    return sent::dropped;
  }
  shard_link& l = links_[link];
  const std::size_t size = wire::message_bytes(m, false);
  output_chain& data = l.c->link->data;
  if (data.size() + size > limits::link_output_bytes_max) {
    why = drop_reason::link_full;
    drops.put(drop_kind::drop, name_of(why), m.sender, m.destination, 0, last_turn_);
    count_drop(why);
    return sent::dropped;
  }
  const std::uint32_t limit = l.terms.time_limit(m.ttl_ms, last_turn_);
  if (size <= chunk_pool::contiguous_max) {
    wire::write_message(data.extend(size), m, false, limit);
  } else {
    std::vector<std::byte> big(size); // above a chunk: rare, and dominated by the copy anyway
    wire::write_message(big.data(), m, false, limit);
    data.append(big);
  }
  counters.frames_out_qos0.add();
  counters.bytes_out_qos0.add(m.payload.size());
  l.stats->messages_out.add();
  dirty_.mark(*l.c);
  if (data.size() < config_.link_output_high) return sent::ok;
  l.blocked = true;
  return sent::link_full;
}

template <class Host>
void endpoint<Host>::send_qos1(handle sender, std::uint64_t token, const wire::message_parts& m,
                               time_point now) {
  outgoing.submit(sender, token, slots_.link_of(m.hash), m, now);
  drain_outcomes(now);
}

template <class Host> void endpoint<Host>::drain_outcomes(time_point now) {
  if (std::exchange(draining_, true)) return; // the host sends from within on_outcome: the loop below goes on
  std::size_t begun = 0;
  const struct done { // when the host has found no memory, the rest is told at the end of the turn
    endpoint& e;
    const std::size_t& begun;
    ~done() {
      auto& all = e.outgoing.outcomes;
      all.erase(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(begun));
      e.draining_ = false;
    }
  } at_the_end{*this, begun};
  while (begun < outgoing.outcomes.size()) {
    const outbox::outcome o = outgoing.outcomes[begun++];
    if (o.wants_receipt && o.what == answer::accepted) await_receipt(o, now);
    else host_.on_outcome(o, now);
  }
}

// --- turns and time ---------------------------------------------------------------------------------

template <class Host> void endpoint<Host>::begin_turn(time_point now) {
  // Stopped for so long that the shards may have given our clients to others: what waits in the
  // sockets is stale and must not be acted on.
  if (now - last_turn_ > limits::pause_max) {
    went_on_ = now;
    for (std::uint16_t k = 0; k < links_.size(); ++k)
      if (links_[k].c) lose(k, close_reason::link_paused, now);
  }
  last_turn_ = now;
  // The network may have taken all at once: then nobody says that it has drained.
  for (std::uint16_t k = 0; k < links_.size(); ++k) release_senders(k, now);
}

// Senders that were told link_full go on once the link's queue is short.
template <class Host> void endpoint<Host>::release_senders(std::uint16_t k, time_point now) {
  shard_link& l = links_[k];
  if (!l.blocked || !l.c || l.c->link->data.size() > config_.link_output_low) return;
  l.blocked = false;
  host_.on_link_drained(k, now);
}

template <class Host> void endpoint<Host>::end_turn(time_point now) {
  if (!outgoing.outcomes.empty()) drain_outcomes(now);
  if (std::exchange(some_untold_, false))
    for (std::uint16_t k = 0; k < links_.size(); ++k)
      if (std::exchange(links_[k].untold, false) && links_[k].c) lose(k, close_reason::out_of_memory, now);
  if (syncing_)
    for (std::uint16_t k = 0; k < links_.size(); ++k)
      if (links_[k].st == state::syncing) sync(k, now);
  for (std::size_t i = 0; i < touched_.size(); ++i) {
    shard_link& l = links_[touched_[i]];
    l.touched = false;
    if (!l.c) continue;
    l.registers.flush(l.urgent());
    l.unregisters.flush(l.urgent());
    l.identities.flush(l.urgent());
    l.answers.flush(l.urgent());
    l.receipts.flush(l.urgent());
    dirty_.mark(*l.c);
  }
  touched_.clear();
  note_links();
}

template <class Host> void endpoint<Host>::on_time(time_point now) {
  outgoing.on_time(now);
  drain_outcomes(now);
  check_receipts(now);
  if (now < next_check_) return;
  next_check_ = now + limits::heartbeat_interval / 4;
  for (std::uint16_t k = 0; k < links_.size(); ++k) check_link(k, now);
  if (now >= next_report_) {
    next_report_ = now + limits::report_interval;
    send_reports();
  }
  end_turn(now);
}

template <class Host> time_point endpoint<Host>::next_deadline() const noexcept {
  // What came up after the end of a turn, as connections ended, is said in the next, at once.
  if (!touched_.empty() || some_untold_ || !outgoing.outcomes.empty()) return last_turn_;
  time_point t = std::min({next_check_, outgoing.next_deadline(), awaited_.next_deadline()});
  if (idle_ && !leaving_)
    for (const shard_link& l : links_)
      if (l.st == state::idle && !l.retired) t = std::min(t, l.next_dial);
  if (syncing_)
    for (const shard_link& l : links_)
      if (l.st == state::syncing && !l.announced.empty() && l.sync_cursor < clients_.capacity() &&
          l.c->link->urgent.size() < config_.sync_output_max)
        return last_turn_;
  return t;
}

template <class Host> void endpoint<Host>::check_link(std::uint16_t k, time_point now) {
  shard_link& l = links_[k];
  release_left(l, now - limits::index_quarantine / 2);
  if (!l.c) return;
  if (now - l.last_heard >= limits::silence_max) return lose(k, close_reason::link_silence, now);
  if (now - l.last_frame >= limits::frame_time_max) return lose(k, close_reason::link_bad_frame, now);
  if (l.st == state::handshake) {
    if (now - l.up_at >= limits::handshake_max) lose(k, close_reason::link_handshake_timeout, now);
    return;
  }
  if (l.c->sent != l.progress || l.c->output_bytes() == 0) {
    l.progress = l.c->sent;
    l.progress_at = now;
  } else if (now - l.progress_at >= limits::write_stall_max) {
    return lose(k, close_reason::link_write_stall, now);
  }
  if (now - l.last_heartbeat >= limits::heartbeat_interval) send_heartbeat(l, now);
}

template <class Host> void endpoint<Host>::send_heartbeat(shard_link& l, time_point now) {
  if (plant.heartbeat_once && l.last_heartbeat != time_point{}) return;
  if (plant.heartbeat_only_when_idle && now - l.last_heard < limits::silence_max / 2) return;
  l.last_heartbeat = now;
  wire::heartbeat h;
  h.sent_at = to_us(now);
  h.echo = l.peer_sent_at;
  h.held_us = l.peer_sent_at
                  ? static_cast<std::uint32_t>(std::min<std::uint64_t>(to_us(now - l.peer_heard), ~0u))
                  : 0;
  h.value = outgoing.floor();
  wire::send(writer_, l.urgent(), h);
  dirty_.mark(*l.c);
}

// --- reports ------------------------------------------------------------------------------------------

// One for each router, so that each knows all of this lane and counts nothing twice: the lowest shard that is
// in sync.
template <class Host> auto endpoint<Host>::reporting_link(const router& r) noexcept -> shard_link* {
  for (const std::uint16_t k : r.links)
    if (shard_link& l = links_[k]; l.st == state::up)
      return l.handshake.version() >= wire::version_with_reports ? &l : nullptr;
  return nullptr;
}

// What a router was not told yet. A report that is on its way when its link is lost is not said again.
template <class Host> void endpoint<Host>::send_reports() {
  const histogram_snapshot all = outgoing.publish_to_answer.snapshot();
  for (router& r : routers_) {
    shard_link* l = reporting_link(r);
    if (!l) continue;
    const wire::report m{all.since(r.reported)};
    if (m.answered.count() == 0) continue;
    wire::send(writer_, l->urgent(), m);
    dirty_.mark(*l->c);
    r.reported = all;
  }
}

// --- presence -----------------------------------------------------------------------------------------

template <class Host>
bool endpoint<Host>::on_registered(std::uint16_t k, const_bytes payload, time_point now) {
  return wire::for_each_record<wire::registered_client>(payload, [&](const wire::registered_client& r) {
    client* c = clients_.find(r.client);
    if (!c || c->told != k) return;
    if (c->link != k && c->link != slot_table::no_link) return;
    c->since = r.since;
    c->said = true;
    if (c->link != k) return; // while its slot is in doubt it waits on, and may come back to this shard
    c->registered = c->live = true;
    host_.on_registered(r.client, now);
  });
}

template <class Host> bool endpoint<Host>::on_kicks(std::uint16_t k, const_bytes payload, time_point now) {
  shard_link& l = links_[k];
  return wire::for_each_record<wire::kick>(payload, [&](const wire::kick& q) {
    client* c = clients_.find(q.client);
    if (!l.c) return;
    if (!c) { // it has gone already: say so again, the shard waits for a word
      touch(k);
      return wire::unregistration{q.hash, q.client}.put(l.unregisters.next(l.urgent()));
    }
    const bool same = c->id == q.claimant;
    if (same && q.wish == wire::kick::close) {
      counters.takeovers.add();
      if (plant.kicked_stays_registered) c->told = slot_table::no_link;
      return host_.on_kicked(q.client, close_reason::taken_over, now);
    }
    if (same && (q.wish == wire::kick::full || q.wish == wire::kick::busy)) {
      counters.refused.add();
      const bool full = q.wish == wire::kick::full;
      return host_.on_kicked(
          q.client, full ? close_reason::registration_refused : close_reason::registration_busy, now);
    }
    wire::identity w;
    w.hash = q.hash;
    w.client = q.client;
    w.same = same;
    w.id = c->id;
    touch(k);
    w.put(l.identities.next(l.urgent()));
  });
}

// --- messages for our clients ---------------------------------------------------------------------------

template <class Host>
void endpoint<Host>::put_answer(std::uint16_t k, const wire::message_view& m, answer a,
                                bool receipt_follows) {
  wire::answer_record r;
  r.number = static_cast<std::uint32_t>(m.number());
  r.lane = m.origin();
  r.what = a;
  r.detail = receipt_follows;
  touch(k);
  r.put(links_[k].answers.next(links_[k].urgent()));
}

template <class Host>
void endpoint<Host>::on_message(std::uint16_t k, const wire::message_view& m, time_point now) {
  shard_link& l = links_[k];
  client* c = clients_.find(m.target());
  const bool here = c && c->id == m.destination();
  if (!m.body_intact()) {
    count_drop(drop_reason::bad_body);
    drops.put(drop_kind::drop, name_of(drop_reason::bad_body), {}, {}, m.qos1(), now); // ids may be damaged
    return fail(k, wire::error_code::malformed, close_reason::link_bad_frame, "message body damaged", now);
  }
  counters.messages_in.add();
  counters.bytes_in.add(m.payload().size());
  l.stats->messages_in.add();
  const bool in_time = limit_time(l, m, now);
  if (!m.qos1()) {
    if (!in_time) {
      drops.put(drop_kind::drop, name_of(drop_reason::expired), m.sender(), m.destination(), 0, now);
      return count_drop(drop_reason::expired);
    }
    if (!here) {
      drops.put(drop_kind::drop, name_of(drop_reason::not_here), m.sender(), m.destination(), 0, now);
      return count_drop(drop_reason::not_here);
    }
    if (host_.deliver(m.target(), m, none, now) == answer::accepted) counters.accepted_qos0.add();
    return;
  }
  const std::uint32_t record = m.origin() < l.origins.size() ? l.origins[m.origin()] : none;
  // It waited long for a slow link. Its lane's link is gone: if that lane lives it has sent it again.
  if (record == lane_left) return incoming.counters.late_copies.add();
  if (record == none)
    return fail(k, wire::error_code::malformed, close_reason::link_bad_frame, "message from an unknown lane",
                now);
  if (plant.ack_before_deliver) put_answer(k, m, answer::accepted);
  using enum inbox::verdict;
  switch (incoming.judge(record, m, here, here ? std::max(c->since, l.forgotten_until) : 0)) {
  case take: return take_message(k, record, m, in_time, now);
  case answer_accepted:
    return put_answer(k, m, answer::accepted,
                      m.wants_receipt() &&
                          owed_.has(incoming.origin(record), static_cast<std::uint32_t>(m.number())));
  // Another id with the same hash: had the one it is for been registered, the shard would have known both.
  case answer_not_here: return put_answer(k, m, c ? answer::nobody : answer::not_here);
  case answer_unknown: return put_answer(k, m, answer::unknown);
  case answer_retry: return put_answer(k, m, answer::retry);
  case answer_busy: return put_answer(k, m, answer::busy);
  case answer_full: return put_answer(k, m, answer::full);
  case answer_refused: return put_answer(k, m, answer::refused);
  case answer_expired: return put_answer(k, m, answer::expired);
  case inbox::verdict::drop: return;
  }
}

// From here on the message says how long it has left. False: nothing.
template <class Host>
bool endpoint<Host>::limit_time(const shard_link& l, wire::message_view m, time_point now) {
  if (m.deadline() == 0 || !l.terms.has_deadlines()) return true;
  if (!l.terms.clock.known()) { // a heartbeat comes right behind the welcome: this shard did not keep to that
    m.set_time_limit(0);
    return true;
  }
  const std::uint32_t left = wire::ttl_of(m.deadline(), l.terms.clock.to_peer(now));
  m.set_time_limit(left);
  return left != 0;
}

template <class Host>
void endpoint<Host>::take_message(std::uint16_t k, std::uint32_t record, const wire::message_view& m,
                                  bool in_time, time_point now) {
  const bool wanted = in_time && m.wants_receipt() && links_[k].terms.has_receipts();
  const std::uint32_t receipt =
      wanted ? owed_.open(incoming.origin(record), static_cast<std::uint32_t>(m.number()), k) : none;
  if (wanted && receipt == none) receipt_counts.not_owed.add();
  answer a = answer::expired;
  if (in_time) a = host_.deliver(m.target(), m, receipt, now);
  else {
    count_drop(drop_reason::expired);
    drops.put(drop_kind::drop, name_of(drop_reason::expired), m.sender(), m.destination(), 1, now);
  }
  if (receipt != none && plant.receipt_before_ack)
    wire::receipt_record{static_cast<std::uint32_t>(m.number()), m.origin(), wire::receipt::received}.put(
        links_[k].receipts.next(links_[k].urgent()));
  if (plant.limit_without_answer && a == answer::full) return;
  if (a == answer::accepted) {
    incoming.accepted(record, m.number());
    counters.accepted.add();
  } else {
    if (receipt != none) owed_.close(receipt);
    if (is_final(a)) incoming.refused(record, m.number(), a);
  }
  put_answer(k, m, a, a == answer::accepted && receipt != none);
}

} // namespace beeline::link

#include "common/link/endpoint_links.ipp"
#include "common/link/endpoint_maps.ipp"
#include "common/link/endpoint_receipts.ipp"
