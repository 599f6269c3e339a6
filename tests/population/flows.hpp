// Every message of a run: what its sender was told, how often it came, and in which order.
//
//   flow = one sender -> one recipient, messages 0, 1, 2, ...
//     sent_flow      outcome of each        owner: the thread of the lane that the sender is on
//     received_flow  deliveries of each     owner: the thread of the lane that the recipient is on
//
// A recipient that connects elsewhere takes its received_flow along: the driver sees to it that the first
// lane has ended before. Judged when no lane runs any more.
#pragma once
#include "common/base/bytes.hpp"
#include "common/base/ids.hpp"
#include "common/base/reasons.hpp"

#include <string>
#include <vector>

namespace beeline::population {

// What a message carries.
struct stamp {
  static constexpr std::size_t bytes = 16;
  static constexpr std::uint32_t probe =
      0xffffffff; // in `flow`: of no flow; `sequence` is the recipient's number

  std::uint32_t flow = probe, sequence = 0;
  std::uint64_t sent_us = 0;

  void write(std::byte (&to)[bytes]) const noexcept {
    store_le(to, flow), store_le(to + 4, sequence), store_le(to + 8, sent_us);
  }
  bool read(const_bytes from) noexcept {
    byte_reader r(from);
    flow = r.get<std::uint32_t>(), sequence = r.get<std::uint32_t>(), sent_us = r.get<std::uint64_t>();
    return r.done();
  }
};

struct sent_flow {
  std::uint32_t id = 0, sender = 0, recipient = 0; // numbers of clients
  bool to_victim = false;                          // its recipient's edge is going to be killed
  std::vector<std::uint8_t> outcomes;              // 0: none yet; else the answer, plus 1
  std::vector<std::uint64_t> sent_us;

  std::uint32_t send(std::uint64_t now_us) {
    outcomes.push_back(0);
    sent_us.push_back(now_us);
    return static_cast<std::uint32_t>(outcomes.size() - 1);
  }
  void settle(std::uint32_t sequence, answer a) {
    outcomes[sequence] = static_cast<std::uint8_t>(1 + static_cast<int>(a));
  }
};

struct received_flow {
  std::uint32_t recipient = 0;
  bool to_victim = false;
  std::vector<std::uint8_t> times; // delivered
  std::uint64_t duplicates = 0, out_of_order = 0;

  void take(std::uint32_t sequence) {
    if (sequence < times.size()) ++(times[sequence] ? duplicates : out_of_order);
    else times.resize(sequence + 1u);
    ++times[sequence];
  }
};

struct verdict {
  std::uint64_t sent = 0, delivered = 0, told[answer_count] = {};
  std::uint64_t unanswered = 0;     // while their sender lives
  std::uint64_t lost = 0;           // told accepted, and it never came
  std::uint64_t false_refusals = 0; // told that it was not taken, and it came
  std::uint64_t duplicates = 0, out_of_order = 0;

  void judge(const sent_flow& s, const received_flow& r, bool sender_lives);
  std::uint64_t of(answer a) const noexcept { return told[static_cast<std::size_t>(a)]; }
  std::string text() const; // one line
};

} // namespace beeline::population
