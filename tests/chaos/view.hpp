// A history in the shape that judging needs: sessions with their times, messages with what became of them.
// One pass over the records makes it, and notes what no history may have.
//
// Owner: one thread; read only once made.
#pragma once
#include "tests/chaos/facts.hpp"
#include "tests/chaos/history.hpp"

#include <limits>
#include <span>
#include <unordered_map>

namespace beeline::chaos {

inline constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();
inline constexpr std::uint32_t nobody = ~0u;

struct receipt {
  std::int64_t at = 0;
  std::uint32_t session = nobody;
};

struct message_view {
  std::uint32_t to = 0; // client
  bool qos1 = false, last = false, published = false;
  std::uint8_t code = 0;
  words text{};
  bool wants_receipt = false;
  std::int64_t at = 0, answered = never;
  std::int64_t deadline = never, acknowledged = never; // µs from `at`; when a recipient has first
  std::uint32_t acknowledged_by = nobody;
  receipt first, second; // session nobody: none
  unsigned receipts = 0;
};

struct session_view {
  std::uint32_t client = nobody;
  int edge = -1;
  bool v5 = true;
  std::int64_t opened = never, connack = never, end = never;
  ending how{};
  std::uint8_t code = 0;
  std::vector<message_view> messages;
  bool live() const noexcept { return connack != never && end == never; }
  bool lived(std::int64_t at) const noexcept { return opened <= at && at <= end; }
};

// What is wrong with a run: the promise and what was seen.
struct violation {
  std::string promise, text;
};
class findings {
public:
  void add(const std::string& promise, std::string text);
  std::vector<violation> shown; // the first ones of each promise
  std::map<std::string, std::uint64_t> counts;
  bool any() const noexcept { return !counts.empty(); }
};

class run_view {
public:
  run_view(run_facts f, std::span<const record> h, findings& wrong);

  run_facts facts;
  std::vector<session_view> sessions;
  std::vector<std::vector<std::uint32_t>> sessions_of; // client -> sessions, by opened
  std::uint64_t publishes = 0, publishes_qos1 = 0, answers = 0, receipts = 0, with_receipt = 0,
                with_deadline = 0;

  // Did `to` receive a later QoS 1 message of that sender's session than its n-th?
  bool received_later(std::uint32_t to, std::uint32_t sender, std::uint32_t n) const {
    const auto at = newest_.find(std::uint64_t{to} << 32 | sender);
    return at != newest_.end() && at->second > n;
  }
  // QoS 1 messages that may have waited for a client in that time.
  std::size_t waited(std::uint32_t client, std::int64_t from, std::int64_t to) const;

  std::string name(std::uint32_t session, std::uint32_t count) const; // of a message
  std::string name(std::uint32_t session) const;

private:
  void take(const record& r, findings& wrong);
  session_view* session_of(std::uint32_t number);
  void receive(const record& r, findings& wrong);
  void acknowledge(const record& r, findings& wrong);

  std::unordered_map<std::uint64_t, std::uint32_t> newest_; // recipient's session, sender's -> count
};

} // namespace beeline::chaos
