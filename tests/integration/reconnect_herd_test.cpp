// Many clients that come at once: they are served in order of arrival, and who is connected does not notice
// much.
#include "common/base/limits.hpp"
#include "tests/support/cluster.hpp"
#include "tests/support/herd.hpp"
#include "tests/support/probe.hpp"
#include "tests/support/proc_stats.hpp"
#include "tests/support/sanitized.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdio>
#include <functional>
#include <sys/resource.h>
#include <thread>
#include <unistd.h>

using namespace beeline;
using namespace beeline::test;

namespace {

std::string login(std::size_t k) {
  return encode_connect({.client_id = "H" + std::to_string(k), .keep_alive = 600});
}

void say(const char* when, const probe::times& t) {
  std::printf("  %-22s %6zu messages, p50 %.2f ms, p99 %.2f ms, longest %.1f ms\n", when, t.messages,
              t.p50_ms, t.p99_ms, t.max_ms);
}

double seconds_since(std::chrono::steady_clock::time_point t) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - t).count();
}

// A herd's own machines are not the servers': it takes what processor time these leave, so that what is
// measured is how they treat it, not how one machine shares itself out. In a thread of its own, for without
// privileges there is no way back.
void beside(const std::function<void()>& what_the_herd_does) {
  std::thread([&] {
    (void)::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), 10);
    what_the_herd_does();
  }).join();
}

// Lets the traffic run until so many messages have been answered.
probe::times calm(probe& p, herd& h, std::chrono::milliseconds how_long) {
  (void)p.take();
  (void)h.until([] { return false; }, how_long);
  return p.take();
}

} // namespace

TEST_CASE(
    "F12: all clients of one edge come back within 5 s; all are in within 15 s, and the others hardly notice",
    "[F12][CAT-63]") {
  const std::size_t clients = full_size() ? 19'000 : sanitized ? 500 : 4'000;
  two_edges t;
  herd h(t.e1.mqtt());
  h.connect(clients, login);
  REQUIRE(h.until([&] { return h.accepted() == clients; }));
  probe others(t.e2.mqtt(), t.e2.mqtt());
  const probe::times before = calm(others, h, 3s);

  const std::size_t steps = 500; // within 5 s, evenly
  double in_after = 0;
  bool all_in = false;
  beside([&] {
    h.hang_up();
    const auto begin = std::chrono::steady_clock::now();
    for (std::size_t k = 0; k < steps; ++k) {
      h.connect(clients / steps, login);
      (void)h.until([&] { return seconds_since(begin) >= 5.0 * double(k + 1) / double(steps); });
    }
    all_in = h.until([&] { return h.accepted() == 2 * clients; });
    in_after = seconds_since(begin);
  });
  REQUIRE(all_in);
  const probe::times during = others.take();
  std::printf("F12: %zu clients of one edge back within 5 s: all in after %.2f s\n", clients, in_after);
  say("others before", before);
  say("others meanwhile", during);
  CHECK(h.closed() == 0);
  CHECK(others.alive());
  CHECK(before.failures + during.failures == 0);
  CHECK(during.messages > (full_size() ? 1'000 : 50));
  if (full_size()) CHECK(during.p99_ms <= 2 * std::max(before.p99_ms, 1.0)); // too few messages otherwise
  CHECK(in_after < (fast_build ? 15 : 60));
  CHECK(eventually([&] { return t.router.json("/stats")["totals"]["clients"] == clients + 2; }));
}

TEST_CASE(
    "CAT-63: a herd that comes all at once waits in the kernel, in order; the edge's own clients go on") {
  const std::size_t clients = full_size() ? 8'000 : sanitized ? 500 : 4'000;
  two_edges t;
  probe same_edge(t.e1.mqtt(), t.e1.mqtt());
  herd h(t.e1.mqtt());
  const probe::times before = calm(same_edge, h, 2s);
  double in_after = 0;
  bool all_in = false;
  beside([&] {
    const auto begin = std::chrono::steady_clock::now();
    h.connect(clients, login);
    all_in = h.until([&] { return h.accepted() == clients; });
    in_after = seconds_since(begin);
  });
  REQUIRE(all_in);
  const probe::times during = same_edge.take();
  std::printf("CAT-63: %zu clients at once: all in after %.2f s\n", clients, in_after);
  say("same edge before", before);
  say("same edge meanwhile", during);
  CHECK(h.closed() == 0);
  CHECK(same_edge.alive());
  CHECK(during.failures == 0);
  if (full_size())
    CHECK(during.p99_ms <= 4 * std::max(before.p99_ms, 1.0));       // on the very loop that takes them in
  CHECK(in_after > (double(clients) / limits::connect_rate) * 0.7); // their rate is kept
  CHECK(in_after < (fast_build ? 30 : 120));
  const auto totals = t.e1.json("/stats")["totals"];
  CHECK(totals["socket_closes"]["connect_timeout"] ==
        0); // the wait is the kernel's, it does not count for them
  if (!sanitized) CHECK(totals["socket_accepts_held_back"] > 0); // there a herd comes slower than it may
}

TEST_CASE("CAT-66: more connections than descriptors: the edge does not spin, goes on, and takes them in as "
          "some go") {
  const std::size_t free = full_size() ? 15'000 : 100, more = full_size() ? 1'000 : 200;
  router_process r;
  edge_process e("e1", {r.address()}, {"--lanes", "2", "--connect-timeout", "60s"});
  REQUIRE(e.mqtt() != 0);
  raw_mqtt a(e.mqtt(), "a"), b(e.mqtt(), "b");
  leave_files(e.os().pid(), free); // below what it fitted --max-connections to
  herd first(e.mqtt()), second(e.mqtt());
  first.connect(free + 10, login);
  REQUIRE(first.until([&] { return first.accepted() == free; }));
  second.connect(more, [](std::size_t k) { return login(1'000'000 + k); });
  REQUIRE(second.until([&] { return second.open() == more; })); // in the kernel
  const double cpu = cpu_seconds(e.os().pid());
  const auto begin = std::chrono::steady_clock::now();
  for (int k = 0; k < 20; ++k) CHECK(a.publish("@/b", "still here") == 0);
  (void)second.until([] { return false; }, 2s);
  const double share = (cpu_seconds(e.os().pid()) - cpu) / seconds_since(begin);
  std::printf("%zu connections without a descriptor: the edge uses %.1f %% of a processor\n", more,
              100 * share);
  CHECK(share < (fast_build ? 0.3 : 1.0));
  CHECK(first.accepted() == free);
  CHECK(second.accepted() == 0);
  first.hang_up();
  CHECK(second.until([&] { return second.accepted() >= std::min(free / 2, more); }));
  CHECK(second.accepted() <= free);
  limit_files(e.os().pid(), SIZE_MAX);
  CHECK(second.until([&] { return second.accepted() == more; }));
  const auto totals = e.json("/stats")["totals"];
  CHECK(totals["socket_accept_errors"] >= 10);
  CHECK(totals["socket_accept_errors"] <= 200); // ten a second and lane, not as fast as it can
}
