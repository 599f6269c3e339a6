// A run of the load generator: many clients, messages to random peers, and a judge of every one.
//
// Each message carries (sender, recipient, sequence of the pair, its number, send time), so that the
// run knows of each whether it was delivered once, in order, to whom it was meant, and what the
// sender was told. Owner: one thread.
#pragma once
#include "common/base/rng.hpp"
#include "common/base/slab.hpp"
#include "common/base/time.hpp"
#include "common/cli/bench/load_client.hpp"
#include "common/cli/bench/load_codec.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace beeline::load {

struct address {
  std::string host;
  std::uint16_t port = 0;
};

struct settings {
  std::vector<address> edges;
  std::string prefix = "load";
  std::uint32_t clients = 100, messages = 10'000;
  std::uint32_t window = 8; // QoS 1 in flight of one client
  std::uint32_t payload = 100;
  std::uint8_t qos = 1;
  std::uint64_t rate = 0; // messages a second in all; 0 = as fast as the windows allow
  std::uint64_t seed = 1;
  bool other_edges_only = false; // peers on the sender's own edge are left out
  double timeout = 60;           // seconds without any progress
};

struct result {
  std::uint64_t published = 0, delivered = 0, duplicates = 0, reordered = 0, misdelivered = 0, damaged = 0;
  std::uint64_t answered = 0, unanswered = 0;
  std::array<std::uint64_t, 256> answers{}; // by reason code
  std::uint64_t accepted_not_delivered = 0; // told success, and nobody got it
  std::uint64_t nobody_but_delivered = 0;   // told "nobody", and somebody got it
  std::uint64_t disconnects = 0;            // of our clients, against their will
  double connect_seconds = 0, seconds = 0;
  std::vector<std::uint32_t> latency_us; // publish to delivery, sorted
  std::vector<std::uint32_t> answer_us;  // publish to PUBACK, sorted
  std::uint32_t delivery_percentile(double p) const { return percentile(latency_us, p); }
  std::uint32_t answer_percentile(double p) const { return percentile(answer_us, p); }

private:
  static std::uint32_t percentile(const std::vector<std::uint32_t>& v, double p) {
    return v.empty() ? 0 : v[static_cast<std::size_t>(p * static_cast<double>(v.size() - 1))];
  }
};

class run {
public:
  explicit run(settings s);
  ~run();
  result go(); // throws std::runtime_error when the clients cannot connect

private:
  struct fate {                // of a message
    std::uint32_t sent_us = 0; // since the start of the run
    std::uint8_t code = 0xff;  // the answer; 0xff = none yet
    bool delivered = false;
  };
  void connect_all();
  bool turn(int timeout_ms);
  void publish_some(client& c);
  void publish(client& c);
  void on_readable(client& c);
  void on_packet(client& c, const packet& p);
  void on_message(client& c, const packet& p);
  void on_answer(client& c, const packet& p);
  void flush(client& c);
  void lost(client& c);
  std::uint32_t now_us() const;
  std::uint32_t pick_peer(const client& c);

  settings s_;
  result r_;
  rng random_;
  std::vector<client> clients_;
  std::vector<fate> messages_;
  std::vector<std::uint32_t> sent_seq_, seen_seq_; // by sender * clients + recipient
  int epoll_ = -1;
  time_point start_{}, last_progress_{};
  std::uint64_t connected_ = 0, settled_ = 0;
};

} // namespace beeline::load
