// Which messages were sent, and what became of each: lost, twice, out of order, at somebody else's, damaged.
// Exact, by a bit for each message and the last one seen of each pair.
//
// A payload begins with its stamp:
//
//   | sender:14 receiver:14 number:36 | when it was due, ns of CLOCK_MONOTONIC |      16 bytes, little-endian
//
// One thread, by value.
#pragma once
#include "common/base/bytes.hpp"

#include <cstdint>
#include <vector>

namespace beeline::bench {

struct stamp {
  static constexpr std::size_t size = 16;
  static constexpr unsigned client_bits = 14, number_bits = 36;
  static constexpr std::uint32_t clients_max = 1u << client_bits;
  std::uint32_t sender, receiver;
  std::uint64_t number;
  std::int64_t due_ns;

  void write(std::byte* to) const noexcept {
    store_le<std::uint64_t>(to, std::uint64_t{sender} << 50 | std::uint64_t{receiver} << 36 | number);
    store_le<std::int64_t>(to + 8, due_ns);
  }
  static stamp read(const std::byte* from) noexcept {
    const auto v = load_le<std::uint64_t>(from);
    return {static_cast<std::uint32_t>(v >> 50), static_cast<std::uint32_t>(v >> 36 & (clients_max - 1)),
            v & ((std::uint64_t{1} << number_bits) - 1), load_le<std::int64_t>(from + 8)};
  }
};

class ledger {
public:
  // Clients 0 .. senders - 1 send, first_receiver .. clients - 1 receive; these may overlap.
  ledger(std::uint32_t senders, std::uint32_t first_receiver, std::uint32_t clients)
      : senders_(senders), first_(first_receiver), receivers_(clients - first_receiver),
        last_(std::size_t{senders} * receivers_) {}

  std::uint64_t next() { // the number of a message that is sent now
    if (sent_ / 64 == seen_.size()) seen_.resize(seen_.empty() ? 1024 : 2 * seen_.size());
    return sent_++;
  }
  // True: it is a message that came for the first time, and to whom it was meant.
  bool arrived(const stamp& s, std::uint32_t at) noexcept {
    if (s.sender >= senders_ || s.receiver - first_ >= receivers_ || s.number >= sent_)
      return ++damaged_, false;
    if (s.receiver != at) return ++astray_, false;
    std::uint64_t& word = seen_[s.number / 64];
    const std::uint64_t bit = std::uint64_t{1} << s.number % 64;
    if (word & bit) return ++doubled_, false;
    word |= bit;
    std::uint64_t& last = last_[std::size_t{s.sender} * receivers_ + (at - first_)];
    if (s.number + 1 <= last) ++reordered_;
    else last = s.number + 1;
    ++arrived_;
    return true;
  }
  void is_damaged() noexcept { ++damaged_; }

  std::uint64_t sent() const noexcept { return sent_; }
  std::uint64_t arrived() const noexcept { return arrived_; }
  std::uint64_t missing() const noexcept { return sent_ - arrived_; }
  std::uint64_t doubled() const noexcept { return doubled_; }
  std::uint64_t reordered() const noexcept { return reordered_; }
  std::uint64_t astray() const noexcept { return astray_; }
  std::uint64_t damaged() const noexcept { return damaged_; }

private:
  std::uint32_t senders_, first_, receivers_;
  std::vector<std::uint64_t> seen_; // a bit for each message
  std::vector<std::uint64_t> last_; // of each pair, plus 1
  std::uint64_t sent_ = 0, arrived_ = 0, doubled_ = 0, reordered_ = 0, astray_ = 0, damaged_ = 0;
};

} // namespace beeline::bench
