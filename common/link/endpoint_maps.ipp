// Which shard serves which slots, and which lanes are linked to it. Part of endpoint.ipp.
#pragma once
#include "common/link/endpoint.hpp"

#include <algorithm>

namespace beeline::link {

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
    if (std::exchange(l.retired, false)) counters.links.add();
    name_stats(k);
    l.next_dial = now;
  }
  for (std::size_t s = map.size(); s < r.links.size(); ++s) {
    shard_link& l = links_[r.links[s]];
    if (l.c) lose(r.links[s], close_reason::map_changed, now);
    if (!std::exchange(l.retired, true)) counters.links.sub();
    l.stats->retired.set(1);
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
    count_in_doubt(c, -1);
    c.link = k;
    count_in_doubt(c, 1);
    // While its slot is in doubt it stays where it is registered, and may find itself there again.
    if (k == slot_table::no_link || (c.told == k && c.registered)) continue;
    c.registered = false;
    // The old shard's time means nothing to the new one; and what this one has said may be on its way.
    if (c.told != k || (links_[k].in_service && !c.said)) c.since = 0;
    if (links_[k].st == state::up || (links_[k].st == state::syncing && i < links_[k].sync_cursor))
      put_registration(k, i);
  }
  outgoing.rehome(slots_, now);
  drain_outcomes(now);
  update_ready(now);
}

// Whether the shard announces slots that another router announces too, and some of our clients are of those.
template <class Host> bool endpoint<Host>::lacks_in_doubt(const shard_link& l) const noexcept {
  if (l.shard >= l.announced.size()) return false;
  const shard_address& own = l.announced[l.shard];
  for (std::uint32_t slot = own.first; slot <= own.last; ++slot)
    if (in_doubt_[slot]) return true;
  return false;
}

template <class Host> bool endpoint<Host>::on_members(std::uint16_t k, const_bytes payload, time_point now) {
  shard_link& l = links_[k];
  std::vector<lane_id> joined;
  const bool ok = wire::for_each_record<wire::member>(payload, [&](const wire::member& m) {
    if (m.index == no_member) { // the shard waits for it
      remember(l, {m.index, m.lane, m.lane_number, std::string(m.edge_name)});
      return;
    }
    if (m.index >= l.origins.size()) l.origins.resize(m.index + 1u, none);
    if (l.origins[m.index] != none) // else it is new: a long list is not looked through for each that joins
      std::erase_if(l.members, [&](const known_lane& x) { return x.index == m.index; });
    if (!m.joined) {
      l.remembered.forget(m.lane);
      if (const std::uint32_t r = l.record_of(m.index); r != none) l.left.push_back({now, m.index, r});
      if (const auto it = l.index_of.find(m.lane); it != l.index_of.end() && it->second == m.index)
        l.index_of.erase(it);
      return;
    }
    const std::uint32_t record =
        incoming.acquire(plant.dedup_without_life ? lane_id{hasher_(m.edge_name) + m.lane_number} : m.lane);
    if (l.record_of(m.index) != none && std::none_of(l.left.begin(), l.left.end(), [&](const auto& x) {
          return x.index == m.index && x.record == l.origins[m.index];
        }))
      release_origin(l, l.origins[m.index]);
    l.origins[m.index] = record;
    l.members.push_back({m.index, m.lane, m.lane_number, std::string(m.edge_name)});
    l.index_of.insert_or_assign(m.lane, m.index);
    joined.push_back(m.lane);
  });
  if (joined.empty()) return ok;
  std::sort(joined.begin(), joined.end());
  owed_.for_each_said([&](const receipts_owed::entry& e) { // the origin's link was lost, or ours
    if (plant.receipt_lost_with_link || !std::binary_search(joined.begin(), joined.end(), e.origin)) return;
    if (say_receipt(k, e)) receipt_counts.said_again.add();
  });
  return ok;
}

// The newest: a router that is never in service may be told of ever more lives.
template <class Host> void endpoint<Host>::remember(shard_link& l, known_lane m) {
  if (!l.remembered.remember(std::move(m), limits::members_max)) counters.lanes_unremembered.add();
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
    if (l.origins[x.index] == x.record) l.origins[x.index] = lane_left;
    release_origin(l, x.record);
  }
}

template <class Host> void endpoint<Host>::forget_members(shard_link& l) {
  release_left(l, never);
  for (std::uint32_t record : l.origins)
    if (record != none && record != lane_left) release_origin(l, record);
  l.origins.clear();
  l.members.clear();
  l.index_of.clear();
  l.announced.clear();
  l.members_whole = false;
}

template <class Host> bool endpoint<Host>::on_floors(shard_link& l, const_bytes payload) {
  return wire::for_each_record<wire::floor_record>(payload, [&](const wire::floor_record& f) {
    if (const std::uint32_t r = l.record_of(f.origin); r != none) incoming.raise_floor(r, f.floor);
  });
}

} // namespace beeline::link
