// What the outbox hears: answers, links that come and go, time.
#include "common/link/outbox.hpp"

#include <algorithm>
#include <utility>

namespace beeline::link {

// --- answers and notices --------------------------------------------------------------------------

std::uint32_t outbox::find(std::uint32_t number_low) const noexcept {
  const std::uint64_t n =
      floor_ + static_cast<std::uint32_t>(number_low - static_cast<std::uint32_t>(floor_));
  if (n >= next_number_) return none;
  const std::uint32_t i = ring_[n & (ring_.size() - 1)];
  return i != none && items_[i].number == n ? i : none;
}

void outbox::on_answer(std::uint16_t link, const wire::answer_record& a, time_point now,
                       std::optional<wire::receipt> early) {
  counters.answers[static_cast<std::size_t>(a.what)].add();
  const std::uint32_t i = find(a.number);
  if (i == none) return counters.late_answers.add();
  item& t = items_[i];
  const std::uint32_t f = t.flow;
  flow& w = flows_[f];
  const std::uint16_t own_link = w.link;
  answer what = a.what;
  // Of a copy that went to the shard which had the slot before: it says nothing of the newer one.
  if (own_link != link && !is_final(what)) return counters.late_answers.add();
  if (plant.later_as_nobody && (what == answer::later_warm_up || what == answer::later_lane))
    what = answer::nobody;
  if (plant.busy_as_unknown && what == answer::busy) what = answer::unknown;
  if (is_final(what)) {
    if (what == answer::accepted) w.tries = 0;
    finish(i, what, what, now, link, a, early);
  } else if (w.gone) {
    remember(t, drop_kind::drop, name_of(drop_reason::sender_gone), now);
    counters.drops[static_cast<std::size_t>(drop_reason::sender_gone)].add();
    remove(i);
  } else if (plant.not_stopped && what == answer::retry && t.st == state::in_flight) {
    std::uint16_t prev = 0;
    if (prev_of(t, prev)) write_copy(i, prev, now);
    if (++t.tries > limits::resends_max) finish(i, answer::refused, what, now);
  } else {
    to_pending(i);
    if (what == answer::later_warm_up) w.held = hold::warm_up;
    else if (what == answer::later_lane) w.held = hold::lane, w.hold_lane = a.lane;
    else {
      if (!w.stopped)
        w.tries = static_cast<std::uint8_t>(std::min(w.tries + (what == answer::retry ? 1 : 2), 32));
      if (what != answer::busy) t.flags |= wire::flag_resent;
      if (++t.tries > limits::resends_max) finish(i, answer::refused, what, now);
    }
    stop(f);
  }
  restart_if_ready(f, now);
  pump_freed(own_link, now);
}

void outbox::pump_all_waiting(time_point now) {
  for (std::size_t k = 0; k < links_.size(); ++k) pump_waiting(static_cast<std::uint16_t>(k), now);
}

// There may be room on the link (none: nothing is known of one), and perhaps on all; the link whose answer
// freed numbers has them first.
void outbox::pump_freed(std::uint16_t link, time_point now) {
  pump_oldest(now);
  if (link != slot_table::no_link) pump_waiting(link, now);
  while (std::exchange(some_may_go_on_, false)) try {
      pump_all_waiting(now);
    } catch (const std::bad_alloc&) {
      some_may_go_on_ = true;
      throw;
    }
}

void outbox::on_lanes_settled(std::uint16_t link, std::span<const member_index> lanes, time_point now) {
  for_each_flow([&](std::uint32_t f) {
    flow& w = flows_[f];
    if (w.link != link || w.held != hold::lane) return;
    if (!std::binary_search(lanes.begin(), lanes.end(), w.hold_lane)) return;
    w.held = hold::no;
    restart_if_ready(f, now);
  });
  pump_all_waiting(now);
}

void outbox::on_in_service(std::uint16_t link, time_point now) {
  for_each_flow([&](std::uint32_t f) {
    flow& w = flows_[f];
    if (w.link != link || w.held != hold::warm_up) return;
    w.held = hold::no;
    restart_if_ready(f, now);
  });
  pump_all_waiting(now);
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
  pump_freed(link, now);
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
      end_unheard(i, name_of(answer::unknown), now);
      restart_if_ready(f, now);
    } else if (prev_of(t, prev)) {
      write_copy(i, prev, now);
    } else {
      to_pending(i);
      stop(f);
      stopped.push_back(f);
    }
  }
  for (std::uint32_t f : stopped)
    if (flows_[f].used) restart_if_ready(f, now);
}

void outbox::on_drained(std::uint16_t link, time_point now) {
  const link_state& l = links_[link];
  if (l.c && l.resend_due && l.c->link->data.size() <= settings_.link_window_bytes) resend_all(link, now);
  pump_freed(link, now);
}

// --- links ------------------------------------------------------------------------------------------

void outbox::add_link(link_stats* stats) {
  turns_.add_link();
  links_.emplace_back().stats = stats ? stats : &no_stats_;
}

void outbox::flow_link_lost(std::uint32_t f, time_point now) {
  flow& w = flows_[f];
  for (std::uint32_t i = w.head, next; i != none; i = next) {
    item& t = items_[i];
    next = t.next;
    if (t.st == state::in_flight) {
      if (w.gone) {
        end_unheard(i, name_of(answer::unknown), now);
        continue;
      }
      if (plant.link_down_forgets) {
        remove(i);
        continue;
      }
      set_again(t);
      to_pending(i);
    }
  }
  w.stopped = w.pausing = false;
  w.held = hold::no;
  w.tries = 0;
  w.first_pending = w.head;
  if (w.head == none) free_flow(f);
}

void outbox::link_down(std::uint16_t link, time_point now) {
  links_[link].c = nullptr;
  links_[link].resend_due = false;
  for_each_flow([&](std::uint32_t f) {
    if (flows_[f].link == link) flow_link_lost(f, now);
  });
  pump_freed(slot_table::no_link, now);
}

void outbox::link_up(std::uint16_t link, conn& c, time_point now, const peer_terms& terms) {
  links_[link].c = &c;
  links_[link].terms = &terms;
  links_[link].resend_due = false; // all of it goes now
  for_each_flow([&](std::uint32_t f) {
    const flow& w = flows_[f];
    if (w.link == link && w.pending && !waits(f)) turns_.add(link, w.sender.index, f);
  });
  pump_numbered(now); // first what was in flight
  pump_waiting(link, now);
  unpin(now);
  pump_freed(slot_table::no_link, now);
}

void outbox::rehome(const slot_table& slots, time_point now) {
  for_each_flow([&](std::uint32_t f) {
    const std::uint16_t link = slots.link_of(flows_[f].hash);
    if (flows_[f].link == link) return;
    flow_link_lost(f, now); // also from no link at all: what held it there holds it no more
    flow& w = flows_[f];
    if (!w.used) return;
    turns_.remove(f); // no link waits for a flow that has left
    w.link = link;
    // Times of the old shard mean nothing to the new one: in doubt, `unknown`.
    for (std::uint32_t i = w.head; i != none; i = items_[i].next) items_[i].first_sent = 0;
    if (link != slot_table::no_link && links_[link].c && w.pending) turns_.add(link, w.sender.index, f);
  });
  pump_numbered(now);
  pump_all_waiting(now);
}

void outbox::sender_gone(handle sender, time_point now) {
  if (sender.index >= sender_flows_.size()) return;
  for (std::uint32_t f = std::exchange(sender_flows_[sender.index], none), next; f != none; f = next) {
    flow& w = flows_[f];
    next = w.sender_next;
    w.gone = true;
    for (std::uint32_t i = w.head, after; i != none; i = after) {
      after = items_[i].next;
      if (items_[i].st != state::pending) continue;
      remember(items_[i], drop_kind::drop, name_of(drop_reason::sender_gone), now);
      counters.drops[static_cast<std::size_t>(drop_reason::sender_gone)].add();
      remove(i);
    }
    some_may_go_on_ |= waits(f);
    turns_.remove(f);
    if (w.head == none) free_flow(f);
  }
  try {
    pump_freed(slot_table::no_link, now);
  } catch (const std::bad_alloc&) { // they keep their places: the next answer or write has them sent
  }
}

// --- time -------------------------------------------------------------------------------------------

void outbox::on_time(time_point now) {
  bool restarted = false;
  while (!pauses_.empty() && pauses_.front().at <= now) {
    const pause p = pauses_.front();
    std::pop_heap(pauses_.begin(), pauses_.end());
    pauses_.pop_back();
    flow& w = flows_[p.flow];
    if (!w.used || !w.pausing || w.pause_id != p.id) continue;
    w.pausing = false;
    restarted = true;
    const std::uint8_t tries = std::exchange(w.tries, std::uint8_t{0});
    restart_if_ready(p.flow, now);
    if (flows_[p.flow].used && !flows_[p.flow].stopped) flows_[p.flow].tries = tries;
  }
  if (restarted) pump_all_waiting(now); // with those that found others waiting
  drop_expired(now);
  if (now < next_safety_) return;
  next_safety_ = now + limits::window_check_interval;
  give_up_late(now);
  unpin(now);
  pump_all_waiting(now); // numbers that were given up without an answer make room too
  for_each_flow([&](std::uint32_t f) { safety_resend(f, now); });
}

// Against what nobody thought of: a flow's oldest message that has no answer long after it left.
void outbox::safety_resend(std::uint32_t f, time_point now) {
  const flow& w = flows_[f];
  if (!w.in_flight || w.gone || w.link == slot_table::no_link || !links_[w.link].c) return;
  std::uint32_t i = w.head;
  while (items_[i].st != state::in_flight) i = items_[i].next;
  item& t = items_[i];
  if (links_[w.link].c->link->data_sent() < t.data_end) {
    t.sent_at = now; // it waits in our own output: nothing is lost, its time has not begun
    return;
  }
  if (now - t.sent_at < limits::safety_resend * (1u << std::min<unsigned>(t.safety, 6))) return;
  set_again(t);
  ++t.safety;
  counters.safety_resends.add();
  std::uint16_t prev = 0;
  if (prev_of(t, prev)) write_copy(i, prev, now);
}

// What cannot be sent does not wait for ever: a link's return has a bound.
void outbox::give_up_late(time_point now) {
  for_each_flow([&](std::uint32_t f) {
    flow& w = flows_[f];
    const bool down = w.link == slot_table::no_link || !links_[w.link].c;
    if (w.pending == 0 || (!down && !w.stopped && !waits(f))) return;
    for (std::uint32_t i = w.head, next; i != none; i = next) {
      item& t = items_[i];
      next = t.next;
      if (t.st != state::pending) continue;
      if (down && now - t.sent_at >= limits::link_down_max)
        finish(i, answer::refused, answer::later_lane, now);
    }
    if (w.head == none) free_flow(f);
  });
}

// --- expiry -----------------------------------------------------------------------------------------

void outbox::watch_expiry(std::uint32_t i) {
  if (std::exchange(items_[i].expiry_watched, true)) return;
  if (expiries_.size() > 2 * items_.used() + 64) {
    std::erase_if(expiries_, [&](const expiry& e) {
      return !items_[e.item].block || items_[e.item].serial != e.serial;
    });
    std::make_heap(expiries_.begin(), expiries_.end());
  }
  expiries_.push_back({items_[i].expires, i, items_[i].serial});
  std::push_heap(expiries_.begin(), expiries_.end());
}

// What is in flight has its answer on the way; it is watched again when it becomes pending.
void outbox::drop_expired(time_point now) {
  while (!expiries_.empty() && expiries_.front().at <= now) {
    const expiry e = expiries_.front();
    std::pop_heap(expiries_.begin(), expiries_.end());
    expiries_.pop_back();
    item& t = items_[e.item];
    if (!t.block || t.serial != e.serial) continue;
    t.expiry_watched = false;
    if (t.st != state::pending || plant.deadline_ignored) continue;
    const std::uint32_t f = t.flow;
    some_may_go_on_ |= waits(f);
    finish(e.item, answer::expired, answer::expired, now);
    if (flows_[f].head == none) free_flow(f);
  }
  pump_freed(slot_table::no_link, now);
}

time_point outbox::next_deadline() const noexcept {
  time_point t = items_.used() ? next_safety_ : never;
  if (!expiries_.empty()) t = std::min(t, expiries_.front().at);
  return pauses_.empty() ? t : std::min(t, pauses_.front().at);
}

} // namespace beeline::link
