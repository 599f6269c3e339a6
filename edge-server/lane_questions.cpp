// What the admin server asks of a lane: its sessions page by page, and one of them in full.
#include "edge-server/lane.hpp"

#include "common/link/endpoint.ipp"

#include <algorithm>

namespace beeline::edge {

lane::session_info lane::tell(const session& s, time_point now) {
  session_info x;
  x.id = endpoint_.find(s.client)->id;
  x.live = s.st == session::state::live;
  x.v5 = s.version == mqtt::protocol_version::v5;
  x.connected_for = now - s.since;
  x.in_flight = s.in_flight.size();
  x.in_flight_max = s.receive_maximum;
  x.pending_messages = s.pending ? s.pending->size() : 0;
  x.pending_bytes = s.pending_bytes;
  x.output_bytes = s.c->out.size();
  x.unanswered = s.unanswered;
  return x;
}

lane::session_page lane::sessions(std::uint32_t from, std::size_t most, time_point now) {
  session_page page;
  const std::size_t end = std::min(sessions_.size(), std::size_t{from} + limits::clients_walk_max);
  std::size_t i = from;
  for (; i < end; ++i) {
    const session& s = sessions_[i];
    if (s.st != session::state::live && s.st != session::state::registering) continue;
    if (page.sessions.size() == most) break; // there is one more: say where
    page.sessions.push_back(tell(s, now));
  }
  if (i < sessions_.size()) page.next = static_cast<std::uint32_t>(i);
  return page;
}

lane::explanation lane::explain(std::string_view id, time_point now) {
  explanation x;
  if (const link::link_stats* l = endpoint_.link_of(endpoint_.hash(id))) {
    x.router = l->address;
    x.shard = l->shard;
    x.link = static_cast<link::link_state>(l->state.get());
  }
  const auto at = by_id_.find(id);
  if (at == by_id_.end()) return x;
  const session& s = sessions_[*at];
  x.here = true;
  x.session = tell(s, now);
  x.registered = endpoint_.find(s.client)->registered;
  return x;
}

} // namespace beeline::edge
