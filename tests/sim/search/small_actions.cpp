// What can happen next in the small world, what state it is in, and whether it kept its promises.
#include "tests/sim/search/small_world.hpp"

#include "common/link/endpoint.ipp"

#include <algorithm>

namespace beeline::search {

void small_world::actions(std::vector<action>& out) const {
  out.clear();
  std::vector<std::pair<std::uint64_t, action>> frames;
  for (std::uint32_t i = 0; i < wires_.size(); ++i)
    for (std::uint32_t way : {0u, 1u})
      if (!wires_[i]->way[way].empty())
        frames.push_back({wires_[i]->way[way].front().age, {action::deliver, i * 2 + way}});
  std::sort(frames.begin(), frames.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  for (const auto& [age, a] : frames) out.push_back(a);
  for (std::uint32_t c : {0u, 1u})
    if (can_connect(c)) out.push_back({action::connect, c});
  for (std::uint32_t c : {0u, 1u})
    if (can_publish(c)) out.push_back({action::publish, c});
  out.push_back({action::time, 0});
  for (std::uint32_t e : {0u, 1u})
    for (std::size_t i = wires_.size(); i--;)
      if (wires_[i]->edge == e && wires_[i]->lane_has && wires_[i]->shard_has) {
        const bool under_way = !wires_[i]->way[0].empty() || !wires_[i]->way[1].empty();
        out.push_back({action::reset_lose, static_cast<std::uint32_t>(i)});
        if (under_way) out.push_back({action::reset_keep, static_cast<std::uint32_t>(i)});
        break;
      }
  for (std::uint32_t e : {0u, 1u}) out.push_back({action::restart_edge, e});
  out.push_back({action::restart_router, 0});
  if (newest(1) && newest(1)->live) out.push_back({action::move, 1});
}

void small_world::take(const action& a) {
  w.say("%s", a.text().c_str());
  if (a.is_fault()) h_.any_fault = true, h_.last_fault = w.now;
  switch (a.kind) {
  case action::deliver: return deliver(a.which);
  case action::connect: return connect(a.which, wants_edge_[a.which]);
  case action::publish: return publish(a.which);
  case action::time: return pass_time();
  case action::reset_lose: return cut(a.which, true);
  case action::reset_keep: return cut(a.which, false);
  case action::restart_edge: return restart_edge(a.which);
  case action::restart_router: return restart_router();
  case action::move: wants_edge_[a.which] ^= 1; return connect(a.which, wants_edge_[a.which]);
  }
}

std::uint64_t small_world::state() const {
  std::uint64_t h = mix(mix(mix(shard_.given, lanes_[0].given), lanes_[1].given), wires_.size());
  for (const auto& x : wires_)
    h = mix(h, x->way[0].size() << 20 | x->way[1].size() << 8 | unsigned{x->lane_has} << 1 |
                   unsigned{x->shard_has});
  return h;
}

bool small_world::all_answered() const {
  if (published_[0] < messages_of[0] || published_[1] < messages_of[1]) return false;
  return std::all_of(clients_.begin(), clients_.end(),
                     [](const auto& c) { return !c->live || c->unanswered.empty(); });
}

bool small_world::frames_under_way() const {
  return std::any_of(wires_.begin(), wires_.end(),
                     [](const auto& x) { return !x->way[0].empty() || !x->way[1].empty(); });
}

bool small_world::settled() const {
  if (!all_answered() || shard_.core->warming_up() || frames_under_way()) return false;
  for (unsigned e : {0u, 1u})
    if (!lanes_[e].core->endpoint().ready() || !lanes_[e].core->endpoint().outgoing.idle()) return false;
  for (std::uint32_t who : {0u, 1u}) {
    unsigned live = 0;
    for (const auto& c : clients_) live += c->id == who && c->c;
    if (live != 1 || !newest(who)->live) return false;
  }
  const auto known = shard_.core->lanes().lanes;
  return known.size() == 2 &&
         std::all_of(known.begin(), known.end(), [](const auto& l) { return l.state == "in sync"; });
}

void small_world::judge() {
  std::vector<std::pair<id_hash, std::string>> tables, sessions;
  shard_.core->for_each_entry(
      [&](id_hash h, std::string_view edge, std::uint16_t, handle, bool) { tables.emplace_back(h, edge); });
  for (unsigned e : {0u, 1u})
    lanes_[e].core->for_each_session([&](std::string_view id, bool) {
      sessions.emplace_back(h_.hash_of[id == "B"], "e" + std::to_string(e));
    });
  std::sort(tables.begin(), tables.end());
  std::sort(sessions.begin(), sessions.end());
  if (tables != sessions)
    w.broken("P5", "the table has %zu entries, the lanes %zu sessions, or not the same ones", tables.size(),
             sessions.size());
  h_.judge_at_rest();
}

void small_world::sample() {
  member_index link_in_sync[2] = {no_member, no_member};
  for (const auto& l : shard_.core->lanes().lanes) {
    const auto e = static_cast<std::uint32_t>(l.edge[1] - '0');
    if (l.state == "in sync") link_in_sync[e] = l.link;
    else if (l.state == "syncing") h_.syncing(e * 2, 0);
  }
  for (std::uint32_t e : {0u, 1u}) h_.in_sync(e * 2, 0, link_in_sync[e]);
}

} // namespace beeline::search
