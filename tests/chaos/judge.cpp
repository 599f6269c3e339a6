// P1, P2, P3 and the ends of sessions.
#include "tests/chaos/judge.hpp"

#include "common/base/limits.hpp"

#include <algorithm>
#include <unordered_map>

namespace beeline::chaos {
namespace {

constexpr std::int64_t second = 1'000'000;
// How long after a fault links are still lost and made because of it: silence, linger, warm-up, re-connects.
constexpr std::int64_t echo = 15 * second;
constexpr std::uint8_t none = 0x10, full = 0x97, unspecified = 0x83;

bool is_router_restart(const fault_fact& x) {
  using enum fault;
  return x.kind == router_kill || x.kind == router_kill_long || x.kind == router_term;
}
bool touches_edge(const fault_fact& x, int edge) { return x.edge == edge; }

// The last moment at which the server may have let go of a session that its client ended: bytes that say so
// come late where the edge stands still or the network between is broken.
std::int64_t let_go(const run_view& v, const session_view& s) {
  if (s.end == never) return never;
  std::int64_t last = s.end + 2 * second;
  for (const fault_fact& x : v.facts.faults) {
    const bool stops =
        x.kind == fault::edge_pause || x.kind == fault::net_down || scope_of(x.kind) == scope::clients;
    if (stops && x.edge == s.edge && x.begin <= last && x.end >= s.end)
      last = std::max(last, x.end + (x.end - x.begin) + 2 * second); // TCP tries again after as long
  }
  return last;
}

bool fault_near(const run_view& v, std::int64_t from, std::int64_t to) {
  return any_fault(v.facts, from, to, echo, [](const fault_fact&) { return true; });
}
// One of links or processes: what only clients have to do with loses no message between servers.
bool servers_fault_near(const run_view& v, std::int64_t from, std::int64_t to) {
  return any_fault(v.facts, from, to, echo,
                   [](const fault_fact& x) { return scope_of(x.kind) != scope::clients; });
}

// A session of the recipient that it can have been given to has ended, and has not received what came after.
bool recipient_ended(const run_view& v, std::uint32_t sender, std::uint32_t n, const message_view& m) {
  return std::any_of(v.sessions_of[m.to].begin(), v.sessions_of[m.to].end(), [&](std::uint32_t i) {
    const session_view& r = v.sessions[i];
    return r.opened <= m.answered && r.end != never && let_go(v, r) >= m.at &&
           !v.received_later(i, sender, n);
  });
}

void judge_taken(const run_view& v, std::uint32_t s, std::uint32_t n, const message_view& m,
                 findings& wrong) {
  if (m.receipts || m.deadline != never) return; // it may have expired in the recipient's queue
  if (!recipient_ended(v, s, n, m))
    wrong.add("P1", "told that it was taken, received by nobody, and no session of the recipient ended: " +
                        v.name(s, n));
}

void judge_success(const run_view& v, std::uint32_t s, std::uint32_t n, const message_view& m,
                   findings& wrong) {
  if (m.wants_receipt && m.acknowledged > m.answered)
    return wrong.add("receipts", "told success before its recipient had acknowledged it: " + v.name(s, n));
  judge_taken(v, s, n, m, wrong);
}

// Clocks of servers are compared by heartbeats, which a broken network makes late.
std::int64_t doubt(const run_view& v, const message_view& m) {
  const bool broken = fault_near(v, m.at, m.answered);
  return broken ? 3 * second : second / 10;
}

void judge_deadline(const run_view& v, std::uint32_t s, std::uint32_t n, const message_view& m,
                    findings& wrong) {
  if (m.deadline == never || m.answered - m.at + doubt(v, m) < m.deadline)
    wrong.add("deadlines", "told that it had expired, too early: " + v.name(s, n));
}

// Where nothing is broken nothing comes long after its deadline.
void judge_late_receipt(const run_view& v, std::uint32_t s, std::uint32_t n, const message_view& m,
                        findings& wrong) {
  if (!m.receipts || m.deadline == never) return;
  const std::int64_t most = m.deadline + (v.facts.sanitized ? 8 : 2) * second;
  if (m.first.at - m.at > most && !fault_near(v, m.at, m.first.at))
    wrong.add("deadlines", "received long after its deadline: " + v.name(s, n));
}

// One of the recipient's sessions had ended when the server said so. Its client may see that later, where its
// network or its edge stands still, or when it was taken over.
bool had_ended(const run_view& v, const message_view& m) {
  const auto& all = v.sessions_of[m.to];
  return std::any_of(all.begin(), all.end(), [&](std::uint32_t i) {
    const session_view& r = v.sessions[i];
    if (r.opened > m.answered || r.end == never || let_go(v, r) < m.at) return false;
    const auto hides_it = [&](const fault_fact& x) {
      return x.edge == r.edge && (scope_of(x.kind) == scope::clients || scope_of(x.kind) == scope::edge);
    };
    const bool rival = std::any_of(all.begin(), all.end(), [&](std::uint32_t other) {
      return other != i && v.sessions[other].opened <= m.answered && v.sessions[other].end >= m.at;
    });
    return rival || r.end <= m.answered + 2 * second || any_fault(v.facts, m.at, r.end, echo, hides_it);
  });
}

// The recipient had acknowledged it, its connection lives on, and nothing is in the way of that word.
bool receipt_was_lost(const run_view& v, const message_view& m) {
  const std::int64_t patience = (v.facts.sanitized ? 4 : 1) * second;
  return m.acknowledged != never && m.acknowledged + patience < m.answered &&
         v.sessions[m.acknowledged_by].end > m.answered && !fault_near(v, m.at, m.answered);
}

// It was taken, and its recipient's acknowledgement did not come: for a reason that there is.
void judge_no_receipt(const run_view& v, std::uint32_t s, std::uint32_t n, const message_view& m,
                      findings& wrong) {
  if (!m.wants_receipt)
    return wrong.add("receipts", "told of a receipt that it had not asked for: " + v.name(s, n));
  if (m.text == words::expired_waiting) {
    if (m.receipts) wrong.add("P1", "told 'expired', but received: " + v.name(s, n));
    return judge_deadline(v, s, n, m, wrong);
  }
  judge_taken(v, s, n, m, wrong);
  bool good = !receipt_was_lost(v, m);
  if (m.text == words::session_ended) good = had_ended(v, m);
  else if (m.text == words::not_in_time) good &= m.answered - m.at >= v.facts.receipt_timeout - second / 100;
  else if (m.text == words::owner_lost) good = servers_fault_near(v, m.at, m.answered);
  else good = false;
  if (!good) wrong.add("receipts", "no receipt, for a reason that there is not: " + v.name(s, n));
}

void judge_unknown(const run_view& v, std::uint32_t s, std::uint32_t n, const message_view& m,
                   findings& wrong) {
  const bool cause = servers_fault_near(v, m.at, m.answered);
  if (m.text == words::unknown || m.text == words::none) {
    if (!cause) wrong.add("P1", "told 'outcome unknown' and no fault explains it: " + v.name(s, n));
    return;
  }
  if (m.text == words::expired) {
    if (m.receipts) wrong.add("P1", "told 'expired', but received: " + v.name(s, n));
    return judge_deadline(v, s, n, m, wrong);
  }
  if (says_taken(m.text)) return judge_no_receipt(v, s, n, m, wrong);
  if (m.text == words::gave_up) {
    if (!cause) wrong.add("P6", "given up and no fault explains it: " + v.name(s, n));
    return;
  }
  wrong.add("P1", "refused for a reason that there is not: " + v.name(s, n));
}

// A fault that linger (2 s) and warm-up (6 s) have to bridge: nobody may be told that the recipient is not
// there.
bool bridged(const fault_fact& x) {
  using enum fault;
  constexpr std::int64_t most = 1 * second;
  switch (x.kind) {
  case edge_kill:
  case edge_kill_long:
  case edge_term:
  case dials_refused:
  case dials_hang:
  case link_trickle: return false;
  default: return x.end - x.begin <= most;
  }
}

// An edge closes a client that takes nothing for 30 s; who does not read does not see that.
bool closed_unread(const fault_fact& x, const session_view& s, std::int64_t at) {
  constexpr std::int64_t stall_max = 28 * second; // a little less: the client's clock is not the edge's
  return x.kind == fault::client_deaf && static_cast<std::uint32_t>(x.client) == s.client &&
         at >= x.begin + stall_max;
}

// "Nobody", though a session of the recipient was there all the time, alone, and nothing was in its way.
void judge_nobody(const run_view& v, std::uint32_t s, std::uint32_t n, const message_view& m,
                  findings& wrong) {
  if (m.receipts) return wrong.add("P1", "told 'nobody', but received: " + v.name(s, n));
  const session_view* only = nullptr;
  for (const std::uint32_t i : v.sessions_of[m.to]) {
    const session_view& r = v.sessions[i];
    if (r.opened > m.answered || let_go(v, r) < m.at) continue;
    if (only) return;
    only = &r;
  }
  if (!only || only->connack > m.at) return;
  // A client may notice late that the server has ended it. If it ended itself, its end is noted a moment
  // after its last word was sent.
  const bool own = only->how == ending::disconnect || only->how == ending::abort;
  if (only->end != never && only->end < m.answered + (own ? second / 5 : 10 * second)) return;
  const auto breaks = [&](const fault_fact& x) {
    if (x.kind == fault::client_deaf) return closed_unread(x, *only, m.answered);
    return (touches_edge(x, only->edge) || x.edge < 0) && scope_of(x.kind) != scope::clients && !bridged(x);
  };
  if (any_fault(v.facts, m.at, m.answered, echo, breaks)) return;
  // Short faults in a row can add up to more than linger.
  std::vector<const fault_fact*> near;
  for (const fault_fact& x : v.facts.faults)
    if (x.hits && (touches_edge(x, only->edge) || x.edge < 0) && scope_of(x.kind) != scope::clients &&
        x.begin <= m.answered && x.end + echo >= m.at)
      near.push_back(&x);
  std::sort(near.begin(), near.end(), [](const auto* a, const auto* b) { return a->begin < b->begin; });
  for (std::size_t i = 1; i < near.size(); ++i)
    if (near[i]->begin - near[i - 1]->end < 3 * second) return;
  wrong.add("P5", "told 'nobody', but the recipient was there all the time: " + v.name(s, n));
}

void judge_full(const run_view& v, std::uint32_t s, std::uint32_t n, const message_view& m, findings& wrong) {
  if (m.receipts) return wrong.add("P1", "told 'queue full', but received: " + v.name(s, n));
  constexpr std::size_t many = 50; // where queues are not small they are of 1,000 messages, or of 1 MiB
  if (m.last || v.facts.small_queues || !v.facts.scenario.empty()) return;
  // What was received waited until it was acknowledged: some clients take 80 ms, and a fault may add to that.
  const auto& sessions = v.sessions_of[m.to];
  const auto holds_up = [&](const fault_fact& x) {
    return x.edge < 0 || std::any_of(sessions.begin(), sessions.end(),
                                     [&](std::uint32_t r) { return touches_edge(x, v.sessions[r].edge); });
  };
  constexpr std::int64_t late = 2 * second;
  const bool held_up = any_fault(v.facts, m.at - late, m.answered, second, holds_up);
  if (v.waited(m.to, m.at - (held_up ? late : second / 5), m.answered) < many)
    wrong.add("P6", "told 'queue full', and none was: " + v.name(s, n));
}

void judge_answer(const run_view& v, std::uint32_t s, std::uint32_t n, const message_view& m,
                  findings& wrong) {
  if (!v.sessions[s].v5) { // settled, one way or the other
    if (m.code != 0) wrong.add("P1", "a 3.1.1 client was told a reason: " + v.name(s, n));
    return;
  }
  switch (m.code) {
  case 0: return judge_success(v, s, n, m, wrong);
  case none: return judge_nobody(v, s, n, m, wrong);
  case full: return judge_full(v, s, n, m, wrong);
  case unspecified: return judge_unknown(v, s, n, m, wrong);
  default: wrong.add("P1", "told reason " + std::to_string(m.code) + ": " + v.name(s, n));
  }
}

// How much of that time the session's edge had no way to any router: so long a message may wait there for
// one, and no longer than link_down_max.
std::int64_t cut_off(const run_view& v, int edge, std::int64_t from, std::int64_t to) {
  std::vector<std::pair<std::int64_t, std::int64_t>> cuts;
  for (const fault_fact& x : v.facts.faults) {
    using enum fault;
    const bool cut =
        x.kind == net_blackhole || x.kind == net_one_way || x.kind == net_down || x.kind == edge_cut_off;
    if (cut && x.hits && x.edge == edge && x.shard < 0) cuts.emplace_back(x.begin, x.end);
  }
  std::sort(cuts.begin(), cuts.end());
  std::int64_t all = 0, seen = from; // they may overlap
  for (const auto& [begin, end] : cuts) {
    all += std::max<std::int64_t>(0, std::min(to, end) - std::max(seen, begin));
    seen = std::max(seen, end);
  }
  return std::min<std::int64_t>(all, std::chrono::microseconds(limits::link_down_max).count());
}

void judge_silence(const run_view& v, std::uint32_t s, std::uint32_t n, const message_view& m,
                   findings& wrong) {
  const std::int64_t until = std::min(v.sessions[s].end, v.facts.run_end);
  const std::int64_t waited = std::min(m.answered, until) - m.at;
  const auto deaf = [&](const fault_fact& x) { // it does not see its answers
    return x.kind == fault::client_deaf && static_cast<std::uint32_t>(x.client) == v.sessions[s].client;
  };
  const bool saw = !any_fault(v.facts, m.at, std::min(m.answered, until), 0, deaf);
  const std::int64_t allowed = answer_max + cut_off(v, v.sessions[s].edge, m.at, m.at + waited) +
                               (m.wants_receipt ? v.facts.receipt_timeout : 0);
  if (waited > allowed && saw) wrong.add("P1", "no answer within 30 s: " + v.name(s, n));
  else if (m.answered == never && v.sessions[s].end == never)
    wrong.add("P1", "no answer at rest: " + v.name(s, n));
}

// P2: one session never twice. A second session only if the first had ended and the router started anew in
// between, or if the sender's own session ended before it had its answer.
void judge_repeats(const run_view& v, std::uint32_t s, std::uint32_t n, const message_view& m,
                   findings& wrong) {
  if (m.receipts < 2) return;
  if (m.first.session == m.second.session)
    return wrong.add("P2", "received twice by one session: " + v.name(s, n));
  if (!m.qos1) return wrong.add("P2", "QoS 0, received by two sessions: " + v.name(s, n));
  if (m.answered == never && v.sessions[s].end < m.second.at) return;
  // A client may notice its end late, and read late what came to it.
  const session_view& first = v.sessions[m.first.session];
  const auto hides_it = [&](const fault_fact& x) {
    return x.edge == first.edge && (scope_of(x.kind) == scope::clients || scope_of(x.kind) == scope::edge);
  };
  const bool late = any_fault(v.facts, m.at, m.second.at, echo, hides_it);
  const bool ended = first.end <= m.second.at + (late ? echo : v.facts.sanitized ? 8 * second : 2 * second);
  const bool restarted = any_fault(v.facts, late ? m.at : std::max(m.at, m.first.at - 2 * second),
                                   m.second.at, 0, is_router_restart);
  if (!ended || !restarted || m.receipts > 2)
    wrong.add("P2", "received by " + std::to_string(m.receipts) + " sessions, the first " +
                        (ended ? "ended" : "not ended") + ", the router " + (restarted ? "" : "not ") +
                        "restarted: " + v.name(s, n) + "; by " + v.name(m.first.session) + " and " +
                        v.name(m.second.session));
}

} // namespace

void judge_messages(const run_view& v, findings& wrong) {
  for (std::uint32_t s = 0; s < v.sessions.size(); ++s) {
    const auto& all = v.sessions[s].messages;
    for (std::uint32_t n = 0; n < all.size(); ++n) {
      const message_view& m = all[n];
      judge_repeats(v, s, n, m, wrong);
      judge_late_receipt(v, s, n, m, wrong);
      if (!m.qos1) continue;
      judge_silence(v, s, n, m, wrong);
      if (m.answered != never) judge_answer(v, s, n, m, wrong);
    }
  }
}

// P3, over the receipts as they came: for a sender's session, a recipient's session and a QoS the counts
// rise.
void judge_order(const run_view& v, std::span<const record> h, findings& wrong) {
  std::unordered_map<std::uint64_t, std::uint32_t> newest;
  for (const record& r : h) {
    if (r.what != seen::receive || r.flags & flag_damaged || r.other >= v.sessions.size() ||
        r.count >= v.sessions[r.other].messages.size())
      continue;
    const std::uint64_t flow =
        std::uint64_t{r.session} << 33 | std::uint64_t{r.other} << 1 | (r.flags & flag_qos1);
    const auto [at, fresh] = newest.try_emplace(flow, r.count);
    if (fresh || r.count > at->second) at->second = r.count;
    else if (r.count < at->second)
      wrong.add("P3", "came after message " + std::to_string(at->second) +
                          " of its flow: " + v.name(r.other, r.count) + " to " + v.name(r.session));
  }
}

namespace {

bool has_rival(const run_view& v, std::uint32_t number) {
  const session_view& s = v.sessions[number];
  // A claim's age is corrected by half of a link's round trip: where links stall or processes stop, by too
  // much.
  const bool broken = any_fault(v.facts, 0, s.end, never / 2, [](const fault_fact&) { return true; });
  const std::int64_t doubt = broken ? 3 * second : second / 4;
  return std::any_of(v.sessions_of[s.client].begin(), v.sessions_of[s.client].end(), [&](std::uint32_t i) {
    const session_view& o = v.sessions[i];
    const std::int64_t attached = std::min(o.connack, o.end); // at the latest
    return i != number && o.opened <= s.end && (attached == never || attached + doubt >= s.opened) &&
           o.how != ending::not_connected;
  });
}

// Its edge went or stood still, or the clients' network was broken.
bool edge_explains(const run_view& v, const session_view& s, std::int64_t from) {
  return any_fault(v.facts, from, s.end, 10 * second,
                   [&](const fault_fact& x) { return x.edge == s.edge && scope_of(x.kind) != scope::links; });
}

void judge_end(const run_view& v, std::uint32_t i, findings& wrong) {
  constexpr std::uint8_t taken_over = 0x8e, shutting_down = 0x8b, unavailable = 0x88, keep_alive = 0x8d,
                         elsewhere = 0x9c, server_unavailable_311 = 3;
  const session_view& s = v.sessions[i];
  const bool any = any_fault(v.facts, s.opened, s.end, echo, [](const fault_fact&) { return true; });
  switch (s.how) {
  case ending::disconnect:
  case ending::abort: return;
  case ending::not_connected:
    if (!edge_explains(v, s, s.opened)) wrong.add("sessions", "could not connect: " + v.name(i));
    return;
  case ending::refused:
    // A link that is away, or a newer CONNECT of the same id that came while this one waited.
    if ((s.code == unavailable || s.code == server_unavailable_311) && (any || has_rival(v, i))) return;
    if ((s.code == elsewhere || s.code == server_unavailable_311) && edge_explains(v, s, s.opened)) return;
    return wrong.add("sessions", "refused with code " + std::to_string(s.code) + ": " + v.name(i));
  case ending::server_disconnect:
    if (s.code == taken_over) {
      if (!has_rival(v, i))
        wrong.add("P4", "closed for a session that connected earlier, or for none: " + v.name(i));
      return;
    }
    if ((s.code == shutting_down || s.code == elsewhere || s.code == keep_alive) &&
        edge_explains(v, s, s.opened))
      return;
    return wrong.add("sessions",
                     "ended by the edge with reason " + std::to_string(s.code) + ": " + v.name(i));
  default:
    if (edge_explains(v, s, s.opened)) return;
    if (!s.v5 && has_rival(v, i)) return; // taken over: 3.1.1 cannot be told
    wrong.add("sessions", "its connection ended, and nothing explains it: " + v.name(i));
  }
}

} // namespace

void judge_sessions(const run_view& v, findings& wrong) {
  for (std::uint32_t i = 0; i < v.sessions.size(); ++i)
    if (v.sessions[i].client != nobody && v.sessions[i].end != never) judge_end(v, i, wrong);
}

} // namespace beeline::chaos
