// The promises of delivery, judged by what the clients of a run saw (docs/chaos.md has the table). Where a
// client cannot know when a server let its session go, the rule is the one that no correct cluster breaks.
//
// Pure functions of the view.
#pragma once
#include "tests/chaos/view.hpp"

#include <optional>

namespace beeline::chaos {

// A QoS 1 message whose sender's connection lives is answered within that time, whatever happens: an outage
// of 5 s, 3 s until a silent link is noticed, 6 s of warm-up beyond the last progress, resends.
inline constexpr std::int64_t answer_max = 30'000'000;

// All of the below. `shown` tells the first of each kind.
void judge(const run_view& v, findings& wrong);

void judge_messages(const run_view& v, findings& wrong);                         // P1, P2, false nobody
void judge_order(const run_view& v, std::span<const record> h, findings& wrong); // P3
void judge_sessions(const run_view& v, findings& wrong); // P4, and who was cut off without a cause
void judge_rest(const run_view& v, findings& wrong);     // P4, P5, P6 at rest

// What else a scenario promises. All that was measured, by its script and in its history; what is out of
// bounds is wrong.
std::vector<figure> judge_scenario(const run_view& v, findings& wrong);

// Nothing: the run counts. Otherwise why it says nothing: too little load, or a fault that did not happen.
std::optional<std::string> why_void(const run_view& v);

// The faults whose effect may reach into [from, to]: those that begin before its end, and end less than
// `after` before its begin.
template <class F>
bool any_fault(const run_facts& f, std::int64_t from, std::int64_t to, std::int64_t after, F which) {
  for (const fault_fact& x : f.faults)
    if (x.hits && x.begin <= to && x.end + after >= from && which(x)) return true;
  return false;
}

} // namespace beeline::chaos
