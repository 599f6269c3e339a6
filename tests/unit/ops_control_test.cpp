// The control loop, questions to several threads, and the pulse of a thread.
#include "common/base/limits.hpp"
#include "common/net/event_loop.hpp"
#include "common/net/random.hpp"
#include "common/ops/end_wish.hpp"
#include "common/ops/gather.hpp"
#include "common/ops/pulse.hpp"
#include "tests/support/http_get.hpp"
#include "tests/support/idle_scheduling.hpp"
#include "tests/unit/net_support.hpp"

#include <csignal>
#include <future>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace net_test;
using beeline::ops::control_loop;

TEST_CASE("control loop: what is posted runs in order in its thread, and stop() ends it") {
  control_loop loop;
  std::vector<int> seen;
  const auto here = std::this_thread::get_id();
  loop.post([&] { seen.push_back(std::this_thread::get_id() == here); });
  std::thread other([&] {
    loop.post([&] { seen.push_back(std::this_thread::get_id() == here ? 2 : 0); });
    loop.stop();
    loop.post([&] { seen.push_back(3); }); // too late
  });
  other.join();
  loop.run();
  CHECK(seen == std::vector<int>{1, 2});
}

TEST_CASE("control loop: SIGTERM ends it, SIGHUP does not, and what fails in it reaches the caller") {
  {
    control_loop loop;
    int ticks = 0;
    loop.every(1ms, [&] { ++ticks == 1 ? std::raise(SIGHUP) : ticks == 3 ? std::raise(SIGTERM) : 0; });
    loop.run();
    CHECK(ticks >= 3);
  }
  control_loop loop;
  loop.post([] { throw std::runtime_error("port taken"); });
  CHECK_THROWS_WITH(loop.run(), "port taken");
}

TEST_CASE(
    "control loop: a signal again within moments is the same wish, a later one ends the process at once") {
  const auto begin = std::chrono::steady_clock::now();
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    control_loop loop;
    loop.post([] { std::raise(SIGTERM); });
    loop.run();
    for (;;) std::raise(SIGTERM);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGTERM);
  CHECK(std::chrono::steady_clock::now() - begin >= beeline::limits::signal_repeat_max);
}

TEST_CASE("an end that was wished is the same wish for a while only") {
  ops::end_wish w;
  const time_point t = net::steady_now();
  CHECK_FALSE(w.is_repeat(t)); // the first
  w.begin(t);
  CHECK(w.is_repeat(t));
  CHECK(w.is_repeat(t + beeline::limits::signal_repeat_max - 1us));
  CHECK_FALSE(w.is_repeat(t + beeline::limits::signal_repeat_max));
}

TEST_CASE("gather: every thread answers, the answers come together in the control loop") {
  control_loop loop;
  server a, b, c;
  const auto here = std::this_thread::get_id();
  const std::vector<core_thread*> threads{a.thread.get(), b.thread.get(), c.thread.get()};
  std::vector<scripted_core*> cores;
  for (auto* t : threads) cores.push_back(t->ask([](scripted_core& s) { return &s; }).get());
  ops::gather(
      loop, threads, [](scripted_core& s, time_point) { return &s; },
      [&](const std::vector<scripted_core*>& answers) {
        CHECK(std::this_thread::get_id() == here);
        CHECK(answers == cores);
        loop.stop();
      });
  loop.run();
}

TEST_CASE(
    "gather: a page of all answers is made by the thread that gives way, and one that fails is counted") {
  control_loop loop;
  ops::idle_worker pages;
  server a, b;
  const std::vector<core_thread*> threads{a.thread.get(), b.thread.get()};
  const auto page = [&](bool fails) {
    return [&, fails](const ops::http_request&, ops::http_responder respond) {
      ops::respond_gathered(
          loop, pages, threads, respond, [](scripted_core&, time_point) { return std::string("told"); },
          [fails](const std::vector<std::string>& answers) {
            if (fails) throw std::runtime_error("canary");
            const bool idle = ::sched_getscheduler(0) == SCHED_IDLE;
            return ops::http_response{200, "text/plain", answers[0] + answers[1] + (idle ? " idle" : "")};
          });
    };
  };
  ops::admin_server admin("--admin", {"127.0.0.1", 0}, {{"/page", page(false)}, {"/fails", page(true)}});
  admin.start();
  const auto port = admin.local_endpoint().port;
  auto asker = std::async(std::launch::async, [&] {
    auto answers = std::make_pair(test::http_get(port, "/page"), test::http_get(port, "/fails"));
    loop.stop();
    return answers;
  });
  loop.run();
  const auto [told, failed] = asker.get();
  CHECK(told.status == 200);
  CHECK(told.body == (beeline::test::idle_scheduling_allowed() ? "toldtold idle" : "toldtold"));
  CHECK(failed.status == 500);
  CHECK(admin.counters().handler_failures.get() == 1);
  admin.stop();
}

TEST_CASE("pulse: a thread that does not turn counts as stalled, and recovers") {
  ops::pulse pulse; // outlives the thread
  server s;
  std::promise<void> go_on;
  const auto beats = [&](bool stalled) {
    return eventually([&] {
      pulse.beat(*s.thread); // again and again: the first unanswered beat counts
      return pulse.stalled() == stalled;
    });
  };
  CHECK(beats(false));
  s.thread->call([&](scripted_core&, time_point) { go_on.get_future().wait(); });
  CHECK(beats(true));
  go_on.set_value();
  CHECK(beats(false));
}

TEST_CASE("pulse: each question looks at the core in its own thread") {
  ops::pulse pulse;
  std::promise<std::thread::id> looked;
  server s;
  pulse.beat(*s.thread, [&](const scripted_core&) { looked.set_value(std::this_thread::get_id()); });
  CHECK(looked.get_future().get() != std::this_thread::get_id());
  CHECK(eventually([&] { return pulse.stalled_for() == duration::zero(); }));
}

TEST_CASE("random numbers of the system differ") {
  CHECK(net::random_number() != net::random_number());
  CHECK(net::random_bytes<32>() != net::random_bytes<32>());
}
