// An edge ends with all its clients: what the others hear of it (CAT-62), and how its clients come back on
// them, under load (CAT-61).
#include "common/net/event_loop.hpp"
#include "tests/population/run.hpp"
#include "tests/support/sanitized.hpp"

#include <cstdio>

namespace beeline::population {
namespace {

constexpr int time_factor = test::sanitized ? 5 : 1;
constexpr auto linger = limits::linger;
constexpr auto patience = 60s * time_factor;
// Of the end of an edge, for each link of another one: its path is lost, it is gone, it is no member any
// more, each once for every lane of it at most; beside the heartbeats of the same time, which are not counted
// exactly.
constexpr std::uint64_t frames_each_lane = 3, frames_spare = 4, bytes_each_frame = 200;

std::uint64_t now_us() { return to_us(net::steady_now()); }

crowd::heard between(const crowd::heard& a, const crowd::heard& b) {
  return {b.frames - a.frames, b.bytes - a.bytes, b.links};
}

// Without load, so that what the lanes hear is heartbeats and the news.
void end_quietly(run& r, unsigned edge) {
  crowd& c = r.clients;
  const auto window = linger + 1s;
  const auto seconds = std::chrono::duration<double>(window).count();
  const std::uint32_t lost = c.clients_of(edge), left = c.clients() - lost;
  c.kill_edge(edge, duration::zero()); // counted from here on: the lanes of it are counted no more
  auto at = c.heard_from_router();
  const std::uint64_t begin = now_us();
  const bool gone = r.until([&] { return r.router.totals().value("clients", 0u) == left; }, patience);
  const std::uint64_t took = now_us() - begin;
  r.go_on_for(std::max(0.0, seconds - static_cast<double>(took) / 1e6));
  const double whole = static_cast<double>(now_us() - begin) / 1e6;
  const auto news = between(at, c.heard_from_router());
  at = c.heard_from_router();
  r.go_on_for(whole);
  const auto idle = between(at, c.heard_from_router());
  const double frames = static_cast<double>(news.frames) - static_cast<double>(idle.frames);
  std::printf(
      "an edge of %u clients ends: gone after %s; each of %llu links of the others heard %.1f frames and "
      "%.0f bytes more than when idle\n",
      lost, ms(took).c_str(), static_cast<unsigned long long>(news.links),
      frames / static_cast<double>(news.links),
      (static_cast<double>(news.bytes) - static_cast<double>(idle.bytes)) / static_cast<double>(news.links));
  std::fflush(stdout);
  const std::uint64_t most = news.links * (frames_each_lane * r.options.lanes + frames_spare);
  r.must(gone && took <= to_us(linger + 1s * time_factor), "its clients are gone within linger and a second");
  r.must(news.frames <= idle.frames + most && news.bytes <= idle.bytes + most * bytes_each_frame,
         "the end of an edge is a frame, not one for each client");
}

void print(run& r, const char* who, std::uint64_t from, std::uint64_t to, bool to_victim) {
  const auto l = r.clients.latency_between(from, to, to_victim);
  std::printf("  %-34s delivered: %s; answered: %s (%llu)\n", who, quantiles(l.delivered).c_str(),
              quantiles(l.answered).c_str(), static_cast<unsigned long long>(l.answered.count()));
}

// When, after the fault, the slowest answers were asked for: what to look at.
void print_slowest(run& r, std::uint64_t broke, std::uint64_t done) {
  std::uint64_t at = broke, most = 0;
  for (std::uint64_t t = broke; t < done; t += latency_line::slot_us) // of two slots one lies wholly in it
    if (const auto l = r.clients.latency_between(t, t + 2 * latency_line::slot_us).answered; l.max_us > most)
      at = t, most = l.max_us;
  std::printf("  the slowest of the others: %s, sent %s after the end\n", ms(most).c_str(),
              ms(at - broke).c_str());
}

void end_under_load(run& r, unsigned edge) {
  crowd& c = r.clients;
  const auto jitter = std::chrono::duration_cast<duration>(std::chrono::duration<double>(r.options.jitter));
  const std::uint64_t calm_since = now_us();
  r.go_on_for(r.options.calm);
  const std::uint32_t lost = c.clients_of(edge);
  const std::size_t rss_before = r.rss();
  r.forget_marks();
  const std::uint64_t broke = now_us();
  c.kill_edge(edge, jitter);
  const bool complete = r.until([&] { return r.presence_complete(); }, jitter + patience);
  const std::uint64_t done = now_us();
  r.go_on_for(r.options.rest);
  std::printf("an edge of %u clients is killed under load; they come back on the others within %s\n", lost,
              ms(to_us(jitter)).c_str());
  std::printf("  presence complete after %s; router RSS %s before, at most %s after\n",
              ms(done - broke).c_str(), mib(rss_before).c_str(), mib(r.rss_most_mark()).c_str());
  print(r, "before, of the others:", calm_since, broke, false);
  print(r, "meanwhile, of the others:", broke - latency_line::slot_us, done + latency_line::slot_us, false);
  print(r, "meanwhile, to those who come back:", broke - latency_line::slot_us, done + latency_line::slot_us,
        true);
  print_slowest(r, broke, done);
  print(r, "after, to all of them:", done, now_us(), true);
  if (!complete) std::printf("%s", c.problems().c_str());
  std::fflush(stdout);
  r.must(complete && done - broke <= to_us(jitter + linger + 3s * time_factor),
         "presence is complete soon after the last one has come back");
  const auto others = c.latency_between(broke - latency_line::slot_us, done + latency_line::slot_us).answered;
  r.must(others.quantiles_us({0.99})[0] <= to_us(1s * time_factor), "the others are served in the meantime");
}

} // namespace

void edge_kill(run& r) {
  r.start_with(r.options.clients);
  const unsigned quiet = r.options.edges - 2, victim = r.options.edges - 1;
  end_quietly(r, quiet);
  r.clients.begin_load(victim, quiet);
  end_under_load(r, victim);
  (void)r.end_and_judge();
}

} // namespace beeline::population
