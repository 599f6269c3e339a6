// What a run is to do: a scenario and its sizes. Immutable once read.
#pragma once
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace beeline::population {

struct usage : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct run_options {
  std::string scenario, programs;
  unsigned edges = 4, lanes = 1, shards = 2; // lanes: of each edge
  std::uint32_t clients = 0;                 // in all; 0: of the build and --full
  std::uint32_t flows = 0;
  double rate = 0;                  // messages a second, all lanes together
  double calm = 0, rest = 0;        // seconds of load before a fault and after it; without load, at rest
  double pause = 2.1;               // seconds that the router stands still: its loops' pause_max is 2 s
  double jitter = 5;                // seconds in which the clients of a killed edge come back
  std::vector<std::uint32_t> sizes; // of the table, rising
  bool full = false, halfway = false;
  unsigned edges_lanes() const noexcept { return edges * lanes; }
};

run_options read_options(int argc, char** argv); // throws usage
extern const char* const help;

} // namespace beeline::population
