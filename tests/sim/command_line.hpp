// The command line of beeline-sim, and how to say on it what a run was.
#pragma once
#include "tests/sim/run.hpp"

namespace beeline::sim {

struct command_line {
  std::uint64_t seeds = 0, first = 1, seed = 0;
  unsigned jobs = 2;
  bool one = false, trace = false, expect_failure = false, require_load = false, shrink = false;
  unsigned shrink_seconds = 60;
  std::uint64_t shrink_runs = ~std::uint64_t{0};
  std::string plant, seeds_file;
  draw_options draw; // its seed is not used; its plant is `plant`
};

// Ends the process with a line that says what to do when it cannot be understood.
command_line parse_command_line(int argc, char** argv);

struct seed_to_run {
  std::uint64_t seed;
  unsigned generation;
};
std::vector<seed_to_run> seeds_of(const command_line& o);

// What a replay needs.
std::string replay_of(const draw_options& d);

} // namespace beeline::sim
