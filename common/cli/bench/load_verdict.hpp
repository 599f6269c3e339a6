// What a run of the load generator is asked for, what it saw, and what of it did not hold. Plain values.
#pragma once
#include "common/base/time.hpp"

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace beeline::load {

struct settings {
  std::string prefix; // of the client ids
  std::uint32_t clients = 100, messages = 10'000;
  std::uint32_t window = 8; // QoS 1 in flight of one client
  std::uint32_t payload = 100;
  std::uint8_t qos = 1;
  std::uint64_t rate = 0; // messages a second in all; 0 = as fast as the windows allow
  std::uint64_t seed = 1;
  bool other_edges_only = false;               // peers on the sender's own edge are left out
  bool faults = false;                         // servers may die during the run
  duration timeout = std::chrono::seconds(30); // without any progress
};

struct result {
  std::uint64_t published = 0, delivered = 0, duplicates = 0, reordered = 0, misdelivered = 0, damaged = 0;
  std::uint64_t answered = 0;
  std::array<std::uint64_t, 256> answers{}; // by reason code

  // The judgement; messages of or to a lost client that cannot be judged are `left_out` of it.
  std::uint64_t unanswered = 0;
  std::uint64_t accepted_not_delivered = 0; // told success, and nobody got it
  std::uint64_t nobody_but_delivered = 0;   // told "nobody", and somebody got it
  std::uint64_t dropped = 0;                // of QoS 0: not delivered
  std::uint64_t left_out = 0;               // published: the sender was not told, or the recipient not there
  std::uint64_t never_published = 0;        // lost clients would have sent them

  std::uint64_t disconnects = 0;                           // of our clients, against their will
  std::map<std::string, std::uint64_t> disconnect_reasons; // "address: reason", and how many
  std::string first_disconnect;                            // "client 'ID' at address: reason"
  bool interrupted = false, gave_up = false;

  double connect_seconds = 0;
  std::uint64_t last_delivery_us = 0; // since the run began, as the two below
  std::uint64_t last_publish_us = 0;
  std::uint64_t last_due_us = 0;          // when the last of the messages published should have been
  std::uint64_t behind_max_us = 0;        // the longest that a message was published after its time
  std::vector<std::uint32_t> delivery_us; // from a message's time, sorted
  std::vector<std::uint32_t> answer_us;   // the same, to the PUBACK

  double seconds() const { return static_cast<double>(last_delivery_us) / 1e6; }
  double messages_per_second() const { return a_second(delivered, last_delivery_us); }
  double published_per_second() const { return a_second(published, last_publish_us); }
  static double a_second(std::uint64_t n, std::uint64_t us) {
    return us ? static_cast<double>(n) * 1e6 / static_cast<double>(us) : 0;
  }
};

// When message k should be published at this rate, after the run's begin. With no rate: at once.
constexpr std::uint64_t due_us(std::uint64_t k, std::uint64_t rate) noexcept {
  return rate ? k * 1'000'000 / rate : 0;
}

// How much longer than asked publishing may take: a part of the time asked, and what one hiccup of a machine
// that has other work takes.
inline constexpr double behind_part_max = 0.05;
inline constexpr std::uint64_t behind_us_max = 250'000;
bool fell_behind(const settings& s, const result& r) noexcept;

// What did not hold, each in one line; empty: all held.
std::vector<std::string> problems(const settings& s, const result& r);
// What is no fault of the cluster but has to be known to read the numbers.
std::vector<std::string> remarks(const settings& s, const result& r);

} // namespace beeline::load
