// Flows, their messages, and how they are sent, stopped and started again.
#include "common/link/outbox.hpp"

#include "common/base/crc32c.hpp"

#include <algorithm>

namespace beeline::link {

outbox::outbox(block_pool& blocks, dirty_list& dirty, settings s, drop_ring* drops)
    : blocks_(blocks), dirty_(dirty), drops_(drops), settings_(s), ring_(s.window_messages, none) {
  CHECK_INVARIANT((s.window_messages & (s.window_messages - 1)) == 0);
}

outbox::~outbox() {
  for (std::uint32_t i = 0; i < items_.capacity(); ++i)
    if (items_[i].block) blocks_.give(items_[i].block, items_[i].size);
}

// --- flows and items ------------------------------------------------------------------------------

// Two ids with one hash are two flows: their owners do not know of each other's messages.
std::uint32_t outbox::flow_of(handle sender, const wire::message_parts& m, std::uint16_t link) {
  const std::uint64_t which = m.hash ^ std::uint64_t{crc32c(as_bytes(m.destination))} << 16;
  const key k{sender_key(sender), which};
  if (const auto it = flow_index_.find(k); it != flow_index_.end()) return it->second;
  if (sender.index >= sender_flows_.size()) sender_flows_.resize(sender.index + 1, none);
  const std::uint32_t f = flows_.take();
  try {
    turns_.reserve(f + std::size_t{1}, sender_flows_.size());
    flow_index_.emplace(k, f);
  } catch (const std::bad_alloc&) {
    flows_.give(f);
    throw;
  }
  flow& w = flows_[f];
  w = flow{};
  w.used = true;
  w.sender = sender;
  w.hash = m.hash;
  w.which = which;
  w.link = link;
  w.sender_next = sender_flows_[sender.index];
  if (w.sender_next != none) flows_[w.sender_next].sender_prev = f;
  sender_flows_[sender.index] = f;
  return f;
}

void outbox::free_flow(std::uint32_t f) {
  flow& w = flows_[f];
  DCHECK_INVARIANT(w.head == none && w.in_flight == 0 && w.pending == 0 && w.again == 0);
  if (!w.gone) {
    (w.sender_prev != none ? flows_[w.sender_prev].sender_next : sender_flows_[w.sender.index]) =
        w.sender_next;
    if (w.sender_next != none) flows_[w.sender_next].sender_prev = w.sender_prev;
  }
  flow_index_.erase(key{sender_key(w.sender), w.which});
  turns_.remove(f);
  w.used = false;
  flows_.give(f);
}

// A place and a block for the message; both, or none and the flow as it was.
std::uint32_t outbox::place_for(const wire::message_parts& m, std::uint32_t f, time_point expires) {
  std::uint32_t i = none;
  try {
    i = items_.take();
    item& t = items_[i];
    t = item{};
    t.size = static_cast<std::uint32_t>(wire::message_bytes(m, true));
    t.block = blocks_.take(t.size);
    t.serial = ++serials_;
    t.expires = expires;
    if (expires != never) watch_expiry(i);
    return i;
  } catch (const std::bad_alloc&) {
    if (i != none) {
      if (items_[i].block) blocks_.give(items_[i].block, items_[i].size);
      items_[i].block = nullptr;
      items_.give(i);
    }
    if (flows_[f].head == none) free_flow(f);
    throw;
  }
}

void outbox::submit(handle sender, std::uint64_t token, std::uint16_t link, const wire::message_parts& m,
                    time_point now) {
  const std::uint32_t f = flow_of(sender, m, link);
  const std::uint32_t i = place_for(m, f, m.ttl_ms ? now + std::chrono::milliseconds(m.ttl_ms) : never);
  item& t = items_[i];
  wire::write_message(t.block, m, true);
  t.token = token;
  t.flow = f;
  t.sent_at = now;
  t.submitted_us = static_cast<std::uint32_t>(to_us(now));
  if (m.receipt) t.flags = wire::flag_receipt;
  flow& w = flows_[f];
  t.prev = w.tail;
  (w.tail != none ? items_[w.tail].next : w.head) = i;
  w.tail = i;
  ++w.pending;
  if (w.first_pending == none) w.first_pending = i;
  counters.messages.add();
  counters.bytes.add(t.size);
  counters.messages_high_water.see(counters.messages.get());
  counters.bytes_high_water.see(counters.bytes.get());
  if (w.stopped || waits(f)) return;
  try {
    if (pump(f, now) == pumped::turn_over) pump_waiting(link, now);
  } catch (const std::bad_alloc&) { // it is taken: without memory to send it, it waits
    if (flows_[f].used && flows_[f].pending && !waits(f)) turns_.add(link, sender.index, f);
    throw;
  }
}

void outbox::remove(std::uint32_t i) {
  item& t = items_[i];
  flow& w = flows_[t.flow];
  if (t.st == state::in_flight) {
    --w.in_flight;
    links_[w.link].bytes -= t.size;
  } else {
    --w.pending;
    if (t.number) --numbered_pending_;
  }
  if (t.flags & wire::flag_again) --w.again;
  if (w.first_pending == i) w.first_pending = t.next;
  (t.prev != none ? items_[t.prev].next : w.head) = t.next;
  (t.next != none ? items_[t.next].prev : w.tail) = t.prev;
  if (t.number) {
    ring_[t.number & (ring_.size() - 1)] = none;
    t.number = 0;
    advance_floor();
  }
  counters.messages.sub();
  counters.bytes.sub(t.size);
  blocks_.give(t.block, t.size);
  t.block = nullptr;
  items_.give(i);
}

void outbox::remember(const item& t, drop_kind kind, std::string_view reason, time_point now) {
  if (!drops_) return;
  const wire::message_view m({t.block, t.size});
  drops_->put(kind, reason, m.sender(), m.destination(), 1, now);
}

void outbox::finish(std::uint32_t i, answer what, answer cause, time_point now, std::uint16_t link,
                    const wire::answer_record& a, std::optional<wire::receipt> early) {
  const item& t = items_[i];
  const flow& w = flows_[t.flow];
  const bool gave_up = what == answer::refused && cause != answer::refused;
  if (gave_up) counters.drops[static_cast<std::size_t>(drop_reason::gave_up)].add();
  if (t.flags & wire::flag_again && !plant.again_as_nobody &&
      (what == answer::nobody || what == answer::expired || what == answer::refused))
    what = answer::unknown; // an earlier copy may have been taken
  if (plant.unknown_as_nobody && what == answer::unknown) what = answer::nobody;
  const auto reason = [&] { return gave_up ? name_of(drop_reason::gave_up) : name_of(what); };
  if (w.gone) {
    if (what != answer::accepted) return end_unheard(i, reason(), now);
    return remove(i);
  }
  outcomes.push_back({w.sender, t.token, what, cause, t.size, static_cast<std::uint32_t>(t.number), link,
                      (t.flags & wire::flag_receipt) != 0, a.detail == 1, early, a.lane});
  const std::uint32_t took_us = static_cast<std::uint32_t>(to_us(now)) - t.submitted_us;
  publish_to_answer.record_us(took_us);
  counters.answered.add();
  if (took_us > to_us(limits::answer_goal)) counters.answered_late.add();
  if (what != answer::accepted) remember(t, drop_kind::refusal, reason(), now);
  remove(i);
}

// It was in flight when its sender's session ended: nobody is told that it was not taken, or may not have
// been.
void outbox::end_unheard(std::uint32_t i, std::string_view reason, time_point now) {
  counters.outcomes_unheard.add();
  remember(items_[i], drop_kind::drop, reason, now);
  remove(i);
}

void outbox::advance_floor() noexcept {
  const bool were_used_up = numbers_used_up();
  while (floor_ < next_number_ && ring_[floor_ & (ring_.size() - 1)] == none) ++floor_;
  if (were_used_up && !numbers_used_up()) some_may_go_on_ = true;
}

void outbox::set_again(item& m) {
  if (!(m.flags & wire::flag_again)) ++flows_[m.flow].again;
  m.flags |= wire::flag_again | wire::flag_resent;
}

void outbox::to_pending(std::uint32_t i) {
  item& m = items_[i];
  if (m.st == state::pending) return;
  if (m.expires != never) watch_expiry(i);
  flow& w = flows_[m.flow];
  m.st = state::pending;
  --w.in_flight;
  ++w.pending;
  ++numbered_pending_;
  links_[w.link].bytes -= m.size;
}

// --- sending --------------------------------------------------------------------------------------

bool outbox::has_room(const link_state& l, const item& m) const noexcept {
  if (l.bytes != 0 && l.bytes + m.size > settings_.link_window_bytes && !plant.link_window_ignored)
    return false;
  return m.number != 0 || !numbers_used_up();
}

// Every earlier message of the flow is unanswered, so its direct predecessor is the one to name.
// False when that lies too far back for 16 bits.
bool outbox::prev_of(const item& m, std::uint16_t& out) const noexcept {
  out = 0;
  if (m.prev == none) return true;
  const std::uint64_t before = items_[m.prev].number;
  if (before == 0 || before >= m.number || m.number - before > 0xffff) return false;
  out = static_cast<std::uint16_t>(m.number - before);
  return true;
}

namespace {
std::uint32_t ms_left(time_point until, time_point now) noexcept { // 1 at least: 0 means for ever
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - now).count();
  return static_cast<std::uint32_t>(std::max<std::int64_t>(1, left));
}
} // namespace

void outbox::write_copy(std::uint32_t i, std::uint16_t prev, time_point now) {
  item& t = items_[i];
  link_state& l = links_[flows_[t.flow].link];
  wire::message_view v({t.block, t.size});
  wire::message_view::stamp s;
  s.number = t.number;
  s.prev = prev;
  s.floor_back = static_cast<std::uint32_t>(t.number - (plant.floor_early ? next_number_ - 1 : floor_));
  s.first_sent = t.first_sent;
  s.flags = t.flags;
  if (!l.terms->has_receipts()) s.flags &= static_cast<std::uint8_t>(~wire::flag_receipt);
  if (t.expires != never && !plant.deadline_ignored)
    s.deadline = l.terms->time_limit(ms_left(t.expires, now), now);
  v.set_stamp(s);
  l.c->link->data.append({t.block, t.size});
  t.data_end = l.c->link->data_end();
  dirty_.mark(*l.c);
  t.sent_at = now;
  const bool again = t.flags & wire::flag_resent;
  (again ? counters.resent : counters.sent).add();
  if (!again) counters.bytes_sent.add(v.payload().size());
  (again ? l.stats->resends : l.stats->messages_out).add();
}

// Sends one pending message. False: it has to wait (link, window, numbers).
bool outbox::send(std::uint32_t i, time_point now) {
  item& t = items_[i];
  flow& w = flows_[t.flow];
  link_state& l = links_[w.link];
  l.c->link->data.prepare(t.size); // from here on nothing may stop halfway
  const bool fresh = t.number == 0;
  if (fresh) {
    t.number = next_number_;
    if (plant.number_restarts && w.in_flight == 0 && floor_ == next_number_)
      t.number = next_number_ = floor_ = 1;
  }
  std::uint16_t prev = 0;
  if (!prev_of(t, prev)) {
    if (fresh) t.number = 0;
    return false;
  }
  if (fresh) {
    ring_[next_number_ & (ring_.size() - 1)] = i;
    ++next_number_;
    t.first_sent = l.shard_time;
  } else {
    --numbered_pending_;
  }
  t.st = state::in_flight;
  --w.pending;
  ++w.in_flight;
  l.bytes += t.size;
  write_copy(i, prev, now);
  return true;
}

// Sends what the flow has, as far as there is room: all of it when no other flow waits for the link, else the
// messages of its turn.
outbox::pumped outbox::pump(std::uint32_t f, time_point now, bool in_turn) {
  flow& w = flows_[f];
  if (w.stopped || w.link == slot_table::no_link) return pumped::done;
  link_state& l = links_[w.link];
  while (w.first_pending != none && l.c) {
    const std::uint32_t i = w.first_pending;
    item& t = items_[i];
    DCHECK_INVARIANT(t.st == state::pending);
    if (t.expires <= now && !plant.deadline_ignored) {
      finish(i, answer::expired, answer::expired, now);
      continue;
    }
    const bool my_turn = t.number || (in_turn ? turns_.may_send(w.link, t.size) || turns_.alone(w.link)
                                              : turns_.empty(w.link));
    if (!my_turn || !has_room(l, t)) {
      if (!waits(f)) turns_.add(w.link, w.sender.index, f);
      return my_turn ? pumped::no_room : pumped::turn_over;
    }
    if (!send(i, now)) return pumped::done; // goes on with the flow's next answer
    w.first_pending = items_[i].next;
    if (in_turn) turns_.sent(w.link, items_[i].size);
  }
  if (w.head == none) free_flow(f);
  return pumped::done;
}

// Each that waits has its turn; the first that finds no room, or no memory, keeps its place and what is left
// of its turn.
void outbox::pump_waiting(std::uint16_t link, time_point now) {
  const link_state& l = links_[link];
  while (!turns_.empty(link) && l.c && l.bytes < settings_.link_window_bytes && !numbers_used_up()) {
    const std::uint32_t f = turns_.first(link);
    const pumped p = pump(f, now, true);
    if (p == pumped::no_room) break;
    if (p == pumped::turn_over) turns_.over(link);
    else turns_.remove(f);
  }
}

// When numbers are used up: what has a number may go past those that wait for one, and what only waits
// for a link that is down is given up, so that it does not stop all the others.
void outbox::unpin(time_point now) {
  while (numbers_used_up()) {
    const std::uint32_t i = ring_[floor_ & (ring_.size() - 1)];
    const flow& w = flows_[items_[i].flow];
    if (items_[i].st != state::pending || (w.link != slot_table::no_link && links_[w.link].c)) break;
    const std::uint32_t f = items_[i].flow;
    finish(i, answer::refused, answer::later_lane, now);
    if (flows_[f].head == none) free_flow(f);
  }
  if (numbered_pending_ == 0 || !numbers_used_up()) return;
  pump_numbered(now);
}

// Of those that wait, what has a number: it is older than all that has none.
void outbox::pump_numbered(time_point now) {
  for_each_flow([&](std::uint32_t f) {
    if (waits(f) && goes_first(flows_[f])) pump(f, now);
  });
}

// When numbers are used up the oldest keeps all others from being free. If a message waits with it, it goes
// first.
void outbox::pump_oldest(time_point now) {
  if (numbered_pending_ == 0 || !numbers_used_up()) return;
  const std::uint32_t f = items_[ring_[floor_ & (ring_.size() - 1)]].flow;
  if (waits(f) && goes_first(flows_[f])) pump(f, now);
}

// --- stopped flows --------------------------------------------------------------------------------

void outbox::stop(std::uint32_t f) {
  flow& w = flows_[f];
  w.stopped = true;
}

void outbox::give_up_numbers(flow& w) {
  if (w.again) return;
  for (std::uint32_t i = w.head; i != none; i = items_[i].next) {
    item& t = items_[i];
    if (t.number == 0) continue;
    ring_[t.number & (ring_.size() - 1)] = none;
    t.number = 0;
    --numbered_pending_;
  }
  advance_floor();
}

void outbox::start_pause(std::uint32_t f, time_point now) {
  flow& w = flows_[f];
  w.pausing = true;
  w.pause_id = ++pause_ids_;
  const auto step = std::chrono::milliseconds(1) * (1u << std::min<unsigned>(w.tries - 1u, 8u));
  if (plant.timer_not_rearmed && w.pause_id > 1) return;
  pauses_.push_back({now + std::min<duration>(step, limits::resend_pause_max), f, w.pause_id});
  std::push_heap(pauses_.begin(), pauses_.end());
}

void outbox::restart_if_ready(std::uint32_t f, time_point now) {
  flow& w = flows_[f];
  if (!w.stopped) {
    if (w.head == none) return free_flow(f);
    if (!waits(f) || goes_first(w)) pump(f, now);
    return;
  }
  if (w.in_flight) return;
  if (w.head == none) return free_flow(f);
  give_up_numbers(w);
  if (w.held != hold::no || w.pausing) return;
  if (w.link == slot_table::no_link || !links_[w.link].c) return;
  if (w.tries > 1) return start_pause(f, now);
  w.stopped = false;
  w.first_pending = w.head;
  if (plant.wrong_order && w.head != w.tail) { // the last first
    const std::uint32_t i = w.tail;
    item& t = items_[i];
    w.tail = t.prev, items_[t.prev].next = none;
    t.prev = none, t.next = w.head, items_[w.head].prev = i, w.head = i;
    w.first_pending = i;
  }
  if (!waits(f) || goes_first(w)) pump(f, now);
}

} // namespace beeline::link
