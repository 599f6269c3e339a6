// beeline-search: an exhaustive search in a small world of the real cores (docs/simulator.md).
#include "tests/sim/search/explorer.hpp"

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {
using namespace beeline::search;
using ull = unsigned long long;

struct options {
  bounds b;
  std::string plant;
  bool expect_failure = false, replay = false, require_complete = false;
  std::vector<std::size_t> choices;
};

constexpr const char* options_text =
    "  --faults N            on one path (1)\n"
    "  --deviations N|all    from the order in which frames were sent (all)\n"
    "  --late N              moments that pass while frames are on their way (0)\n"
    "  --seconds T           stops then (20)\n"
    "  --require-complete    not to have seen all within the bounds is a failure\n"
    "  --plant NAME          breaks a rule on purpose (beeline-sim --list-plants)\n"
    "  --expect-failure      a broken promise is success\n"
    "  --replay C,C,...      one run by its choices, step by step\n"
    "  --help\n";

[[noreturn]] void usage(const std::string& problem) {
  std::fprintf(stderr, "beeline-search: %s\n%s", problem.c_str(), options_text);
  std::exit(2);
}
unsigned number_in(const std::string& option, const std::string& t) {
  unsigned n = 0;
  const auto [end, error] = std::from_chars(t.data(), t.data() + t.size(), n);
  if (error != std::errc{} || end != t.data() + t.size()) usage(option + ": '" + t + "' is no number");
  return n;
}

std::vector<std::size_t> choices_in(const std::string& t) {
  std::vector<std::size_t> out;
  for (std::size_t at = 0; at < t.size();) {
    const std::size_t end = std::min(t.find(',', at), t.size());
    out.push_back(number_in("--replay", t.substr(at, end - at)));
    at = end + 1;
  }
  return out;
}

options parse(int argc, char** argv) {
  options o;
  for (int i = 1; i < argc; ++i) {
    const std::string a = argv[i];
    const auto text = [&]() -> std::string {
      return ++i < argc ? argv[i] : (usage("a value is missing"), "");
    };
    const auto number = [&] { return number_in(a, text()); };
    if (a == "--faults") o.b.faults = number();
    else if (a == "--deviations") {
      const std::string t = text();
      o.b.deviations = t == "all" ? ~0u : number_in(a, t);
    } else if (a == "--late") o.b.late = number();
    else if (a == "--seconds") o.b.seconds = number();
    else if (a == "--plant") o.plant = text();
    else if (a == "--expect-failure") o.expect_failure = true;
    else if (a == "--require-complete") o.require_complete = true;
    else if (a == "--replay") o.choices = choices_in(text()), o.replay = true;
    else if (a == "--help" || a == "-h") {
      std::printf("usage: beeline-search [option]...\n%s", options_text);
      std::exit(0);
    } else usage("unknown option " + a);
  }
  return o;
}

// Trailing zeros are what happens anyway.
std::string text_of(std::vector<std::size_t> choices) {
  while (!choices.empty() && choices.back() == 0) choices.pop_back();
  std::string s;
  for (std::size_t c : choices) s += (s.empty() ? "" : ",") + std::to_string(c);
  return s.empty() ? "0" : s;
}

} // namespace

int main(int argc, char** argv) {
  const options o = parse(argc, argv);
  if (o.replay) {
    const std::string broken = explorer::replay(o.plant, o.choices);
    std::printf("%s\n", broken.empty() ? "every promise was kept" : broken.c_str());
    return broken.empty() == o.expect_failure;
  }
  const auto begin = std::chrono::steady_clock::now();
  const found f = explorer(o.plant, o.b).go();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  const std::string orders =
      o.b.deviations == ~0u ? "all orders" : std::to_string(o.b.deviations) + " deviations";
  std::printf("1 shard, 2 edges, 2 clients, 3 messages; at most %u faults, %s, %u late moments\n"
              "%llu runs, %llu steps, %llu states, the longest run %zu steps, %.1f s: %s\n",
              o.b.faults, orders.c_str(), o.b.late, ull{f.runs}, ull{f.steps}, ull{f.states}, f.longest,
              took.count(),
              !f.violation.empty() ? "a promise was broken"
              : f.complete         ? "complete"
                                   : "NOT complete, out of time");
  if (!f.violation.empty())
    std::printf("  %s\n  replay: beeline-search%s%s --replay %s\n", f.violation.c_str(),
                o.plant.empty() ? "" : " --plant ", o.plant.c_str(), text_of(f.choices).c_str());
  if (f.violation.empty() == o.expect_failure) return 1;
  return o.require_complete && !f.complete && f.violation.empty();
}
