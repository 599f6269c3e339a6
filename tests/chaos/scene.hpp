// What the rules of scenarios share: the history, the moments that the script noted, the figures so far.
//
// Of the checker; pure functions of the view.
#pragma once
#include "tests/chaos/judge.hpp"

namespace beeline::chaos {

struct scene {
  const run_view& v;
  findings& wrong;
  std::vector<figure> figures;

  const std::string& name() const { return v.facts.scenario; }
  std::int64_t moment(const std::string& which) const { // never: the script did not come so far
    const auto at = v.facts.moments.find(which);
    return at == v.facts.moments.end() ? never : at->second;
  }
  void broken(std::string text) { wrong.add(name(), std::move(text)); }
  void add(std::string what, double value, std::string unit, double least = 0, double most = -1) {
    figures.push_back({std::move(what), value, std::move(unit), least, most});
  }
  void add(std::string what, std::uint64_t value, double least = 0, double most = -1) {
    add(std::move(what), static_cast<double>(value), "", least, most);
  }
  // Every message of the load with its place: f(session, its number, message, its number).
  template <class F> void each_message(F f) const {
    for (std::uint32_t i = 0; i < v.sessions.size(); ++i)
      for (std::uint32_t n = 0; n < v.sessions[i].messages.size(); ++n)
        if (v.sessions[i].messages[n].published && !v.sessions[i].messages[n].last)
          f(v.sessions[i], i, v.sessions[i].messages[n], n);
  }
};

// By scenario.
void judge_lost_edge(scene& s, bool stays_away); // F3, F4
void judge_takeovers(scene& s);                  // F9
void judge_rolling_restart(scene& s);            // F11
void judge_suffering(scene& s);                  // F13
void judge_nothing_happened(scene& s);           // F15

} // namespace beeline::chaos
