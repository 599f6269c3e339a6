// F3, F4: what senders are told when an edge is killed. F15: that nothing happened.
#include "tests/chaos/scene.hpp"

#include <algorithm>

namespace beeline::chaos {
namespace {

constexpr std::uint8_t none = 0x10, unspecified = 0x83;
constexpr int victim = 0;

// Of messages to the clients of the edge that was killed.
struct told_of_lost_edge {
  std::uint64_t in_flight = 0, unknown = 0, nobody = 0;
  std::int64_t longest = 0;
};

std::int64_t began(const scene& s) {
  return s.v.facts.faults.empty() ? never : s.v.facts.faults.front().begin;
}

void judge_answer_after_kill(scene& s, std::uint32_t session, std::uint32_t count, told_of_lost_edge& told) {
  const message_view& m = s.v.sessions[session].messages[count];
  const std::int64_t killed = s.moment("dead"), gone = s.moment("gone"); // as the script found
  if (m.answered == never) {
    if (s.v.sessions[session].end == never) s.broken("silence: " + s.v.name(session, count));
    return;
  }
  told.longest = std::max(told.longest, m.answered - m.at);
  told.in_flight += m.at < began(s);
  told.nobody += m.code == none;
  const bool unknown = m.code == unspecified && m.text == words::unknown;
  told.unknown += unknown;
  bool allowed = m.code == none || unknown;
  if (m.at >= gone) allowed = m.code == none;
  else if (m.at < killed) allowed |= m.code == 0 || m.answered < killed;
  if (!allowed)
    s.broken("told " + std::to_string(m.code) + (m.at >= gone ? " when the clients were gone: " : ": ") +
             s.v.name(session, count));
}

// Clients that had a session at the killed edge and have none until the load ends.
std::vector<bool> who_is_away(const run_view& v, std::int64_t killed, bool stays_away) {
  std::vector<bool> away(v.facts.ids.size());
  for (const session_view& x : v.sessions) {
    if (x.client == nobody || x.edge != victim || x.opened > killed || x.end < killed) continue;
    const auto& its = v.sessions_of[x.client];
    const bool back = std::any_of(its.begin(), its.end(), [&](std::uint32_t n) {
      return v.sessions[n].opened > killed && v.sessions[n].opened < v.facts.load_end;
    });
    away[x.client] = stays_away || !back;
  }
  return away;
}

} // namespace

void judge_lost_edge(scene& s, bool stays_away) {
  const run_view& v = s.v;
  const std::int64_t killed = began(s);
  const std::vector<bool> away = who_is_away(v, killed, stays_away);
  std::uint64_t others = 0, others_ended = 0;
  for (const session_view& x : v.sessions) {
    if (x.client == nobody || x.edge == victim || x.opened > killed || x.end < killed) continue;
    ++others;
    others_ended += x.end < v.facts.load_end;
  }
  told_of_lost_edge told;
  s.each_message([&](const session_view& x, std::uint32_t i, const message_view& m, std::uint32_t n) {
    if (x.edge != victim && x.v5 && m.qos1 && m.at < v.facts.load_end && m.answered >= killed && away[m.to])
      judge_answer_after_kill(s, i, n, told);
  });
  s.add("its clients that stay away", static_cast<std::uint64_t>(std::count(away.begin(), away.end(), true)),
        1);
  s.add("clients of other edges", others, 1);
  s.add("of these, lost their connection", others_ended, 0, 0);
  s.add("messages sent before it was dead, answered later", told.in_flight);
  s.add("senders told unknown (0x83)", told.unknown, 1);
  s.add("senders told nobody (0x10)", told.nobody, 1);
  s.add("longest wait for an answer", static_cast<double>(told.longest) / 1e3, "ms", 0, 15'000);
}

void judge_nothing_happened(scene& s) {
  const run_view& v = s.v;
  std::uint64_t ended = 0, not_accepted = 0, lost = 0;
  for (const session_view& x : v.sessions) ended += x.client != nobody && x.end < v.facts.load_end;
  s.each_message([&](const session_view&, std::uint32_t, const message_view& m, std::uint32_t) {
    // When the load ends some clients leave: they are told so for what is still on its way to them.
    not_accepted += m.qos1 && m.answered < v.facts.load_end && m.code != 0;
    lost += m.at < v.facts.load_end - 1'000'000 && m.receipts != 1;
  });
  s.add("sessions that ended", ended, 0, 0);
  s.add("messages refused", not_accepted, 0, 0);
  s.add("messages not received exactly once", lost, 0, 0);
}

} // namespace beeline::chaos
