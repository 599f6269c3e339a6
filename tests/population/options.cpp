#include "tests/population/options.hpp"

#include "tests/support/sanitized.hpp"

#include <algorithm>
#include <sstream>

namespace beeline::population {

const char* const help =
    R"(usage: beeline-population SCENARIO --programs DIR [options]
scenarios
  presence     the presence table at several sizes: registrations a second, memory, flat at rest, all routed right
  router_kill  SIGKILL of the router under load, twice in a row
  router_stop  SIGSTOP of the router under load, SIGCONT
  edge_kill    an edge ends with all its clients, which come back elsewhere
options
  --full                 1 M clients (presence: 0.5 to 2 M), 20,000 messages a second; default: small
  --clients N --rate R --flows N --edges N --lanes N --shards N
  --sizes N,N,...        presence: the table's sizes
  --calm T --rest T      seconds of load before a fault and after it; presence: of rest
  --pause T              router_stop: seconds
  --halfway              router_kill: the second one while clients still register after the first
  --jitter T             edge_kill: seconds in which the clients come back
)";

namespace {

std::vector<std::uint32_t> numbers(const std::string& list) {
  std::vector<std::uint32_t> all;
  std::istringstream in(list);
  for (std::string n; std::getline(in, n, ',');) all.push_back(static_cast<std::uint32_t>(std::stoul(n)));
  if (all.empty() || !std::is_sorted(all.begin(), all.end())) throw usage("--sizes: rising numbers");
  return all;
}

void set(run_options& o, const std::string& name, const std::string& value) {
  const auto whole = [&] { return static_cast<std::uint32_t>(std::stoul(value)); };
  if (name == "--programs") o.programs = value;
  else if (name == "--clients") o.clients = whole();
  else if (name == "--rate") o.rate = std::stod(value);
  else if (name == "--flows") o.flows = whole();
  else if (name == "--edges") o.edges = whole();
  else if (name == "--lanes") o.lanes = whole();
  else if (name == "--shards") o.shards = whole();
  else if (name == "--sizes") o.sizes = numbers(value);
  else if (name == "--calm") o.calm = std::stod(value);
  else if (name == "--rest") o.rest = std::stod(value);
  else if (name == "--pause") o.pause = std::stod(value);
  else if (name == "--jitter") o.jitter = std::stod(value);
  else throw usage("unknown option " + name);
}

// What was not given: small for ctest, smaller under a sanitizer.
void fill(run_options& o) {
  const auto pick = [&](double full, double small, double sanitized) {
    return o.full ? full : test::sanitized ? sanitized : small;
  };
  if (o.clients == 0) o.clients = static_cast<std::uint32_t>(pick(1e6, 50e3, 10e3));
  if (o.rate <= 0) o.rate = pick(20e3, 3e3, 400);
  if (o.flows == 0) o.flows = static_cast<std::uint32_t>(pick(2000, 600, 200));
  if (o.calm <= 0) o.calm = pick(5, 1.5, 1.5);
  if (o.rest <= 0) o.rest = pick(5, 1.5, 1.5);
  if (!o.sizes.empty()) return;
  if (o.full) o.sizes = {500'000, 700'000, 900'000, 1'100'000, 1'300'000, 1'500'000, 1'750'000, 2'000'000};
  else o.sizes = {o.clients / 2, o.clients, o.clients * 2};
}

void check(const run_options& o) {
  constexpr const char* scenarios[] = {"presence", "router_kill", "router_stop", "edge_kill"};
  if (std::find(std::begin(scenarios), std::end(scenarios), o.scenario) == std::end(scenarios))
    throw usage("no scenario '" + o.scenario + "'");
  if (o.programs.empty()) throw usage("--programs is needed");
  if (o.edges < 2 || o.edges > 64 || o.lanes < 1 || o.lanes > 16 || o.shards < 1 || o.shards > 64)
    throw usage("2 to 64 edges of 1 to 16 lanes, 1 to 64 shards");
  if (o.scenario == "edge_kill" && o.edges < 4) throw usage("edge_kill needs 4 edges: two of them end");
  const std::uint32_t lanes = o.edges_lanes();
  if (o.flows < lanes || o.clients < 2 * o.flows + 2 * lanes)
    throw usage("a flow for each lane, and two clients for each flow");
  if (o.sizes.front() < 2 * lanes) throw usage("--sizes: two clients for each lane");
}

} // namespace

run_options read_options(int argc, char** argv) {
  run_options o;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--full") o.full = true;
    else if (name == "--halfway") o.halfway = true;
    else if (!name.starts_with("--") && o.scenario.empty()) o.scenario = name;
    else if (++i >= argc) throw usage(name + " needs a value");
    else try {
        set(o, name, argv[i]);
      } catch (const std::logic_error&) {
        throw usage(name + ": '" + argv[i] + "' is no number");
      }
  }
  fill(o);
  check(o);
  return o;
}

} // namespace beeline::population
