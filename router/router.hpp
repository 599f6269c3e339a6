// The router as a program: its shards, each with its thread and listening socket, put together.
//
//   control loop (main thread) --beats, questions--> shard threads
//   admin thread --reads counters; questions--> shard threads --answers--> control loop
//
// Owner: the main thread. Shards and counters may be read by the admin thread as their headers say.
#pragma once
#include "common/net/core_thread.hpp"
#include "common/ops/control_loop.hpp"
#include "common/ops/pulse.hpp"
#include "router/config.hpp"
#include "router/shard.hpp"

#include <atomic>

namespace beeline::router {

using shard_thread = net::core_thread<shard>;

struct shard_place {
  chunk_pool pool; // outlives the core
  ops::pulse pulse;
  const shard* core = nullptr; // in thread; other threads: config() and counters only
  std::string address;         // where it listens
  std::unique_ptr<shard_thread> thread;
};

class router {
public:
  router(router_config config, ops::control_loop& control); // binds; throws start_error
  ~router();                                                // stops
  router(const router&) = delete;
  router& operator=(const router&) = delete;

  void start(); // listens
  void stop();  // says good-bye to the lanes, waits for the threads
  void beat();  // from the control loop, every limits::pulse_interval
  // Any thread: it ends with the next beat but one, as after SIGTERM; who asked for it has an answer by then.
  void ask_to_drain();
  bool draining() const noexcept { return draining_.load(std::memory_order_relaxed); }

  const router_config& config() const noexcept { return config_; }
  const std::vector<std::unique_ptr<shard_place>>& shards() const noexcept { return shards_; }
  const std::vector<shard_thread*>& threads() const noexcept { return threads_; }
  ops::control_loop& control() const noexcept { return control_; }
  std::uint32_t slot(std::string_view id) const { return slot_of(hasher_(id)); }
  shard_place* owner_of(std::uint32_t slot) const noexcept; // null: a slot of another router

private:
  const router_config config_;
  ops::control_loop& control_;
  const link::cluster_secret secret_;
  const id_hasher hasher_;
  std::vector<net::bound_socket> sockets_; // until start()
  std::vector<std::unique_ptr<shard_place>> shards_;
  std::vector<shard_thread*> threads_; // the same, for gather()
  std::atomic<bool> draining_{false};
  time_point end_at_ = never; // control loop only
};

} // namespace beeline::router
