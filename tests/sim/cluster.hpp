// The simulated cluster: router and edge processes with their shards and lanes (the real cores), the
// connections between them and from clients, and what goes wrong with them.
// Owner: the thread that runs the seed.
#pragma once
#include "edge-server/lane.hpp"
#include "router/shard.hpp"
#include "tests/sim/clients.hpp"
#include "tests/sim/node.hpp"

namespace beeline::sim {

class cluster final : public actor {
public:
  using shard_node = node<router::shard>;
  using lane_node = node<edge::lane>;

  cluster(world& w, const settings& s, history& h);

  void start();
  void let_clients_in();
  bool in_service() const; // every shard knows who is there
  // --- for clients ---
  std::pair<std::uint32_t, unsigned> draw_edge(); // and its life
  std::pair<std::uint32_t, unsigned> edge_and_life(std::uint32_t e) { return {e, edge_process(e).life}; }
  std::uint32_t home_lane(std::uint32_t id, std::uint32_t edge) const;
  void dial_edge(std::uint32_t edge, client_session& s);

  bool inject(fault f); // false: there was nothing that it could hit
  // Each of these is part of a fault that is drawn; scenarios call them too, behind note_fault().
  void note_fault(const std::string& what);
  void kill_for(process& p, bool silent, duration how_long);
  void end_cleanly(process& p);
  void drain_edge(unsigned edge);
  void begin_rolling_restart();
  void silence_path(unsigned edge, unsigned router, bool to_router, time_point until);
  void cut_off(unsigned edge, time_point until);
  void heal();
  std::string why_not_at_rest(); // empty: all quiet
  void judge_at_rest();          // P1 at QoS 0, P6, by what the cores say
  void judge_bounds();           // P6, at any time
  void note_held_up();           // often

  // --- for scenarios ---
  process& router_process(unsigned r) { return *processes_[r]; }
  process& edge_process(unsigned e) { return *processes_[set_.routers + e]; }
  router::shard& shard(std::size_t k) { return *shards_[k]->n->core(); }
  edge::lane& lane(unsigned edge, unsigned number = 0);
  connection* link_of(unsigned edge); // the newest that is open; null: there is none
  std::size_t connections() const noexcept { return connections_.size(); }
  bool edge_open(unsigned e) const { return edge_open_[e]; }
  bool rolling() const noexcept { return rolling_.on; }
  std::function<void(connection&)> on_connect; // each connection, before anything is written

  std::vector<std::unique_ptr<device>> devices;
  std::uint64_t resent = 0, safety_resends = 0, bad_frames = 0,
                forwarded = 0; // of lives that have ended, and at rest of all

  void on_event(std::uint32_t what, std::uint64_t argument) override;

private:
  enum : std::uint32_t {
    ev_dial_arrives = 50,
    ev_dial_ends,
    ev_restart,
    ev_kill,
    ev_drain_over,
    ev_herd,
    ev_lost,
    ev_new_slots,
    ev_roll,
    ev_fast
  };
  struct shard_place {
    std::unique_ptr<shard_node> n;
    unsigned router = 0, number = 0;
    std::uint32_t first = 0, last = 0;           // slots, from its next start on
    std::uint32_t life_first = 1, life_last = 0; // those of this life, or the last one
    time_point sampled{};
  };
  struct lane_place {
    std::unique_ptr<lane_node> n;
    unsigned edge = 0, number = 0;
    bool ready = false, drained = false;
  };
  struct dial {
    lane_node* from = nullptr; // null: a client
    client_session* client = nullptr;
    unsigned from_life = 0;
    std::uint32_t link = 0, edge = 0;
    shard_place* to = nullptr;
    connection* made = nullptr;
  };

  void build();
  void set_hooks(shard_place& s);
  void set_hooks(lane_place& l);
  void start_process(process& p);
  void start_shard(shard_place& s);
  void start_lane(lane_place& l);
  void kill(process& p, bool silent);
  void collect(lane_place& l);
  void restart_later(process& p, duration after) {
    w_.plan(w_.now + after, *this, ev_restart, static_cast<std::uint64_t>(p.number) << 32 | p.life);
  }
  void sample(shard_place& s);
  void dial_shard(lane_place& l, const connect_request& r);
  void dial_arrives(dial& d, std::uint64_t number);
  void dial_ends(dial& d);
  bool path_is_silent(const dial& d) const;
  connection& connect(int from, int to, const pipe_settings& s);
  duration draw_silence();
  connection* draw_link();
  client_session* draw_live_client();
  static bool name_is_router(fault f) noexcept;
  bool try_to_inject(fault f);
  bool hit_link(fault f);
  bool hit_client(fault f);
  bool hit_process(fault f, process& p);
  void jump(process& p);
  void slow_down(process& p);
  void storm();
  void herd();
  bool move_and_lose();
  bool move_slots();
  void start_with_new_slots(unsigned router);
  bool has_old_slots(unsigned router) const;
  void note_who_serves();
  // cluster_ends.cpp
  void lane_drained(lane_place& l);
  void end_drain(process& p);
  void roll();
  void roll_next();
  bool serves(const process& p) const;
  template <class F> void each_node_of(process& p, F&& f);
  std::string judge_tables();
  void judge_qos0();
  std::string judge_sessions();

  world& w_;
  const settings& set_;
  history& h_;
  link::cluster_secret secret_{"a secret for simulations"};
  id_hasher hasher_;
  std::vector<std::unique_ptr<process>> processes_;
  std::vector<std::unique_ptr<connection>> connections_; // outlive the nodes, which hold their ends
  std::vector<std::unique_ptr<shard_place>> shards_;
  std::vector<std::unique_ptr<lane_place>> lanes_;
  std::vector<bool> edge_open_, edge_draining_;
  std::vector<std::size_t> claims_; // by id: how many shards claim its slot
  std::size_t first_open_ = 0;      // connections before this one are over
  std::deque<dial> dials_;
  std::vector<time_point> path_silent_; // edge * routers + router: no connect gets through until then
  struct {
    bool on = false;
    std::size_t at = 0; // the process that is being restarted
    unsigned life = 0;
    time_point give_up{};
  } rolling_;
};

} // namespace beeline::sim
