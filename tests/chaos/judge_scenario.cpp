// What scenarios promise beside what every run does, by name.
#include "tests/chaos/scene.hpp"

#include <cstdio>

namespace beeline::chaos {
namespace {

struct rule {
  std::string_view scenario;
  void (*judge)(scene&);
};
constexpr rule rules[] = {
    {"f3_edge_kill", [](scene& s) { judge_lost_edge(s, true); }},
    {"f3_edge_vanishes", [](scene& s) { judge_lost_edge(s, true); }},
    {"f4_edge_restart", [](scene& s) { judge_lost_edge(s, false); }},
    {"f9_takeovers", judge_takeovers},
    {"f11_rolling_restart", judge_rolling_restart},
    {"f13_slow_client", judge_suffering},
    {"f13_stopped_edge", judge_suffering},
    {"f13_black_hole", judge_suffering},
    {"f15_wall_clock", judge_nothing_happened},
};

// What a script shows, it shows under load: most of the messages that were to be sent were sent, outages
// included. The short forms share the processors with other tests, and a sanitizer takes most of what they
// have.
void judge_load(scene& s) {
  const run_facts& f = s.v.facts;
  const double seconds = static_cast<double>(f.load_end - f.load_begin) / 1e6;
  if (f.scenario.empty() || f.rate <= 0 || seconds <= 0) return;
  const double share = f.full ? 0.7 : f.sanitized ? 0 : 0.25;
  std::uint64_t sent = 0;
  s.each_message([&](const session_view&, std::uint32_t, const message_view&, std::uint32_t) { ++sent; });
  s.add("load: messages sent", static_cast<double>(sent) / seconds, "/s", share * f.rate);
}

std::string text_of(const figure& f) {
  char value[64], bound[64];
  std::snprintf(value, sizeof value, "%.6g %s", f.value, f.unit.c_str());
  if (f.value < f.least) std::snprintf(bound, sizeof bound, "has to be at least %.6g", f.least);
  else std::snprintf(bound, sizeof bound, "has to be at most %.6g", f.most);
  return f.name + ": " + value + ", " + bound;
}

} // namespace

std::vector<figure> judge_scenario(const run_view& v, findings& wrong) {
  scene s{v, wrong, v.facts.figures};
  judge_load(s);
  for (const rule& r : rules)
    if (r.scenario == v.facts.scenario) r.judge(s);
  // A script that breaks one thing has to hit it; of the many of a soak some find nothing to break, and a run
  // of drawn faults is void then.
  if (!v.facts.scenario.empty() && v.facts.scenario != "soak")
    for (const fault_fact& f : v.facts.faults)
      if (f.hits == 0) s.broken(std::string(name_of(f.kind)) + " did not happen");
  for (const std::string& text : v.facts.broken) s.broken(text);
  for (const figure& f : s.figures)
    if (!f.kept()) s.broken(text_of(f));
  return s.figures;
}

} // namespace beeline::chaos
