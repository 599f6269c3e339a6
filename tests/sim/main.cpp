// beeline-sim: simulated lifetimes of a cluster, each from one seed (docs/simulator.md).
#include "tests/sim/run.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <thread>
#include <unistd.h>

namespace beeline::sim {
namespace {

struct options {
  std::uint64_t seeds = 0, first = 1, seed = 0;
  unsigned jobs = 2, hash_bits = 0;
  bool one = false, trace = false, expect_failure = false;
  std::string plant, seeds_file;
};

thread_local std::uint64_t current_seed = 0;
std::string replay_options; // what a replay needs beside the seed
bool abort_is_expected = false;

// A CHECK of the code under test ends the process: say at least which seed it was.
void on_abort(int) {
  char text[200];
  const int n = std::snprintf(text, sizeof text,
                              "seed %llu: a CHECK failed; replay: beeline-sim --seed %llu --trace%s\n",
                              static_cast<unsigned long long>(current_seed),
                              static_cast<unsigned long long>(current_seed), replay_options.c_str());
  (void)!::write(STDERR_FILENO, text, static_cast<std::size_t>(n));
  ::_exit(abort_is_expected ? 0 : 1);
}

[[noreturn]] void usage(const char* problem, int code = 2) {
  std::fprintf(
      stderr,
      "beeline-sim: %s\n"
      "  --seeds N [--first S] [--jobs J]  runs N seeds from S on (1), J at a time (2)\n"
      "  --seeds-file FILE                 runs the seeds in FILE, one a line, '#' begins a comment\n"
      "  --seed N [--trace]                runs one seed and prints its hash [and each event]\n"
      "  --list-plants                     their names, one a line\n"
      "  --hash-bits B                     only 2^B different hashes of client ids\n"
      "  --plant NAME                      breaks a rule on purpose:",
      problem);
#define X(where, path) std::fprintf(stderr, " %s", std::strrchr(#path, '.') + 1);
  BEELINE_SIM_PLANTS(X)
#undef X
  std::fprintf(
      stderr,
      "\n  --expect-failure                  stops at the first seed that fails, and that is success\n");
  std::exit(code);
}

bool known_plant(std::string_view name) {
#define X(where, path)                                                                                       \
  if (name == std::strrchr(#path, '.') + 1) return true;
  BEELINE_SIM_PLANTS(X)
#undef X
  return false;
}

[[noreturn]] void list_plants() {
#define X(where, path) std::puts(std::strrchr(#path, '.') + 1);
  BEELINE_SIM_PLANTS(X)
#undef X
  std::exit(0);
}

options parse(int argc, char** argv) {
  options o;
  for (int i = 1; i < argc; ++i) {
    const std::string_view a = argv[i];
    const auto text = [&] {
      if (++i == argc) usage(("a value is missing after " + std::string(a)).c_str());
      return std::string(argv[i]);
    };
    const auto number = [&] {
      const std::string t = text();
      char* end = nullptr;
      const auto n = std::strtoull(t.c_str(), &end, 10);
      if (t.empty() || *end) usage((std::string(a) + " needs a number").c_str());
      return n;
    };
    if (a == "--seeds") o.seeds = number();
    else if (a == "--first") o.first = number();
    else if (a == "--jobs") o.jobs = static_cast<unsigned>(number());
    else if (a == "--seed") o.seed = number(), o.one = true;
    else if (a == "--trace") o.trace = true;
    else if (a == "--hash-bits") o.hash_bits = static_cast<unsigned>(number());
    else if (a == "--plant") o.plant = text();
    else if (a == "--seeds-file") o.seeds_file = text();
    else if (a == "--expect-failure") o.expect_failure = true;
    else if (a == "--list-plants") list_plants();
    else if (a == "--help") usage("whole lifetimes of a cluster, each from one seed", 0);
    else usage(("unknown option " + std::string(a)).c_str());
  }
  if (!o.plant.empty() && !known_plant(o.plant)) usage(("no planted bug is called " + o.plant).c_str());
  if (!o.one && !o.seeds && o.seeds_file.empty()) usage("say --seeds N or --seed N");
  return o;
}

std::vector<std::uint64_t> seeds_of(const options& o) {
  std::vector<std::uint64_t> all;
  if (!o.seeds_file.empty()) {
    std::FILE* f = std::fopen(o.seeds_file.c_str(), "r");
    if (!f) usage(("cannot read " + o.seeds_file).c_str());
    char line[200];
    while (std::fgets(line, sizeof line, f))
      if (const auto n = std::strtoull(line, nullptr, 10)) all.push_back(n);
    std::fclose(f);
  }
  for (std::uint64_t i = 0; i < o.seeds; ++i) all.push_back(o.first + i);
  return all;
}

void print_failure(const run_result& r) {
  std::printf("seed %llu FAILED\n  %s\n  replay: beeline-sim --seed %llu --trace%s\n",
              static_cast<unsigned long long>(r.seed), r.violation.c_str(),
              static_cast<unsigned long long>(r.seed), replay_options.c_str());
  std::fflush(stdout);
}

template <class F> std::uint64_t median(std::vector<run_result>& all, F f) {
  if (all.empty()) return 0;
  auto middle = all.begin() + static_cast<std::ptrdiff_t>(all.size() / 2);
  std::nth_element(all.begin(), middle, all.end(), [&](const auto& a, const auto& b) { return f(a) < f(b); });
  return f(*middle);
}

void print_summary(std::vector<run_result>& all, std::size_t failures, double seconds) {
  std::printf("\n%-22s %10s %10s\n", "fault", "fired", "in seeds");
  for (std::size_t k = 0; k < fault_count; ++k) {
    std::uint64_t fired = 0, seeds = 0;
    for (const run_result& r : all) fired += r.fired[k], seeds += r.fired[k] > 0;
    std::printf("%-22s %10llu %10llu\n", fault_names[k].data(), static_cast<unsigned long long>(fired),
                static_cast<unsigned long long>(seeds));
  }
  std::printf("\n%-22s %10s\n", "answers", "");
  for (std::size_t k = 0; k < std::size(outcome_names); ++k) {
    std::uint64_t n = 0;
    for (const run_result& r : all) n += r.outcomes[k];
    std::printf("%-22s %10llu\n", outcome_names[k].data(), static_cast<unsigned long long>(n));
  }
  std::uint64_t resent = 0, safety = 0;
  for (const run_result& r : all) resent += r.resent, safety += r.safety_resends;
  std::printf("%-22s %10llu\n%-22s %10llu\n", "frames sent again", static_cast<unsigned long long>(resent),
              "by the safety timer", static_cast<unsigned long long>(safety));
  std::printf(
      "\nseeds %zu, failures %zu; per seed (median): %llu deliveries, %llu faults, %llu events; %.1f s\n",
      all.size(), failures,
      static_cast<unsigned long long>(median(all, [](const run_result& r) { return r.deliveries; })),
      static_cast<unsigned long long>(median(all, [](const run_result& r) { return r.faults; })),
      static_cast<unsigned long long>(median(all, [](const run_result& r) { return r.events; })), seconds);
}

run_result run_one(const options& o, std::uint64_t seed) {
  current_seed = seed;
  return run_seed({seed, o.hash_bits, o.plant, o.trace});
}

int run_all(const options& o) {
  const auto begin = std::chrono::steady_clock::now();
  const std::vector<std::uint64_t> seeds = seeds_of(o);
  std::vector<run_result> all;
  std::size_t failures = 0;
  std::mutex m;
  std::atomic<std::size_t> next{0};
  std::atomic<bool> stop{false};
  const auto work = [&] {
    while (!stop) {
      const std::size_t i = next++;
      if (i >= seeds.size()) return;
      run_result r = run_one(o, seeds[i]);
      const std::lock_guard lock(m);
      if (!r.violation.empty()) {
        if (++failures <= 20) print_failure(r);
        if (o.expect_failure) stop = true;
      }
      all.push_back(std::move(r));
    }
  };
  std::vector<std::thread> threads;
  for (unsigned j = 0; j < std::max(1u, o.jobs); ++j) threads.emplace_back(work);
  for (std::thread& t : threads) t.join();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  print_summary(all, failures, took.count());
  return (failures > 0) == o.expect_failure ? 0 : 1;
}

} // namespace
} // namespace beeline::sim

int main(int argc, char** argv) {
  using namespace beeline::sim;
  const options o = parse(argc, argv);
  if (o.hash_bits) replay_options += " --hash-bits " + std::to_string(o.hash_bits);
  if (!o.plant.empty()) replay_options += " --plant " + o.plant;
  abort_is_expected = o.expect_failure;
  std::signal(SIGABRT, on_abort);
  if (!o.one) return run_all(o);
  const run_result r = run_one(o, o.seed);
  if (!r.violation.empty()) print_failure(r);
  std::printf("seed %llu hash %016llx deliveries %llu faults %llu events %llu\n",
              static_cast<unsigned long long>(r.seed), static_cast<unsigned long long>(r.hash),
              static_cast<unsigned long long>(r.deliveries), static_cast<unsigned long long>(r.faults),
              static_cast<unsigned long long>(r.events));
  return r.violation.empty() == o.expect_failure ? 1 : 0;
}
