// Whether a core thread still turns: now and then it is asked to answer, and its health is how long
// the oldest question has been waiting.
//
// beat() is for one thread (the control loop), stalled_for() for any. A pulse outlives its thread. `look` is
// called with the core in its thread, with each question.
#pragma once
#include "common/base/limits.hpp"
#include "common/net/core_thread.hpp"

#include <atomic>
#include <utility>

namespace beeline::ops {

class pulse {
public:
  template <class Thread, class Look> void beat(Thread& thread, Look look) {
    if (asked_.load(std::memory_order_acquire) != 0) return; // one question at a time
    asked_.store(to_us(net::steady_now()), std::memory_order_release);
    thread.call([this, look = std::move(look)](const auto& core) mutable {
      look(core);
      asked_.store(0, std::memory_order_release);
    });
  }
  template <class Thread> void beat(Thread& thread) {
    beat(thread, [](const auto&) {});
  }
  duration stalled_for() const noexcept {
    const std::uint64_t asked = asked_.load(std::memory_order_acquire), now = to_us(net::steady_now());
    return duration(asked == 0 || asked > now ? 0 : static_cast<std::int64_t>(now - asked));
  }
  bool stalled() const noexcept { return stalled_for() > limits::pulse_silence_max; }

private:
  std::atomic<std::uint64_t> asked_{0}; // when, µs; 0: no question waits
};

} // namespace beeline::ops
