// beeline-chaos: one run of real processes under faults, from one seed or by a scenario's script. It writes
// what happened (history.bin, run.json, logs) to a folder; beeline-chaos-check judges it. scripts/chaos runs
// both, many times.
//
// Exit codes: 0 the run is written, 2 usage, 3 the cluster did not start, 4 namespaces are not permitted.
#include "tests/chaos/options.hpp"
#include "tests/chaos/scenario.hpp"

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <string_view>
#include <sys/prctl.h>
#include <system_error>
#include <unistd.h>

namespace beeline::chaos {
namespace {

// Whoever starts the driver may be killed, and the driver may hang: the processes of the run die with it.
void end_in_time(const run_options& o) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::alarm(static_cast<unsigned>(o.seconds) + 240);
}

int list_scenarios() {
  for (const scenario& s : scenarios())
    std::printf("%s\t%s%s\n", std::string(s.name).c_str(), std::string(s.text).c_str(),
                s.netns ? " (netns)" : "");
  return 0;
}

int program(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == "--list-scenarios") return list_scenarios();
  const run_options o = read_options(argc, argv);
  end_in_time(o);
  std::filesystem::create_directories(o.folder);
  const scenario* script = o.scenario.empty() ? nullptr : find_scenario(o.scenario);
  const run_plan plan = script ? script->plan(o) : draw(o);
  std::unique_ptr<namespaces> nets;
  if (o.netns) try {
      nets =
          std::make_unique<namespaces>(static_cast<unsigned>(plan.lanes.size()), o.folder + "/network.log");
    } catch (const std::system_error& e) {
      std::fprintf(stderr, "beeline-chaos: %s\n", e.what());
      return 4;
    }
  run r(o, plan, script, std::move(nets));
  if (!r.start()) {
    std::fprintf(stderr, "beeline-chaos: the cluster does not serve: %s\n", r.words().c_str());
    return 3;
  }
  r.go();
  return 0;
}

} // namespace
} // namespace beeline::chaos

int main(int argc, char** argv) try {
  if (argc == 2 && std::string_view(argv[1]) == "--help") {
    std::fputs(beeline::chaos::help_text, stdout);
    return 0;
  }
  return beeline::chaos::program(argc, argv);
} catch (const beeline::chaos::usage& e) {
  std::fprintf(stderr, "beeline-chaos: %s\n%s", e.what(), beeline::chaos::help_text);
  return 2;
} catch (const std::exception& e) {
  std::fprintf(stderr, "beeline-chaos: %s\n", e.what());
  return 3;
}
