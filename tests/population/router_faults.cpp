// The router dies or stands still, under load, with very many clients registered (F1, F2, CAT-60).
#include "common/net/event_loop.hpp"
#include "tests/population/run.hpp"
#include "tests/support/sanitized.hpp"

#include <cstdio>

namespace beeline::population {
namespace {

constexpr auto presence_max = 10s * (test::sanitized ? 5 : 1); // for 1 M clients, from the restart on
constexpr double rss_ratio_max = 1.5;
constexpr auto patience = 60s * (test::sanitized ? 5 : 1);
constexpr auto settled_after = 500ms; // what was held back meanwhile has been sent

std::uint64_t now_us() { return to_us(net::steady_now()); }
std::uint64_t us(duration d) { return to_us(d); }

std::uint64_t closed_as_paused(run& r) {
  const auto t = r.router.totals();
  return t.empty() ? 0 : t["link_closes"]["link_paused"].get<std::uint64_t>();
}

// Returns the p99 of deliveries in ms.
double print_latency(run& r, const char* when, std::uint64_t from, std::uint64_t to) {
  const auto l = r.clients.latency_between(from, to);
  std::printf("  %-9s sent to delivered: %s; sent to answered: %s (%llu)\n", when,
              quantiles(l.delivered).c_str(), quantiles(l.answered).c_str(),
              static_cast<unsigned long long>(l.answered.count()));
  return static_cast<double>(l.delivered.quantile_us(0.99)) / 1e3;
}

struct fault {
  std::string name;
  std::function<void()> happens;                    // and is over
  std::function<bool()> seen = [] { return true; }; // beyond the lanes' own news
};

// The fault, the way back to full presence, some load after it; printed, and its bounds checked. Returns
// since when all has been calm again.
std::uint64_t break_and_watch(run& r, const fault& f, std::uint64_t calm_since) {
  crowd& c = r.clients;
  const std::size_t rss_before = r.rss();
  r.forget_marks();
  const std::uint64_t broke = now_us();
  f.happens();
  const std::uint64_t mended = now_us();
  const auto back = [&] {
    return c.least(&lane_figures::lost_us) >= broke && f.seen() && r.presence_complete();
  };
  const bool complete = r.until(back, patience);
  const std::uint64_t done = now_us();
  if (!complete) std::printf("%s", c.problems().c_str());
  const std::uint64_t first = c.least(&lane_figures::first_registered_us),
                      last = c.most(&lane_figures::last_registered_us);
  r.go_on_for(r.options.rest);
  const std::size_t rss_most = std::max(r.rss_most_mark(), r.router.rss_most_bytes());
  const double ratio = static_cast<double>(rss_most) / static_cast<double>(rss_before);
  std::printf("%s\n", f.name.c_str());
  std::printf("  noticed by the last lane after %s; the router is back after %s\n",
              ms(c.most(&lane_figures::lost_us) - broke).c_str(), ms(mended - broke).c_str());
  std::printf("  presence complete %s after that; %u clients registered in %s: %.0f a second\n",
              ms(done - mended).c_str(), c.clients(), ms(last - first).c_str(),
              c.clients() / std::max(1e-6, static_cast<double>(last - first) / 1e6));
  std::printf("  longest time without a delivery on a lane: %s\n", ms(c.most(&lane_figures::gap_us)).c_str());
  std::printf("  a lane had at most %s unsent on its links, and %llu messages waiting\n",
              mib(c.most(&lane_figures::queue_bytes_most)).c_str(),
              static_cast<unsigned long long>(c.most(&lane_figures::waiting_most)));
  std::printf("  router RSS %s before, at most %s after: %.2f times\n", mib(rss_before).c_str(),
              mib(rss_most).c_str(), ratio);
  const double before = print_latency(r, "before", calm_since, broke - latency_line::slot_us);
  print_latency(r, "meanwhile", broke - latency_line::slot_us, done + latency_line::slot_us);
  const std::uint64_t settled = done + us(settled_after);
  const double after = print_latency(r, "after", settled, now_us());
  std::fflush(stdout);
  r.must(complete, "presence is complete again");
  r.must(done - mended <= us(presence_max), "presence is complete within 10 s");
  r.must(c.most(&lane_figures::gap_us) <= done - broke + us(settled_after),
         "messages go on as soon as presence is complete");
  if (r.options.full) // in small there are too few messages for a 99th percentile
    r.must(after <= 2 * std::max(before, 1.0), "p99 after it at most twice that before");
  if (!test::sanitized) r.must(ratio <= rss_ratio_max, "router RSS at most 1.5 times that before");
  return settled;
}

} // namespace

void router_kill(run& r) {
  r.start_with(r.options.clients);
  r.clients.begin_load();
  std::uint64_t calm_since = now_us();
  r.go_on_for(r.options.calm);
  const auto kill_and_start = [&r] {
    r.router.kill();
    r.router.start();
  };
  for (int k = 1; k <= 2; ++k) {
    fault f{"SIGKILL " + std::to_string(k), kill_and_start};
    if (r.options.halfway)
      f = {"SIGKILL " + std::to_string(2 * k - 1) + ", and again while clients register", [&] {
             kill_and_start();
             const auto some = [&] {
               return r.clients.sum(&lane_figures::registered) >= r.options.clients / 3;
             };
             r.must(r.until(some, patience), "clients register again");
             std::printf("%llu of %u clients were registered when it was killed again\n",
                         static_cast<unsigned long long>(r.clients.sum(&lane_figures::registered)),
                         r.options.clients);
             kill_and_start();
           }};
    calm_since = break_and_watch(r, f, calm_since);
  }
  const verdict v = r.end_and_judge();
  r.must(v.of(answer::unknown) == 0, "every session lived on, so no outcome is unknown");
  r.must(v.of(answer::nobody) == 0, "nobody is told of a client that was there all the time");
}

void router_stop(run& r) {
  r.start_with(r.options.clients);
  const std::uint64_t links = r.router.totals()["links"].get<std::uint64_t>();
  r.clients.begin_load();
  const std::uint64_t calm_since = now_us();
  r.go_on_for(r.options.calm);
  char name[64];
  std::snprintf(name, sizeof name, "SIGSTOP for %.1f s", r.options.pause);
  (void)break_and_watch(r,
                        {name,
                         [&r] {
                           r.router.pause();
                           r.go_on_for(r.options.pause);
                           r.router.go_on();
                         },
                         [&] { return closed_as_paused(r) >= links; }},
                        calm_since);
  std::printf("  %llu links were closed before their bytes were acted on, of %llu\n",
              static_cast<unsigned long long>(closed_as_paused(r)), static_cast<unsigned long long>(links));
  const verdict v = r.end_and_judge();
  r.must(v.of(answer::nobody) == 0, "nobody is told of a client that was there all the time");
}

} // namespace beeline::population
