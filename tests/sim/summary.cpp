#include "tests/sim/summary.hpp"

#include <algorithm>
#include <cstdio>

namespace beeline::sim {
namespace {
using ull = unsigned long long;
}

template <class F> std::uint64_t summary::median(F f) {
  if (all_.empty()) return 0;
  auto middle = all_.begin() + static_cast<std::ptrdiff_t>(all_.size() / 2);
  std::nth_element(all_.begin(), middle, all_.end(),
                   [&](const auto& a, const auto& b) { return f(a) < f(b); });
  return f(*middle);
}

void summary::print(std::size_t failures, double seconds) {
  std::printf("\n%-22s %10s %10s\n", "fault", "fired", "in seeds");
  for (std::size_t k = 0; k < fault_count; ++k) {
    std::uint64_t fired = 0, seeds = 0;
    for (const run_result& r : all_) fired += r.fired[k], seeds += r.fired[k] > 0;
    std::printf("%-22s %10llu %10llu\n", fault_names[k].data(), ull{fired}, ull{seeds});
  }
  const std::string never = never_fired();
  std::printf("never fired: %s\n", never.empty() ? "none" : never.c_str());
  std::printf("\n%-22s %10s\n", "answers", "");
  for (std::size_t k = 0; k < std::size(outcome_names); ++k) {
    std::uint64_t n = 0;
    for (const run_result& r : all_) n += r.outcomes[k];
    std::printf("%-22s %10llu\n", outcome_names[k].data(), ull{n});
  }
  std::uint64_t resent = 0, safety = 0;
  for (const run_result& r : all_) resent += r.resent, safety += r.safety_resends;
  std::printf("%-22s %10llu\n%-22s %10llu\n", "frames sent again", ull{resent}, "by the safety timer",
              ull{safety});
  std::printf(
      "\nseeds %zu, failures %zu; per seed (median): %llu deliveries, %llu messages, %llu sessions, %llu "
      "faults, %llu events; %.1f s\n",
      all_.size(), failures, ull{median([](const run_result& r) { return r.deliveries; })},
      ull{median([](const run_result& r) { return r.publishes; })},
      ull{median([](const run_result& r) { return r.sessions; })},
      ull{median([](const run_result& r) { return r.faults; })},
      ull{median([](const run_result& r) { return r.events; })}, seconds);
}

std::string summary::never_fired() const {
  std::string never;
  for (std::size_t k = 0; k < fault_count; ++k)
    if (std::none_of(all_.begin(), all_.end(), [&](const run_result& r) { return r.fired[k] > 0; }))
      never += (never.empty() ? "" : ", ") + std::string(fault_names[k]);
  return never;
}

bool summary::enough_load() {
  if (const std::string never = never_fired(); !never.empty()) {
    std::printf("too little: %s never happened\n", never.c_str());
    return false;
  }
  const std::uint64_t deliveries = median([](const run_result& r) { return r.deliveries; });
  const std::uint64_t faults = median([](const run_result& r) { return r.faults; });
  if (deliveries >= deliveries_min && faults >= faults_min) return true;
  std::printf("too little load: the median seed has to have %llu deliveries and %llu faults at least\n",
              ull{deliveries_min}, ull{faults_min});
  return false;
}

} // namespace beeline::sim
