#include "tests/chaos/scenario.hpp"

#include <algorithm>

namespace beeline::chaos {
namespace {

using namespace scripts;

// name, text, namespaces, short size, full size (seconds, rate, clients), plan, script
constexpr scenario all[] = {
    {"f3_edge_kill", // F3
     "an edge is killed with messages in flight",
     false,
     {3, 1500, 30},
     {20, 5000, 60},
     edge_killed_plan,
     edge_kill},
    {"f3_edge_vanishes", // F3
     "an edge's network goes, then it is killed unseen",
     true,
     {3, 1000, 30},
     {20, 5000, 60},
     edge_killed_plan,
     edge_vanishes},
    {"f4_edge_restart", // F4
     "an edge is killed and started again at once; half of its clients stay away",
     false,
     {3, 1500, 30},
     {20, 5000, 60},
     edge_restarted_plan,
     edge_restart},
    {"f5_idle", // F5, CAT-41, CAT-42
     "all links of an edge go dead, without any message on them",
     true,
     {2, 0, 12},
     {2, 0, 60},
     idle_plan,
     half_open_idle},
    {"f5_in_flight", // F5, CAT-42
     "all links of an edge go dead, with messages in flight",
     true,
     {3, 1000, 30},
     {20, 5000, 60},
     steady,
     half_open_in_flight},
    {"f5_not_reading", // F5, CAT-42
     "the router, then an edge stands still and reads nothing",
     false,
     {3, 1000, 30},
     {20, 5000, 60},
     heavy_plan,
     half_open_not_reading},
    {"f5_one_link", // F5
     "one idle link of each of two edges goes dead",
     true,
     {2, 0, 12},
     {2, 0, 60},
     steady,
     half_open_one_link},
    {"f9_takeovers", // F9
     "clients connect at two edges at once, over and over",
     false,
     {10, 200, 40},
     {30, 1000, 100},
     takeovers_plan,
     takeovers},
    {"f11_rolling_restart", // F11
     "router and edges are restarted one after the other",
     false,
     {3, 1000, 90},
     {30, 5000, 600},
     rolling_plan,
     rolling_restart},
    {"f13_slow_client", // F13, CAT-56, CAT-65
     "a client does not read",
     false,
     {10, 3000, 32},
     {120, 50000, 60},
     slow_client_plan,
     slow_client},
    {"f13_stopped_edge", // F13
     "an edge stands still",
     false,
     {10, 3000, 36},
     {120, 50000, 60},
     slow_edge_plan,
     stopped_edge},
    {"f13_black_hole", // F13
     "an edge's links are a black hole",
     true,
     {10, 3000, 36},
     {120, 50000, 60},
     slow_edge_plan,
     black_hole},
    {"f15_wall_clock", // F15, CAT-57
     "the servers' wall clock jumps by an hour and a day, both ways",
     false,
     {4, 1000, 30},
     {60, 5000, 60},
     wall_clock_plan,
     wall_clock},
    {"f15_router_restart", // F15, F1, CAT-57
     "the router is killed and started again on a machine whose wall clock is an hour behind",
     false,
     {3, 1000, 30},
     {20, 5000, 60},
     wall_clock_plan,
     restart_in_the_past},
    {"f16_frames", // F16, CAT-59
     "links carry flipped bits, cut frames, a repeated proof, a repeated message",
     false,
     {3, 1000, 30},
     {30, 5000, 60},
     steady,
     damaged_frames},
    {"soak",
     "a long run with a fault every 30 s; the same ones in each third",
     false,
     {15, 1500, 40},
     {1800, 8000, 60},
     soak_plan,
     soak,
     soak_before,
     soak_at_rest},
};

} // namespace

std::span<const scenario> scenarios() { return all; }

const scenario* find_scenario(std::string_view name) {
  const auto at =
      std::find_if(std::begin(all), std::end(all), [&](const scenario& s) { return s.name == name; });
  return at == std::end(all) ? nullptr : at;
}

} // namespace beeline::chaos
