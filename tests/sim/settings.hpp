// What a seed draws before anything happens: the cluster's shape, its limits, the network, and which
// faults there will be. And the planted bugs, which are the command line's.
#pragma once
#include "common/base/limits.hpp"
#include "tests/sim/network.hpp"

#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace beeline::sim {

#define BEELINE_SIM_FAULTS(X)                                                                                \
  X(link_reset, "a link is reset and loses any suffix")                                                      \
  X(link_stall, "a link is silent both ways for a while")                                                    \
  X(link_stall_one_way, "one direction of a link is silent for a while")                                     \
  X(link_bit_flip, "a bit of what a link carries flips")                                                     \
  X(edge_cut_off, "all links of an edge are silent for a while")                                             \
  X(edge_crash, "an edge process is killed, back within 1 s")                                                \
  X(edge_crash_long, "an edge process is killed, back after 1 to 5 s")                                       \
  X(edge_vanish, "an edge's machine goes without a word")                                                    \
  X(edge_shutdown, "an edge process ends cleanly")                                                           \
  X(edge_pause, "an edge process is stopped for 0.1 to 5 s")                                                 \
  X(router_crash, "a router process is killed, back within 1 s")                                             \
  X(router_crash_long, "a router process is killed, back after 1 to 5 s")                                    \
  X(router_vanish, "a router's machine goes without a word")                                                 \
  X(router_shutdown, "a router process ends cleanly")                                                        \
  X(router_pause, "a router process is stopped for 0.1 to 5 s")                                              \
  X(dials_refused, "a router refuses connects for a while")                                                  \
  X(dials_hang, "connects to a router hang for a while")                                                     \
  X(client_reset, "a client's connection is reset")                                                          \
  X(client_vanish, "a client goes without a word")                                                           \
  X(client_stall, "a client's connection is silent for a while")                                             \
  /* from here on: of the second generation */                                                               \
  X(edge_drain, "an edge tells its clients to go, then ends")                                                \
  X(rolling_restart, "all processes end cleanly and come back, one after the other")                         \
  X(path_one_way, "nothing comes through from an edge to a router, or back, for a while")                    \
  X(link_trickle, "a link carries little for a while, one way or both")                                      \
  X(link_lose_some, "some bytes in the middle of what a link carries are lost")                              \
  X(link_repeat, "a frame comes twice")                                                                      \
  X(process_slow, "a process runs slowly for a while")                                                       \
  X(clock_jump, "a process is killed and back at once, its clock an hour or a day off")                      \
  X(takeover_storm, "many clients connect elsewhere at once")                                                \
  X(restart_herd, "a router is killed and back at once, and clients connect while edges register")           \
  /* from here on: of the third generation */                                                                \
  X(moved_and_lost,                                                                                          \
    "clients move from an edge that hears nothing meanwhile, and the edge they are at now dies")             \
  /* from here on: of the fourth generation */                                                               \
  X(slots_moved, "slots go from one router to another, which start anew for it in any order")

enum class fault : std::uint8_t {
#define X(name, text) name,
  BEELINE_SIM_FAULTS(X)
#undef X
};
inline constexpr std::string_view fault_names[] = {
#define X(name, text) #name,
    BEELINE_SIM_FAULTS(X)
#undef X
};
inline constexpr std::size_t fault_count = sizeof fault_names / sizeof fault_names[0];

// What a seed draws beyond the first generation comes from a second stream of chance, so that a seed kept
// with its generation (regression_seeds.txt) means what it meant.
inline constexpr std::size_t faults_of_generation_1 = static_cast<std::size_t>(fault::edge_drain);
inline constexpr std::size_t faults_of_generation_2 = static_cast<std::size_t>(fault::moved_and_lost);
inline constexpr std::size_t faults_of_generation_3 = static_cast<std::size_t>(fault::slots_moved);
inline constexpr unsigned newest_generation = 5;

// Run-time switches that break a rule on purpose (docs/simulator.md).
#define BEELINE_SIM_PLANTS(X)                                                                                \
  X(lane, incoming.plant.prev_not_checked)                                                                   \
  X(lane, incoming.plant.duplicate_not_answered)                                                             \
  X(lane, incoming.plant.no_dedup)                                                                           \
  X(lane, incoming.plant.again_accepted)                                                                     \
  X(lane, incoming.plant.again_unknown)                                                                      \
  X(lane, outgoing.plant.later_as_nobody)                                                                    \
  X(lane, outgoing.plant.busy_as_unknown)                                                                    \
  X(lane, outgoing.plant.unknown_as_nobody)                                                                  \
  X(lane, outgoing.plant.again_as_nobody)                                                                    \
  X(lane, outgoing.plant.number_restarts)                                                                    \
  X(lane, outgoing.plant.wrong_order)                                                                        \
  X(lane, outgoing.plant.not_stopped)                                                                        \
  X(lane, outgoing.plant.floor_early)                                                                        \
  X(lane, outgoing.plant.ignore_path_lost)                                                                   \
  X(lane, outgoing.plant.link_down_forgets)                                                                  \
  X(lane, outgoing.plant.timer_not_rearmed)                                                                  \
  X(lane, outgoing.plant.deadline_ignored)                                                                   \
  X(lane, outgoing.plant.link_window_ignored)                                                                \
  X(lane, plant.heartbeat_only_when_idle)                                                                    \
  X(lane, plant.sync_misses_new)                                                                             \
  X(lane, plant.limit_without_answer)                                                                        \
  X(lane, plant.dedup_without_life)                                                                          \
  X(lane, plant.kicked_stays_registered)                                                                     \
  X(lane, plant.receipt_before_ack)                                                                          \
  X(lane, plant.receipt_lost_with_link)                                                                      \
  X(lane, plant.in_sync_in_doubt)                                                                            \
  X(edge, plant.drain_forgets_recipients)                                                                    \
  X(edge, plant.drain_forgets_senders)                                                                       \
  X(edge, plant.window_off_by_one)                                                                           \
  X(edge, plant.pending_bytes_ignored)                                                                       \
  X(edge, plant.memory_max_ignored)                                                                          \
  X(shard, plant.arrival_wins_while_warming)                                                                 \
  X(shard, plant.answer_when_forwarded)                                                                      \
  X(shard, plant.old_link_ends_new)                                                                          \
  X(shard, plant.rehash_drops)                                                                               \
  X(shard, plant.drop_not_counted)                                                                           \
  X(shard, plant.deposed_is_owner)                                                                           \
  X(shard, plant.contested_ignored)                                                                          \
  X(shard, plant.outputs_max_ignored)                                                                        \
  X(shell, plant.partly_written_forgotten)                                                                   \
  X(lane, plant.no_reregistration)                                                                           \
  X(lane, plant.dial_gives_up)                                                                               \
  X(lane, plant.heartbeat_once)                                                                              \
  X(lane, plant.ack_before_deliver)                                                                          \
  X(shard, plant.path_lost_not_sent)                                                                         \
  X(shard, plant.claims_by_arrival)                                                                          \
  X(shard, plant.forward_while_warming)                                                                      \
  X(shard, plant.lower_epoch_unregisters)                                                                    \
  X(shard, plant.collision_overwrites)                                                                       \
  X(shard, plant.takeover_keeps_old)

// What a command line takes away from what the seed draws, for a smaller run that breaks the same promise
// (--shrink). `salt` is another stream of chance behind the settings.
struct reductions {
  std::vector<unsigned> without;              // faults, by their number in the run
  duration stop_after = duration::max();      // of the fault phase
  std::uint64_t messages = ~std::uint64_t{0}; // before the last exchange
  unsigned clients = ~0u, edges = ~0u, routers = ~0u, shards = ~0u, lanes = ~0u;
  bool no_churn = false, large_limits = false, plain_network = false, even_machines = false, only_v5 = false,
       only_qos1 = false, no_wishes = false;
  std::uint64_t salt = 0;
};

// The command line that says so, each option behind a space.
std::string options_of(const reductions& r);

struct settings {
  std::uint64_t seed = 1;
  unsigned routers = 1, shards = 1, edges = 2, ids = 8;
  std::array<unsigned, 4> lanes{1, 1, 1, 1};
  unsigned hash_bits = 64;
  duration fault_phase = 5s;
  unsigned faults = 0;
  std::array<bool, fault_count> fault_on{};
  bool churn = false; // clients connect elsewhere, leave, come back
  bool tiny_links = false;
  std::uint16_t inflight_max = 1024;
  std::size_t pending_max = 1000, link_output_max = 8 << 20, link_window_bytes = 4 << 20;
  std::size_t link_output_high = 4 << 20, client_output_max = 1 << 20;
  std::size_t payload_max = 30'000, sync_output_max = 256 << 10;
  // Fifth generation. Of a lane: receipts, bytes that wait for a client, in flight of one, in all; of a
  // shard: ids claimed twice, bytes of all outputs.
  std::size_t receipts_max = limits::receipts_max, pending_bytes_max = limits::pending_bytes_max;
  std::size_t inflight_bytes_max = limits::inflight_bytes_max, memory_max = limits::outputs_bytes_max;
  std::size_t contested_max = limits::claims_contested_max, outputs_max = limits::outputs_bytes_max;
  bool little_memory() const noexcept {
    return memory_max < limits::outputs_bytes_max || outputs_max < limits::outputs_bytes_max;
  }
  bool small_windows() const noexcept {
    return tiny_links || window_messages < usual_window || little_memory();
  }
  // What a recipient that is there may be refused.
  bool queues_may_fill() const noexcept {
    return pending_max <= 60 || pending_bytes_max < limits::pending_bytes_max || little_memory();
  }
  static constexpr std::uint64_t usual_window = 1 << 17;
  std::uint64_t window_messages = usual_window;
  unsigned v311_percent = 15, qos0_percent = 25;
  unsigned receipt_percent = 0, deadline_percent = 0; // of the QoS 1 publishes, of all publishes
  duration receipt_timeout = 5s;
  duration publish_gap = 20ms; // of one client, on average
  pipe_settings link, client;
  unsigned read_cut_percent = 20;
  std::string_view plant;
  bool slow_machines = false;
  bool one_slot = false; // all ids in one slot: its part of the table grows
  // Later generations. More faults beside `faults`, of the kinds behind faults_of_generation_1, 2 and 3.
  std::array<unsigned, 3> later_faults{};
  unsigned all_faults() const noexcept {
    return faults + later_faults[0] + later_faults[1] + later_faults[2];
  }
  unsigned drain_rate = 1'000;
  duration drain_max = 30s;
  // What no seed draws: reductions, and scenarios (scenario.hpp).
  std::vector<unsigned> without;
  duration stop_after = duration::max();
  std::uint64_t messages_max = ~std::uint64_t{0};
  duration clock_shift{}; // of all steady clocks
  bool scripted = false;  // clients do what a scenario says, and only that
};

struct draw_options {
  std::uint64_t seed = 1;
  unsigned hash_bits = 0; // 0: the seed draws
  unsigned generation = newest_generation;
  std::string_view plant;
  reductions less;
};

settings draw_settings(world& w, const draw_options& o);

} // namespace beeline::sim
