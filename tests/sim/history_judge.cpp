// What is allowed, and the rest of the promises: what history.cpp notes is judged here.
#include "tests/sim/history.hpp"

#include "common/base/limits.hpp"

#include <algorithm>

namespace beeline::sim {

bool history::first_ended(const message_record& m) const {
  const session_record& first = sessions[m.first_session];
  return first.server_end != never || first.client_end != never;
}

// A router that has served the recipient's slot.
bool history::restarted_since(const message_record& m) const {
  for (std::size_t r = 0; r < restarts.size(); ++r)
    if (routers_of[m.to] >> r & 1u &&
        std::any_of(restarts[r].begin(), restarts[r].end(), [&](time_point t) { return t >= m.published; }))
      return true;
  return false;
}

// Is there a second session that may have been given it, by a shard that knows nothing of the first? Its lane
// has not seen it before.
bool history::another_took_part(const message_record& m) const {
  const session_record& first = sessions[m.first_session];
  return first_ended(m) && restarted_since(m) &&
         std::any_of(sessions_of[m.to].begin(), sessions_of[m.to].end(), [&](std::uint32_t k) {
           const session_record& s = sessions[k];
           const bool same_lane =
               s.edge == first.edge && s.edge_life == first.edge_life && s.lane == first.lane;
           return s.attached != never && s.server_end >= m.published && !same_lane;
         });
}

// P2. In one session: never. In a second one of the same id: only if the first had ended and the
// shard restarted in between, or if the sender's own session or edge had ended before it was answered.
void history::judge_second_receipt(const message_record& m, std::uint32_t number, std::uint32_t session) {
  if (m.first_session == session)
    return w_.broken("P2", "s%u received m%u of s%u twice", session, number, m.sender);
  if (m.qos == 0)
    return w_.broken("P2", "QoS 0 m%u was received by s%u and s%u", number, m.first_session, session);
  if (m.answered == never && sessions[m.sender].end() != never) return;
  const bool ended = first_ended(m), restarted = restarted_since(m);
  if (!ended || !restarted)
    w_.broken("P2", "m%u of s%u was received by s%u at %.6f and by s%u; first ended: %d, shard restarted: %d",
              number, m.sender, m.first_session, s_of(m.first_at), session, ended, restarted);
}

// The messages that may wait for the id's sessions, or for their acknowledgement.
std::size_t history::wait_for(std::uint32_t id) const {
  return static_cast<std::size_t>(
      std::count_if(messages.begin(), messages.end(), [&](const message_record& m) {
        return m.to == id && m.qos && m.recipient_acked == never;
      }));
}

// Clocks of two machines are compared over a link: they may be wrong by half its round trip.
duration history::clock_doubt() const {
  const bool round_trips_lie = hit_by(fault::link_stall) || hit_by(fault::link_stall_one_way) ||
                               hit_by(fault::edge_cut_off) || hit_by(fault::edge_pause) ||
                               hit_by(fault::router_pause) || hit_by(fault::path_one_way) ||
                               hit_by(fault::link_trickle) || hit_by(fault::process_slow);
  return 50ms + 2 * (set_.link.delay + set_.link.jitter) + (set_.slow_machines ? 100ms : 0ms) +
         (round_trips_lie ? 3s : 0s);
}

// What was in time when the recipient's connection was given it may still wait there: for its network, for a
// machine that is stopped.
void history::judge_lateness(const message_record& m, std::uint32_t number) {
  if (m.deadline == duration::max()) return;
  const bool stopped = hit_by(fault::edge_pause) || hit_by(fault::client_stall);
  const duration late = w_.now - sessions[m.sender].read_at(m.published) - m.deadline; // it counts from there
  if (late > clock_doubt() + 2s + (stopped ? 6s : 0s))
    w_.broken("deadline", "m%u was received %.3f s after its deadline", number,
              static_cast<double>(late.count()) / 1e6);
}

// The message was accepted and the sender asked for its recipient's own acknowledgement, which did not come.
void history::judge_taken(const message_record& m, std::uint32_t number, std::string_view text) {
  if (!m.asks_recipient) return w_.broken("P1", "m%u was told of a receipt it had not asked for", number);
  const auto ended = [&] {
    return std::any_of(sessions_of[m.to].begin(), sessions_of[m.to].end(), [&](std::uint32_t k) {
      return sessions[k].attached <= w_.now &&
             (sessions[k].server_end != never || sessions[k].client_end != never) &&
             std::max(sessions[k].server_end, sessions[k].client_end) >= m.published;
    });
  };
  if (text.find("session ended") != text.npos && !ended())
    return w_.broken("P1", "m%u: 'its session ended', but none has", number);
  if (text.find("session ended") != text.npos && m.first_session != ~0u && !first_ended(m) &&
      !restarted_since(m))
    return w_.broken("P1", "m%u: 'its session ended', but s%u, which has received it, has not", number,
                     m.first_session);
  if (text.find("in time") != text.npos && w_.now - m.published < set_.receipt_timeout)
    return w_.broken("P1", "m%u: 'not in time' before the time was over", number);
  if (text.find("in time") != text.npos && m.acked_by != ~0u && sessions[m.acked_by].live() &&
      w_.now - m.recipient_acked > 15s) // longer than any link is down
    return w_.broken("P1", "m%u: 'not in time', but its recipient had acknowledged it at %.6f", number,
                     s_of(m.recipient_acked));
  if (text.find("server was lost") != text.npos && !any_fault)
    return w_.broken("P1", "m%u: 'its server was lost' without any fault", number);
  if (text.find("expired") != text.npos && w_.now - m.published + clock_doubt() < m.deadline)
    return w_.broken("P1", "m%u: told that it expired before its deadline", number);
  const bool all_kept = set_.receipts_max == limits::receipts_max;
  if ((text.find("gives no receipts") != text.npos && all_kept) || text.find("with an error") != text.npos)
    return w_.broken("P1", "m%u: %.*s", number, static_cast<int>(text.size()), text.data());
  if (m.last_exchange && !set_.queues_may_fill() && all_kept)
    return w_.broken("P1", "m%u, sent at rest: %.*s", number, static_cast<int>(text.size()), text.data());
}

// Lingering and warm-up have to bridge a gap that is shorter than they are.
bool history::bridged(const linked_record::gap& g, time_point at) {
  const time_point end = std::min(g.to, at);
  if (std::min(g.restart, end) - g.from >= limits::linger - 250ms)
    return false; // it had lingered for too long
  return g.restart == never || end - std::min(g.from, g.restart) < limits::warm_up - 250ms;
}

// Was the session's lane known to the id's shard all the time?
bool history::reachable_throughout(const session_record& s, time_point from, time_point to) const {
  if (shard_of[s.id] == nobody) return false;
  const linked_record& l = linked[s.edge * 2 + s.lane][shard_of[s.id]];
  const auto good = [&](const linked_record::gap& g) {
    return g.to <= from || g.from >= to || bridged(g, to);
  };
  if (!std::all_of(l.gaps.begin(), l.gaps.end(), good)) return false;
  return l.in_sync || good({l.since, never, l.restart});
}

// As far as shards notice: not where anything may be silent, dialled in vain or stopped.
bool history::all_linked_since(std::uint32_t shard, time_point from) const {
  for (const fault f : {fault::link_stall, fault::link_stall_one_way, fault::edge_cut_off, fault::edge_pause,
                        fault::router_pause, fault::edge_vanish, fault::router_vanish, fault::dials_hang,
                        fault::path_one_way, fault::link_trickle, fault::process_slow})
    if (hit_by(f) && (set_.scripted || w_.now < last_fault + 20s)) return false; // it is over by then
  return std::all_of(linked.begin(), linked.end(), [&](const auto& lane) {
    const linked_record& l = lane[shard];
    const bool ever = l.in_sync || !l.gaps.empty(); // an edge may have one lane only
    return !ever || (l.in_sync && (l.gaps.empty() || l.gaps.back().to <= from));
  });
}

void history::judge_nobody(const message_record& m, std::uint32_t number) {
  if (m.first_session != ~0u)
    return w_.broken("P1", "m%u: 'nobody', but s%u had received it", number, m.first_session);
  // A lane that has not heard who serves the slot holds a router up for as long as that warms up, and no
  // longer; then it may take a while until it hears.
  if (claimed_by_two[m.to] != never && w_.now >= claimed_by_two[m.to] + limits::warm_up - 250ms &&
      (served_since[m.to] == never || w_.now < served_since[m.to] + 15s))
    return;
  for (const std::uint32_t i : sessions_of[m.to])
    if (reachable(m, i))
      return w_.broken("P5", "m%u: 'nobody', but s%u of %s was live and linked all the time since %.6f",
                       number, i, ids[m.to].c_str(), s_of(sessions[i].connack));
}

// Was the session there when the message was published, and it, or others who took over from it before it
// ended, until the answer?
bool history::reachable(const message_record& m, std::uint32_t session) const {
  time_point from = m.published;
  for (;;) {
    const session_record& s = sessions[session];
    if (s.connack >= from) return false;
    const time_point until = std::min(s.end(), m.answered);
    if (!reachable_throughout(s, from, until)) return false;
    std::uint32_t heir = ~0u;
    for (const std::uint32_t i : sessions_of[m.to]) {
      const session_record& x = sessions[i];
      if (i == session || x.attached == never || x.opened <= s.opened) continue;
      // It may have been the owner for a moment, without either having heard of it yet.
      if (x.connack == never && x.server_end >= m.published - 5s) return false;
      if (x.connack != never && x.end() >= m.published - 5s &&
          (heir == ~0u || x.opened < sessions[heir].opened))
        heir = i;
    }
    if (heir == ~0u) return until == m.answered;
    if (s.end() == never || sessions[heir].connack >= s.end()) return false;
    from = s.end(), session = heir;
    if (from >= m.answered) return true;
  }
}

// Some link must have been lost. And not where one session was the owner, and known to be, since before the
// origin had last heard a time: such an owner knows the numbers of all that it has taken.
void history::judge_unknown(const message_record& m, std::uint32_t number) {
  if (!link_trouble(m.published - 1s, w_.now))
    return w_.broken("P1", "m%u: 'unknown', and no link was lost and no router started since %.6f", number,
                     s_of(m.published));
  if (m.deadline != duration::max()) return; // expired, and it may have been taken
  if (set_.small_windows()) return;          // given up while a link is down, and it may have been taken
  for (const std::uint32_t i : sessions_of[m.to])
    if (stayed_alone(m, i))
      return w_.broken("P1",
                       "m%u: 'unknown', but s%u was the only owner since %.6f and its link was never lost",
                       number, i, s_of(sessions[i].connack));
}

// A silent link is up for a while, so what its lane heard last may be as old.
bool history::stayed_alone(const message_record& m, std::uint32_t session) const {
  const session_record& s = sessions[session];
  const time_point since = s.attached;
  if (!s.live() || s.connack + limits::silence_max + 1s > m.published || shard_of[s.id] == nobody)
    return false;
  const linked_record& l = linked[s.edge * 2 + s.lane][shard_of[s.id]];
  if (!l.in_sync || (!l.gaps.empty() && l.gaps.back().to > since)) return false;
  if (served_since[s.id] == never || served_since[s.id] > since) return false;
  for (const auto& router : restarts)
    if (std::any_of(router.begin(), router.end(), [&](time_point t) { return t > since; })) return false;
  return std::none_of(sessions_of[s.id].begin(), sessions_of[s.id].end(), [&](std::uint32_t k) {
    const session_record& x = sessions[k];
    if (k == session) return false;
    if (x.client_end == never) return true; // it may yet be one
    // One that no server has heard of is none, once its CONNECT cannot be under way any more.
    return (x.attached == never ? x.client_end + 5s : std::max(x.server_end, x.client_end)) > since;
  });
}

// Did any shard lose a lane or start anew, or a lane come back to it, in that time? As the shard sees it.
bool history::link_trouble(time_point from, time_point to) const {
  if (any_fault && last_fault >= from - limits::silence_max - 500ms)
    return true; // who is silent is given up then; the samples are 50 ms apart
  for (const auto& router : restarts)
    if (std::any_of(router.begin(), router.end(), [&](time_point t) { return t >= from && t <= to; }))
      return true;
  return std::any_of(linked.begin(), linked.end(), [&](const auto& lane) {
    return std::any_of(lane.begin(), lane.end(), [&](const linked_record& l) {
      if (!l.in_sync && l.gaps.empty()) return false; // an edge may have one lane only
      return (!l.in_sync && l.since <= to) || std::any_of(l.gaps.begin(), l.gaps.end(), [&](const auto& g) {
               return g.from <= to && g.to >= from;
             });
    });
  });
}

// Who is told to go earlier than this after its edge was told to drain had nothing under way any more.
bool history::settled_when_told(const session_record& s) {
  return s.why == close_reason::drained && s.server_end - s.drain_began < limits::drain_patience;
}

// P1: what the draining edge had taken from it, it has told the outcome of.
void history::judge_told_to_go(std::uint32_t session, std::uint32_t number) {
  const session_record& s = sessions[session];
  const message_record& m = messages[number];
  if (m.qos && settled_when_told(s) && m.first_session != ~0u && m.first_at <= s.server_end)
    w_.broken("P1", "s%u was told to go, and does not know of m%u, which s%u has received", session, number,
              m.first_session);
}

// P4. Whoever is closed as taken over must have a rival that did not clearly connect earlier.
void history::judge_takeover(std::uint32_t session) {
  const session_record& s = sessions[session];
  // The age of a claim is corrected by half of the link's round trip: it can be wrong by as much.
  const duration doubt = clock_doubt();
  for (std::uint32_t i : sessions_of[s.id]) {
    if (i == session) continue;
    const session_record& other = sessions[i];
    if (other.attached == never || other.attached + doubt < s.attached) continue;
    return;
  }
  w_.broken("P4", "s%u of %s (connected at %.6f) was closed for a session that connected earlier", session,
            ids[s.id].c_str(), s_of(s.attached));
}

// P1: success means that a session of the recipient took it. It may end before it could be written.
void history::judge_success(const message_record& m, std::uint32_t number) {
  if (m.first_session != ~0u || m.deadline != duration::max())
    return; // it may have expired in the queue there
  for (std::uint32_t i : sessions_of[m.to]) {
    const session_record& s = sessions[i];
    if (s.attached > m.answered || s.attached == never || s.server_end < m.published) continue;
    if (s.heard_all && settled_when_told(s)) continue; // it was given all that was promised to it
    const auto later = s.newest.find(std::uint64_t{m.sender} << 1 | m.qos);
    if (later != s.newest.end() && later->second > m.flow) continue; // and so it was given all before that
    if (s.end() != never) return;
  }
  w_.broken(
      "P1",
      "m%u to %s was answered with success at %.6f and received by nobody, though no session of it ended",
      number, ids[m.to].c_str(), s_of(m.answered));
}

void history::judge_at_rest() {
  for (std::uint32_t i = 0; i < messages.size() && w_.violation.empty(); ++i) {
    const message_record& m = messages[i];
    if (m.qos == 0) continue;
    if (m.answered == never && sessions[m.sender].live())
      w_.broken("P1", "m%u of s%u to %s, published at %.6f, has no answer at rest", i, m.sender,
                ids[m.to].c_str(), s_of(m.published));
    if (m.code == 0x00) judge_success(m, i);
    if (m.last_exchange &&
        m.code == 0x100) { // 3.1.1 cannot say, the recipient can, unless its queue may be full
      const bool online =
          std::any_of(sessions_of[m.to].begin(), sessions_of[m.to].end(), [&](std::uint32_t k) {
            return sessions[k].live() && sessions[k].connack <= m.published;
          });
      if (online && m.first_session == ~0u && !set_.queues_may_fill())
        w_.broken("P5", "m%u, sent at rest, was not received", i);
    }
    if (m.last_exchange && m.code == 0x00 && m.first_session == ~0u && !set_.little_memory())
      w_.broken("P1", "m%u, sent at rest, was not received", i);
    if (m.last_exchange && m.code == 0x10) {
      const bool online =
          std::any_of(sessions_of[m.to].begin(), sessions_of[m.to].end(), [&](std::uint32_t k) {
            return sessions[k].live() && sessions[k].connack <= m.published;
          });
      if (online)
        w_.broken("P5", "m%u, sent at rest to %s which is online, was answered 'nobody'", i,
                  ids[m.to].c_str());
    }
  }
}

// P1 at QoS 0: between clients that stayed, what did not arrive was dropped for a reason other than that
// nobody has the id, and counted. And what was received was not.
void history::judge_qos0(const qos0_drops& d) {
  std::uint64_t lost = 0, might_expire = 0, not_received = 0;
  std::uint32_t first = ~0u;
  for (std::uint32_t i = 0; i < messages.size(); ++i) {
    const message_record& m = messages[i];
    if (m.qos || m.first_session != ~0u) continue;
    ++not_received;
    if (!sessions[m.sender].live()) continue;
    const bool stayed = std::any_of(sessions_of[m.to].begin(), sessions_of[m.to].end(), [&](std::uint32_t k) {
      return sessions[k].live() && sessions[k].connack <= m.published;
    });
    if (!stayed) continue;
    ++(m.deadline == duration::max() ? lost : might_expire);
    if (first == ~0u) first = i;
  }
  if (lost > d.shed || lost + might_expire > d.shed + d.expired)
    w_.broken(
        "P1",
        "of the messages at QoS 0 between clients that stayed %llu without and %llu with a deadline were "
        "not received, m%u to %s the first; counted are %llu drops and %llu expired ones",
        static_cast<unsigned long long>(lost), static_cast<unsigned long long>(might_expire), first,
        ids[messages[first].to].c_str(), static_cast<unsigned long long>(d.shed),
        static_cast<unsigned long long>(d.expired));
  if (d.certain > not_received)
    w_.broken("P1", "%llu drops of QoS 0 were counted, and all but %llu messages were received",
              static_cast<unsigned long long>(d.certain), static_cast<unsigned long long>(not_received));
}

} // namespace beeline::sim
