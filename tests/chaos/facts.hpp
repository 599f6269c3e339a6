// What the driver did and found in a run, beside what the clients saw: its settings, the faults with their
// times, the processes' lives, and how the cluster looked at rest. A file of JSON next to the history.
//
// All times are µs since the run began. Owner: one thread.
#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace beeline::chaos {

enum class scope : std::uint8_t { links, edge, router, clients };

// name, what it concerns, text
#define BEELINE_CHAOS_FAULTS(X)                                                                              \
  X(link_cut, links, "an edge's connections to a shard are closed (FIN)")                                    \
  X(link_reset, links, "an edge's connections to a shard are reset (RST)")                                   \
  X(link_stall, links, "they are silent both ways, bytes are kept")                                          \
  X(link_stall_up, links, "they are silent from edge to shard")                                              \
  X(link_stall_down, links, "they are silent from shard to edge")                                            \
  X(link_blackhole, links, "they swallow bytes both ways, then are reset")                                   \
  X(link_trickle, links, "they carry 16 bytes each 10 ms")                                                   \
  X(link_flip, links, "a bit of what they carry flips")                                                      \
  X(link_lose_bytes, links, "some bytes in the middle of what they carry are missing")                       \
  X(link_replay, links, "a message that they carry is carried twice")                                        \
  X(link_replay_proof, links, "the handshake's proof is carried once more")                                  \
  X(dials_refused, links, "they are closed and connects are refused")                                        \
  X(dials_hang, links, "they are closed and connects are taken without an answer")                           \
  X(edge_cut_off, links, "all links of an edge are silent, new ones too")                                    \
  X(edge_kill, edge, "SIGKILL, started again within 0.5 s")                                                  \
  X(edge_kill_long, edge, "SIGKILL, started again after 1 s or more")                                        \
  X(edge_term, edge, "SIGTERM, started again when it has ended")                                             \
  X(edge_pause, edge, "SIGSTOP, later SIGCONT")                                                              \
  X(router_kill, router, "SIGKILL, started again within 0.5 s")                                              \
  X(router_kill_long, router, "SIGKILL, started again after 1 s or more")                                    \
  X(router_term, router, "SIGTERM, started again when it has ended")                                         \
  X(router_pause, router, "SIGSTOP, later SIGCONT")                                                          \
  X(clients_reset, clients, "the connections of an edge's clients are reset")                                \
  X(clients_stall, clients, "they are silent both ways, bytes are kept")                                     \
  X(clients_trickle, clients, "they carry 16 bytes each 10 ms")                                              \
  X(client_deaf, clients, "a client does not read")                                                          \
  X(net_blackhole, links, "packets between an edge and the router vanish, both ways")                        \
  X(net_one_way, links, "packets from an edge to the router vanish")                                         \
  X(net_down, edge, "an edge's network interface is down")

enum class fault : std::uint8_t {
#define X(name, concerns, text) name,
  BEELINE_CHAOS_FAULTS(X)
#undef X
};
inline constexpr std::string_view fault_names[] = {
#define X(name, concerns, text) #name,
    BEELINE_CHAOS_FAULTS(X)
#undef X
};
inline constexpr scope fault_scopes[] = {
#define X(name, concerns, text) scope::concerns,
    BEELINE_CHAOS_FAULTS(X)
#undef X
};
inline constexpr std::string_view fault_texts[] = {
#define X(name, concerns, text) text,
    BEELINE_CHAOS_FAULTS(X)
#undef X
};
inline constexpr std::size_t fault_count = sizeof fault_names / sizeof fault_names[0];
constexpr scope scope_of(fault f) { return fault_scopes[static_cast<std::size_t>(f)]; }
constexpr std::string_view name_of(fault f) { return fault_names[static_cast<std::size_t>(f)]; }

struct fault_fact {
  fault kind{};
  int edge = -1, shard = -1; // -1: all, or not of that sort
  std::int64_t begin = 0, end = 0;
  unsigned hits = 0; // connections, bits, processes; 0: it did not happen
  int client = -1;   // of client_deaf
};

struct process_end {
  std::string name;
  std::int64_t at = 0;
  bool asked = false; // by the driver
  int code = 0;       // 128 + signal when a signal ended it
  int wanted = 0;
};

struct place { // of a client
  int edge = -1;
  bool lingering = false;
  bool operator==(const place&) const = default;
};

struct edge_at_rest {
  std::vector<std::string> clients; // as its /clients lists them, with repetitions
  std::uint64_t clients_at_router = 0;
  unsigned links_in_sync = 0, links_wanted = 0; // as the router sees them; lanes times shards
  bool ready = false;
  std::uint64_t safety_resends = 0, unanswered = 0, pending = 0, gave_up = 0, rss_bytes = 0;
};

struct rest_facts {
  bool reached = false; // within the time allowed
  std::string why_not;
  bool router_ready = false;
  std::uint64_t router_rss_bytes = 0;
  std::map<std::string, place> presence; // online ids, as the router's /clients/{id} says
  std::map<std::string, int> shard_of;   // any id, likewise
  std::vector<edge_at_rest> edges;
};

// What a scenario measured, and within what it has to be.
struct figure {
  std::string name;
  double value = 0;
  std::string unit;
  double least = 0, most = -1; // most below 0: no bound
  bool kept() const noexcept { return value >= least && (most < 0 || value <= most); }
};

struct process_sample {
  std::int64_t at = 0;
  std::string name;
  std::uint64_t rss_bytes = 0, fds = 0;
};

struct run_facts {
  std::uint64_t seed = 0;
  std::string scenario; // empty: faults were drawn
  std::vector<figure> figures;
  std::vector<process_sample> samples;
  std::vector<std::string> broken;             // what the scenario's script saw and may not be
  std::map<std::string, std::int64_t> moments; // of the script, by name
  double rate = 0;
  bool netns = false, sanitized = false, full = false; // full: a scenario's limits as promised
  unsigned faults_wanted = 0;
  std::map<std::string, std::string> drawn; // for people: limits and the like
  bool small_queues = false;
  std::int64_t receipt_timeout = 0; // µs, of the edges; 0: nobody asks for receipts
  unsigned shards = 2;
  std::vector<std::string> ids;   // by client
  std::vector<std::string> edges; // names
  std::vector<unsigned> groups;   // by client: whom others may send to
  std::int64_t load_begin = 0, load_end = 0, final_begin = 0, run_end = 0;
  std::uint64_t held_back = 0; // messages due that no client had room for
  std::vector<fault_fact> faults;
  std::vector<process_end> ends;
  rest_facts rest;
};

void write_facts(const std::string& path, const run_facts& f);
run_facts read_facts(const std::string& path); // throws std::runtime_error

} // namespace beeline::chaos
