// Whether threads may have SCHED_IDLE here: some containers refuse it.
#pragma once
#include <pthread.h>
#include <sched.h>
#include <thread>

namespace beeline::test {

inline bool idle_scheduling_allowed() {
  bool allowed = false;
  std::thread([&] {
    const sched_param none{};
    allowed = ::pthread_setschedparam(::pthread_self(), SCHED_IDLE, &none) == 0;
  }).join();
  return allowed;
}

} // namespace beeline::test
