// What is counted of each link of a lane, readable by any thread while links come and go.
//
// A list that only grows: the lane appends an entry when it first learns of an address, with a
// release store, and never frees or renames one, so that a reader can walk it without a lock.
//
//   head -> 10.0.0.1:7400 shard 0 -> 10.0.0.1:7401 shard 1 -> (retired) ...
//
// Bounded by the addresses that routers announce, limits::link_addresses_max at most; a lane that has met
// more counts what it does there together, in a last entry that is called so. Owner: the lane's thread;
// others read.
#pragma once
#include "common/base/counters.hpp"
#include "common/base/limits.hpp"

#include <atomic>
#include <memory>
#include <string>

namespace beeline::link {

enum class link_state : std::uint8_t { idle, dialling, handshake, syncing, up };
inline constexpr std::string_view link_state_names[] = {"idle", "dialling", "handshake", "syncing", "up"};

struct link_stats {
  link_stats(std::string where, std::uint16_t number) : address(std::move(where)), shard(number) {}
  const std::string address; // "HOST:PORT"
  const std::uint16_t shard;
  counter state, retired;                // now
  counter queue_bytes, queue_high_water; // unsent; at the end of turns
  counter round_trip_us;                 // newest
  counter frames_in, bytes_in;           // everything
  counter frames_out, bytes_out;         // everything; frames as they are queued, bytes as they go ...
  counter writes;                        // ... in so many writes
  counter messages_in, messages_out;     // messages_out: first copies and QoS 0
  counter resends;                       // further copies
  counter connects, losses;

  const link_stats* next() const noexcept { return next_.load(std::memory_order_acquire); }

private:
  friend class link_board;
  std::atomic<link_stats*> next_{nullptr};
};

class link_board {
public:
  link_board() = default;
  link_board(const link_board&) = delete;
  link_board& operator=(const link_board&) = delete;
  ~link_board() {
    for (link_stats* s = head_.load(std::memory_order_relaxed); s;)
      s = std::unique_ptr<link_stats>(s)->next_.load(std::memory_order_relaxed);
  }

  // The entry of that link, perhaps of an earlier time.
  link_stats& entry(const std::string& address, std::uint16_t shard) {
    std::atomic<link_stats*>* at = &head_;
    link_stats* s = nullptr;
    std::size_t n = 0;
    for (; (s = at->load(std::memory_order_relaxed)); at = &s->next_)
      if (++n == limits::link_addresses_max || (s->shard == shard && s->address == address)) {
        s->retired.set(0);
        return *s;
      }
    const bool last = n + 1 == limits::link_addresses_max;
    auto fresh =
        last ? std::make_unique<link_stats>("all others", 0) : std::make_unique<link_stats>(address, shard);
    at->store(fresh.get(), std::memory_order_release);
    return *fresh.release();
  }
  // Any thread: f(stats) for each link that is in use.
  template <class F> void for_each(F&& f) const {
    for (const link_stats* s = head_.load(std::memory_order_acquire); s; s = s->next())
      if (!s->retired.get()) f(*s);
  }

private:
  std::atomic<link_stats*> head_{nullptr};
};

} // namespace beeline::link
