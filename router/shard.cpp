// The shard: its turns and time, the frames that come in, warm-up and shutdown.
#include "router/shard.hpp"

#include <algorithm>
#include <tuple>

namespace beeline::router {
shard::shard(shard_config config, chunk_pool& pool, time_point now)
    : config_(std::move(config)), pool_(pool), hasher_{config_.secret.id_key(), config_.hash_bits},
      table_(config_.first_slot, config_.last_slot), notices_(pool), started_(now), last_turn_(now),
      next_check_(now), next_floors_(now), next_notices_(now), last_progress_(now) {
  lift_ = config_.time_ahead;
  config_.clients_max = std::min(config_.clients_max,
                                 presence_table::slot_entries_max *
                                     (config_.last_slot - config_.first_slot + 1)); // of few slots
  warming_ = config_.warm_up > duration::zero();
  counters.warming_up.set(warming_);
}
shard::~shard() = default;

// --- turns and time ---------------------------------------------------------------------------------

void shard::begin_turn(time_point now) {
  // Stopped for so long that lanes may have given us up: what waits in the sockets is stale.
  if (const duration gap = now - last_turn_; gap > limits::pause_max) {
    // Nobody could reach us meanwhile: what waits for lanes waits so much longer.
    last_progress_ = now;
    started_ += gap;
    for (auto& [id, l] : lanes_)
      if (l->linger_until != never) l->linger_until += gap, l->gone_at_latest += gap;
    losing_all_ = true;
    for (std::size_t i = 0; i < peers_.size(); ++i)
      if (peers_[i] && peers_[i]->c) lose(*peers_[i], close_reason::link_paused, now);
    losing_all_ = false;
  }
  last_turn_ = now;
}

void shard::end_turn(time_point now) {
  settle_stale(now);
  for (std::size_t i = 0; i < touched_.size(); ++i) {
    peer& p = *touched_[i];
    p.touched = false;
    if (!p.c) continue;
    p.registered.flush(p.urgent());
    p.kicks.flush(p.urgent());
    p.answers.flush(p.urgent());
    p.receipts.flush(p.urgent());
    dirty_.mark(*p.c);
    if (p.urgent().size() > limits::urgent_bytes_max) lose(p, close_reason::out_of_memory, now);
  }
  touched_.clear();
  if (!notices_.empty() && now >= next_notices_) tell_notices(now);
  counters.output_bytes_high_water.see(pool_.bytes_in_use());
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
  std::uint64_t slowest = 0;
  for_each_linked([&](peer& p) { slowest = std::max(slowest, p.round_trip_us); });
  counters.round_trip_us.set(slowest);
  counters.clients.set(table_.size());
  counters.table_bytes.set(table_.memory_bytes());
  counters.output_bytes.set(pool_.bytes_in_use());
}

time_point shard::next_deadline() const noexcept {
  if (sweeping_now_ || settling()) return last_turn_;
  return notices_.empty() ? next_check_ : std::min(next_check_, next_notices_);
}

void shard::shutdown(time_point now) {
  leaving_ = losing_all_ = true;
  end_turn(now); // before the loop: it may lose a link
  for (std::size_t i = 0; i < peers_.size(); ++i) {
    if (!peers_[i] || !peers_[i]->c) continue;
    peer& p = *peers_[i];
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
  case receipts: return on_receipts(p, payload);
  case heartbeat: return on_heartbeat(p, payload, now);
  case report: return on_report(payload);
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

// --- warm-up --------------------------------------------------------------------------------------------

bool shard::on_members_seen(const_bytes payload) {
  bool fits = true;
  const bool whole = wire::for_each_record<wire::member>(payload, [&](const wire::member& m) {
    if (!warming_) return;
    any_list_ |= m.joined != wire::member::of_warm_up;
    fresh_list_ |= m.joined == wire::member::whole;
    const auto id = static_cast<std::uint64_t>(m.lane);
    if (ended_.contains(id)) return;
    if (expected_.size() >= config_.members_max && !expected_.contains(id)) return void(fits = false);
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
  return whole && fits; // no shard has given out lists of so many lanes
}

// In service as soon as each lane that anybody remembers is in sync, or is known to have ended. Where all who
// remember any had heard nothing for a while, lanes that joined meanwhile have time to come.
void shard::check_warm_up(time_point now) {
  if (!warming_) return;
  const bool listed = fresh_list_ || (any_list_ && now - started_ >= limits::stale_lists_wait);
  if (listed && all_in_sync()) say_in_service(true, now);
  else if (now - last_progress_ >= config_.warm_up ||
           now - started_ >= limits::warm_up_times_max * config_.warm_up)
    say_in_service(false, now);
}

bool shard::all_in_sync() const {
  for (const auto& [id, l] : lanes_)
    if (l->current == no_member || members_[l->current].st != index_state::in_sync) return false;
  for (const auto& [id, who] : expected_) {
    if (lanes_.contains(id)) continue; // judged above
    const bool reborn = std::any_of(lanes_.begin(), lanes_.end(), [&who = who](const auto& x) {
      return x.second->edge == who.edge && x.second->number == who.number;
    });
    if (!reborn) return false;
  }
  return true;
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

// An edge with more than `links_max` lanes is told whole when it is the first.
shard::lanes_told shard::lanes(std::string_view after, std::size_t edges_max, std::size_t links_max) const {
  std::vector<const lane*> behind;
  behind.reserve(lanes_.size());
  for (const auto& [id, l] : lanes_)
    if (l->edge > after) behind.push_back(l.get());
  const auto place = [](const lane* l) { return std::tie(l->edge, l->number, l->id); };
  auto end = behind.end();
  if (behind.size() > links_max) { // the edge of the first lane that is too many: it and later ones wait
    end = behind.begin() + static_cast<std::ptrdiff_t>(links_max);
    std::ranges::nth_element(behind, end, {}, place);
    const std::string& cut = (*end)->edge;
    end = std::partition(behind.begin(), behind.end(), [&](const lane* l) { return l->edge < cut; });
    if (end == behind.begin())
      end = std::partition(behind.begin(), behind.end(), [&](const lane* l) { return l->edge == cut; });
  }
  std::ranges::sort(behind.begin(), end, {}, place);
  lanes_told told;
  std::size_t edges = 0;
  for (auto at = behind.begin(); at != end; ++at) {
    const bool next_edge = at == behind.begin() || (*at)->edge != (*std::prev(at))->edge;
    if (next_edge && ++edges > edges_max) break;
    told.lanes.push_back(info_of(**at));
  }
  told.more = told.lanes.size() < behind.size();
  return told;
}

shard::lane_info shard::info_of(const lane& l) const {
  lane_info x;
  x.edge = l.edge;
  x.lane = l.number;
  for (member_index i : l.former) x.clients += members_[i].entries;
  if (l.current == no_member) {
    x.state = "lingering";
    return x;
  }
  const peer& p = *members_[l.current].p;
  x.clients += members_[l.current].entries;
  x.state = members_[l.current].st == index_state::in_sync ? "in sync" : "syncing";
  static_cast<traffic&>(x) = p;
  x.link = l.current;
  x.output_bytes = p.c->output_bytes();
  x.round_trip_us = p.round_trip_us;
  x.queue_high_water = p.queue_high_water;
  x.resent_in = p.resent_in, x.answers_in = p.answers_in;
  x.written_bytes = p.c->sent, x.writes = p.c->writes;
  return x;
}

std::vector<shard::link_total> shard::link_totals() const {
  std::vector<link_total> all;
  all.reserve(counters.links.get());
  for (const auto& p : peers_)
    if (p && p->c && p->st == peer_state::linked) all.push_back({*p, p->index});
  return all;
}

} // namespace beeline::router
