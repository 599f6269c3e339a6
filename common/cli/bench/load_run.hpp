// A run of the load generator: many clients that send messages to random peers, and the judge of every one.
//
// With a rate the load is open: message k is due at k / rate after the begin, whatever the answers do, and
// its latencies count from then, also when its client had no free packet id or no room in its socket and
// could publish it only later. Otherwise they count from the publish. Owner: one thread.
#pragma once
#include "common/base/rng.hpp"
#include "common/base/slab.hpp"
#include "common/base/time.hpp"
#include "common/cli/bench/load_client.hpp"
#include "common/cli/bench/load_codec.hpp"
#include "common/cli/bench/load_judge.hpp"

#include <csignal>
#include <string>
#include <vector>

namespace beeline::load {

class run {
public:
  // `interrupts`: how often the run was asked to end. Once: no more is published, and what is owed is waited
  // for a short while; twice: at once. It is what a signal handler counts, and outlives the run.
  run(settings s, std::vector<edge_target> edges, const volatile std::sig_atomic_t& interrupts);
  ~run();
  run(const run&) = delete;
  run& operator=(const run&) = delete;
  result go(); // throws std::runtime_error when the clients cannot connect

private:
  void connect_all();
  void begin(client& c);
  void on_connecting(client& c);
  [[noreturn]] void no_connack() const;
  bool over();
  void stop_publishing();
  duration publish_round();
  bool can_publish(const client& c) const noexcept;
  void publish(client& c, std::uint64_t now);
  bool turn(duration wait);
  int wait_for_events(duration wait);
  void ping_all();
  void on_readable(client& c);
  void on_packet(client& c, const packet& p);
  void on_message(client& c, const packet& p);
  void on_answer(client& c, const packet& p);
  void flush(client& c);
  void watch(client& c, int operation);
  void lost(client& c, const std::string& why);
  std::uint64_t now_us() const; // since the begin
  std::uint64_t left_of(const client& c) const noexcept;
  std::uint32_t pick_peer(const client& c);

  settings s_;
  const volatile std::sig_atomic_t& interrupts_;
  rng random_;
  std::vector<edge_target> edges_;  // at least one
  std::vector<std::string> topics_; // by client
  std::vector<client> clients_;
  judge judge_;
  result seen_; // what the judge does not know: connections and times
  std::string payload_;
  int epoll_ = -1;
  time_point start_{}, last_progress_{}, next_ping_{}, interrupted_at_{};
  bool moved_ = false; // since last_progress_ was set
  std::uint32_t connecting_ = 0, up_ = 0, gone_ = 0;
  std::uint64_t unpublished_ = 0; // that clients which are there still have to publish
};

} // namespace beeline::load
