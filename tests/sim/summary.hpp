// What many seeds were like: faults that fired, answers, medians; and whether that was load enough (S1).
#pragma once
#include "tests/sim/run.hpp"

namespace beeline::sim {

// A run of seeds shows something only if its median seed had at least so much, and each kind of fault fired.
inline constexpr std::uint64_t deliveries_min = 2'000, faults_min = 3;
inline constexpr std::size_t seeds_that_need_load = 1'000;

class summary {
public:
  void add(run_result r) { all_.push_back(std::move(r)); }
  void print(std::size_t failures, double seconds);
  bool enough_load(); // and says so if not

private:
  template <class F> std::uint64_t median(F f);
  std::string never_fired() const;
  std::vector<run_result> all_;
};

} // namespace beeline::sim
