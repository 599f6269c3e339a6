#include "tests/bench/usage.hpp"

#include "tests/support/proc_stats.hpp"

#include <ctime>

namespace beeline::bench {

usage look(const std::vector<server>& servers) {
  usage u;
  for (const server& s : servers) u.cpu.push_back(test::cpu_seconds(s.pid));
  // By its own clock: what /proc says of a process that has only just begun may still be nothing.
  timespec t{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  u.own = static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9;
  return u;
}

} // namespace beeline::bench
