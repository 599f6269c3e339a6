// beeline-population: a real router, and edges that are simulated over real links with as many clients as
// wished; it registers them, breaks things under load, and judges every message (docs/population.md).
//
// Exit codes: 0 all promises were kept, 1 one was not, 2 usage, 3 the run could not be made.
#include "tests/population/run.hpp"

#include <csignal>
#include <cstdio>
#include <string_view>
#include <sys/prctl.h>
#include <unistd.h>

namespace beeline::population {
namespace {

int program(int argc, char** argv) {
  const run_options o = read_options(argc, argv);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL); // the processes of a run die with it, and it with who started it
  run r(o);
  std::printf(
      "%s: %u edges of %u lanes, a router of %u shards, %u clients, %.0f messages a second in %u flows\n",
      o.scenario.c_str(), o.edges, o.lanes, o.shards, o.clients, o.rate, o.flows);
  std::fflush(stdout);
  if (o.scenario == "presence") presence(r);
  else if (o.scenario == "router_kill") router_kill(r);
  else if (o.scenario == "router_stop") router_stop(r);
  else edge_kill(r);
  std::printf("%s: %s\n", o.scenario.c_str(),
              r.kept_all() ? "every promise was kept" : "NOT every promise was kept");
  if (r.kept_all()) return 0;
  r.folder.keep();
  std::printf("the router's log is in %s\n", r.folder.path().c_str());
  return 1;
}

} // namespace
} // namespace beeline::population

int main(int argc, char** argv) try {
  if (argc == 2 && std::string_view(argv[1]) == "--help") {
    std::fputs(beeline::population::help, stdout);
    return 0;
  }
  return beeline::population::program(argc, argv);
} catch (const beeline::population::usage& e) {
  std::fprintf(stderr, "beeline-population: %s\n%s", e.what(), beeline::population::help);
  return 2;
} catch (const std::exception& e) {
  std::fprintf(stderr, "beeline-population: %s\n", e.what());
  return 3;
}
