// A lane that is to end: its clients go to other servers, and nothing of theirs is lost on the way.
//
//   live -> going: what they publish at QoS 1 has no answer any more (they send it again elsewhere), what
//           others send them at QoS 1 is not taken any more (the origins keep it, and try again where the
//           client turns up); what was taken is delivered
//        -> gone: told 0x9C or 0x9D and where, as soon as all of it is settled, or after drain_patience
//
// They begin to go at a rate, for the other servers have to take them in.
#include "edge-server/lane.hpp"

#include "common/link/endpoint.ipp"

#include <algorithm>

namespace beeline::edge {

using mqtt::reason;

void lane::drain(time_point now) {
  if (std::exchange(draining_, true) || leaving_) return;
  counters.draining.set(1);
  may_go_ = token_bucket(config_.drain_rate, config_.drain_rate, 1, now);
  drain_step(now);
}

void lane::drain_step(time_point now) {
  next_drain_ = now + limits::drain_interval;
  // Once over all of them: who registers meanwhile goes as soon as it is live, who connects is sent away.
  for (; drain_cursor_ < sessions_.size(); ++drain_cursor_) {
    session& s = sessions_[drain_cursor_];
    if (s.st != session::state::live || s.going) continue;
    if (!may_go_.take(now)) break;
    begin_to_go(s, now);
  }
  for (const std::uint32_t i : std::exchange(going_, {})) {
    session& s = sessions_[i];
    if (s.going && s.st == session::state::live) leave_if_settled(s, now);
    if (s.going && s.st == session::state::live) going_.push_back(i);
  }
  if (drained_ || registering_ || counters.sessions.get() || !endpoint_.outgoing.idle()) return;
  drained_ = true;
  if (config_.on_drained) config_.on_drained();
}

void lane::begin_to_go(session& s, time_point now) {
  s.going = true;
  s.going_since = now;
  going_.push_back(s.index);
}

void lane::leave_if_settled(session& s, time_point now) {
  const bool sent = plant.drain_forgets_senders || (s.unanswered == 0 && s.awaiting == 0);
  const bool received =
      plant.drain_forgets_recipients || (s.in_flight.empty() && (!s.pending || s.pending->empty()));
  if (!(sent && received) && passed_since(s.going_since, now) < config_.drain_patience) return;
  close_session(s, close_reason::drained, config_.drain_reason, "this server is to end");
}

// Refuses a CONNECT that came while the lane is to end.
void lane::send_away(session& s, mqtt::protocol_version v, std::string_view id) {
  counters.sent_away.add();
  refuse(s, v, v == mqtt::protocol_version::v5 ? config_.drain_reason : reason::server_unavailable,
         "this server is to end", id);
}

} // namespace beeline::edge
