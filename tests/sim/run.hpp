// One seed: draw, let faults happen under traffic, heal, come to rest, exchange once more, judge.
// Runs share nothing; each belongs to the thread that calls.
#pragma once
#include "tests/sim/history.hpp"

namespace beeline::sim {

struct run_options {
  std::uint64_t seed = 1;
  unsigned hash_bits = 0; // 0: the seed draws
  std::string_view plant;
  bool trace = false;
};

struct run_result {
  std::uint64_t seed = 0, hash = 0;
  std::string violation; // empty: all promises held
  std::uint64_t deliveries = 0, publishes = 0, events = 0, resent = 0, safety_resends = 0;
  std::uint64_t faults = 0;
  std::array<std::uint32_t, fault_count> fired{};
  std::array<std::uint64_t, std::size(outcome_names)> outcomes{};
};

run_result run_seed(const run_options& o);

} // namespace beeline::sim
