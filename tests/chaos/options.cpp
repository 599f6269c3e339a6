#include "tests/chaos/options.hpp"

#include "tests/chaos/scenario.hpp"
#include "tests/support/sanitized.hpp"

#include <algorithm>

namespace beeline::chaos {

const char* const help_text =
    R"(usage: beeline-chaos --programs DIR --out DIR [--seed S] [--seconds T] [--rate R]
                     [--clients N] [--faults N] [--only KIND] [--netns]
                     [--scenario NAME [--full] [--every SECONDS]]
       beeline-chaos --list-scenarios
)";

namespace {

// A scenario's size comes first; what is said beside it counts more.
void take_scenario(run_options& o, int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    if (std::string_view(argv[i]) == "--full") o.full = true;
    if (std::string_view(argv[i]) == "--scenario" && i + 1 < argc) o.scenario = argv[i + 1];
  }
  if (o.scenario.empty()) return;
  const scenario* s = find_scenario(o.scenario);
  if (!s) throw usage("no scenario is called " + o.scenario);
  const scenario_size& size = o.full ? s->full : s->brief;
  o.seconds = size.seconds;
  o.rate = size.rate / (test::sanitized ? 5 : 1);
  o.clients = size.clients;
  o.netns = s->netns;
}

void take(run_options& o, const std::string& name, const std::string& value) {
  if (name == "--programs") o.programs = value;
  else if (name == "--out") o.folder = value;
  else if (name == "--only") o.only = value;
  else if (name == "--seed") o.seed = std::stoull(value);
  else if (name == "--seconds") o.seconds = std::stod(value);
  else if (name == "--rate") o.rate = std::stod(value);
  else if (name == "--every") o.every = std::stod(value);
  else if (name == "--clients") o.clients = static_cast<unsigned>(std::stoul(value));
  else if (name == "--faults") o.faults = std::stoi(value);
  else if (name != "--scenario") throw usage("unknown option " + name);
}

void check(const run_options& o) {
  if (o.programs.empty() || o.folder.empty()) throw usage("--programs and --out are needed");
  const double rate_least = o.scenario.empty() ? 1 : 0;
  if (o.seconds < 2 || o.seconds > 7200 || o.rate < rate_least || o.clients < 2 || o.clients > 10'000)
    throw usage("2 to 7200 seconds, 2 to 10000 clients, a rate of 1 or more");
  if (o.every < 1) throw usage("--every takes a second or more");
  if (!o.only.empty() &&
      std::find(std::begin(fault_names), std::end(fault_names), o.only) == std::end(fault_names))
    throw usage("no fault is called " + o.only);
}

} // namespace

run_options read_options(int argc, char** argv) {
  run_options o;
  take_scenario(o, argc, argv);
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--full") continue;
    if (name == "--netns") {
      o.netns = true;
      continue;
    }
    if (++i >= argc) throw usage(name + " needs a value");
    const std::string value = argv[i];
    try {
      take(o, name, value);
    } catch (const std::logic_error&) {
      throw usage(name + ": '" + value + "' is no number");
    }
  }
  check(o);
  return o;
}

} // namespace beeline::chaos
