// The judge of a run: knows of each message whether it was delivered once, in order for its pair, to whom it
// was meant, and what its sender was told; and what is still to come.
//
// Messages are numbered; number k is sent by client k % clients. Each carries (sender, recipient, sequence of
// the pair, its number). Times are microseconds since the run began. A client that is gone is owed nothing
// any more, and nothing is owed for what it sent without being told the outcome. Owner: one thread; no I/O.
#pragma once
#include "common/cli/bench/load_verdict.hpp"

#include <string_view>

namespace beeline::load {

struct stamp { // the head of each payload; the rest is 'x'
  std::uint32_t magic, sender, recipient, sequence, number;
};

class judge {
public:
  // `topics`: by client, the address that names it; they outlive the judge.
  judge(const settings& s, const std::vector<std::string>& topics);

  // A message is about to be sent; `since_us`: the time from which its latencies count.
  stamp published(std::uint32_t number, std::uint32_t recipient, std::uint64_t since_us);
  void delivered(std::uint32_t client, std::string_view topic, std::string_view payload,
                 std::uint64_t now_us);
  void answered(std::uint32_t number, std::uint8_t code, std::uint64_t now_us);
  void damaged() noexcept { ++r_.damaged; }
  void gone(std::uint32_t client);

  // Answers and deliveries that are still owed. Of QoS 0, a message that a fault took stays owed: nobody
  // tells.
  std::uint64_t owed() const noexcept { return answers_owed_ + deliveries_owed_; }
  std::uint64_t published() const noexcept { return r_.published; }
  result finish(); // the judgement, once

private:
  static constexpr std::uint8_t no_answer = 0xff;
  struct fate { // of a message
    std::uint64_t since_us = 0;
    std::uint32_t recipient = 0;
    std::uint8_t code = no_answer; // of QoS 0: 0 from the beginning
    bool published = false, delivered = false;
  };
  std::uint32_t sender_of(std::uint32_t number) const noexcept { return number % clients_; }
  std::uint32_t& at_pair(std::vector<std::uint32_t>& v, std::uint32_t from, std::uint32_t to) const {
    return v[std::size_t{from} * clients_ + to];
  }
  void owe_delivery(std::uint32_t recipient);
  void judge_one(std::uint32_t number, const fate& m);

  const std::vector<std::string>& topics_;
  const std::uint32_t clients_;
  const std::uint8_t qos_;
  std::vector<fate> messages_;
  std::vector<std::uint32_t> sent_seq_, seen_seq_; // by pair
  struct account {                                 // of a client
    std::uint64_t answers = 0, deliveries = 0;     // owed to it
    bool gone = false;
  };
  std::vector<account> accounts_;
  std::uint64_t answers_owed_ = 0, deliveries_owed_ = 0; // sums over the clients that are there
  result r_;
};

} // namespace beeline::load
