// F11, CAT-47: routers and edges are restarted one after the other under load, each edge with a drain.
// Nothing is lost or repeated, and no client of an edge is touched but when its own edge goes.
#include "tests/sim/scenarios/scenario.hpp"

using namespace beeline;
using namespace beeline::sim;

namespace {

settings rolled(unsigned routers, unsigned edges, unsigned clients) {
  settings s = two_edges(clients);
  s.routers = routers;
  s.edges = edges;
  return s;
}

} // namespace

TEST_CASE(
    "F11, CAT-47: a rolling restart of all processes under load disconnects nobody at the other edges") {
  constexpr unsigned edges = 3, clients = 24;
  for (unsigned routers : {1u, 2u}) {
    scenario s(rolled(routers, edges, clients), routers);
    s.start();
    for (unsigned i = 0; i < clients; ++i) s.online(i, i % edges);
    s.c.note_fault("rolling restart");
    s.c.begin_rolling_restart();
    const time_point begin = s.w.now;
    while (s.c.rolling() && s.w.violation.empty()) {
      for (unsigned i = 0; i < clients; ++i)
        if (s.live(i) && s.session(i).unanswered() < 5)
          s.publish(i, static_cast<std::uint32_t>(s.w.random.below(clients)));
      s.run(20ms);
      REQUIRE(s.w.now - begin < 120s);
    }
    REQUIRE_KEPT(s);
    REQUIRE(s.run_until([&] { return s.c.in_service() && s.all_open(); }, 20s));
    std::size_t told = 0, others = 0;
    for (const session_record& r : s.h.sessions)
      if (r.why == close_reason::drained) ++told;
      else if (r.why != close_reason::none && r.why != close_reason::connect_refused) ++others;
    std::printf(
        "%u routers and %u edges restarted in %.1f s: %s; %zu clients told to go, %zu ended otherwise\n",
        routers, edges, ms(s.w.now - begin) / 1000, s.outcomes().c_str(), told, others);
    REQUIRE(told == clients);
    REQUIRE(others == 0);
    REQUIRE(s.h.messages.size() > 2'000);
    REQUIRE(s.with_code(0x83) == s.h.outcomes[3]); // in doubt: where a client had only just come back
    REQUIRE(s.with_code(0x83) * 50 < s.h.messages.size());
    s.finish();
  }
}

TEST_CASE("a draining edge gives its clients what it has promised them, also when they acknowledge late") {
  settings set = two_edges(2);
  set.inflight_max = 8; // of what the recipient has not acknowledged: the rest waits at its edge
  scenario s(set);
  s.start();
  s.online(0, 0), s.online(1, 1);
  s.session(1).be_slow(s.w.now + 1s);
  for (int i = 0; i < 8; ++i) s.publish(0, 1);
  s.run(50ms);
  for (int i = 0; i < 8; ++i) s.publish(0, 1);
  s.run(50ms);
  REQUIRE(s.with_code(0) == 16);
  s.c.note_fault("drain");
  s.c.drain_edge(1);
  while (s.h.sessions[1].live() && s.w.violation.empty()) s.publish(1, 0), s.run(10ms); // it publishes on
  REQUIRE(s.h.sessions[1].why == close_reason::drained);
  std::size_t received = 0;
  for (const message_record& m : s.h.messages) received += m.first_session == 1;
  REQUIRE(received == 16);
  s.finish();
}
