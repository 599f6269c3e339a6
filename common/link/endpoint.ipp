// Implementation of endpoint<Host>; included by the one file of a program that instantiates it.
#pragma once
#include "common/link/endpoint.hpp"

#include <algorithm>

namespace beeline::link {

template <class Host>
endpoint<Host>::endpoint(endpoint_config config, Host& host, chunk_pool&, block_pool& blocks,
                         dirty_list& dirty, time_point now)
    : outgoing(blocks, dirty, config.window), config_(std::move(config)), host_(host),
      dirty_(dirty), hasher_{config_.secret.id_key(), config_.hash_bits}, random_(config_.random_seed),
      last_turn_(now), next_check_(now) {
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
  return static_cast<std::uint16_t>(links_.size() - 1);
}

// --- clients ----------------------------------------------------------------------------------------

template <class Host> handle endpoint<Host>::attach(std::string_view id, time_point now) {
  const id_hash h = hasher_(id);
  const std::uint16_t k = slots_.link_of(h);
  const handle c = clients_.add(id, h, k, now);
  if (k == slot_table::no_link) return c;
  shard_link& l = links_[k];
  if (l.st == state::up || (l.st == state::syncing && c.index < l.sync_cursor)) put_registration(k, c.index);
  return c;
}

template <class Host> void endpoint<Host>::detach(handle h, time_point now) {
  client* c = clients_.find(h);
  if (!c) return;
  outgoing.sender_gone(h);
  if (c->link != slot_table::no_link) {
    shard_link& l = links_[c->link];
    if (l.st == state::up || l.st == state::syncing) {
      // Its registration may still be in this turn's batch: that has to go first.
      if (!c->registered) l.registers.flush(l.urgent());
      wire::unregistration{c->hash, h}.put(l.unregisters.next(l.urgent()));
      touch(c->link);
    }
  }
  clients_.remove(h);
  drain_outcomes(now);
}

template <class Host> void endpoint<Host>::put_registration(std::uint16_t k, std::uint32_t index) {
  const client& c = clients_.at(index);
  shard_link& l = links_[k];
  wire::registration r;
  r.client = {index, c.generation};
  r.connected_at = to_us(c.connected_at);
  r.since = c.since == wire::since_warm_up ? 0 : c.since;
  r.id = c.id;
  r.put(l.registers.next(l.urgent()));
  counters.registrations.add();
  touch(k);
}

// --- sending ----------------------------------------------------------------------------------------

template <class Host>
auto endpoint<Host>::send_qos0(const wire::message_parts& m, std::uint16_t& link, drop_reason& why) -> sent {
  link = slots_.link_of(m.hash);
  if (link == slot_table::no_link || links_[link].st != state::up) {
    why = drop_reason::link_down;
    counters.drops[static_cast<std::size_t>(why)].add();
    return sent::dropped;
  }
  shard_link& l = links_[link];
  const std::size_t size = wire::message_bytes(m, false);
  output_chain& data = l.c->link->data;
  if (data.size() + size > limits::link_output_bytes_max) {
    why = drop_reason::link_full;
    counters.drops[static_cast<std::size_t>(why)].add();
    return sent::dropped;
  }
  if (size <= chunk_pool::contiguous_max) {
    wire::write_message(data.extend(size), m, false);
  } else {
    std::vector<std::byte> big(size); // above a chunk: rare, and dominated by the copy anyway
    wire::write_message(big.data(), m, false);
    data.append(big);
  }
  counters.frames_out_qos0.add();
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
  for (std::size_t i = 0; i < outgoing.outcomes.size(); ++i) {
    const outbox::outcome o = outgoing.outcomes[i];
    host_.on_outcome(o, now);
  }
  outgoing.outcomes.clear();
  draining_ = false;
}

// --- turns and time ---------------------------------------------------------------------------------

template <class Host> void endpoint<Host>::begin_turn(time_point now) {
  // Stopped for so long that the shards may have given our clients to others: what waits in the
  // sockets is stale and must not be acted on.
  if (now - last_turn_ > limits::pause_max)
    for (std::uint16_t k = 0; k < links_.size(); ++k)
      if (links_[k].c) lose(k, close_reason::link_paused, now);
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
  for (std::size_t i = 0; i < touched_.size(); ++i) {
    shard_link& l = links_[touched_[i]];
    l.touched = false;
    if (!l.c) continue;
    l.registers.flush(l.urgent());
    l.unregisters.flush(l.urgent());
    l.identities.flush(l.urgent());
    l.answers.flush(l.urgent());
    dirty_.mark(*l.c);
  }
  touched_.clear();
  if (syncing_)
    for (std::uint16_t k = 0; k < links_.size(); ++k)
      if (links_[k].st == state::syncing) sync(k, now);
}

template <class Host> void endpoint<Host>::on_time(time_point now) {
  outgoing.on_time(now);
  drain_outcomes(now);
  if (now < next_check_) return;
  next_check_ = now + limits::heartbeat_interval / 4;
  for (std::uint16_t k = 0; k < links_.size(); ++k) check_link(k, now);
  end_turn(now);
}

template <class Host> time_point endpoint<Host>::next_deadline() const noexcept {
  time_point t = std::min(next_check_, outgoing.next_deadline());
  if (idle_ && !leaving_)
    for (const shard_link& l : links_)
      if (l.st == state::idle && !l.retired) t = std::min(t, l.next_dial);
  if (syncing_)
    for (const shard_link& l : links_)
      if (l.st == state::syncing && l.c->link->urgent.size() < limits::sync_output_max) return last_turn_;
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
  l.progress = c.sent;
  l.last_heartbeat = time_point{};
  l.peer_sent_at = 0;
  l.handshake = lane_handshake{};
  l.handshake.start(config_.make_nonce(), writer_, l.urgent());
  dirty_.mark(c);
}

template <class Host> void endpoint<Host>::on_down(conn& c, close_reason why, time_point now) {
  if (c.owner == none || links_[c.owner].c != &c) return; // we closed it
  lose(static_cast<std::uint16_t>(c.owner), why, now);
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
  const bool was_linked = l.st == state::up || l.st == state::syncing;
  if (l.trouble.empty()) l.trouble = text_of(why);
  if (was_linked) {
    counters.link_losses.add();
    if (!leaving_)
      host_.on_event(event_level::warning,
                     "link to router " + label(l) + " lost: " + std::string(text_of(why)));
  }
  if (l.st == state::up) counters.links_up.sub();
  become_idle(l, now);
  l.c = nullptr;
  l.registers.drop(), l.unregisters.drop(), l.answers.drop(), l.identities.drop();
  outgoing.link_down(k);
  for (std::uint32_t i = 0; i < clients_.capacity(); ++i)
    if (client& x = clients_.at(i); x.link == k) x.registered = false;
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
  wire::error e;
  e.code = code;
  e.text = text;
  wire::send(writer_, l.urgent(), e);
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

template <class Host> auto endpoint<Host>::links() const -> std::vector<link_info> {
  static constexpr const char* names[] = {"idle", "dialling", "handshake", "syncing", "up"};
  std::vector<link_info> all;
  for (const shard_link& l : links_)
    if (!l.retired)
      all.push_back(
          {label(l), names[static_cast<int>(l.st)], l.c ? l.c->output_bytes() : 0, l.round_trip_us});
  return all;
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
    if (r == wire::parse::malformed) {
      fail(k, wire::error_code::malformed, close_reason::link_bad_frame, "malformed or damaged frame", now);
      break;
    }
    at += f.bytes.size();
    counters.frames_in.add();
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
  case heartbeat: return on_heartbeat(k, payload, now);
  case registered: return on_registered(k, payload, now);
  case kick: return on_kicks(k, payload, now);
  case members: return on_members(l, payload, now);
  case slot_map: return on_slot_map(k, payload, now);
  case floors: return on_floors(l, payload);
  case in_service: return on_in_service(k, payload, now);
  case path_lost:
  case back:
  case gone: {
    wire::lane_event e;
    if (!e.get(payload)) return false;
    if (f.type == path_lost) outgoing.on_path_lost(k, now);
    else outgoing.on_lane_settled(k, e.index, now);
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
    l.trouble = l.handshake.why();
    if (l.failures % 60 <= 1)
      host_.on_event(event_level::error, "link to router " + label(l) + ": " + l.trouble);
    lose(k, close_reason::link_refused, now, true);
    return true;
  }
  dirty_.mark(*l.c);
  if (l.handshake.now() != lane_handshake::state::done) return true;
  const wire::welcome& w = l.handshake.welcome();
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
  for (known_member& m : l.members) {
    std::erase_if(l.remembered, [&](const known_member& x) { return x.lane == m.lane; });
    l.remembered.push_back(std::move(m));
  }
  wire::batch_writer seen(wire::frame_type::members_seen);
  for (const known_member& m : l.remembered)
    wire::member{m.index, l.whole_list, m.lane, m.lane_number, m.edge_name}.put(seen.next(l.urgent()));
  seen.flush(l.urgent());
  if (!w.warming_up) l.remembered.clear(), l.whole_list = true;
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
  while (l.sync_cursor < clients_.capacity() && l.urgent().size() < limits::sync_output_max) {
    const std::uint32_t i = l.sync_cursor++;
    if (const client& c = clients_.at(i); c.used && c.link == k && !plant.no_reregistration)
      put_registration(k, i);
  }
  l.registers.flush(l.urgent());
  dirty_.mark(*l.c);
  if (l.sync_cursor < clients_.capacity()) return;
  writer_.begin(wire::frame_type::in_sync);
  writer_.finish(l.urgent());
  --syncing_;
  l.st = state::up;
  l.failures = 0;
  l.trouble.clear();
  l.retry.reset();
  counters.links_up.add();
  host_.on_event(event_level::info, "in sync with router " + label(l));
  outgoing.link_up(k, *l.c, now);
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
  if (h.echo && to_us(now) >= h.echo + h.held_us) l.round_trip_us = to_us(now) - h.echo - h.held_us;
  std::uint64_t slowest = 0;
  for (const shard_link& x : links_) slowest = std::max(slowest, x.round_trip_us);
  counters.round_trip_us.set(slowest);
  return true;
}

template <class Host> bool endpoint<Host>::on_in_service(std::uint16_t k, const_bytes payload, time_point) {
  wire::in_service s;
  if (!s.get(payload)) return false;
  for (std::uint32_t i = 0; i < clients_.capacity(); ++i) {
    client& c = clients_.at(i);
    if (!c.used || c.link != k || c.since == 0) continue;
    if (c.since == wire::since_warm_up || !s.complete) c.since = s.shard_time;
  }
  links_[k].remembered.clear();
  links_[k].whole_list = true;
  outgoing.on_in_service(k, last_turn_);
  drain_outcomes(last_turn_);
  return true;
}

// --- slot maps and members --------------------------------------------------------------------------

template <class Host> bool endpoint<Host>::on_slot_map(std::uint16_t k, const_bytes payload, time_point now) {
  shard_link& l = links_[k];
  router_map map;
  const bool ok = wire::for_each_record<wire::slot_range>(payload, [&](const wire::slot_range& s) {
    map.push_back({s.first, s.last, s.host.empty() ? l.host : std::string(s.host), s.port});
  });
  if (!ok || map.empty() || map.size() > limits::shards_per_router_max) return false;
  l.announced = map;
  router& r = routers_[l.router];
  if (r.map == map) return true;
  if (l.shard == 0) {
    adopt_map(l.router, std::move(map), now);
  } else {
    host_.on_event(event_level::warning, "router " + label(l) + " announces other slots than its shard 0");
    lose(k, close_reason::map_changed, now, true);
  }
  return true;
}

// The router's shard 0 announces a map that is new to us: link its other shards, re-home clients
// and messages. Shards that went away are retired.
template <class Host> void endpoint<Host>::adopt_map(std::uint16_t ri, router_map map, time_point now) {
  router& r = routers_[ri];
  for (std::size_t s = 1; s < map.size(); ++s) {
    if (s >= r.links.size()) {
      r.links.push_back(add_link(ri, static_cast<std::uint16_t>(s), map[s].host, map[s].port));
      continue;
    }
    const std::uint16_t k = r.links[s];
    shard_link& l = links_[k];
    const bool moved = l.host != map[s].host || l.port != map[s].port || l.retired;
    if (l.c && (moved || l.announced != map)) lose(k, close_reason::map_changed, now);
    l.host = map[s].host;
    l.port = map[s].port;
    l.retired = false;
    l.next_dial = now;
  }
  for (std::size_t s = map.size(); s < r.links.size(); ++s) {
    shard_link& l = links_[r.links[s]];
    if (l.c) lose(r.links[s], close_reason::map_changed, now);
    l.retired = true;
  }
  r.map = std::move(map);
  rebuild_slots(now);
}

template <class Host> void endpoint<Host>::rebuild_slots(time_point now) {
  std::vector<slot_table::part> parts;
  for (std::size_t r = 0; r < routers_.size(); ++r)
    if (!routers_[r].map.empty())
      parts.push_back({config_.routers[r].host + ":" + std::to_string(config_.routers[r].port),
                       &routers_[r].map, &routers_[r].links});
  slots_.build(parts);
  map_problem_.clear();
  for (std::size_t r = 0; r < routers_.size() && map_problem_.empty(); ++r)
    if (routers_[r].map.empty())
      map_problem_ = "router " + config_.routers[r].host + ":" + std::to_string(config_.routers[r].port) +
                     " has not announced its slots yet";
  if (map_problem_.empty()) {
    map_problem_ = slots_.problem();
    if (!map_problem_.empty()) host_.on_event(event_level::error, map_problem_);
  }
  for (std::uint32_t i = 0; i < clients_.capacity(); ++i) {
    client& c = clients_.at(i);
    const std::uint16_t k = c.used ? slots_.link_of(c.hash) : c.link;
    if (!c.used || k == c.link) continue;
    c.link = k;
    c.registered = false;
    c.since = 0; // the old shard's time means nothing to the new one
    if (k != slot_table::no_link &&
        (links_[k].st == state::up || (links_[k].st == state::syncing && i < links_[k].sync_cursor)))
      put_registration(k, i);
  }
  outgoing.rehome(slots_, now);
  drain_outcomes(now);
  update_ready(now);
}

template <class Host> bool endpoint<Host>::on_members(shard_link& l, const_bytes payload, time_point now) {
  return wire::for_each_record<wire::member>(payload, [&](const wire::member& m) {
    if (m.index == no_member) { // the shard waits for it
      std::erase_if(l.remembered, [&](const known_member& x) { return x.lane == m.lane; });
      l.remembered.push_back({m.index, m.lane, m.lane_number, std::string(m.edge_name)});
      return;
    }
    if (m.index >= l.origins.size()) l.origins.resize(m.index + 1u, none);
    std::erase_if(l.members, [&](const known_member& x) { return x.index == m.index; });
    if (!m.joined) {
      std::erase_if(l.remembered, [&](const known_member& x) { return x.lane == m.lane; });
      if (l.origins[m.index] != none) l.left.push_back({now, m.index, l.origins[m.index]});
      return;
    }
    const std::uint32_t record = incoming.acquire(m.lane);
    if (l.origins[m.index] != none && std::none_of(l.left.begin(), l.left.end(), [&](const auto& x) {
          return x.index == m.index && x.record == l.origins[m.index];
        }))
      release_origin(l, l.origins[m.index]);
    l.origins[m.index] = record;
    l.members.push_back({m.index, m.lane, m.lane_number, std::string(m.edge_name)});
  });
}

template <class Host> void endpoint<Host>::release_origin(shard_link&, std::uint32_t record) {
  if (!incoming.release(record)) return;
  for (shard_link& l : links_) l.forgotten_until = l.shard_time;
}

// Lanes that left: frames that name them may have been overtaken by that news, so they stay for a while.
template <class Host> void endpoint<Host>::release_left(shard_link& l, time_point until) {
  while (!l.left.empty() && l.left.front().at <= until) {
    const auto x = l.left.front();
    l.left.pop_front();
    if (l.origins[x.index] == x.record) l.origins[x.index] = none;
    release_origin(l, x.record);
  }
}

template <class Host> void endpoint<Host>::forget_members(shard_link& l) {
  release_left(l, never);
  for (std::uint32_t record : l.origins)
    if (record != none) release_origin(l, record);
  l.origins.clear();
  l.members.clear();
  l.announced.clear();
}

template <class Host> bool endpoint<Host>::on_floors(shard_link& l, const_bytes payload) {
  return wire::for_each_record<wire::floor_record>(payload, [&](const wire::floor_record& f) {
    if (f.origin < l.origins.size() && l.origins[f.origin] != none)
      incoming.raise_floor(l.origins[f.origin], f.floor);
  });
}

// --- presence -----------------------------------------------------------------------------------------

template <class Host>
bool endpoint<Host>::on_registered(std::uint16_t k, const_bytes payload, time_point now) {
  return wire::for_each_record<wire::registered_client>(payload, [&](const wire::registered_client& r) {
    client* c = clients_.find(r.client);
    if (!c || c->link != k) return;
    c->since = r.since;
    c->registered = true;
    host_.on_registered(r.client, now);
  });
}

template <class Host> bool endpoint<Host>::on_kicks(std::uint16_t k, const_bytes payload, time_point now) {
  shard_link& l = links_[k];
  return wire::for_each_record<wire::kick>(payload, [&](const wire::kick& q) {
    client* c = clients_.find(q.client);
    if (!l.c) return;
    if (!c) { // it has gone already: say so again, the shard waits for a word
      wire::unregistration{q.hash, q.client}.put(l.unregisters.next(l.urgent()));
      return touch(k);
    }
    const bool same = c->id == q.claimant;
    if (same && !q.ask_only) {
      counters.takeovers.add();
      return host_.on_kicked(q.client, now);
    }
    wire::identity w;
    w.hash = q.hash;
    w.client = q.client;
    w.same = same;
    w.id = c->id;
    w.put(l.identities.next(l.urgent()));
    touch(k);
  });
}

// --- messages for our clients ---------------------------------------------------------------------------

template <class Host>
void endpoint<Host>::put_answer(std::uint16_t k, const wire::message_view& m, answer a) {
  wire::answer_record r;
  r.number = static_cast<std::uint32_t>(m.number());
  r.lane = m.origin();
  r.what = a;
  r.put(links_[k].answers.next(links_[k].urgent()));
  touch(k);
}

template <class Host>
void endpoint<Host>::on_message(std::uint16_t k, const wire::message_view& m, time_point now) {
  shard_link& l = links_[k];
  client* c = clients_.find(m.target());
  const bool here = c && c->id == m.destination();
  if (!m.body_intact()) {
    counters.drops[static_cast<std::size_t>(drop_reason::bad_body)].add();
    return fail(k, wire::error_code::malformed, close_reason::link_bad_frame, "message body damaged", now);
  }
  counters.messages_in.add();
  counters.bytes_in.add(m.payload().size());
  if (!m.qos1()) {
    if (!here) return counters.drops[static_cast<std::size_t>(drop_reason::not_here)].add();
    if (host_.deliver(m.target(), m, now) == answer::accepted) counters.accepted_qos0.add();
    return;
  }
  const std::uint32_t record = m.origin() < l.origins.size() ? l.origins[m.origin()] : none;
  if (record == none)
    return fail(k, wire::error_code::malformed, close_reason::link_bad_frame, "message from an unknown lane",
                now);
  if (plant.ack_before_deliver) put_answer(k, m, answer::accepted);
  using enum inbox::verdict;
  switch (incoming.judge(record, m, here, here ? std::max(c->since, l.forgotten_until) : 0)) {
  case take: {
    const answer a = host_.deliver(m.target(), m, now);
    if (a == answer::accepted) {
      incoming.accepted(record, m.number());
      counters.accepted.add();
    } else if (is_final(a)) {
      incoming.refused(record, m.number());
    }
    return put_answer(k, m, a);
  }
  case answer_accepted: return put_answer(k, m, answer::accepted);
  // Another id with the same hash: had the one it is for been registered, the shard would have known both.
  case answer_not_here: return put_answer(k, m, c ? answer::nobody : answer::not_here);
  case answer_unknown: return put_answer(k, m, answer::unknown);
  case answer_retry: return put_answer(k, m, answer::retry);
  case answer_busy: return put_answer(k, m, answer::busy);
  case answer_full: return put_answer(k, m, answer::full);
  case inbox::verdict::drop: return;
  }
}

} // namespace beeline::link
