// The edge server as a program: its lanes, each with its thread and its share of the MQTT port, put
// together.
//
//   control loop (main thread) <--ready, answers-- lane threads <--questions-- admin thread
//                              ---beats, sockets-->      |  ^
//                                                        +--+ connections move to the lane of their id
//
// The MQTT port is bound at once, so that a port in use is an error at the start, and opened when
// every lane has been in sync with every shard for the first time. Later losses leave it open.
//
// Owner: the main thread. Lanes' counters may be read by the admin thread.
#pragma once
#include "common/net/core_thread.hpp"
#include "common/ops/control_loop.hpp"
#include "common/ops/pulse.hpp"
#include "edge-server/config.hpp"
#include "edge-server/lane.hpp"

#include <mutex>

namespace beeline::edge {

using lane_thread = net::core_thread<lane>;

// Why a lane is not ready, in words. Its thread tells the control loop with each beat, so that a page need
// not ask it; the text is that old.
class lane_problem {
public:
  void set(std::string text); // control loop
  std::string text() const;   // any thread

private:
  mutable std::mutex mutex_;
  std::shared_ptr<const std::string> text_; // copied outside the lock
};

struct lane_place {
  chunk_pool pool; // outlives the core
  ops::pulse pulse;
  lane_problem problem;
  const lane* core = nullptr; // in thread; other threads: counters only
  bool was_ready = false;     // control loop only
  std::unique_ptr<lane_thread> thread;
};

class edge_server {
public:
  edge_server(edge_config config, ops::control_loop& control); // binds; throws start_error
  ~edge_server();                                              // stops
  edge_server(const edge_server&) = delete;
  edge_server& operator=(const edge_server&) = delete;

  void start(std::function<void()> opened); // called in the control loop once the MQTT port is open
  // From the control loop: the port closes, clients are told to go; control_loop::stop() when all have gone,
  // or after --drain-time.
  void drain();
  // Any thread: as SIGTERM does, but the end leaves time for the answer to who asked over HTTP.
  void ask_to_drain();
  void stop(); // says good-bye to clients and shards, waits for the threads
  void beat(); // from the control loop, every limits::pulse_interval

  const edge_config& config() const noexcept { return config_; }
  const std::string& mqtt_address() const noexcept { return mqtt_address_; }
  bool draining() const noexcept { return draining_.load(std::memory_order_relaxed); }
  bool open() const noexcept { return open_.load(std::memory_order_relaxed); }
  const net::connection_budget& budget() const noexcept { return budget_; }
  const std::vector<std::unique_ptr<lane_place>>& lanes() const noexcept { return lanes_; }
  const std::vector<lane_thread*>& threads() const noexcept { return threads_; }
  ops::control_loop& control() const noexcept { return control_; }
  std::uint32_t slot(std::string_view id) const { return slot_of(hasher_(id)); }
  std::size_t lane_of(std::string_view id) const { return hasher_(id) % lanes_.size(); }

private:
  net::core_loop_options loop_options(std::uint32_t k);
  void fit_connections(); // the budget, to the number of links
  void lane_ready(std::uint32_t k);
  void open_port();
  void lane_drained();

  const edge_config config_;
  ops::control_loop& control_;
  const id_hasher hasher_;
  net::connection_budget budget_;
  std::vector<net::bound_socket> sockets_; // until the port is open
  std::string mqtt_address_;
  std::atomic<bool> open_{false}, draining_{false};
  std::atomic<bool> end_with_beat_{false};
  std::size_t lanes_drained_ = 0; // control loop only
  time_point drain_until_ = never;
  std::function<void()> opened_;
  std::vector<std::unique_ptr<lane_place>> lanes_;
  std::vector<lane_thread*> threads_; // the same, for gather()
};

} // namespace beeline::edge
