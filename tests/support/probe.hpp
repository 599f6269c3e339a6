// Live traffic beside whatever a test does: one client publishes at QoS 1, message after message, another one
// on a second edge takes and acknowledges them, and the time of each from publish to PUBACK is kept.
//
// Owner: one thread, which starts and ends phases; the traffic has two threads of its own.
#pragma once
#include "tests/support/raw_mqtt.hpp"

#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

namespace beeline::test {

class probe {
public:
  struct times {
    std::size_t messages = 0, failures = 0; // failures: answered otherwise
    double p50_ms = 0, p99_ms = 0, max_ms = 0;
  };
  probe(std::uint16_t from, std::uint16_t to);
  ~probe();
  probe(const probe&) = delete;
  probe& operator=(const probe&) = delete;
  times take(); // of what was answered since the last call
  bool alive() const noexcept { return !broken_; }

private:
  void send();
  void receive();
  raw_mqtt sender_, receiver_;
  std::mutex lock_; // guards the members below
  std::vector<double> ms_;
  std::size_t failures_ = 0;
  std::atomic<bool> end_{false}, broken_{false};
  std::thread sending_, receiving_;
};

} // namespace beeline::test
