// Links of an endpoint: dialled, greeted, in sync, watched, lost; and what their frames say. Part of
// endpoint.ipp.
#pragma once
#include "common/link/endpoint.hpp"

#include <algorithm>

namespace beeline::link {

// --- links come and go ------------------------------------------------------------------------------

template <class Host> bool endpoint<Host>::take_connect(connect_request& request, time_point now) {
  if (idle_ == 0 || leaving_) return false;
  for (std::uint16_t k = 0; k < links_.size(); ++k) {
    shard_link& l = links_[k];
    if (l.st != state::idle || l.retired || now < l.next_dial) continue;
    if (plant.dial_gives_up && l.failures > 3) continue;
    l.st = state::dialling;
    --idle_;
    request = {k, l.host, l.port};
    return true;
  }
  return false;
}

template <class Host> void endpoint<Host>::become_idle(shard_link& l, time_point now) {
  if (l.st == state::syncing) --syncing_;
  l.st = state::idle;
  ++idle_;
  ++l.failures;
  l.next_dial = now + l.retry.next(random_());
}

template <class Host>
void endpoint<Host>::on_connect_failed(std::uint32_t k, std::string_view why, time_point now) {
  shard_link& l = links_[k];
  if (l.st != state::dialling) return;
  l.trouble = why;
  if (l.failures == 0 || l.failures % 60 == 0)
    host_.on_event(event_level::warning, "cannot connect to router " + label(l) + ": " + std::string(why));
  become_idle(l, now);
  update_ready(now);
}

template <class Host> void endpoint<Host>::on_up(conn& c, time_point now) {
  const auto k = static_cast<std::uint16_t>(c.owner);
  shard_link& l = links_[k];
  if (l.retired || leaving_ || l.st != state::dialling) {
    if (l.st == state::dialling) become_idle(l, now); // its router may have more shards again some day
    c.owner = none;
    c.close_now = true;
    c.why = close_reason::shutdown;
    dirty_.mark(c);
    return;
  }
  l.st = state::handshake;
  l.c = &c;
  l.up_at = l.last_heard = l.last_frame = l.progress_at = now;
  l.progress = l.sent_noted = c.sent;
  l.writes_noted = c.writes;
  l.frames_noted = c.link->frames();
  l.stats->connects.add();
  l.last_heartbeat = time_point{};
  l.peer_sent_at = 0;
  l.terms.clock.forget();
  l.handshake = lane_handshake{};
  l.handshake.start(config_.make_nonce(), writer_, l.urgent());
  dirty_.mark(c);
}

template <class Host> void endpoint<Host>::on_down(conn& c, close_reason why, time_point now) {
  if (c.owner == none || links_[c.owner].c != &c) return; // we closed it
  const auto k = static_cast<std::uint16_t>(c.owner);
  if (links_[k].st == state::handshake && why == close_reason::peer_closed)
    note_refusal(links_[k], stranger_words({}));
  lose(k, why, now);
}

// Said at the first two tries and then once a minute or so: what stands at a wrong address stays there.
template <class Host> void endpoint<Host>::note_refusal(shard_link& l, std::string text) {
  l.trouble = std::move(text);
  if (l.failures % 60 <= 1)
    host_.on_event(event_level::error, "link to router " + label(l) + ": " + l.trouble);
}

// The link is lost, or given up by us: everything it stood for is undone at once, whenever the
// socket itself goes.
template <class Host>
void endpoint<Host>::lose(std::uint16_t k, close_reason why, time_point now, bool flush) {
  shard_link& l = links_[k];
  conn& c = *l.c;
  c.owner = none;
  (flush ? c.close_after_flush : c.close_now) = true;
  c.why = why;
  dirty_.mark(c);
  counters.closes[static_cast<std::size_t>(why)].add();
  note_link(l);
  const bool was_linked = l.st == state::up || l.st == state::syncing;
  for (std::uint32_t i = 0; i < clients_.capacity(); ++i) {
    client& x = clients_.at(i);
    if (x.told != k) continue;
    // Whether it is believed to have been the owner was not heard: in doubt it is new.
    if (!x.said && l.in_service) x.since = 0;
    x.registered = false;
    x.told = slot_table::no_link;
  }
  if (l.trouble.empty()) l.trouble = text_of(why);
  if (was_linked) {
    if (l.list == wire::member::whole && now - l.list_as_of > limits::list_silence_max)
      l.list = wire::member::stale;
    counters.link_losses.add();
    l.stats->losses.add();
    if (!leaving_)
      host_.on_event(event_level::warning,
                     "link to router " + label(l) + " lost: " + std::string(text_of(why)));
  }
  if (l.st == state::up) counters.links_up.sub();
  become_idle(l, now);
  l.round_trip_us = 0;
  l.stats->round_trip_us.set(0);
  l.c = nullptr;
  l.registers.drop(), l.unregisters.drop(), l.answers.drop(), l.receipts.drop(), l.identities.drop();
  outgoing.link_down(k, now);
  drain_outcomes(now);
  if (std::exchange(l.blocked, false)) host_.on_link_drained(k, now);
  update_ready(now);
}

template <class Host>
void endpoint<Host>::fail(std::uint16_t k, wire::error_code code, close_reason why, std::string_view text,
                          time_point now) {
  shard_link& l = links_[k];
  l.trouble = text;
  host_.on_event(event_level::error, "link to router " + label(l) + ": " + std::string(text));
  end_with_error(k, code, why, text, now);
}

template <class Host>
void endpoint<Host>::end_with_error(std::uint16_t k, wire::error_code code, close_reason why,
                                    std::string_view text, time_point now) {
  wire::error e;
  e.code = code;
  e.text = text;
  wire::send(writer_, links_[k].urgent(), e);
  lose(k, why, now, true);
}

template <class Host> void endpoint<Host>::on_drained(conn& c, time_point now) {
  if (c.owner == none || links_[c.owner].c != &c) return;
  const auto k = static_cast<std::uint16_t>(c.owner);
  shard_link& l = links_[k];
  if (l.st != state::up) return;
  outgoing.on_drained(k, now);
  drain_outcomes(now);
  release_senders(k, now);
}

template <class Host> void endpoint<Host>::say_goodbye(time_point now) {
  end_turn(now); // answers that were given still go out
  send_reports();
  leaving_ = true;
  for (std::uint16_t k = 0; k < links_.size(); ++k) {
    shard_link& l = links_[k];
    if (!l.c) continue;
    if (l.st == state::up || l.st == state::syncing) {
      wire::go_away g;
      g.text = "edge shuts down";
      wire::send(writer_, l.urgent(), g);
    }
    lose(k, close_reason::shutdown, now, true);
  }
}

template <class Host> std::size_t endpoint<Host>::output_bytes() const noexcept {
  std::size_t n = 0;
  for (const shard_link& l : links_)
    if (l.c) n += l.c->output_bytes();
  return n;
}

template <class Host> void endpoint<Host>::update_ready(time_point now) {
  problem_ = map_problem_;
  for (const shard_link& l : links_)
    if (!l.retired && l.st != state::up) {
      if (problem_.empty()) problem_ = "not in sync with router " + label(l);
      else if (!l.trouble.empty()) problem_ += "; router " + label(l);
      if (l.trouble.empty()) continue;
      problem_ += ": " + l.trouble;
      break;
    }
  if (problem_.empty() == ready_) return;
  ready_ = problem_.empty();
  host_.on_ready(ready_, now);
}

// --- frames -----------------------------------------------------------------------------------------

template <class Host> std::size_t endpoint<Host>::on_bytes(conn& c, mutable_bytes in, time_point now) {
  if (c.owner == none || links_[c.owner].c != &c) return in.size();
  const auto k = static_cast<std::uint16_t>(c.owner);
  shard_link& l = links_[k];
  l.last_heard = now;
  std::size_t at = 0;
  while (l.c == &c) {
    wire::frame f;
    const bool greeting = l.st == state::handshake;
    const auto r = wire::next_frame(
        in.subspan(at), greeting ? limits::handshake_frame_bytes_max : limits::frame_bytes_max, f);
    if (r == wire::parse::need_more) return at;
    if (r == wire::parse::malformed && greeting) {
      note_refusal(l, stranger_words(as_text(in)));
      end_with_error(k, wire::error_code::malformed, close_reason::link_bad_frame,
                     "malformed or damaged frame", now);
      break;
    }
    if (r == wire::parse::malformed) {
      fail(k, wire::error_code::malformed, close_reason::link_bad_frame, "malformed or damaged frame", now);
      break;
    }
    at += f.bytes.size();
    counters.frames_in.add();
    l.stats->frames_in.add();
    l.stats->bytes_in.add(f.bytes.size());
    l.last_frame = now;
    if (!on_frame(k, f, now) && l.c == &c)
      fail(k, wire::error_code::malformed, close_reason::link_bad_frame,
           "malformed '" + std::string(wire::name_of(f.type)) + "' frame", now);
  }
  return in.size();
}

// False: malformed.
template <class Host> bool endpoint<Host>::on_frame(std::uint16_t k, wire::frame& f, time_point now) {
  shard_link& l = links_[k];
  if (l.st == state::handshake) return on_handshake(k, f, now);
  const const_bytes payload = f.payload();
  using enum wire::frame_type;
  switch (f.type) {
  case message_qos0:
  case message_qos1: on_message(k, wire::message_view(f.bytes), now); return true;
  case answers: {
    const bool ok = wire::for_each_record<wire::answer_record>(
        payload, [&](const wire::answer_record& a) { outgoing.on_answer(k, a, now); });
    drain_outcomes(now);
    return ok;
  }
  case receipts: return on_receipts(k, payload, now);
  case heartbeat: return on_heartbeat(k, payload, now);
  case registered: return on_registered(k, payload, now);
  case kick: return on_kicks(k, payload, now);
  case members: return on_members(k, payload, now);
  case slot_map: return on_slot_map(k, payload, now);
  case floors: return on_floors(l, payload);
  case in_service: return on_in_service(k, payload, now);
  case path_lost: {
    wire::lane_event e;
    if (!e.get(payload)) return false;
    counters.paths_lost.add();
    outgoing.on_path_lost(k, now);
    drain_outcomes(now);
    return true;
  }
  case back:
  case gone: {
    std::vector<member_index> settled;
    if (!wire::get_lanes(payload, settled)) return false;
    std::sort(settled.begin(), settled.end());
    outgoing.on_lanes_settled(k, settled, now);
    if (f.type == gone) on_owners_gone(k, settled, now);
    drain_outcomes(now);
    return true;
  }
  case error: {
    wire::error e;
    if (!e.get(payload)) return false;
    l.trouble = e.text;
    host_.on_event(event_level::error, "router " + label(l) + " says: " + std::string(e.text));
    lose(k, close_reason::link_error, now);
    return true;
  }
  case go_away: {
    wire::go_away g;
    if (!g.get(payload)) return false;
    lose(k, close_reason::link_went_away, now);
    return true;
  }
  default:
    fail(k, wire::error_code::not_allowed, close_reason::link_bad_state,
         "frame '" + std::string(wire::name_of(f.type)) + "' is not for a lane", now);
    return true;
  }
}

template <class Host>
bool endpoint<Host>::on_handshake(std::uint16_t k, const wire::frame& f, time_point now) {
  shard_link& l = links_[k];
  if (!l.handshake.on_frame(f, config_.secret, config_.who, to_us(now), l.shard_time, writer_, l.urgent())) {
    note_refusal(l, l.handshake.why());
    lose(k, close_reason::link_refused, now, true);
    return true;
  }
  dirty_.mark(*l.c);
  if (l.handshake.now() != lane_handshake::state::done) return true;
  const wire::welcome& w = l.handshake.welcome();
  l.terms.version = l.handshake.version();
  if (w.shard_number != l.shard) {
    map_problem_ = "router address " + l.host + ":" + std::to_string(l.port) + " is its shard " +
                   std::to_string(w.shard_number) + ", not shard " + std::to_string(l.shard) +
                   ": give the address of shard 0";
    wrong_shard_ = true;
    host_.on_event(event_level::error, map_problem_);
    lose(k, close_reason::map_changed, now, true);
    return true;
  }
  if (std::exchange(wrong_shard_, false)) rebuild_slots(now); // says what else is wrong, or nothing
  l.shard_time = w.shard_time;
  outgoing.set_shard_time(k, l.shard_time);
  // What the shard's last life told us, for its warm-up; then forget it, a new list follows.
  for (known_lane& m : l.members) remember(l, std::move(m));
  if (l.list == wire::member::whole && now - l.list_as_of > limits::list_age_max)
    l.list = wire::member::stale; // that life may have gone on without us
  wire::batch_writer seen(wire::frame_type::members_seen);
  for (const known_lane& m : l.remembered)
    wire::member{m.index, l.list, m.lane, m.lane_number, m.edge_name}.put(seen.next(l.urgent()));
  seen.flush(l.urgent());
  l.in_service = !w.warming_up;
  forget_members(l);
  l.st = state::syncing;
  ++syncing_;
  l.sync_cursor = 0;
  counters.link_connects.add();
  send_heartbeat(l, now);
  return true;
}

template <class Host> void endpoint<Host>::sync(std::uint16_t k, time_point now) {
  shard_link& l = links_[k];
  if (l.announced.empty()) return; // the slot map comes right behind the welcome
  // The shard would take clients for absent that are not registered as their slot is in doubt. It waits for
  // them as long as for others; then its other clients come first.
  const bool held = now - l.up_at < limits::warm_up && lacks_in_doubt(l) && !plant.in_sync_in_doubt;
  if (held && l.sync_cursor >= clients_.capacity()) return;
  while (l.sync_cursor < clients_.capacity() &&
         l.urgent().size() + l.registers.bytes() < config_.sync_output_max) {
    const std::uint32_t i = l.sync_cursor++;
    const client& c = clients_.at(i);
    if (!c.used || c.link != k || plant.no_reregistration) continue;
    if (plant.sync_misses_new && c.connected_at >= l.up_at) continue;
    put_registration(k, i);
  }
  l.registers.flush(l.urgent());
  dirty_.mark(*l.c);
  if (held || l.sync_cursor < clients_.capacity()) return;
  writer_.begin(wire::frame_type::in_sync);
  writer_.finish(l.urgent());
  --syncing_;
  l.st = state::up;
  l.failures = 0;
  l.trouble.clear();
  l.retry.reset();
  counters.links_up.add();
  host_.on_event(event_level::info, "in sync with router " + label(l));
  outgoing.link_up(k, *l.c, now, l.terms);
  drain_outcomes(now);
  update_ready(now);
}

template <class Host>
bool endpoint<Host>::on_heartbeat(std::uint16_t k, const_bytes payload, time_point now) {
  wire::heartbeat h;
  if (!h.get(payload)) return false;
  shard_link& l = links_[k];
  l.peer_sent_at = h.sent_at;
  l.peer_heard = now;
  l.shard_time = h.value;
  outgoing.set_shard_time(k, l.shard_time);
  if (h.echo && to_us(now) >= h.echo + h.held_us) {
    l.round_trip_us = to_us(now) - h.echo - h.held_us;
    l.stats->round_trip_us.set(l.round_trip_us);
    l.terms.clock.sample(h.sent_at, l.round_trip_us, now);
    link_round_trip.record_us(l.round_trip_us);
  }
  if (!l.announced.empty()) { // the whole list is here: it came behind the slot map
    // What a link carries may be old when it comes, so what counts is when the heartbeat was sent.
    const auto age =
        static_cast<std::int64_t>(l.terms.clock.known() ? l.terms.clock.to_peer(now) - h.sent_at : 0);
    l.list_as_of =
        now - std::clamp<duration>(std::chrono::microseconds(age), duration::zero(), limits::silence_max);
    if (l.in_service) on_members_whole(k, now);
  }
  std::uint64_t slowest = 0;
  for (const shard_link& x : links_) slowest = std::max(slowest, x.round_trip_us);
  counters.round_trip_us.set(slowest);
  return true;
}

template <class Host>
bool endpoint<Host>::on_in_service(std::uint16_t k, const_bytes payload, time_point now) {
  wire::in_service s;
  if (!s.get(payload)) return false;
  for (std::uint32_t i = 0; i < clients_.capacity(); ++i) {
    client& c = clients_.at(i);
    if (!c.used || (c.link != k && c.told != k) || c.since == 0) continue;
    if (c.since == wire::since_warm_up || !s.complete) c.since = s.shard_time;
  }
  links_[k].in_service = true;
  links_[k].list_as_of = std::max(links_[k].list_as_of, links_[k].up_at); // the list came over this link
  on_members_whole(k, now);
  outgoing.on_in_service(k, last_turn_);
  drain_outcomes(last_turn_);
  return true;
}

} // namespace beeline::link
