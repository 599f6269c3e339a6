// F9, CAT-48, CAT-49: one client id is claimed from two edges. The session that connected later is left,
// whatever the order in which the router hears of them, and there is never more than one at rest.
#include "tests/sim/scenarios/scenario.hpp"

using namespace beeline;
using namespace beeline::sim;

namespace {

constexpr unsigned clients = 100;
constexpr duration settled_after = 250ms;

struct tally {
  std::uint64_t takeovers = 0, crossed = 0, in_doubt = 0;
};

// All ids connect to both edges, the second time up to `apart` after the first. While they do, links are
// silent for moments, so that news overtake each other. `clear`: connects further apart than this have to be
// told apart.
tally storm(std::uint64_t seed, unsigned rounds, duration apart, duration clear) {
  settings set = two_edges(clients);
  set.link.jitter = set.client.jitter = 500us;
  scenario s(set, seed);
  s.start();
  s.c.note_fault("a storm");
  tally t;
  for (unsigned round = 0; round < rounds; ++round) {
    std::vector<std::pair<time_point, std::pair<std::uint32_t, std::uint32_t>>> plan; // when, who, where
    for (std::uint32_t i = 0; i < clients; ++i) {
      const auto first = static_cast<std::uint32_t>(s.w.random.below(2));
      const time_point at = s.w.now + s.w.between(0ms, 50ms);
      plan.push_back({at, {i, first}});
      plan.push_back({at + s.w.between(duration(0), apart), {i, 1 - first}});
    }
    std::sort(plan.begin(), plan.end());
    for (const auto& [at, connect] : plan) {
      if (at > s.w.now) s.w.run_until(at);
      if (s.w.random.one_in(10))
        if (connection* link = s.c.link_of(static_cast<unsigned>(s.w.random.below(2))))
          link->stall(0, s.w.now + s.w.between(1ms, 40ms));
      s.c.devices[connect.first]->connect_to(connect.second);
    }
    s.run(settled_after);
    s.run_until([&] { return s.all_settled(); }, 5s); // a loser that thought it was the newest comes back
    REQUIRE_KEPT(s);
    for (std::uint32_t i = 0; i < clients; ++i) {
      const auto& all = s.h.sessions_of[i];
      std::uint32_t alive = 0, winner = 0, newest = all.front();
      for (std::uint32_t k : all) {
        const session_record& r = s.h.sessions[k];
        if (r.live()) ++alive, winner = k;
        if (r.attached != never && r.attached > s.h.sessions[newest].attached) newest = k;
      }
      INFO("seed " << seed << " round " << round << " client " << i);
      REQUIRE(alive == 1);
      if (winner == newest) continue;
      ++t.in_doubt; // closer together than what a link's round trip tells
      REQUIRE(s.h.sessions[newest].attached - s.h.sessions[winner].attached < clear);
    }
  }
  for (const session_record& r : s.h.sessions) t.takeovers += r.why == close_reason::taken_over;
  s.finish();
  return t;
}

tally storms(unsigned worlds, duration apart, duration clear) {
  tally all;
  for (std::uint64_t seed = 1; seed <= worlds; ++seed) {
    const tally t = storm(seed, test::fast_build ? 10 : 2, apart, clear);
    all.takeovers += t.takeovers, all.in_doubt += t.in_doubt;
  }
  return all;
}

} // namespace

TEST_CASE(
    "F9, CAT-48: 10,000 takeovers between two edges with crossed timing leave the newest session of each") {
  const tally t = storms(10, 30ms, 10ms);
  std::printf("%llu takeovers, %llu of them between connects too close to tell apart\n",
              static_cast<unsigned long long>(t.takeovers), static_cast<unsigned long long>(t.in_doubt));
  if (test::fast_build) REQUIRE(t.takeovers >= 10'000);
}

TEST_CASE("CAT-49: of 10,000 pairs of simultaneous connects of one id exactly one survives") {
  const tally t = storms(10, 1ms, 10ms);
  std::printf("%llu sessions lost, %llu survivors had not connected last\n",
              static_cast<unsigned long long>(t.takeovers), static_cast<unsigned long long>(t.in_doubt));
  if (test::fast_build) REQUIRE(t.takeovers >= 10'000);
}
