#include "tests/population/run.hpp"

#include "common/net/event_loop.hpp"
#include "tests/support/sanitized.hpp"

#include <cstdio>
#include <thread>

namespace beeline::population {
namespace {

constexpr auto sample_interval = 100ms;
constexpr auto look_interval = 2ms;
constexpr std::uint32_t absent_probes = 1'000;
// Far more than anything takes: who waits so long waits in vain.
constexpr auto patience = 60s * (test::sanitized ? 5 : 1);

// Each lane sends what is due by its clock; one that is stopped itself catches up.
constexpr double load_share_least = 0.8;

} // namespace

std::string ms(std::uint64_t us) {
  char text[32];
  std::snprintf(text, sizeof text, us < 100'000 ? "%.1f ms" : "%.0f ms", static_cast<double>(us) / 1000);
  return text;
}
std::string mib(std::uint64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f MiB", static_cast<double>(bytes) / 1048576);
  return text;
}
std::string quantiles(const histogram_snapshot& h) {
  const auto q = h.quantiles_us({0.5, 0.99});
  return "p50 " + ms(q[0]) + ", p99 " + ms(q[1]) + ", most " + ms(h.max_us);
}

run::run(const run_options& o)
    : options(o), router({o.programs + "/beeline-router", folder.path(), o.shards}), clients(o, router) {
  router.start(); // lanes dial until it is there
}

void run::must(bool holds, const std::string& promise) {
  if (holds) return;
  ++violations_;
  std::printf("VIOLATION: %s\n", promise.c_str());
  std::fflush(stdout);
}

void run::sample(time_point now) {
  if (now < next_sample_) return;
  next_sample_ = now + sample_interval;
  if (router.running()) rss_most_ = std::max(rss_most_, router.rss_bytes());
}

void run::forget_marks() {
  rss_most_ = 0;
  clients.forget_marks();
}

bool run::until(const std::function<bool()>& holds, duration most) {
  const time_point end = net::steady_now() + most;
  while (!holds()) {
    const time_point now = net::steady_now();
    if (now >= end) return false;
    sample(now);
    std::this_thread::sleep_for(look_interval);
  }
  return true;
}

void run::go_on_for(double seconds) {
  (void)until([] { return false; },
              std::chrono::duration_cast<duration>(std::chrono::duration<double>(seconds)));
}

// The lanes know it at once; the router's own count comes a tenth of a second later.
bool run::presence_complete() {
  if (!clients.all_registered()) return false;
  const auto t = router.totals();
  return !t.empty() && t["warming_up"] == 0 && t["clients"] == clients.clients();
}

void run::start_with(std::uint32_t n) {
  clients.grow_to(n);
  if (!until([this] { return presence_complete(); }, patience))
    throw std::runtime_error(
        "presence is not complete: " + std::to_string(clients.sum(&lane_figures::registered)) + " of " +
        std::to_string(n) + " are registered\n" + clients.problems());
}

void run::probe_all() {
  const std::uint64_t there = clients.clients();
  const auto numbers = options.clients;
  clients.begin_probe(numbers, absent_probes);
  const bool done = until([this] { return clients.probe_settled(); }, patience);
  const auto accepted = clients.sum(&lane_figures::probes_accepted),
             nobody = clients.sum(&lane_figures::probes_nobody);
  std::printf("at rest    each of %u clients was sent a message: %llu accepted, %llu nobody has\n", numbers,
              static_cast<unsigned long long>(accepted),
              static_cast<unsigned long long>(nobody - absent_probes));
  must(done && accepted == there && clients.sum(&lane_figures::probes_taken) == there &&
           nobody == numbers - there + absent_probes,
       "presence is exact at rest: " + std::to_string(there) + " clients are there, and nobody else");
}

verdict run::end_and_judge() {
  clients.end_load();
  const bool answered = until([this] { return clients.all_answered(); }, patience);
  probe_all();
  const auto t = router.totals();
  must(t["clients_contested"] == 0, "no client id is left in doubt");
  clients.stop();
  must(router.end() == 0, "the router ends with 0");
  const verdict v = clients.judge();
  std::printf("messages   %s\n", v.text().c_str());
  must(answered && v.unanswered == 0, "every message is answered");
  must(static_cast<double>(v.sent) >= load_share_least * clients.messages_due(),
       "the load was what it was to be");
  must(v.sent > 0 && v.of(answer::accepted) > v.sent / 10, "the load was real");
  must(v.lost == 0, "nothing acknowledged is lost");
  must(v.duplicates == 0, "nothing is delivered twice");
  must(v.out_of_order == 0, "FIFO for each sender and recipient");
  must(v.false_refusals == 0, "what is told as not taken was not taken");
  must(clients.sum(&lane_figures::wrong_place) == 0, "every message comes to its own recipient");
  must(clients.sum(&lane_figures::kicked) == 0, "no session is ended that has no rival");
  return v;
}

} // namespace beeline::population
