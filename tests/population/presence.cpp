// The presence table with very many entries (L1): how fast they register, what they take, and that each
// message finds its way.
#include "common/net/event_loop.hpp"
#include "tests/population/run.hpp"
#include "tests/support/sanitized.hpp"

#include <cstdio>

namespace beeline::population {
namespace {

constexpr std::uint32_t sample_max = 1'000'000;
constexpr std::uint32_t absent_probes = 1'000;
constexpr std::size_t rest_growth_max = 1 << 20; // of RSS: bytes
constexpr double registrations_min = 100'000; // a second: a machine that does other things too is no excuse
constexpr auto patience = 120s * (test::sanitized ? 5 : 1);

struct flatness {
  std::size_t early = 0, late = 0; // the highest RSS of the first half of the time, of the second
};
flatness rest(run& r, double seconds) {
  flatness f;
  r.forget_marks();
  r.go_on_for(seconds / 2);
  f.early = r.rss_most_mark();
  r.forget_marks();
  r.go_on_for(seconds / 2);
  f.late = r.rss_most_mark();
  return f;
}

void must_be_flat(run& r, const flatness& f) {
  if (!test::sanitized) r.must(f.late <= f.early + rest_growth_max, "RSS is flat at rest");
}

void measure(run& r, std::uint32_t size, std::uint32_t before, std::size_t empty_rss) {
  const time_point begin = net::steady_now();
  r.clients.grow_to(size);
  const bool there = r.until([&] { return r.clients.all_registered(); }, patience);
  const double seconds = static_cast<double>(to_us(net::steady_now() - begin)) / 1e6;
  r.must(there && r.until([&] { return r.presence_complete(); }, patience),
         "all of " + std::to_string(size) + " clients are registered");
  const double rate = (size - before) / seconds;
  const flatness f = rest(r, r.options.rest);
  const auto table = r.router.totals()["table_bytes"].get<std::uint64_t>();
  std::printf("%9u entries  %8.0f registrations a second  RSS %s: %.1f bytes an entry, the table alone %.1f  "
              "at rest %+.2f MiB\n",
              size, rate, mib(f.late).c_str(), static_cast<double>(f.late - empty_rss) / size,
              static_cast<double>(table) / size,
              (static_cast<double>(f.late) - static_cast<double>(f.early)) / 1048576);
  std::fflush(stdout);
  must_be_flat(r, f);
  if (r.options.full && test::fast_build) r.must(rate >= registrations_min, "registrations are not slow");
}

void probe(run& r) {
  const std::uint32_t count = std::min(sample_max, r.clients.clients());
  const time_point begin = net::steady_now();
  r.clients.begin_probe(count, absent_probes);
  const bool done = r.until([&] { return r.clients.probe_settled(); }, patience);
  const auto accepted = r.clients.sum(&lane_figures::probes_accepted),
             taken = r.clients.sum(&lane_figures::probes_taken),
             nobody = r.clients.sum(&lane_figures::probes_nobody);
  std::printf(
      "a sample of %u: %llu came to their clients, each once, %llu acknowledged, in %s; %llu of %u that "
      "nobody has: nobody\n",
      count, static_cast<unsigned long long>(taken), static_cast<unsigned long long>(accepted),
      ms(to_us(net::steady_now() - begin)).c_str(), static_cast<unsigned long long>(nobody), absent_probes);
  r.must(done && accepted == count && taken == count && r.clients.sum(&lane_figures::wrong_place) == 0,
         "each of the sample is routed right");
  r.must(nobody == absent_probes, "who is not there is nobody");
}

} // namespace

void presence(run& r) {
  r.start_with(0);
  const std::size_t empty_rss = r.rss();
  std::printf("the router without clients: RSS %s\n", mib(empty_rss).c_str());
  std::uint32_t before = 0;
  for (const std::uint32_t size : r.options.sizes) {
    measure(r, size, before, empty_rss);
    before = size;
  }
  probe(r);
  const flatness f = rest(r, 2 * r.options.rest);
  std::printf("after them, at rest: RSS %s, then %s\n", mib(f.early).c_str(), mib(f.late).c_str());
  must_be_flat(r, f);
  r.clients.stop();
  r.must(r.router.end() == 0, "the router ends with 0");
}

} // namespace beeline::population
