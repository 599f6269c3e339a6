#include "tests/sim/shrink.hpp"

#include "tests/sim/command_line.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <sys/wait.h>
#include <unistd.h>

namespace beeline::sim {
namespace {

using ull = unsigned long long;
constexpr std::uint64_t few = 15;
constexpr std::uint64_t salts =
    4; // streams of chance that are tried for each reduction, beside the present one

// What is told of a run over a pipe.
struct verdict {
  char violation[400] = {};
  std::uint64_t events = 0, messages = 0, faults = 0, clients = 0, processes = 0, ms = 0;
  unsigned faults_planned = 0;
  std::string_view promise() const {
    return std::string_view(violation).substr(0, std::string_view(violation).find(':'));
  }
  bool failed() const { return violation[0] != 0; }
};

// Of a run that died nothing is known: as much as there can be.
constexpr verdict died{"CHECK: the process died", 1'000'000, 5'000, 25, 40, 6, 60'000, 29};

verdict verdict_of(const draw_options& o) {
  const run_result r = run_seed({o, false});
  verdict v;
  std::snprintf(v.violation, sizeof v.violation, "%s", r.violation.c_str());
  v.events = r.events, v.messages = r.publishes, v.faults = r.faults;
  v.clients = r.clients, v.processes = r.processes;
  v.ms = to_us(r.until) / 1000;
  v.faults_planned = r.faults_planned;
  return v;
}

// In a child process. One that dies has failed a CHECK.
verdict try_run(const draw_options& o) {
  int ends[2];
  if (::pipe(ends) != 0) std::perror("beeline-sim: pipe"), std::exit(2);
  const pid_t child = ::fork();
  if (child < 0) std::perror("beeline-sim: fork"), std::exit(2);
  if (child == 0) {
    std::signal(SIGABRT, SIG_DFL);
    if (!std::freopen("/dev/null", "w", stderr)) ::_exit(2); // what a CHECK says is told once, by the replay
    const verdict v = verdict_of(o);
    ::_exit(::write(ends[1], &v, sizeof v) == sizeof v ? 0 : 2);
  }
  ::close(ends[1]);
  verdict v;
  const bool told = ::read(ends[0], &v, sizeof v) == sizeof v;
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (!told) v = died;
  return v;
}

std::uint64_t features(const reductions& r) {
  return !r.no_churn + !r.large_limits + !r.plain_network + !r.even_machines + !r.only_v5 + !r.only_qos1 +
         !r.no_wishes;
}

// What makes a run hard to read. Of a run that died nothing is known but what was taken away from it.
std::uint64_t weight(const verdict& v, const reductions& r) {
  const std::uint64_t taken = r.without.size();
  const std::uint64_t of_settings =
      500 * (std::min(r.clients, 99u) + std::min(r.edges, 9u) + std::min(r.routers, 9u) +
             std::min(r.shards, 9u) + std::min(r.lanes, 9u)) +
      1000 * features(r) + 1000 * (100 - std::min<std::uint64_t>(taken, 100)) +
      std::min<std::uint64_t>(r.messages, 5000) +
      std::min<std::uint64_t>(to_us(std::min(r.stop_after, duration(10s))) / 1000, 10'000);
  return of_settings + v.events;
}

class shrinker {
public:
  shrinker(const draw_options& o, const shrink_limits& l)
      : best_(o), limits_(l), end_(std::chrono::steady_clock::now() + std::chrono::seconds(l.seconds)) {}

  bool begin() {
    first_ = seen_ = try_run(best_);
    return first_.failed();
  }
  void go() {
    while (round() && !over()) {
    }
  }
  void print() const;

private:
  bool over() const { return runs_ >= limits_.runs || std::chrono::steady_clock::now() >= end_; }
  bool round();
  bool attempt(const reductions& less);
  template <class F> bool with(F f) {
    reductions r = best_.less;
    f(r);
    return attempt(r);
  }
  bool fewer_faults();
  bool shorter();
  template <class T> bool lower(T reductions::*what, std::uint64_t now, std::uint64_t least);
  bool flag(bool reductions::*what);

  draw_options best_;
  verdict first_, seen_;
  shrink_limits limits_;
  std::chrono::steady_clock::time_point end_;
  std::uint64_t runs_ = 0;
};

bool shrinker::attempt(const reductions& less) {
  const std::uint64_t present = best_.less.salt;
  for (std::uint64_t k = 0; k <= salts && !over(); ++k) {
    if (k && k == present) continue;
    draw_options o = best_;
    o.less = less;
    o.less.salt = k ? k : present;
    ++runs_;
    const verdict v = try_run(o);
    if (v.promise() != first_.promise() || weight(v, o.less) >= weight(seen_, best_.less)) continue;
    best_ = o;
    seen_ = v;
    return true;
  }
  return false;
}

bool shrinker::fewer_faults() {
  std::vector<unsigned> left;
  for (unsigned i = 0; i < std::max(first_.faults_planned, 1u); ++i)
    if (std::find(best_.less.without.begin(), best_.less.without.end(), i) == best_.less.without.end())
      left.push_back(i);
  bool any = false;
  for (std::size_t piece = left.size(); piece; piece /= 2)
    for (std::size_t at = 0; at < left.size();) {
      const auto end = std::min(at + piece, left.size());
      const bool gone = with([&](reductions& r) {
        r.without.insert(r.without.end(), left.begin() + static_cast<std::ptrdiff_t>(at),
                         left.begin() + static_cast<std::ptrdiff_t>(end));
        std::sort(r.without.begin(), r.without.end());
      });
      any |= gone;
      if (gone)
        left.erase(left.begin() + static_cast<std::ptrdiff_t>(at),
                   left.begin() + static_cast<std::ptrdiff_t>(end));
      else at = end;
    }
  return any;
}

bool shrinker::shorter() {
  bool any = false;
  const duration now = std::min(best_.less.stop_after, duration(8s));
  for (const unsigned percent : {0u, 10u, 30u, 60u, 85u})
    if (with([&](reductions& r) {
          r.stop_after = std::chrono::milliseconds(to_us(now) / 1000 * percent / 100);
        })) {
      any = true;
      break;
    }
  return any;
}

template <class T> bool shrinker::lower(T reductions::*what, std::uint64_t now, std::uint64_t least) {
  now = std::min<std::uint64_t>(now, best_.less.*what);
  const std::uint64_t one_less = now <= few ? now - 1 : now; // of many, one less is not worth the runs
  for (std::uint64_t n : {least, now / 4, now / 2, now - now / 4, one_less})
    if (n >= least && n < now && with([&](reductions& r) { r.*what = static_cast<T>(n); })) return true;
  return false;
}

bool shrinker::flag(bool reductions::*what) {
  return !(best_.less.*what) && with([&](reductions& r) { r.*what = true; });
}

// Each thing once; false: nothing could be taken away any more.
bool shrinker::round() {
  bool any = shorter();
  any |= fewer_faults();
  any |= lower(&reductions::clients, seen_.clients, 1);
  any |= lower(&reductions::messages, seen_.messages, 1);
  any |= lower(&reductions::routers, 2, 1);
  any |= lower(&reductions::shards, 2, 1);
  any |= lower(&reductions::lanes, 2, 1);
  any |= lower(&reductions::edges, 4, 1);
  for (bool reductions::*what :
       {&reductions::no_churn, &reductions::large_limits, &reductions::plain_network,
        &reductions::even_machines, &reductions::only_v5, &reductions::only_qos1, &reductions::no_wishes})
    any |= flag(what);
  return any;
}

void shrinker::print() const {
  const auto line = [](const char* what, std::uint64_t from, std::uint64_t to) {
    std::printf("  %-10s %8llu -> %llu\n", what, ull{from}, ull{to});
  };
  std::printf("%s after %llu runs:\n", over() ? "stopped" : "no smaller one", ull{runs_});
  line("events", first_.events, seen_.events);
  line("faults", first_.faults, seen_.faults);
  line("clients", first_.clients, seen_.clients);
  line("messages", first_.messages, seen_.messages);
  line("processes", first_.processes, seen_.processes);
  line("ms", first_.ms, seen_.ms);
  line("weight", weight(first_, {}), weight(seen_, best_.less));
  std::printf("  was: %s\n  is:  %s\n  replay: %s --trace\n", first_.violation, seen_.violation,
              replay_of(best_).c_str());
}

} // namespace

bool shrink(const draw_options& o, const shrink_limits& limits) {
  shrinker s(o, limits);
  if (!s.begin()) return false;
  s.go();
  s.print();
  return true;
}

} // namespace beeline::sim
