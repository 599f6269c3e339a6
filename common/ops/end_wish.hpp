// Whether a signal is a wish of its own, or the same one once more: coreutils' `timeout` signals its child
// and then the child's whole group, so a program that is asked to end once gets two signals within moments,
// and must not take the second for a user who has lost patience.
//
// Any thread, and signal handlers: lock-free.
#pragma once
#include "common/base/limits.hpp"
#include "common/base/time.hpp"

#include <atomic>

namespace beeline::ops {

class end_wish {
public:
  void begin(time_point now) noexcept { begun_us_ = now.time_since_epoch().count(); }
  bool is_repeat(time_point now) const noexcept {
    const std::int64_t begun = begun_us_;
    return begun != none && now.time_since_epoch().count() - begun <
                                std::chrono::duration_cast<duration>(limits::signal_repeat_max).count();
  }

private:
  static constexpr std::int64_t none = -1;
  std::atomic<std::int64_t> begun_us_ = none;
  static_assert(std::atomic<std::int64_t>::is_always_lock_free);
};

} // namespace beeline::ops
