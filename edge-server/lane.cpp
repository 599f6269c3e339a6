// The lane's connections: from accept to the end of a session, and time.
#include "edge-server/lane.hpp"

#include "common/link/endpoint.ipp"

#include <algorithm>

namespace beeline::edge {

using mqtt::reason;

std::size_t lane::client_hash::operator()(std::uint32_t i) const noexcept {
  return static_cast<std::size_t>(l->endpoint_.find(l->sessions_[i].client)->hash * 0x9e3779b97f4a7c15ull);
}
std::size_t lane::client_hash::operator()(std::string_view id) const noexcept {
  return static_cast<std::size_t>(l->endpoint_.hash(id) * 0x9e3779b97f4a7c15ull);
}
std::string_view lane::client_equal::id(std::uint32_t i) const noexcept {
  return l->endpoint_.find(l->sessions_[i].client)->id;
}

lane::lane(lane_config config, chunk_pool& pool, time_point now)
    : config_(std::move(config)), pool_(pool), endpoint_(config_.link, *this, pool, blocks_, dirty_, now),
      by_id_(0, client_hash{this}, client_equal{this}), random_(config_.link.random_seed ^ 0x5e551015u),
      last_time_(now), next_check_(now) {}

lane::~lane() {
  for (session& s : sessions_) drop_pending(s);
}

void lane::on_up(conn& c, time_point now) {
  if (c.kind == conn::kind_t::link) return endpoint_.on_up(c, now);
  std::uint32_t i;
  if (free_sessions_.empty()) {
    i = static_cast<std::uint32_t>(sessions_.size());
    if (free_sessions_.capacity() == i) free_sessions_.reserve(2 * std::size_t{i} + 8); // for on_down
    sessions_.emplace_back();
  } else {
    i = free_sessions_.back();
    free_sessions_.pop_back();
  }
  session& s = sessions_[i];
  s = session{};
  s.c = &c;
  s.st = session::state::connecting;
  s.index = i;
  s.since = s.last_heard = now;
  c.owner = i;
  counters.connections.add();
  if (leaving_) close_session(s, close_reason::shutdown, reason::success);
}

void lane::on_down(conn& c, close_reason why, time_point now) {
  if (c.kind == conn::kind_t::link) return endpoint_.on_down(c, why, now);
  session& s = sessions_[c.owner];
  end_session(s, why);
  counters.connections.sub();
  free_sessions_.push_back(s.index);
  s = session{};
}

// The session ends here, whatever the socket still has to say; on_down comes later.
void lane::end_session(session& s, close_reason why) {
  if (s.st == session::state::closed) return;
  const necessary_work inside_any;
  counters.closes[static_cast<std::size_t>(why)].add();
  update_held(s, 0);
  if (s.st == session::state::live) counters.sessions.sub();
  if (s.st == session::state::registering) --registering_;
  if (s.st == session::state::live || s.st == session::state::registering) {
    // A newer session of the id may have taken its place in the index.
    if (const auto it = by_id_.find(s.index); it != by_id_.end() && *it == s.index) by_id_.erase(it);
    by_client_[s.client.index] = none;
    endpoint_.detach(s.client, last_time_);
  }
  s.st = session::state::closed;
  counters.deliveries_unacknowledged.add(s.in_flight.size());
  for (const auto& [packet_id, receipt] : s.in_flight) settle(receipt, wire::receipt::session_ended);
  s.in_flight.clear();
  drop_pending(s);
  s.c->want_read = true; // what still comes is thrown away
}

// Ends the session with MQTT's last word: DISCONNECT for MQTT 5, and closes.
void lane::close_session(session& s, close_reason why, reason say, std::string_view text) {
  if (s.st == session::state::closed) return;
  try {
    if (s.st == session::state::registering && why == close_reason::taken_over) {
      counters.connects_refused.add();
      remember_refusal(s, name_of(why), {});
      mqtt::encode_connack(s.c->out, s.version, false, reason::server_unavailable, {}, s.packet_bytes_max);
    }
    if (s.st == session::state::live && say != reason::success)
      mqtt::encode_disconnect(s.c->out, s.version, say, s.problem_information ? text : std::string_view{},
                              s.packet_bytes_max, reference_for(say));
  } catch (const std::bad_alloc&) { // it ends without a word
  }
  s.c->close_after_flush = true;
  s.c->why = why;
  dirty_.mark(*s.c);
  end_session(s, why);
}

// Refuses a CONNECT.
void lane::refuse(session& s, mqtt::protocol_version v, reason r, std::string_view text,
                  std::string_view id) {
  counters.connects_refused.add();
  remember_refusal(s, name_of(r), id);
  if (v != mqtt::protocol_version::none) {
    mqtt::connack_properties props;
    if (s.problem_information) props.reason_string = text;
    props.server_reference = reference_for(r);
    mqtt::encode_connack(s.c->out, v, false, r, props, s.packet_bytes_max);
  }
  close_session(s, close_reason::connect_refused, reason::success);
}

// Refuses a CONNECT that had got as far as its registration.
void lane::refuse_registration(session& s, close_reason why, reason say, std::string_view text) {
  counters.connects_refused.add();
  remember_refusal(s, name_of(why), {});
  mqtt::connack_properties props;
  if (s.problem_information) props.reason_string = text;
  mqtt::encode_connack(s.c->out, s.version, false, say, props, s.packet_bytes_max);
  close_session(s, why, reason::success);
}

// A CONNECT, or the registration of a session over a new link, that was refused, for /drops; without an id
// that of the session.
void lane::remember_refusal(const session& s, std::string_view why, std::string_view id) {
  if (const link::client* c = endpoint_.find(s.client); c && id.empty()) id = c->id;
  endpoint_.drops.put(drop_kind::connect, why, id, {}, drop_record::no_qos, last_time_);
}

void lane::update_held(session& s, std::size_t bytes, bool incomplete) {
  counter& held = s.st == session::state::live ? counters.held_bytes : counters.prelogin_bytes;
  held.set(held.get() + bytes - s.held_bytes);
  counters.incomplete_bytes.set(counters.incomplete_bytes.get() + (incomplete ? bytes : 0) -
                                (s.incomplete ? s.held_bytes : 0));
  s.held_bytes = static_cast<std::uint32_t>(bytes);
  s.incomplete = incomplete;
}

// Packets that never become whole, and what is held for clients that do not read, would keep their memory:
// when they have their share of it, large ones make room for a quarter of the share. Others may still go on,
// and the walks over the sessions are rare: each frees what took as long to come. Within each pass one at
// least is closed, and the next one looks at those of half the size.
void lane::close_largest_incomplete() {
  const std::size_t share = config_.memory_max / limits::incomplete_share, enough = share - share / 4;
  while (counters.incomplete_bytes.get() > enough) {
    std::uint32_t most = 0;
    for (const session& s : sessions_)
      if (s.incomplete) most = std::max(most, s.held_bytes);
    CHECK_INVARIANT(most > 0);
    for (session& s : sessions_) {
      if (!s.incomplete || s.held_bytes <= most / 2) continue;
      close_session(s, close_reason::incomplete_limit, reason::quota_exceeded);
      if (counters.incomplete_bytes.get() <= enough) return;
    }
  }
}

std::size_t lane::on_bytes(conn& c, mutable_bytes in, time_point now) {
  last_time_ = now;
  if (c.kind == conn::kind_t::link) return endpoint_.on_bytes(c, in, now);
  session& s = sessions_[c.owner];
  s.last_heard = now;
  std::size_t at = 0;
  while (at < in.size() && s.st != session::state::closed && s.st != session::state::registering &&
         c.want_read) {
    const const_bytes left = in.subspan(at);
    const bool first = s.st == session::state::connecting;
    if (first && mqtt::type_of(static_cast<std::uint8_t>(left[0])) != mqtt::packet_type::connect) {
      counters.malformed.add();
      close_session(s, close_reason::protocol_error, reason::success);
      break;
    }
    mqtt::packet p;
    const auto r = mqtt::next_packet(left, first ? config_.connect_bytes_max : config_.packet_bytes_max, p);
    if (r == mqtt::parse::need_more) break;
    if (r != mqtt::parse::done) {
      counters.malformed.add();
      const bool large = r == mqtt::parse::too_large;
      close_session(s, large ? close_reason::packet_too_large : close_reason::malformed,
                    large ? reason::packet_too_large : reason::malformed_packet);
      break;
    }
    if (first) {
      if (!on_connect(s, p, now)) break; // it moves to its own lane, with these bytes
    } else {
      on_packet(s, p, now);
    }
    at += p.total;
    if (c.out.size() >= output_max()) update_reading(s); // it asks and does not listen
  }
  if (s.st == session::state::closed) return in.size();
  const std::size_t left = in.size() - at;
  if (s.st == session::state::live) {
    const bool waits_for_itself = c.want_read || c.out.size() >= output_max() / 2;
    if (left || s.held_bytes) update_held(s, left, left && waits_for_itself);
    if (counters.incomplete_bytes.get() > config_.memory_max / limits::incomplete_share)
      close_largest_incomplete();
  } else if (c.move_to < 0) { // what waits behind a CONNECT counts like what waits for the rest of one
    update_held(s, left);
    if (counters.prelogin_bytes.get() > config_.prelogin_bytes_max)
      close_session(s, close_reason::prelogin_limit, reason::success);
  }
  return s.st == session::state::closed ? in.size() : at;
}

void lane::on_drained(conn& c, time_point now) {
  if (c.kind == conn::kind_t::link) return endpoint_.on_drained(c, now);
  session& s = sessions_[c.owner];
  if (s.st != session::state::live) return;
  pump_pending(s, now);
  if (s.reading_paused) update_reading(s);
}

// --- back pressure ------------------------------------------------------------------------------------

// A client's socket is read while what it has sent fits: below its window, the lane's memory and the
// link that its last message went to; and while it takes what it is told. Above, its own TCP connection
// slows it down, nobody else: who has no QoS 1 message under way did not fill the memory, and it may be the
// one whose PUBACKs others wait for. (QoS 0 waits at its link alone, which has marks of its own.)
void lane::update_reading(session& s) {
  if (s.st != session::state::live) return;
  // MQTT 5 clients know the window in messages and are cut off when they pass it (on_publish).
  const std::size_t counted = s.version == mqtt::protocol_version::v5 ? 0 : s.unanswered;
  const bool full = counted >= config_.inflight_max || s.unanswered_bytes >= config_.inflight_bytes_max;
  const bool half_free =
      counted <= config_.inflight_max / 2 && s.unanswered_bytes <= config_.inflight_bytes_max / 2;
  s.window_full = full || (s.window_full && !half_free);
  const std::size_t unsent_max = s.reading_paused ? output_max() / 2 : output_max();
  const bool no_memory = sending_over_ || (sending_full_ && s.unanswered > 0);
  const bool blocked = no_memory || s.waits_for_link != 0xffff || s.c->out.size() >= unsent_max;
  const bool pause = blocked || s.window_full;
  if (pause == s.reading_paused) return;
  s.reading_paused = pause;
  if (pause) counters.reads_paused.add(), s.paused_since = last_time_;
  else s.last_heard += last_time_ - s.paused_since; // its keep-alive was suspended
  s.c->want_read = !pause;
  dirty_.mark(*s.c);
}

void lane::on_link_drained(std::uint16_t link, time_point) {
  if (link >= paused_by_link_.size()) return;
  for (std::uint32_t i : std::exchange(paused_by_link_[link], {})) {
    session& s = sessions_[i];
    if (s.waits_for_link != link) continue;
    s.waits_for_link = 0xffff;
    update_reading(s);
  }
}

// --- time ----------------------------------------------------------------------------------------------

void lane::check_session(session& s, time_point now) {
  using enum session::state;
  if (s.st == connecting && passed_since(s.since, now) >= config_.connect_max)
    return close_session(s, close_reason::connect_timeout, reason::success);
  if (s.st == registering && passed_since(s.since, now) >= config_.registered_max)
    return refuse_registration(s, close_reason::not_registered, reason::server_unavailable,
                               "no router shard answers for this client id");
  if (s.st == live) tend_queue(s, now);
  if (s.st == live && s.keep_alive && !s.reading_paused &&
      passed_since(s.last_heard, now) > std::chrono::milliseconds(1500) * s.keep_alive)
    close_session(s, close_reason::keep_alive_timeout, reason::keep_alive_timeout);
}

void lane::tend_queue(session& s, time_point now) try {
  const refusable_work may_be_refused;
  expire_pending(s, now);
  pump_pending(s, now);
} catch (const std::bad_alloc&) {
  on_memory_short(now); // what was not written waits on
}

// Half of the memory is for what our clients have sent: it drains over the links, so that they can be made to
// wait; all of them if others, each with its first message, take half as much again. The other half is for
// what they are sent: that drains only if they are read, whose PUBACKs make room, so that there its senders
// are refused.
void lane::check_memory() {
  if (plant.memory_max_ignored) return;
  const std::size_t half = config_.memory_max / 2;
  const std::size_t used = memory_of_outputs() + counters.held_bytes.get();
  const std::size_t sent = endpoint_.outgoing.counters.bytes.get() + endpoint_.output_bytes();
  const std::size_t sending = std::min<std::size_t>(used, sent + counters.held_bytes.get());
  const std::size_t receiving = used - sending;
  const bool receiving_full =
      last_time_ < memory_short_until_ || receiving > (receiving_full_ ? half / 2 : half);
  // What is held goes on its way only when its clients are read: it may begin a pause, and not prolong one.
  const bool sending_full = sending_full_ ? sent > half / 2 : sending > half;
  const bool sending_over = sending_full && sending > (sending_over_ ? half : half + half / 2);
  const bool changed =
      receiving_full != receiving_full_ || sending_full != sending_full_ || sending_over != sending_over_;
  receiving_full_ = receiving_full;
  sending_full_ = sending_full;
  sending_over_ = sending_over;
  if (!changed) return;
  for (session& s : sessions_) update_reading(s);
}

// What waits for clients drains as they take and acknowledge it, so those that do are read on.
void lane::on_memory_short(time_point now) {
  if (now >= memory_short_until_) counters.memory_short.add();
  memory_short_until_ = now + limits::memory_short_min;
  receiving_full_ = true;
}

void lane::end_turn(time_point now) {
  endpoint_.end_turn(now);
  counters.output_bytes_high_water.see(pool_.bytes_in_use());
  counters.waiting_bytes_high_water.see(blocks_.bytes_in_use());
}

void lane::on_time(time_point now) {
  last_time_ = now;
  endpoint_.on_time(now);
  if (now >= next_drain_ && !drained_) drain_step(now);
  if (now >= next_check_) {
    // A quarter of the sessions each time: every session within a second.
    next_check_ = now + limits::client_check_interval;
    std::size_t n = sessions_.size() / 4 + 1;
    for (; n && !sessions_.empty(); --n) {
      if (check_cursor_ >= sessions_.size()) check_cursor_ = 0;
      session& s = sessions_[check_cursor_++];
      if (s.st != session::state::free && s.st != session::state::closed) check_session(s, now);
    }
    counters.output_bytes.set(pool_.bytes_in_use());
    counters.waiting_bytes.set(blocks_.bytes_in_use());
    check_memory();
  }
  endpoint_.end_turn(now);
}

time_point lane::next_deadline() const noexcept {
  return std::min({next_check_, endpoint_.next_deadline(), drained_ ? never : next_drain_});
}

void lane::on_ready(bool ready, time_point) {
  counters.ready.set(ready);
  if (config_.on_ready) config_.on_ready(ready);
}

void lane::on_event(link::event_level level, std::string_view line) {
  if (config_.on_event) config_.on_event(level, line);
}

void lane::shutdown(time_point now) {
  leaving_ = true;
  for (session& s : sessions_)
    if (s.st != session::state::free) close_session(s, close_reason::shutdown, reason::server_shutting_down);
  endpoint_.say_goodbye(now);
}

// --- host ------------------------------------------------------------------------------------------------

void lane::on_registered(handle h, time_point now) {
  const std::uint32_t i = session_of(h);
  if (i == none) return;
  session& s = sessions_[i];
  if (s.st != session::state::registering) return; // registered again over a new link
  const std::size_t held = s.held_bytes;           // behind its CONNECT
  update_held(s, 0);
  s.st = session::state::live;
  update_held(s, held);
  --registering_;
  s.last_heard = now;
  counters.connects.add();
  counters.sessions.add();
  send_connack(s);
  if (s.st != session::state::live) return;
  s.c->want_read = true; // it may have sent more behind its CONNECT
  dirty_.mark(*s.c);
  update_reading(s);
  if (draining_) begin_to_go(s, now); // its CONNECT came before
}

void lane::on_kicked(handle h, close_reason why, time_point) {
  const std::uint32_t i = session_of(h);
  if (i == none) return;
  session& s = sessions_[i];
  if (why == close_reason::taken_over) return close_session(s, why, reason::session_taken_over);
  const reason say = why == close_reason::registration_busy ? reason::server_busy : reason::quota_exceeded;
  if (s.st == session::state::registering) return refuse_registration(s, why, say, text_of(why));
  remember_refusal(s, name_of(why), {}); // it had its CONNACK: its room is gone meanwhile
  close_session(s, why, say, text_of(why));
}

} // namespace beeline::edge

template class beeline::link::endpoint<beeline::edge::lane>;
