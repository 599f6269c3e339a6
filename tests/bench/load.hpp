// What the clients of a workload send, and when: three kinds of load, each a small object that is asked once
// a turn.
//
//   windowed   each pair of clients keeps so many messages in flight, as fast as they go (a closed loop)
//   paced      so many messages a second in all, whether or not the servers keep up (an open loop): each is
//   stamped
//              with the moment it was due, so that a sender that is held up makes its messages late, not few
//   ping_pong  two clients, one message: who gets it sends it back
//
// Owner: the run's thread.
#pragma once
#include "common/base/rng.hpp"
#include "tests/bench/swarm.hpp"

namespace beeline::bench {

inline constexpr std::int64_t second_ns = 1'000'000'000;

class load {
public:
  virtual ~load() = default;
  // Sends what is due. Returns when it wants to be asked again at the latest.
  virtual std::int64_t produce(swarm& s, std::int64_t now_ns) = 0;
};

class windowed final : public load {
public:
  windowed(std::uint32_t pairs, std::uint32_t window, std::uint32_t first_receiver, bool is_answered)
      : pairs_(pairs), window_(window), first_receiver_(first_receiver), is_answered_(is_answered) {}
  std::int64_t produce(swarm& s, std::int64_t now_ns) override {
    for (std::uint32_t i = 0; i < pairs_; ++i) {
      const client& c = s.at(i);
      const std::uint64_t done = is_answered_ ? std::min(c.arrived, c.settled) : c.arrived;
      for (std::uint64_t k = c.sent - std::min(done, c.sent); k < window_; ++k)
        s.send(i, first_receiver_ + i, now_ns);
    }
    return now_ns + second_ns / 10;
  }

private:
  std::uint32_t pairs_, window_, first_receiver_;
  bool is_answered_; // QoS 1: in flight until the server has answered, too
};

class paced final : public load {
public:
  // `fixed`: the receiver of sender i is client i + senders; else a random one.
  paced(std::uint32_t senders, std::uint32_t receivers, double a_second, bool fixed, std::uint64_t seed)
      : senders_(senders), receivers_(receivers), a_second_(a_second), fixed_(fixed), random_(seed) {}
  std::int64_t produce(swarm& s, std::int64_t now_ns) override {
    if (begun_ns_ == 0) begun_ns_ = now_ns;
    for (unsigned k = 0; k < burst_max; ++k, ++sent_) {
      const std::int64_t due = due_ns(sent_);
      if (due > now_ns) return due;
      const auto from = static_cast<std::uint32_t>(random_.below(senders_));
      const auto to = fixed_ ? from : static_cast<std::uint32_t>(random_.below(receivers_));
      s.send(from, senders_ + to, due);
    }
    return now_ns; // more are due: after what has arrived was read
  }

private:
  static constexpr unsigned burst_max = 256;
  std::int64_t due_ns(std::uint64_t n) const noexcept {
    return begun_ns_ + static_cast<std::int64_t>(static_cast<double>(n) / a_second_ * second_ns);
  }
  std::uint32_t senders_, receivers_;
  double a_second_;
  bool fixed_;
  rng random_;
  std::uint64_t sent_ = 0;
  std::int64_t begun_ns_ = 0;
};

class ping_pong final : public load {
public:
  std::int64_t produce(swarm& s, std::int64_t now_ns) override {
    const client &a = s.at(0), &b = s.at(1);
    if (a.sent == b.arrived && b.sent == a.sent) s.send(0, 1, now_ns);
    else if (a.arrived == a.sent && b.sent < a.arrived) s.send(1, 0, now_ns);
    return now_ns + second_ns / 10;
  }
};

} // namespace beeline::bench
