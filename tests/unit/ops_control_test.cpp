// The control loop, questions to several threads, and the pulse of a thread.
#include "common/ops/gather.hpp"
#include "common/ops/pulse.hpp"
#include "common/net/random.hpp"
#include "tests/unit/net_support.hpp"

#include <csignal>

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

TEST_CASE("random numbers of the system differ") {
  CHECK(net::random_number() != net::random_number());
  CHECK(net::random_bytes<32>() != net::random_bytes<32>());
}
