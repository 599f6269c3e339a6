// beeline-sim: simulated lifetimes of a cluster, each from one seed (docs/simulator.md).
#include "tests/sim/command_line.hpp"
#include "tests/sim/shrink.hpp"
#include "tests/sim/summary.hpp"

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <mutex>
#include <thread>
#include <unistd.h>

namespace beeline::sim {
namespace {

thread_local std::uint64_t current_seed = 0;
thread_local char current_replay[400];
bool abort_is_expected = false;

// A CHECK of the code under test ends the process: say at least which seed it was.
void on_abort(int) {
  char text[600];
  const int n = std::snprintf(text, sizeof text, "seed %llu: a CHECK failed; replay: %s --trace\n",
                              static_cast<unsigned long long>(current_seed), current_replay);
  (void)!::write(STDERR_FILENO, text, static_cast<std::size_t>(n));
  ::_exit(abort_is_expected ? 0 : 1);
}

draw_options drawn(const command_line& o, std::uint64_t seed, unsigned generation) {
  draw_options d = o.draw;
  d.seed = seed;
  d.generation = generation;
  d.plant = o.plant;
  return d;
}

run_result run_one(const draw_options& d, bool trace) {
  current_seed = d.seed;
  std::snprintf(current_replay, sizeof current_replay, "%s", replay_of(d).c_str());
  return run_seed({d, trace});
}

void print_failure(const run_result& r) {
  std::printf("seed %llu FAILED\n  %s\n  replay: %s --trace\n", static_cast<unsigned long long>(r.seed),
              r.violation.c_str(), current_replay);
  std::fflush(stdout);
}

int run_all(const command_line& o) {
  const auto begin = std::chrono::steady_clock::now();
  const std::vector<seed_to_run> seeds = seeds_of(o);
  summary all;
  std::size_t failures = 0;
  std::mutex m;
  std::atomic<std::size_t> next{0};
  std::atomic<bool> stop{false};
  const auto work = [&] {
    while (!stop) {
      const std::size_t i = next++;
      if (i >= seeds.size()) return;
      run_result r = run_one(drawn(o, seeds[i].seed, seeds[i].generation), o.trace);
      const std::lock_guard lock(m);
      if (!r.violation.empty()) {
        if (++failures <= 20) print_failure(r);
        if (o.expect_failure) stop = true;
      }
      all.add(std::move(r));
    }
  };
  std::vector<std::thread> threads;
  for (unsigned j = 0; j < std::max(1u, o.jobs); ++j) threads.emplace_back(work);
  for (std::thread& t : threads) t.join();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  all.print(failures, took.count());
  // Reduced runs, and those up to a failure that is expected, have the load that they have.
  const bool judge_load =
      o.require_load || (seeds.size() >= seeds_that_need_load && !o.expect_failure &&
                         o.draw.generation == newest_generation && options_of(o.draw.less).empty());
  const bool load = !judge_load || all.enough_load();
  return (failures > 0) == o.expect_failure && load ? 0 : 1;
}

int run_single(const command_line& o) {
  const draw_options d = drawn(o, o.seed, o.draw.generation);
  if (o.shrink) {
    if (shrink(d, {o.shrink_seconds, o.shrink_runs})) return 0;
    std::printf("seed %llu does not fail: nothing to shrink\n", static_cast<unsigned long long>(o.seed));
    return 1;
  }
  const run_result r = run_one(d, o.trace);
  if (!r.violation.empty()) print_failure(r);
  std::printf("seed %llu hash %016llx deliveries %llu faults %llu events %llu\n",
              static_cast<unsigned long long>(r.seed), static_cast<unsigned long long>(r.hash),
              static_cast<unsigned long long>(r.deliveries), static_cast<unsigned long long>(r.faults),
              static_cast<unsigned long long>(r.events));
  return r.violation.empty() == o.expect_failure ? 1 : 0;
}

} // namespace
} // namespace beeline::sim

int main(int argc, char** argv) {
  using namespace beeline::sim;
  const command_line o = parse_command_line(argc, argv);
  abort_is_expected = o.expect_failure;
  std::signal(SIGABRT, on_abort);
  return o.one ? run_single(o) : run_all(o);
}
