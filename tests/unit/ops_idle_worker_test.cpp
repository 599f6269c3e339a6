// The thread for work that may wait.
#include "common/base/limits.hpp"
#include "common/net/event_loop.hpp"
#include "common/ops/idle_worker.hpp"
#include "tests/support/idle_scheduling.hpp"

#include <atomic>
#include <catch2/catch.hpp>
#include <future>
#include <sched.h>
#include <stdexcept>

using namespace beeline::ops;
using namespace std::chrono_literals;

TEST_CASE("idle worker: work is done in order, by a thread that gives way to all others") {
  idle_worker w;
  std::promise<int> policy;
  std::vector<int> order;
  w.post([&](bool) { order.push_back(1); });
  w.post([&](bool) { order.push_back(2), policy.set_value(::sched_getscheduler(0)); });
  auto done = policy.get_future();
  REQUIRE(done.wait_for(20s) == std::future_status::ready);
  CHECK(done.get() == (beeline::test::idle_scheduling_allowed() ? SCHED_IDLE : SCHED_OTHER));
  CHECK(order == std::vector<int>{1, 2});
  CHECK(::sched_getscheduler(0) == SCHED_OTHER);
}

TEST_CASE("idle worker: what throws is logged, and the next is done") {
  idle_worker w;
  std::promise<void> next;
  w.post([](bool) { throw std::runtime_error("canary"); });
  w.post([](bool) { throw 1; }); // whatever it is
  w.post([&](bool) { next.set_value(); });
  CHECK(next.get_future().wait_for(20s) == std::future_status::ready);
}

TEST_CASE("idle worker: what the thread does not get done in time is done by whoever asks for it") {
  idle_worker w;
  const auto here = std::this_thread::get_id();
  std::promise<void> begun, go_on, last;
  std::atomic<int> stuck_here = 0, waiting_here = 0, waiting_there = 0;
  w.post([&](bool) { // the thread has begun it, and gets no further
    if (std::this_thread::get_id() == here) ++stuck_here;
    else begun.set_value(), go_on.get_future().wait();
  });
  auto page = std::make_shared<int>();
  const std::weak_ptr<int> kept = page;
  w.post([&, of = std::move(page)](bool) {
    ++(std::this_thread::get_id() == here ? waiting_here : waiting_there);
  });
  begun.get_future().wait();
  const auto posted = beeline::net::steady_now(); // all of them, by now
  w.run_overdue(posted - 1s);
  CHECK(stuck_here == 0);
  for (int k = 0; k < 2; ++k) w.run_overdue(posted + beeline::limits::page_patience);
  CHECK(stuck_here == 1);
  CHECK(waiting_here == 1);
  CHECK(kept.expired()); // though the thread has not come to it
  go_on.set_value();
  w.post([&](bool) { last.set_value(); });
  CHECK(last.get_future().wait_for(20s) == std::future_status::ready);
  CHECK(waiting_there == 0); // it is done already
}

TEST_CASE("idle worker: stop ends the work under way, and drops what waits or comes later") {
  idle_worker w;
  std::promise<void> begun, go_on;
  std::atomic<int> done = 0;
  w.post([&](bool) { begun.set_value(), go_on.get_future().wait(), ++done; });
  w.post([&](bool) { done += 10; });
  begun.get_future().wait();
  auto stopping = std::async(std::launch::async, [&] { w.stop(); });
  CHECK(stopping.wait_for(50ms) == std::future_status::timeout);
  go_on.set_value();
  stopping.wait();
  w.post([&](bool) { done += 100; });
  w.stop(); // again
  CHECK(done == 1);
}
