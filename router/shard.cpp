// The shard's links: handshake, members, linger, warm-up, heartbeats.
#include "router/shard.hpp"

#include <algorithm>

namespace beeline::router {
shard::shard(shard_config config, chunk_pool& pool, time_point now)
    : config_(std::move(config)), pool_(pool), hasher_{config_.secret.id_key(), config_.hash_bits},
      table_(config_.first_slot, config_.last_slot), started_(now), last_turn_(now), next_check_(now),
      next_floors_(now), last_progress_(now) {
  warming_ = config_.warm_up > duration::zero();
  counters.warming_up.set(warming_);
}
shard::~shard() = default;

template <class F> void shard::for_each_linked(F&& f) {
  for (std::size_t i = 0; i < peers_.size(); ++i)
    if (peer* p = peers_[i].get(); p && p->c && p->st == peer_state::linked) f(*p);
}

// --- turns and time ---------------------------------------------------------------------------------

void shard::begin_turn(time_point now) {
  // Stopped for so long that lanes may have given us up: what waits in the sockets is stale.
  if (const duration gap = now - last_turn_; gap > limits::pause_max) {
    // Nobody could reach us meanwhile: what waits for lanes waits so much longer.
    last_progress_ = now;
    started_ += gap;
    for (auto& [id, l] : lanes_)
      if (l->linger_until != never) l->linger_until += gap;
    for (std::size_t i = 0; i < peers_.size(); ++i)
      if (peers_[i] && peers_[i]->c) lose(*peers_[i], close_reason::link_paused, now);
  }
  last_turn_ = now;
}

void shard::end_turn(time_point now) {
  for (std::size_t i = 0; i < touched_.size(); ++i) {
    peer& p = *touched_[i];
    p.touched = false;
    if (!p.c) continue;
    p.registered.flush(p.urgent());
    p.kicks.flush(p.urgent());
    p.answers.flush(p.urgent());
    dirty_.mark(*p.c);
    if (p.urgent().size() > limits::urgent_bytes_max) lose(p, close_reason::out_of_memory, now);
  }
  touched_.clear();
}

void shard::on_time(time_point now) {
  if (sweeping_now_) sweep(now);
  if (now < next_check_) return;
  next_check_ = now + limits::heartbeat_interval / 5;
  for (std::size_t i = 0; i < peers_.size(); ++i)
    if (peers_[i] && peers_[i]->c) check_peer(*peers_[i], now);
  std::vector<lane*> over;
  for (auto& [id, l] : lanes_)
    if (l->linger_until <= now) over.push_back(l.get());
  for (lane* l : over) {
    counters.linger_expired.add();
    lane_gone(*l, now, false);
  }
  if (now >= next_floors_) {
    next_floors_ = now + limits::heartbeat_interval;
    tell_floors();
  }
  sweep(now);
  check_warm_up(now);
  end_turn(now);
  counters.clients.set(table_.size());
  counters.table_bytes.set(table_.memory_bytes());
  counters.output_bytes.set(pool_.bytes_in_use());
}

time_point shard::next_deadline() const noexcept { return sweeping_now_ ? last_turn_ : next_check_; }

void shard::check_peer(peer& p, time_point now) {
  if (p.st == peer_state::handshake) {
    if (now - p.up_at >= limits::handshake_max) lose(p, close_reason::link_handshake_timeout, now);
    return;
  }
  if (now - p.last_heard >= limits::silence_max) return lose(p, close_reason::link_silence, now);
  if (now - p.last_frame >= limits::frame_time_max) return lose(p, close_reason::link_bad_frame, now);
  if (p.c->sent != p.progress || p.c->output_bytes() == 0) {
    p.progress = p.c->sent;
    p.progress_at = now;
  } else if (now - p.progress_at >= limits::write_stall_max) {
    return lose(p, close_reason::link_write_stall, now);
  }
  if (now - p.last_heartbeat < limits::heartbeat_interval) return;
  p.last_heartbeat = now;
  wire::heartbeat h;
  h.sent_at = to_us(now);
  h.echo = p.peer_sent_at;
  h.held_us = p.peer_sent_at
                  ? static_cast<std::uint32_t>(std::min<std::uint64_t>(to_us(now - p.peer_heard), ~0u))
                  : 0;
  h.value = shard_time(now);
  wire::send(writer_, p.urgent(), h);
  dirty_.mark(*p.c);
}

bool shard::on_heartbeat(peer& p, const_bytes payload, time_point now) {
  wire::heartbeat h;
  if (!h.get(payload)) return false;
  p.peer_sent_at = h.sent_at;
  p.peer_heard = now;
  p.of->floor = std::max(p.of->floor, h.value);
  if (h.echo == 0 || to_us(now) < h.echo + h.held_us) return true;
  p.round_trip_us = to_us(now) - h.echo - h.held_us;
  p.best_round_trip += p.best_round_trip / 64 + 1; // clocks drift: an old sample counts less and less
  if (p.round_trip_us <= p.best_round_trip) {      // the best sample says best how the clocks differ
    p.best_round_trip = p.round_trip_us;
    p.clock_offset = static_cast<std::int64_t>(to_us(now)) - static_cast<std::int64_t>(h.sent_at) -
                     static_cast<std::int64_t>(p.round_trip_us / 2);
  }
  std::uint64_t slowest = 0;
  for_each_linked([&](peer& x) { slowest = std::max(slowest, x.round_trip_us); });
  counters.round_trip_us.set(slowest);
  return true;
}

void shard::tell_floors() {
  wire::batch_writer batch(wire::frame_type::floors);
  output_chain all(pool_);
  for (auto& [id, l] : lanes_) {
    if (l->floor == l->floor_told || l->current == no_member) continue;
    l->floor_told = l->floor;
    wire::floor_record{l->current, l->floor}.put(batch.next(all));
  }
  batch.flush(all);
  if (all.empty()) return;
  std::vector<std::byte> bytes(all.size());
  all.peek(0, bytes.data(), bytes.size());
  for_each_linked([&](peer& p) {
    p.urgent().append(bytes);
    dirty_.mark(*p.c);
  });
}

// --- links come and go --------------------------------------------------------------------------------

void shard::on_up(conn& c, time_point now) {
  if (leaving_ || peers_.size() - free_peers_.size() >= config_.links_max) {
    c.close_now = true;
    c.why = leaving_ ? close_reason::shutdown : close_reason::connection_limit;
    c.owner = none;
    counters.closes[static_cast<std::size_t>(c.why)].add();
    return dirty_.mark(c);
  }
  std::uint32_t i;
  if (free_peers_.empty()) {
    i = static_cast<std::uint32_t>(peers_.size());
    peers_.emplace_back();
  } else {
    i = free_peers_.back();
    free_peers_.pop_back();
  }
  peers_[i] = std::make_unique<peer>();
  peer& p = *peers_[i];
  p.c = &c;
  p.up_at = p.last_heard = p.last_frame = p.progress_at = now;
  c.owner = i;
}

void shard::on_down(conn& c, close_reason why, time_point now) {
  if (c.owner == none) return;
  const std::uint32_t i = c.owner;
  peer& p = *peers_[i];
  if (p.c == &c) lose(p, why, now);
  // Only now may its place be used again: nothing refers to it any more.
  c.owner = none;
  std::erase(touched_, &p);
  peers_[i].reset();
  free_peers_.push_back(i);
}

// The link is lost, or given up by us: its consequences come at once, whenever the socket goes.
void shard::lose(peer& p, close_reason why, time_point now, bool flush) {
  conn& c = *p.c;
  (flush ? c.close_after_flush : c.close_now) = true;
  c.why = why;
  dirty_.mark(c);
  counters.closes[static_cast<std::size_t>(why)].add();
  p.c = nullptr;
  p.answers.drop(), p.registered.drop(), p.kicks.drop();
  if (p.st != peer_state::linked) return;
  counters.links.sub();
  lane& l = *p.of;
  const member_index i = p.index;
  members_[i].p = nullptr;
  members_[i].st = index_state::lingering;
  l.current = no_member;
  l.former.push_back(i);
  l.linger_until = now + config_.linger;
  counters.path_lost.add();
  if (!plant.path_lost_not_sent) tell_all(wire::frame_type::path_lost, i);
}

void shard::fail(peer& p, wire::error_code code, close_reason why, std::string_view text, time_point now) {
  wire::error e;
  e.code = code;
  e.text = text;
  wire::send(writer_, p.urgent(), e);
  lose(p, why, now, true);
}

void shard::tell_all(wire::frame_type t, member_index about, const peer* except) {
  // Notices travel behind the answers that were given before.
  for_each_linked([&](peer& p) {
    if (&p == except) return;
    p.answers.flush(p.urgent());
    wire::send(writer_, p.urgent(), t, wire::lane_event{about});
    dirty_.mark(*p.c);
  });
}

// The lane is no more: its clients are offline from now on. `for_good`: it said so, or a new life of
// it is here; else it may come back, and a warm-up goes on waiting for it.
void shard::lane_gone(lane& l, time_point now, bool for_good) {
  if (l.current != no_member) {
    peer& p = *members_[l.current].p;
    lose(p, close_reason::link_replaced, now);
  }
  const std::vector<member_index> former = l.former;
  for (member_index i : former) start_dying(i);
  settle_lane(l, now);
  for (member_index i : former) {
    tell_all(wire::frame_type::gone, i);
    tell_member(l, i, false, nullptr);
  }
  for (member_slot& m : members_)
    if (m.of == &l) m.of = nullptr;
  const auto id = static_cast<std::uint64_t>(l.id);
  if (warming_ && for_good) expected_.erase(id), ended_[id] = true;
  else if (warming_) expected_.try_emplace(id, expected_lane{l.edge, l.number});
  lanes_.erase(id);
  counters.members.set(lanes_.size());
}

void shard::shutdown(time_point now) {
  leaving_ = true;
  for (std::size_t i = 0; i < peers_.size(); ++i) {
    if (!peers_[i] || !peers_[i]->c) continue;
    peer& p = *peers_[i];
    end_turn(now);
    wire::go_away g;
    g.text = "router shuts down";
    wire::send(writer_, p.urgent(), g);
    lose(p, close_reason::shutdown, now, true);
  }
}

// --- frames -------------------------------------------------------------------------------------------

std::size_t shard::on_bytes(conn& c, mutable_bytes in, time_point now) {
  if (c.owner == none || peers_[c.owner]->c != &c) return in.size();
  peer& p = *peers_[c.owner];
  p.last_heard = now;
  std::size_t at = 0;
  while (p.c) {
    // Parse a batch and ask for the table entries of its messages, then act on it: the table is
    // far bigger than the cache.
    wire::frame batch[32];
    std::size_t n = 0;
    auto r = wire::parse::done;
    const std::size_t most = p.st == peer_state::linked ? 32 : 1;
    while (n < most) {
      r = wire::next_frame(in.subspan(at),
                           most == 1 ? limits::handshake_frame_bytes_max : limits::frame_bytes_max, batch[n]);
      if (r != wire::parse::done) break;
      at += batch[n].bytes.size();
      if (batch[n].type >= wire::frame_type::message_qos0)
        if (const id_hash h = wire::message_view(batch[n].bytes).hash(); table_.owns(h)) table_.prefetch(h);
      ++n;
    }
    if (n) p.last_frame = now;
    for (std::size_t i = 0; i < n && p.c; ++i)
      if (!on_frame(p, batch[i], now) && p.c)
        fail(p, wire::error_code::malformed, close_reason::link_bad_frame,
             "malformed '" + std::string(wire::name_of(batch[i].type)) + "' frame", now);
    if (r == wire::parse::need_more) break;
    if (r == wire::parse::malformed && p.c)
      fail(p, wire::error_code::malformed, close_reason::link_bad_frame, "malformed or damaged frame", now);
  }
  return p.c ? at : in.size();
}

// False: malformed.
bool shard::on_frame(peer& p, wire::frame& f, time_point now) {
  if (p.st == peer_state::handshake) return on_handshake(p, f, now);
  const const_bytes payload = f.payload();
  using enum wire::frame_type;
  switch (f.type) {
  case message_qos0:
  case message_qos1: on_message(p, wire::message_view(f.bytes), now); return true;
  case answers: return on_answers(p, payload);
  case heartbeat: return on_heartbeat(p, payload, now);
  case register_clients: return on_register(p, payload, now);
  case unregister: return on_unregister(p, payload, now);
  case identity: return on_identity(p, payload, now);
  case members_seen: return on_members_seen(payload);
  case in_sync:
    if (!payload.empty()) return false;
    on_in_sync(p, now);
    return true;
  case error: {
    wire::error e;
    if (!e.get(payload)) return false;
    lose(p, close_reason::link_error, now);
    return true;
  }
  case go_away: {
    wire::go_away g;
    if (!g.get(payload)) return false;
    lane& l = *p.of;
    lose(p, close_reason::link_went_away, now);
    if (g.for_good) lane_gone(l, now, true);
    return true;
  }
  default:
    fail(p, wire::error_code::not_allowed, close_reason::link_bad_state,
         "frame '" + std::string(wire::name_of(f.type)) + "' is not for a router", now);
    return true;
  }
}

bool shard::on_handshake(peer& p, const wire::frame& f, time_point now) {
  if (!p.handshake.on_frame(f, config_.secret, config_.make_nonce(), config_.life, now, writer_,
                            p.urgent())) {
    counters.handshakes_refused.add();
    fail(p, p.handshake.why().code, close_reason::link_refused, p.handshake.why().text, now);
    return true;
  }
  dirty_.mark(*p.c);
  return p.handshake.now() == link::shard_handshake::state::proved ? let_in(p, now) : true;
}

// The lane that `who` names, made free for a new link: an older link of the same lane is closed
// first, and so is what an earlier life of it left behind.
shard::lane* shard::lane_of(const link::lane_identity& who, time_point now, std::string& refusal) {
  for (auto& [id, l] : lanes_) {
    if (l->id == who.id || l->edge != who.edge_name || l->number != who.number) continue;
    peer* old = l->current != no_member ? members_[l->current].p : nullptr;
    if (old && now - old->last_heard < limits::silence_max / 2) {
      refusal = "edge name '" + who.edge_name +
                "' is in use by another edge that is alive: give each edge its own --name";
      return nullptr;
    }
    lane_gone(*l, now, true);
    break;
  }
  auto& l = lanes_[static_cast<std::uint64_t>(who.id)];
  if (!l) {
    l = std::make_unique<lane>();
    l->id = who.id;
    l->edge = who.edge_name;
    l->number = who.number;
    counters.members.set(lanes_.size());
  } else if (l->current != no_member) {
    lose(*members_[l->current].p, close_reason::link_replaced, now);
  }
  return l.get();
}

bool shard::let_in(peer& p, time_point now) {
  const link::lane_identity& who = p.handshake.who();
  std::string refusal;
  lane* l = lane_of(who, now, refusal);
  const member_index i = l ? new_index(now) : no_member;
  if (i == no_member) {
    counters.handshakes_refused.add();
    fail(p, l ? wire::error_code::limit : wire::error_code::name_in_use, close_reason::link_refused,
         l ? "too many links in too short a time" : refusal, now);
    return true;
  }
  counters.handshakes.add();
  counters.links.add();
  lift_clock(p.handshake.last_shard_time(), now);
  for (member_index k : l->former) members_[k].st = index_state::superseded;
  l->linger_until = never;
  l->current = i;
  members_[i] = {index_state::syncing, &p, l, 0};
  p.st = peer_state::linked;
  p.of = l;
  p.index = i;
  p.best_round_trip = to_us(p.handshake.round_trip());
  p.clock_offset = static_cast<std::int64_t>(to_us(now)) -
                   static_cast<std::int64_t>(p.handshake.lane_clock()) -
                   static_cast<std::int64_t>(p.best_round_trip / 2);
  wire::welcome w;
  w.index = i;
  w.shard_time = shard_time(now);
  w.shard_number = config_.number;
  w.shards = config_.shards;
  w.warming_up = warming_;
  p.handshake.accept(config_.secret, w, writer_, p.urgent());
  wire::batch_writer map(wire::frame_type::slot_map);
  for (const link::shard_address& a : config_.map)
    wire::slot_range{a.first, a.last, a.port, a.host}.put(map.next(p.urgent()));
  map.flush(p.urgent());
  put_members(p);
  tell_member(*l, i, true, &p);
  dirty_.mark(*p.c);
  return true;
}

void shard::put_members(peer& p) {
  wire::batch_writer batch(wire::frame_type::members);
  for (const auto& [id, l] : lanes_)
    if (l->current != no_member)
      wire::member{l->current, 1, l->id, l->number, l->edge}.put(batch.next(p.urgent()));
    else if (!l->former.empty())
      wire::member{l->former.back(), 1, l->id, l->number, l->edge}.put(batch.next(p.urgent()));
  // Lanes that this shard waits for: should it restart once more, they are to be remembered.
  for (const auto& [id, who] : expected_)
    if (!lanes_.contains(id))
      wire::member{no_member, 1, lane_id{id}, who.number, who.edge}.put(batch.next(p.urgent()));
  batch.flush(p.urgent());
}

void shard::tell_member(const lane& l, member_index index, bool joined, const peer* except) {
  wire::batch_writer batch(wire::frame_type::members);
  for_each_linked([&](peer& p) {
    if (&p == except) return;
    wire::member{index, joined, l.id, l.number, l.edge}.put(batch.next(p.urgent()));
    batch.flush(p.urgent());
    dirty_.mark(*p.c);
  });
}

void shard::on_in_sync(peer& p, time_point now) {
  last_progress_ = now;
  lane& l = *p.of;
  members_[p.index].st = index_state::in_sync;
  const std::vector<member_index> former = std::exchange(l.former, {});
  for (member_index i : former) start_dying(i);
  if (!former.empty()) settle_lane(l, now);
  for (member_index i : former) {
    tell_all(wire::frame_type::back, i);
    tell_member(l, i, false, nullptr);
  }
  check_warm_up(now);
}

// --- warm-up --------------------------------------------------------------------------------------------

bool shard::on_members_seen(const_bytes payload) {
  return wire::for_each_record<wire::member>(payload, [&](const wire::member& m) {
    if (!warming_) return;
    any_list_ |= m.joined != 0; // else its lane has only seen a shard that was warming up itself
    const auto id = static_cast<std::uint64_t>(m.lane);
    if (ended_.contains(id)) return;
    const bool news =
        expected_.try_emplace(id, expected_lane{std::string(m.edge_name), m.lane_number}).second;
    if (!news || lanes_.contains(id)) return;
    for_each_linked([&](peer& p) {
      wire::batch_writer batch(wire::frame_type::members);
      wire::member{no_member, 1, m.lane, m.lane_number, m.edge_name}.put(batch.next(p.urgent()));
      batch.flush(p.urgent());
      dirty_.mark(*p.c);
    });
  });
}

// In service as soon as each lane that anybody remembers is in sync, or is known to have ended.
void shard::check_warm_up(time_point now) {
  if (!warming_) return;
  bool complete = any_list_;
  for (const auto& [id, l] : lanes_)
    if (l->current == no_member || members_[l->current].st != index_state::in_sync) complete = false;
  for (const auto& [id, who] : expected_) {
    if (lanes_.contains(id)) continue; // judged above
    const bool reborn = std::any_of(lanes_.begin(), lanes_.end(), [&who = who](const auto& x) {
      return x.second->edge == who.edge && x.second->number == who.number;
    });
    if (!reborn) complete = false;
  }
  if (complete) say_in_service(true, now);
  else if (now - last_progress_ >= config_.warm_up ||
           now - started_ >= limits::warm_up_times_max * config_.warm_up)
    say_in_service(false, now);
}

void shard::say_in_service(bool complete, time_point now) {
  if (std::exchange(warming_, false)) expected_.clear(), ended_.clear();
  counters.warming_up.set(0);
  if (!complete) counters.warm_ups_incomplete.add();
  wire::in_service s;
  s.shard_time = shard_time(now);
  s.complete = complete;
  if (!complete) since_min_ = s.shard_time;
  for (auto& [h, all] : contests_)
    for (claim& c : all)
      if (c.since == wire::since_warm_up || !complete) c.since = s.shard_time;
  for_each_linked([&](peer& p) {
    p.registered.flush(p.urgent());
    p.answers.flush(p.urgent());
    wire::send(writer_, p.urgent(), s);
    dirty_.mark(*p.c);
  });
}

// A lane has seen a later shard time than ours: that of an earlier life of this shard, perhaps on
// another machine. Shard time goes on from there.
void shard::lift_clock(std::uint64_t seen, time_point now) {
  if (seen <= shard_time(now) || seen > std::uint64_t{1} << 62) return;
  lift_ += seen - shard_time(now) + 1;
  counters.clock_lifts.add();
  if (!warming_) say_in_service(false, now); // sessions that registered before count as new from here on
}

// --- questions --------------------------------------------------------------------------------------------

std::vector<shard::lane_info> shard::lanes() const {
  std::vector<lane_info> all;
  for (const auto& [id, l] : lanes_) {
    lane_info x;
    x.edge = l->edge;
    x.lane = l->number;
    for (const member_slot& m : members_)
      if (m.of == l.get() && m.st != index_state::dead) x.clients += m.entries;
    if (l->current == no_member) {
      x.state = "lingering";
    } else {
      const peer& p = *members_[l->current].p;
      x.state = members_[l->current].st == index_state::in_sync ? "in sync" : "syncing";
      x.messages_in = p.messages_in, x.messages_out = p.messages_out;
      x.bytes_in = p.bytes_in, x.bytes_out = p.bytes_out;
      x.output_bytes = p.c->output_bytes();
      x.round_trip_us = p.round_trip_us;
    }
    all.push_back(std::move(x));
  }
  return all;
}

} // namespace beeline::router
