// The edges of a run: lanes with their threads, clients, flows and what became of their messages.
//
//   edge e has lanes e*L .. e*L+L-1; client n begins on lane n % lanes
//
// Owner: the driver's main thread. Threads of lanes are asked; `figures` are read while they run.
#pragma once
#include "common/net/core_thread.hpp"
#include "tests/population/options.hpp"
#include "tests/population/router_process.hpp"
#include "tests/population/sim_lane.hpp"

#include <memory>

namespace beeline::population {

class crowd {
public:
  crowd(const run_options& o, const router_process& router);
  ~crowd();

  // --- clients ---
  void grow_to(std::uint32_t clients);
  std::uint32_t clients() const noexcept { return clients_; } // that should be there
  bool all_registered() const;                                // each of them, and every lane is in sync
  std::uint32_t clients_of(unsigned edge) const noexcept;
  // Its process is killed, so to say. Its clients come back on the lanes that are left, each at a time drawn
  // from `jitter`; zero: they do not.
  void kill_edge(unsigned edge, duration jitter);

  // --- messages ---
  static constexpr unsigned nobody = ~0u;
  // `victim`: the edge that is going to be killed under load; `left_out`: one that takes no part.
  void begin_load(unsigned victim = nobody, unsigned left_out = nobody);
  void end_load();
  double messages_due() const noexcept { return messages_due_; } // of the load: by those that live at its end
  bool all_answered() const { return sum(&lane_figures::waiting) == 0; }
  // One message to each of `count` numbers, evenly spread over all that ever were, and to some that never
  // were.
  void begin_probe(std::uint32_t count, std::uint32_t absent);
  bool probe_settled() const { return sum(&lane_figures::probes_settled) == probes_; }

  // --- figures ---
  std::uint64_t sum(counter lane_figures::*what) const;
  std::uint64_t most(counter lane_figures::*what) const;
  std::uint64_t least(counter lane_figures::*what) const; // of lanes that live, as `most`
  struct heard {
    std::uint64_t frames = 0, bytes = 0, links = 0;
  };
  heard heard_from_router() const; // by all lanes that live, ever
  void forget_marks();
  struct latency {
    histogram_snapshot answered, delivered;
  };
  latency latency_between(std::uint64_t from_us, std::uint64_t to_us, bool to_victim = false);
  std::string problems(); // newest log lines of the lanes

  void stop();           // clean: every lane says good-bye
  verdict judge() const; // when stopped

private:
  using thread = net::core_thread<sim_lane>;
  struct place {
    sim_lane* core = nullptr;
    std::unique_ptr<thread> runs;
    bool dead = false;
  };
  template <class F> void ask_all(F f); // in each thread that lives, one after the other
  std::vector<std::vector<sent_flow>> plan_flows(unsigned victim, unsigned left_out);
  unsigned edge_of(unsigned lane) const noexcept { return lane / options_.lanes; }

  const run_options& options_;
  time_point load_begun_{};
  std::vector<std::size_t> senders_; // lanes with a part of the load
  double messages_due_ = 0;
  std::vector<place> lanes_;
  std::vector<received_flow> received_;
  std::uint32_t clients_ = 0, numbers_ = 0; // that should be there; that were given out
  std::uint64_t probes_ = 0;
};

} // namespace beeline::population
