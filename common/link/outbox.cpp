#include "common/link/outbox.hpp"

#include "common/base/crc32c.hpp"

#include <algorithm>

namespace beeline::link {

outbox::outbox(block_pool& blocks, dirty_list& dirty, settings s)
    : blocks_(blocks), dirty_(dirty), settings_(s), ring_(s.window_messages, none) {
  CHECK_INVARIANT((s.window_messages & (s.window_messages - 1)) == 0);
}

outbox::~outbox() {
  for (std::uint32_t i = 0; i < items_.capacity(); ++i)
    if (items_[i].block) blocks_.give(items_[i].block, items_[i].size);
}

template <class F> void outbox::for_each_flow(F&& f) {
  for (std::uint32_t i = 0; i < flows_.capacity(); ++i)
    if (flows_[i].used) f(i);
}

// --- flows and items ------------------------------------------------------------------------------

// Two ids with one hash are two flows: their owners do not know of each other's messages.
std::uint32_t outbox::flow_of(handle sender, const wire::message_parts& m, std::uint16_t link) {
  const std::uint64_t which = m.hash ^ std::uint64_t{crc32c(as_bytes(m.destination))} << 16;
  auto [it, fresh] = flow_index_.try_emplace(key{sender_key(sender), which}, none);
  if (!fresh) return it->second;
  const std::uint32_t f = it->second = flows_.take();
  flow& w = flows_[f];
  w = flow{};
  w.used = true;
  w.sender = sender;
  w.hash = m.hash;
  w.which = which;
  w.link = link;
  if (sender.index >= sender_flows_.size()) sender_flows_.resize(sender.index + 1, none);
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
  // A flow in a link's waiting queue stays in use until the queue comes to it.
  w.used = false;
  if (!w.waiting) flows_.give(f);
}

void outbox::submit(handle sender, std::uint64_t token, std::uint16_t link, const wire::message_parts& m,
                    time_point now) {
  const std::uint32_t f = flow_of(sender, m, link);
  const std::uint32_t i = items_.take();
  item& t = items_[i];
  t = item{};
  t.size = static_cast<std::uint32_t>(wire::message_bytes(m, true));
  t.block = blocks_.take(t.size);
  wire::write_message(t.block, m, true);
  t.token = token;
  t.flow = f;
  t.sent_at = now;
  if (m.ttl_ms) t.expires = now + std::chrono::milliseconds(m.ttl_ms);
  flow& w = flows_[f];
  t.prev = w.tail;
  (w.tail != none ? items_[w.tail].next : w.head) = i;
  w.tail = i;
  ++w.pending;
  if (w.first_pending == none) w.first_pending = i;
  counters.messages.add();
  counters.bytes.add(t.size);
  if (!w.stopped && !w.waiting) pump(f, now);
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

void outbox::finish(std::uint32_t i, answer what, answer cause) {
  const item& t = items_[i];
  const flow& w = flows_[t.flow];
  if (t.flags & wire::flag_again && !plant.unknown_as_nobody &&
      (what == answer::nobody || what == answer::expired || what == answer::refused))
    what = answer::unknown; // an earlier copy may have been taken
  if (!w.gone) outcomes.push_back({w.sender, t.token, what, cause, t.size});
  remove(i);
}

void outbox::advance_floor() noexcept {
  while (floor_ < next_number_ && ring_[floor_ & (ring_.size() - 1)] == none) ++floor_;
}

void outbox::set_again(item& m) {
  if (!(m.flags & wire::flag_again)) ++flows_[m.flow].again;
  m.flags |= wire::flag_again | wire::flag_resent;
}

void outbox::to_pending(item& m) {
  if (m.st == state::pending) return;
  flow& w = flows_[m.flow];
  m.st = state::pending;
  --w.in_flight;
  ++w.pending;
  ++numbered_pending_;
  links_[w.link].bytes -= m.size;
}

// --- sending --------------------------------------------------------------------------------------

bool outbox::has_room(const link_state& l, const item& m) const noexcept {
  if (l.bytes != 0 && l.bytes + m.size > settings_.link_window_bytes) return false;
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
  if (t.expires != never)
    s.ttl_ms = static_cast<std::uint32_t>(std::max<std::int64_t>(
        1, std::chrono::duration_cast<std::chrono::milliseconds>(t.expires - now).count()));
  v.set_stamp(s);
  l.c->link->data.append({t.block, t.size});
  dirty_.mark(*l.c);
  t.sent_at = now;
  (t.flags & wire::flag_resent ? counters.resent : counters.sent).add();
}

// Sends one pending message. False: it has to wait (link, window, numbers).
bool outbox::send(std::uint32_t i, time_point now) {
  item& t = items_[i];
  flow& w = flows_[t.flow];
  link_state& l = links_[w.link];
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

void outbox::pump(std::uint32_t f, time_point now) {
  flow& w = flows_[f];
  if (w.stopped || w.link == slot_table::no_link) return;
  link_state& l = links_[w.link];
  while (w.first_pending != none && l.c) {
    const std::uint32_t i = w.first_pending;
    item& t = items_[i];
    DCHECK_INVARIANT(t.st == state::pending);
    if (t.expires <= now) {
      finish(i, answer::expired, answer::expired);
      continue;
    }
    if (!has_room(l, t)) {
      if (!w.waiting) {
        w.waiting = true;
        l.waiting.push_back(f);
      }
      return;
    }
    if (!send(i, now)) return; // goes on with the flow's next answer
    w.first_pending = items_[i].next;
  }
  if (w.head == none) free_flow(f);
}

void outbox::pump_waiting(std::uint16_t link, time_point now) {
  link_state& l = links_[link];
  if (l.waiting.empty()) return;
  // Each waiting flow gets its turn; the first that finds no room keeps its place, and ends the round.
  const std::size_t end = l.waiting.size();
  std::size_t& at = l.next_waiting;
  while (at < end && l.c && l.bytes < settings_.link_window_bytes && !numbers_used_up()) {
    const std::uint32_t f = l.waiting[at++];
    flows_[f].waiting = false;
    if (!flows_[f].used) flows_.give(f);
    else pump(f, now);
    if (!flows_[f].waiting || l.waiting.back() != f) continue;
    l.waiting.pop_back();
    l.waiting[--at] = f;
    break;
  }
  if (at == l.waiting.size()) l.waiting.clear(), at = 0;
  else if (at > 1024 && at > l.waiting.size() / 2) {
    l.waiting.erase(l.waiting.begin(), l.waiting.begin() + static_cast<std::ptrdiff_t>(at));
    at = 0;
  }
}

// When numbers are used up: what has a number may go past those that wait for one, and what only waits
// for a link that is down is given up, so that it does not stop all the others.
void outbox::unpin(time_point now) {
  while (numbers_used_up()) {
    const std::uint32_t i = ring_[floor_ & (ring_.size() - 1)];
    const flow& w = flows_[items_[i].flow];
    if (items_[i].st != state::pending || (w.link != slot_table::no_link && links_[w.link].c)) break;
    counters.drops[static_cast<std::size_t>(drop_reason::gave_up)].add();
    const std::uint32_t f = items_[i].flow;
    finish(i, answer::refused, answer::later_lane);
    if (flows_[f].head == none) free_flow(f);
  }
  if (numbered_pending_ == 0 || !numbers_used_up()) return;
  for (link_state& l : links_) {
    if (!l.c) continue;
    const std::size_t end = l.waiting.size();
    for (std::size_t k = l.next_waiting; k < end; ++k) {
      const flow& w = flows_[l.waiting[k]];
      if (w.used && w.first_pending != none && items_[w.first_pending].number) pump(l.waiting[k], now);
    }
  }
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
  pauses_.push_back({now + std::min<duration>(step, limits::resend_pause_max), f, w.pause_id});
  std::push_heap(pauses_.begin(), pauses_.end());
}

void outbox::restart_if_ready(std::uint32_t f, time_point now) {
  flow& w = flows_[f];
  if (!w.stopped) {
    if (w.head == none) return free_flow(f);
    if (!w.waiting) pump(f, now);
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
  if (!w.waiting) pump(f, now);
}

// --- answers and notices --------------------------------------------------------------------------

std::uint32_t outbox::find(std::uint32_t number_low) const noexcept {
  const std::uint64_t n =
      floor_ + static_cast<std::uint32_t>(number_low - static_cast<std::uint32_t>(floor_));
  if (n >= next_number_) return none;
  const std::uint32_t i = ring_[n & (ring_.size() - 1)];
  return i != none && items_[i].number == n ? i : none;
}

void outbox::on_answer(std::uint16_t link, const wire::answer_record& a, time_point now) {
  counters.answers[static_cast<std::size_t>(a.what)].add();
  const std::uint32_t i = find(a.number);
  if (i == none) return counters.late_answers.add();
  const bool numbers_were_used_up = numbers_used_up();
  item& t = items_[i];
  const std::uint32_t f = t.flow;
  flow& w = flows_[f];
  answer what = a.what;
  if (plant.later_as_nobody && (what == answer::later_warm_up || what == answer::later_lane))
    what = answer::nobody;
  if (is_final(what)) {
    if (what == answer::accepted) w.tries = 0;
    finish(i, what, what);
  } else if (w.gone) {
    counters.drops[static_cast<std::size_t>(drop_reason::sender_gone)].add();
    remove(i);
  } else if (plant.not_stopped && what == answer::retry && t.st == state::in_flight) {
    std::uint16_t prev = 0;
    if (prev_of(t, prev)) write_copy(i, prev, now);
    if (++t.tries > limits::resends_max) finish(i, answer::refused, what);
  } else {
    to_pending(t);
    if (what == answer::later_warm_up) w.held = hold::warm_up;
    else if (what == answer::later_lane) w.held = hold::lane, w.hold_lane = a.lane;
    else {
      if (!w.stopped)
        w.tries = static_cast<std::uint8_t>(std::min(w.tries + (what == answer::retry ? 1 : 2), 32));
      if (what != answer::busy) t.flags |= wire::flag_resent;
      if (++t.tries > limits::resends_max) {
        counters.drops[static_cast<std::size_t>(drop_reason::gave_up)].add();
        finish(i, answer::refused, what);
      }
    }
    stop(f);
  }
  restart_if_ready(f, now);
  pump_waiting(link, now);
  if (numbers_were_used_up) pump_all_waiting(now);
}

void outbox::pump_all_waiting(time_point now) {
  for (std::size_t k = 0; k < links_.size(); ++k) pump_waiting(static_cast<std::uint16_t>(k), now);
}

void outbox::on_lane_settled(std::uint16_t link, member_index lane, time_point now) {
  for_each_flow([&](std::uint32_t f) {
    flow& w = flows_[f];
    if (w.link != link || w.held != hold::lane || w.hold_lane != lane) return;
    w.held = hold::no;
    restart_if_ready(f, now);
  });
}

void outbox::on_in_service(std::uint16_t link, time_point now) {
  for_each_flow([&](std::uint32_t f) {
    flow& w = flows_[f];
    if (w.link != link || w.held != hold::warm_up) return;
    w.held = hold::no;
    restart_if_ready(f, now);
  });
}

void outbox::on_path_lost(std::uint16_t link, time_point now) {
  if (plant.ignore_path_lost) return;
  for (std::uint64_t n = floor_; n < next_number_; ++n) {
    const std::uint32_t i = ring_[n & (ring_.size() - 1)];
    if (i == none) continue;
    const flow& w = flows_[items_[i].flow];
    if (items_[i].st == state::in_flight && w.link == link) set_again(items_[i]);
  }
  link_state& l = links_[link];
  l.resend_due = true;
  // Not on top of a queue that is long already: then when it has drained.
  if (l.c && l.c->link->data.size() <= settings_.link_window_bytes) resend_all(link, now);
}

// Sends again what was in flight on the link when the path was lost, in order of the numbers. What was first
// sent since then has a copy on its way that is good; a second one without the mark could be taken twice.
void outbox::resend_all(std::uint16_t link, time_point now) {
  links_[link].resend_due = false;
  std::vector<std::uint32_t> stopped;
  const std::uint64_t end = next_number_; // what starts while we go is not to be sent twice
  for (std::uint64_t n = floor_; n < end; ++n) {
    const std::uint32_t i = ring_[n & (ring_.size() - 1)];
    if (i == none) continue;
    item& t = items_[i];
    const std::uint32_t f = t.flow;
    flow& w = flows_[f];
    if (t.st != state::in_flight || w.link != link || !(t.flags & wire::flag_again)) continue;
    std::uint16_t prev = 0;
    if (w.gone) { // nobody to tell: it counts as unanswered only until the path is lost
      remove(i);
      restart_if_ready(f, now);
    } else if (prev_of(t, prev)) {
      write_copy(i, prev, now);
    } else {
      to_pending(t);
      stop(f);
      stopped.push_back(f);
    }
  }
  for (std::uint32_t f : stopped)
    if (flows_[f].used) restart_if_ready(f, now);
}

void outbox::on_drained(std::uint16_t link, time_point now) {
  link_state& l = links_[link];
  if (l.c && l.resend_due && l.c->link->data.size() <= settings_.link_window_bytes) resend_all(link, now);
  pump_waiting(link, now);
}

// --- links ------------------------------------------------------------------------------------------

void outbox::add_link() { links_.emplace_back(); }

void outbox::flow_link_lost(std::uint32_t f) {
  flow& w = flows_[f];
  for (std::uint32_t i = w.head, next; i != none; i = next) {
    item& t = items_[i];
    next = t.next;
    if (t.st == state::in_flight) {
      if (w.gone) {
        remove(i);
        continue;
      }
      set_again(t);
      to_pending(t);
    }
  }
  w.stopped = w.pausing = false;
  w.held = hold::no;
  w.tries = 0;
  w.first_pending = w.head;
  if (w.head == none) free_flow(f);
}

void outbox::link_down(std::uint16_t link) {
  links_[link].c = nullptr;
  links_[link].resend_due = false;
  for_each_flow([&](std::uint32_t f) {
    if (flows_[f].link == link) flow_link_lost(f);
  });
}

void outbox::link_up(std::uint16_t link, conn& c, time_point now) {
  links_[link].c = &c;
  for_each_flow([&](std::uint32_t f) {
    flow& w = flows_[f];
    if (w.link != link || w.waiting) return;
    w.waiting = true;
    links_[link].waiting.push_back(f);
  });
  pump_waiting(link, now);
  if (numbers_used_up()) unpin(now);
}

void outbox::rehome(const slot_table& slots, time_point now) {
  std::vector<std::uint32_t> moved;
  for_each_flow([&](std::uint32_t f) {
    const std::uint16_t link = slots.link_of(flows_[f].hash);
    if (flows_[f].link == link) return;
    if (flows_[f].link != slot_table::no_link) {
      flow_link_lost(f);
      if (!flows_[f].used) return;
    }
    flows_[f].link = link;
    // Times of the old shard mean nothing to the new one: in doubt, `unknown`.
    for (std::uint32_t i = flows_[f].head; i != none; i = items_[i].next) items_[i].first_sent = 0;
    moved.push_back(f);
  });
  for (link_state& l : links_) { // no queue may wait for a flow that has left
    std::vector<std::uint32_t> kept;
    for (std::size_t k = l.next_waiting; k < l.waiting.size(); ++k) {
      const std::uint32_t f = l.waiting[k];
      if (flows_[f].used && flows_[f].link != slot_table::no_link && &links_[flows_[f].link] == &l)
        kept.push_back(f);
      else if (flows_[f].waiting = false; !flows_[f].used) flows_.give(f);
    }
    l.waiting = std::move(kept);
    l.next_waiting = 0;
  }
  for (std::uint32_t f : moved)
    if (flows_[f].used && !flows_[f].waiting) pump(f, now);
}

void outbox::sender_gone(handle sender) {
  if (sender.index >= sender_flows_.size()) return;
  for (std::uint32_t f = std::exchange(sender_flows_[sender.index], none), next; f != none; f = next) {
    flow& w = flows_[f];
    next = w.sender_next;
    w.gone = true;
    for (std::uint32_t i = w.head, after; i != none; i = after) {
      after = items_[i].next;
      if (items_[i].st != state::pending) continue;
      counters.drops[static_cast<std::size_t>(drop_reason::sender_gone)].add();
      remove(i);
    }
    if (w.head == none) free_flow(f);
  }
}

// --- time -------------------------------------------------------------------------------------------

void outbox::on_time(time_point now) {
  while (!pauses_.empty() && pauses_.front().at <= now) {
    const pause p = pauses_.front();
    std::pop_heap(pauses_.begin(), pauses_.end());
    pauses_.pop_back();
    flow& w = flows_[p.flow];
    if (!w.used || !w.pausing || w.pause_id != p.id) continue;
    w.pausing = false;
    const std::uint8_t tries = std::exchange(w.tries, std::uint8_t{0});
    restart_if_ready(p.flow, now);
    if (flows_[p.flow].used && !flows_[p.flow].stopped) flows_[p.flow].tries = tries;
  }
  if (now < next_safety_) return;
  next_safety_ = now + std::chrono::seconds(1);
  give_up_late(now);
  unpin(now);
  pump_all_waiting(now); // numbers that were given up without an answer make room too
  for_each_flow([&](std::uint32_t f) {
    flow& w = flows_[f];
    if (!w.in_flight || w.gone || w.link == slot_table::no_link || !links_[w.link].c) return;
    std::uint32_t i = w.head;
    while (items_[i].st != state::in_flight) i = items_[i].next;
    item& t = items_[i];
    if (now - t.sent_at < limits::safety_resend * (1u << std::min<unsigned>(t.safety, 6))) return;
    set_again(t);
    ++t.safety;
    counters.safety_resends.add();
    std::uint16_t prev = 0;
    if (prev_of(t, prev)) write_copy(i, prev, now);
  });
}

// What cannot be sent does not wait for ever: its own expiry counts, and the link's return has a bound.
void outbox::give_up_late(time_point now) {
  for_each_flow([&](std::uint32_t f) {
    flow& w = flows_[f];
    const bool down = w.link == slot_table::no_link || !links_[w.link].c;
    if (w.pending == 0 || (!down && !w.stopped)) return;
    for (std::uint32_t i = w.head, next; i != none; i = next) {
      item& t = items_[i];
      next = t.next;
      if (t.st != state::pending) continue;
      if (t.expires <= now) {
        finish(i, answer::expired, answer::expired);
      } else if (down && now - t.sent_at >= limits::link_down_max) {
        counters.drops[static_cast<std::size_t>(drop_reason::gave_up)].add();
        finish(i, answer::refused, answer::later_lane);
      }
    }
    if (w.head == none) free_flow(f);
  });
}

time_point outbox::next_deadline() const noexcept {
  time_point t = items_.used() ? next_safety_ : never;
  return pauses_.empty() ? t : std::min(t, pauses_.front().at);
}

} // namespace beeline::link
