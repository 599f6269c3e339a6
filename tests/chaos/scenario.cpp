#include "tests/chaos/scenario.hpp"

#include <algorithm>

namespace beeline::chaos {
namespace {

using namespace scripts;

// name, text, namespaces, short size, full size (seconds, rate, clients), plan, script
constexpr scenario all[] = {
    {"f3_edge_kill", "an edge is killed with messages in flight", false, {3, 1500, 30}, {20, 5000, 60},
     edge_killed_plan, edge_kill},
    {"f3_edge_vanishes", "an edge's network goes, then it is killed unseen", true, {3, 1000, 30},
     {20, 5000, 60}, edge_killed_plan, edge_vanishes},
    {"f4_edge_restart", "an edge is killed and started again at once; half of its clients stay away", false,
     {3, 1500, 30}, {20, 5000, 60}, edge_restarted_plan, edge_restart},
};

} // namespace

std::span<const scenario> scenarios() { return all; }

const scenario* find_scenario(std::string_view name) {
  const auto at = std::find_if(std::begin(all), std::end(all), [&](const scenario& s) { return s.name == name; });
  return at == std::end(all) ? nullptr : at;
}

} // namespace beeline::chaos
