// Scripted runs, each named after the fault of docs/reliability.md that it shows: a cluster and clients that
// suit it, a script that breaks something and measures, and limits on what was measured. The checker judges
// the history by all of its rules and, in judge_scenario.cpp, by those of the scenario.
//
// Scripts run on the driver's main thread, beside the load.
#pragma once
#include "tests/chaos/run.hpp"

#include <span>

namespace beeline::chaos {

struct scenario_size {
  double seconds, rate; // of load: messages a second; seconds are the script's to divide
  unsigned clients;
};

struct scenario {
  std::string_view name, text;
  bool netns; // needs network namespaces
  scenario_size brief, full;
  run_plan (*plan)(const run_options&);
  void (*play)(run&);
  void (*before)(run&) = nullptr;  // everybody is connected, there was no load yet
  void (*at_rest)(run&) = nullptr; // after the load and the last exchange
};

std::span<const scenario> scenarios();
const scenario* find_scenario(std::string_view name); // null: there is none

// By file.
namespace scripts {
run_plan edge_killed_plan(const run_options& o);
run_plan edge_restarted_plan(const run_options& o);
void edge_kill(run& r);
void edge_vanishes(run& r);
void edge_restart(run& r);
run_plan idle_plan(const run_options& o);
run_plan heavy_plan(const run_options& o);
void half_open_idle(run& r);
void half_open_in_flight(run& r);
void half_open_not_reading(run& r);
void half_open_one_link(run& r);
run_plan takeovers_plan(const run_options& o);
void takeovers(run& r);
run_plan rolling_plan(const run_options& o);
void rolling_restart(run& r);
run_plan slow_client_plan(const run_options& o);
run_plan slow_edge_plan(const run_options& o);
void slow_client(run& r);
void stopped_edge(run& r);
void black_hole(run& r);
run_plan wall_clock_plan(const run_options& o);
void wall_clock(run& r);
void restart_in_the_past(run& r);
void damaged_frames(run& r);
run_plan soak_plan(const run_options& o);
void soak_before(run& r);
void soak(run& r);
void soak_at_rest(run& r);
} // namespace scripts

} // namespace beeline::chaos
