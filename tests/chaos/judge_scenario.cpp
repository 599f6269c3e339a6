// What scenarios promise beside what every run does: by name of the scenario, from its history and the moments that
// its script noted.
#include "tests/chaos/judge.hpp"

#include <algorithm>
#include <cstdio>

namespace beeline::chaos {
namespace {

constexpr std::uint8_t none = 0x10, unspecified = 0x83;

struct scene {
  const run_view& v;
  findings& wrong;
  std::vector<figure> figures;

  const std::string& name() const { return v.facts.scenario; }
  std::int64_t moment(const std::string& which) const {
    const auto at = v.facts.moments.find(which);
    return at == v.facts.moments.end() ? never : at->second;
  }
  void broken(std::string text) { wrong.add(name(), std::move(text)); }
  void add(std::string what, double value, std::string unit, double least = 0, double most = -1) {
    figures.push_back({std::move(what), value, std::move(unit), least, most});
  }
};

// ---- F3, F4: an edge is killed ----

// What senders were told of messages to the clients of the edge that was killed.
struct told_of_lost_edge {
  std::uint64_t in_flight = 0, unknown = 0, nobody = 0;
  std::int64_t longest = 0;
};

void judge_answer_after_kill(scene& s, std::uint32_t session, std::uint32_t count, told_of_lost_edge& told) {
  const message_view& m = s.v.sessions[session].messages[count];
  const std::int64_t killed = s.moment("dead"), gone = s.moment("gone");
  if (m.answered == never) {
    if (s.v.sessions[session].end == never)
      s.broken("silence: " + s.v.name(session, count));
    return;
  }
  told.longest = std::max(told.longest, m.answered - m.at);
  told.in_flight += m.at < killed;
  told.nobody += m.code == none;
  const bool unknown = m.code == unspecified && m.text == words::unknown;
  told.unknown += unknown;
  const bool allowed = m.at >= gone ? m.code == none : m.at >= killed ? unknown || m.code == none : true;
  if (!allowed)
    s.broken("told " + std::to_string(m.code) + (m.at >= gone ? " when the clients were gone: " : ": ") +
             s.v.name(session, count));
}

void edge_lost(scene& s, bool stays_away) {
  const run_view& v = s.v;
  const std::int64_t killed = s.moment("dead");
  constexpr int victim = 0;
  told_of_lost_edge told;
  std::uint64_t lost = 0, others = 0, others_ended = 0;
  std::vector<bool> away(v.facts.ids.size());
  for (std::uint32_t i = 0; i < v.sessions.size(); ++i) {
    const session_view& x = v.sessions[i];
    if (x.client == nobody || x.opened > killed || x.end < killed) continue;
    if (x.edge != victim) {
      ++others;
      others_ended += x.end < v.facts.load_end;
      continue;
    }
    ++lost;
    const auto& its = v.sessions_of[x.client];
    const bool back = std::any_of(its.begin(), its.end(), [&](std::uint32_t n) {
      return v.sessions[n].opened > killed && v.sessions[n].opened < v.facts.load_end;
    });
    away[x.client] = stays_away || !back;
  }
  for (std::uint32_t i = 0; i < v.sessions.size(); ++i) {
    const session_view& x = v.sessions[i];
    if (x.client == nobody || x.edge == victim || !x.v5) continue;
    for (std::uint32_t n = 0; n < x.messages.size(); ++n) {
      const message_view& m = x.messages[n];
      if (m.qos1 && !m.last && m.at < v.facts.load_end && m.answered >= killed && away[m.to])
        judge_answer_after_kill(s, i, n, told);
    }
  }
  s.add("its clients", static_cast<double>(lost), "", 1);
  s.add("clients of other edges that lost their connection", static_cast<double>(others_ended), "", 0, 0);
  s.add("clients of other edges", static_cast<double>(others), "", 1);
  s.add("sent before it was dead, answered later", static_cast<double>(told.in_flight), "");
  s.add("senders told unknown (0x83)", static_cast<double>(told.unknown), "", 1);
  s.add("senders told nobody (0x10)", static_cast<double>(told.nobody), "", 1);
  s.add("longest wait for an answer", static_cast<double>(told.longest) / 1e3, "ms", 0, 15'000);
}

struct rule {
  std::string_view scenario;
  void (*judge)(scene&);
};
constexpr rule rules[] = {
    {"f3_edge_kill", [](scene& s) { edge_lost(s, true); }},
    {"f3_edge_vanishes", [](scene& s) { edge_lost(s, true); }},
    {"f4_edge_restart", [](scene& s) { edge_lost(s, false); }},
};

std::string text_of(const figure& f) {
  char text[160];
  std::snprintf(text, sizeof text, "%s: %.6g %s, has to be ", f.name.c_str(), f.value, f.unit.c_str());
  if (f.least > 0) std::snprintf(text + std::string_view(text).size(), 40, "at least %.6g ", f.least);
  if (f.most >= 0) std::snprintf(text + std::string_view(text).size(), 40, "at most %.6g", f.most);
  return text;
}

} // namespace

std::vector<figure> judge_scenario(const run_view& v, findings& wrong) {
  scene s{v, wrong, v.facts.figures};
  for (const rule& r : rules)
    if (r.scenario == v.facts.scenario) r.judge(s);
  for (const std::string& text : v.facts.broken) s.broken(text);
  for (const figure& f : s.figures)
    if (!f.kept()) s.broken(text_of(f));
  return s.figures;
}

} // namespace beeline::chaos
