// One seed: draw, let faults happen under traffic, heal, come to rest, exchange once more, judge.
// Runs share nothing; each belongs to the thread that calls.
#pragma once
#include "tests/sim/cluster.hpp"

namespace beeline::sim {

struct run_options {
  draw_options draw;
  bool trace = false;
};

struct run_result {
  std::uint64_t seed = 0, hash = 0;
  std::string violation; // empty: all promises held
  std::uint64_t deliveries = 0, publishes = 0, sessions = 0, events = 0, resent = 0, safety_resends = 0;
  std::uint64_t faults = 0;
  duration until{}; // when it was over, or a promise broke
  unsigned faults_planned = 0, processes = 0, clients = 0;
  std::array<std::uint32_t, fault_count> fired{};
  std::array<std::uint64_t, std::size(outcome_names)> outcomes{};
};

run_result run_seed(const run_options& o);

// The second half of a run, for scenarios too: heal, rest, everybody writes to everybody, rest,
// judge.
void heal_and_judge(world& w, const settings& s, history& h, cluster& c);
// Until nothing is under way; a promise is broken if that takes longer.
void come_to_rest(world& w, cluster& c, duration at_most, const char* when);

} // namespace beeline::sim
