// The links of the shard: handshake, members, how a link is lost and what that means for its lane,
// heartbeats.
#include "router/shard.hpp"

#include <algorithm>

namespace beeline::router {

// --- links come and go --------------------------------------------------------------------------------

// Anybody can connect, so what has not shown the secret has a limit of its own, and there the oldest makes
// room: a lane needs two round trips, who only connects stays until somebody else does.
void shard::on_up(conn& c, time_point now) {
  if (leaving_) {
    c.close_now = true;
    c.why = close_reason::shutdown;
    c.owner = none;
    counters.closes[static_cast<std::size_t>(c.why)].add();
    return dirty_.mark(c);
  }
  if (shaking_hands_.size() >= config_.handshakes_max) {
    counters.handshakes_displaced.add();
    lose(*shaking_hands_.front(), close_reason::connection_limit, now);
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
  shaking_hands_.push_back(&p);
  counters.handshakes_open.set(shaking_hands_.size());
}

void shard::handshake_over(peer& p) {
  std::erase(shaking_hands_, &p);
  counters.handshakes_open.set(shaking_hands_.size());
}

void shard::on_down(conn& c, close_reason why, time_point now) {
  if (c.owner == none) return;
  const std::uint32_t i = c.owner;
  peer& p = *peers_[i];
  if (p.c == &c) lose(p, why, now);
  if (plant.old_link_ends_new)
    for (auto& [id, l] : lanes_)
      if (l->edge == p.handshake.who().edge_name && l->number == p.handshake.who().number &&
          l->current != no_member && members_[l->current].p != &p) {
        lane_gone(*l, now, true);
        break;
      }
  // Only now may its place be used again: nothing refers to it any more.
  c.owner = none;
  std::erase(touched_, &p);
  peers_[i].reset();
  free_peers_.push_back(i);
}

// The link is lost, or given up by us: its consequences come at once, whenever the socket goes.
void shard::lose(peer& p, close_reason why, time_point now, bool flush) {
  conn& c = *p.c;
  // Last words may wait for a peer that reads nothing: no more of those than of the ones not let in yet.
  const std::size_t open = peers_.size() - free_peers_.size();
  const bool crowd = open >= counters.links.get() + shaking_hands_.size() + config_.handshakes_max;
  (flush && !crowd ? c.close_after_flush : c.close_now) = true;
  c.why = why;
  dirty_.mark(c);
  counters.closes[static_cast<std::size_t>(why)].add();
  p.c = nullptr;
  p.answers.drop(), p.receipts.drop(), p.registered.drop(), p.kicks.drop();
  if (p.st != peer_state::linked) return handshake_over(p);
  counters.links.sub();
  lane& l = *p.of;
  const member_index i = p.index;
  // It may come back. Links that never got in sync do not prolong that for ever.
  if (members_[i].st == index_state::in_sync || l.former.empty())
    l.gone_at_latest = now + config_.linger * limits::linger_times_max;
  l.linger_until = std::min(now + config_.linger, l.gone_at_latest);
  members_[i].p = nullptr;
  members_[i].st = index_state::lingering;
  l.current = no_member;
  l.former.push_back(i);
  if (p.messages_out == 0 || losing_all_) return; // nothing was on its way, or nobody is left to hear it
  counters.path_lost.add();
  if (!plant.path_lost_not_sent) notices_.path_lost(i);
}

void shard::fail(peer& p, wire::error_code code, close_reason why, std::string_view text, time_point now) {
  wire::error e;
  e.code = code;
  e.text = text;
  wire::send(writer_, p.urgent(), e);
  lose(p, why, now, true);
}

// At the end of a turn, and not soon again: hundreds of links that fall within a few turns make a handful of
// frames for each link that is left. Notices travel behind the answers that were given before.
void shard::tell_notices(time_point now) {
  next_notices_ = now + limits::notice_interval;
  const std::vector<std::byte> lists = notices_.frames(wire::protocol_version);
  std::vector<std::byte> one_by_one; // for links that speak an earlier version, made when there is one
  for_each_linked([&](peer& p) {
    const bool knows_lists = p.handshake.version() >= wire::version_with_lists;
    if (!knows_lists && one_by_one.empty()) one_by_one = notices_.frames(p.handshake.version());
    p.answers.flush(p.urgent());
    p.receipts.flush(p.urgent());
    p.urgent().append(knows_lists ? lists : one_by_one);
    dirty_.mark(*p.c);
  });
  notices_.clear();
}

// The lane is no more: its clients are offline from now on. `for_good`: it said so, or a new life of
// it is here; else it may come back, and a warm-up goes on waiting for it.
void shard::lane_gone(lane& l, time_point now, bool for_good) {
  if (l.current != no_member) {
    peer& p = *members_[l.current].p;
    lose(p, close_reason::link_replaced, now);
  }
  const std::vector<member_index> gone = bury_former(l);
  notices_.gone(gone);
  for (member_index i : gone) notices_.left({i, 0, l.id, l.number, l.edge});
  const auto id = static_cast<std::uint64_t>(l.id);
  if (warming_ && for_good) expected_.erase(id), ended_[id] = true;
  else if (warming_) expected_.try_emplace(id, expected_lane{l.edge, l.number});
  lanes_.erase(id);
  counters.members.set(lanes_.size());
}

// --- handshake and members ----------------------------------------------------------------------------

bool shard::on_handshake(peer& p, const wire::frame& f, time_point now) {
  if (!p.handshake.on_frame(f, config_.secret, config_.make_nonce(), config_.life, now, writer_,
                            p.urgent())) {
    counters.handshakes_refused.add();
    drops_.put(drop_kind::connect, name_of(close_reason::link_refused), p.handshake.who().edge_name, {},
               drop_record::no_qos, now);
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
  const auto known = lanes_.find(static_cast<std::uint64_t>(who.id));
  if (known != lanes_.end() &&
      known->second->linger_until <= now) { // too late, and the clock has not said so yet
    counters.linger_expired.add();
    lane_gone(*known->second, now, false);
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

// A link that takes the place of an older one, of the same lane or of its earlier life, needs no other.
bool shard::has_link_for(const link::lane_identity& who) const {
  if (counters.links.get() < config_.links_max) return true;
  return std::any_of(lanes_.begin(), lanes_.end(), [&](const auto& x) {
    const lane& l = *x.second;
    return l.current != no_member && (l.id == who.id || (l.edge == who.edge_name && l.number == who.number));
  });
}

bool shard::let_in(peer& p, time_point now) {
  const auto refuse = [&](wire::error_code code, close_reason why, std::string_view text) {
    counters.handshakes_refused.add();
    drops_.put(drop_kind::connect, name_of(why), p.handshake.who().edge_name, {}, drop_record::no_qos, now);
    fail(p, code, why, text, now);
    return true;
  };
  // Asked first: a lane that cannot be let in must not come to be, nor lose its older link.
  if (!has_link_for(p.handshake.who()))
    return refuse(wire::error_code::limit, close_reason::connection_limit,
                  "the shard has as many links as it may (--links-max)");
  if (!has_index(now))
    return refuse(wire::error_code::limit, close_reason::connection_limit,
                  "too many links in too short a time");
  std::string refusal;
  lane* l = lane_of(p.handshake.who(), now, refusal);
  if (!l) return refuse(wire::error_code::name_in_use, close_reason::link_refused, refusal);
  // Who left is told to those that had heard of it, before the newcomer is one of them.
  if (notices_.about_lanes()) tell_notices(now);
  const member_index i = new_index();
  handshake_over(p);
  counters.handshakes.add();
  counters.links.add();
  lift_clock(p.handshake.last_shard_time(), now);
  for (member_index k : l->former) members_[k].st = index_state::superseded;
  l->linger_until = never;
  l->floor_told = 1; // under its new index again, and to those that came while it was away
  l->current = i;
  members_[i] = {index_state::syncing, &p, l, 0};
  p.st = peer_state::linked;
  p.sync_progress_at = now;
  p.of = l;
  p.index = i;
  p.clock.sample(p.handshake.lane_clock(), to_us(p.handshake.round_trip()), now);
  p.peer_sent_at = p.handshake.lane_clock();
  p.peer_heard = now;
  wire::welcome w;
  w.index = i;
  w.shard_time = shard_time(now);
  w.shard_number = config_.number;
  w.shards = config_.shards;
  w.warming_up = warming_;
  p.handshake.accept(config_.secret, w, writer_, p.urgent());
  send_heartbeat(p, now); // before the map, with which the lane begins: its first message needs our clock
  writer_.begin(wire::frame_type::slot_map); // one frame, whatever its length: each is a whole map
  writer_.put(static_cast<std::uint16_t>(config_.map.size()));
  for (const link::shard_address& a : config_.map)
    wire::slot_range{a.first, a.last, a.port, a.host}.put(writer_);
  writer_.finish(p.urgent());
  put_members(p);
  tell_joined(p);
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

// At once: the others have to know a lane before its clients can be reached.
void shard::tell_joined(const peer& newcomer) {
  const lane& l = *newcomer.of;
  wire::batch_writer batch(wire::frame_type::members);
  for_each_linked([&](peer& p) {
    if (&p == &newcomer) return;
    wire::member{newcomer.index, 1, l.id, l.number, l.edge}.put(batch.next(p.urgent()));
    batch.flush(p.urgent());
    dirty_.mark(*p.c);
  });
}

void shard::on_in_sync(peer& p, time_point now) {
  last_progress_ = now;
  lane& l = *p.of;
  members_[p.index].st = index_state::in_sync;
  const std::vector<member_index> former = bury_former(l);
  notices_.back(former);
  for (member_index i : former) notices_.left({i, 0, l.id, l.number, l.edge});
  check_warm_up(now);
}

// --- heartbeats ---------------------------------------------------------------------------------------

void shard::check_peer(peer& p, time_point now) {
  if (p.st == peer_state::handshake) {
    if (now - p.up_at >= limits::handshake_max) lose(p, close_reason::link_handshake_timeout, now);
    return;
  }
  if (now - p.last_heard >= limits::silence_max) return lose(p, close_reason::link_silence, now);
  if (now - p.last_frame >= limits::frame_time_max) return lose(p, close_reason::link_bad_frame, now);
  if (members_[p.index].st == index_state::syncing && now - p.sync_progress_at >= limits::sync_stall_max)
    return fail(p, wire::error_code::limit, close_reason::link_handshake_timeout, "not in sync in time", now);
  if (p.c->sent != p.progress || p.c->output_bytes() == 0) {
    p.progress = p.c->sent;
    p.progress_at = now;
  } else if (now - p.progress_at >= limits::write_stall_max) {
    return lose(p, close_reason::link_write_stall, now);
  }
  if (p.urgent().size() > limits::urgent_bytes_max) // of notices alone: end_turn looks where answers go
    return lose(p, close_reason::out_of_memory, now);
  if (now - p.last_heartbeat >= limits::heartbeat_interval) send_heartbeat(p, now);
}

void shard::send_heartbeat(peer& p, time_point now) {
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
  link_round_trip.record_us(p.round_trip_us);
  p.clock.sample(h.sent_at, p.round_trip_us, now);
  return true;
}

bool shard::on_report(const_bytes payload) {
  wire::report r;
  if (!r.get(payload)) return false;
  counters.reports.add();
  publish_to_answer.merge(r.answered);
  return true;
}

// What has changed since the last time, to all; to a link that has not been told any, all that say something.
void shard::tell_floors() {
  wire::batch_writer batch(wire::frame_type::floors);
  output_chain changed(pool_);
  std::vector<const lane*> all;
  for (auto& [id, l] : lanes_) {
    if (l->current == no_member) continue;
    if (l->floor > 1) all.push_back(l.get());
    if (l->floor == std::exchange(l->floor_told, l->floor)) continue;
    wire::floor_record{l->current, l->floor}.put(batch.next(changed));
  }
  batch.flush(changed);
  std::vector<std::byte> bytes(changed.size());
  changed.peek(0, bytes.data(), bytes.size());
  for_each_linked([&](peer& p) {
    const std::size_t before = p.urgent().size();
    if (std::exchange(p.knows_floors, true)) p.urgent().append(bytes);
    else
      for (const lane* l : all) wire::floor_record{l->current, l->floor}.put(batch.next(p.urgent()));
    batch.flush(p.urgent());
    if (p.urgent().size() != before) dirty_.mark(*p.c);
  });
}

} // namespace beeline::router
