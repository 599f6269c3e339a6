// F2, CAT-54, CAT-57: processes that are stopped, killed at each step of a message's way, or have other
// clocks.
#include "tests/sim/scenarios/scenario.hpp"

using namespace beeline;
using namespace beeline::sim;

namespace {

constexpr int messages = 3;
// A message that was first sent before its origin knew of a shard time behind its recipient's registration is
// in doubt once the path is lost: clients have been online for longer than a heartbeat here before anything
// happens.

settings with_pauses() {
  settings s = two_edges(3);
  s.fault_on[static_cast<std::size_t>(fault::router_pause)] = true;
  return s;
}

// Clients 0 and 1 write to each other for so long; 2 is with 0.
void chat(scenario& s, duration d) {
  for (const time_point end = s.w.now + d; s.w.now < end && s.w.violation.empty();) {
    s.publish(0, 1), s.publish(1, 0), s.publish(0, 2);
    s.run(10ms);
  }
}

void begin(scenario& s) {
  s.start();
  s.online(0, 0), s.online(1, 1), s.online(2, 0);
}

} // namespace

TEST_CASE("F2: a router that is stopped for 2 s loses no message and repeats none") {
  scenario s(with_pauses());
  begin(s);
  chat(s, 1500ms);
  s.c.note_fault("SIGSTOP");
  s.c.router_process(0).paused_until = s.w.now + 2s;
  chat(s, 2500ms);
  REQUIRE(s.run_until([&] { return s.answered() == s.h.messages.size(); }, 5s));
  std::printf("stopped for 2 s: %s\n", s.outcomes().c_str());
  REQUIRE_KEPT(s);
  REQUIRE(s.with_code(0) == s.h.messages.size());
  s.finish();
}

TEST_CASE(
    "F2: a router that is stopped for 30 s closes its stale links before it acts on what waits in them") {
  scenario s(with_pauses());
  begin(s);
  chat(s, 1500ms);
  s.c.note_fault("SIGSTOP");
  const time_point end = s.w.now + 30s;
  s.c.router_process(0).paused_until = end;
  chat(s, 31s);
  REQUIRE_KEPT(s);
  router::shard& shard = s.c.shard(0);
  REQUIRE(shard.counters.closes[static_cast<std::size_t>(close_reason::link_paused)].get() == 2);
  REQUIRE(s.run_until([&] { return s.answered() == s.h.messages.size(); }, 60s));
  std::printf("stopped for 30 s: %s; all answered %.0f ms after it went on\n", s.outcomes().c_str(),
              ms(s.w.now - end));
  s.finish();
}

TEST_CASE("F2: an edge that is stopped closes its stale links too") {
  scenario s(with_pauses());
  begin(s);
  chat(s, 1500ms);
  s.c.note_fault("SIGSTOP");
  s.c.edge_process(1).paused_until = s.w.now + 30s;
  chat(s, 31s);
  REQUIRE(s.c.lane(1).endpoint().counters.closes[static_cast<std::size_t>(close_reason::link_paused)].get() ==
          1);
  s.finish();
}

TEST_CASE("P1: a message that is lost within a heartbeat of its recipient's login is unknown, a later one is "
          "sent again") {
  const auto outcome = [](duration after_login) {
    scenario s(two_edges());
    s.start();
    s.online(0, 0);
    s.run(1500ms);
    s.online(1, 1);
    s.run(after_login);
    s.publish(0, 1);
    s.run(s.set.client.delay + s.set.link.delay / 2);
    REQUIRE(s.c.shard(0).counters.messages_in[1].get() == 0); // on its way to the router
    s.c.note_fault("a kill");
    s.c.kill_for(s.c.router_process(0), false, 100ms);
    REQUIRE(s.run_until([&] { return s.answered() == 1; }, 10s));
    REQUIRE_KEPT(s);
    const std::string seen = s.outcomes();
    s.finish();
    return seen;
  };
  REQUIRE(outcome(10ms) == "1 unknown"); // no heartbeat falls into these
  REQUIRE(outcome(limits::heartbeat_interval + 10ms) == "1 success");
}

TEST_CASE("CAT-54: router, owner and origin are killed at each step between a publish and its PUBACK") {
  enum stage { received, forwarded, delivered, acked, stages };
  constexpr const char* names[stages] = {"received", "forwarded", "delivered", "acked"};
  constexpr const char* victims[] = {"router", "owner", "origin"};
  for (unsigned victim = 0; victim < 3; ++victim) {
    std::array<unsigned, stages> killed_at{};
    for (unsigned steps = 0;; ++steps) {
      scenario s(two_edges());
      s.where = std::string(victims[victim]) + " after " + std::to_string(steps) + " events";
      s.start();
      s.online(0, 0), s.online(1, 1);
      s.run(100ms);
      for (int i = 0; i < messages; ++i) s.publish(0, 1);
      const std::uint64_t before = s.c.shard(0).counters.messages_out[1].get();
      for (unsigned i = 0; i < steps; ++i) s.w.step(never);
      const std::uint64_t out = s.c.shard(0).counters.messages_out[1].get() - before;
      const message_record& m = s.h.messages.front();
      ++killed_at[m.answered != never      ? acked
                  : m.first_session != ~0u ? delivered
                  : out                    ? forwarded
                                           : received];
      const bool over = s.answered() == messages;
      s.c.note_fault(s.where);
      s.c.kill_for(victim == 0 ? s.c.router_process(0) : s.c.edge_process(victim == 1), false, 200ms);
      s.run(1s);
      INFO(s.where);
      REQUIRE_KEPT(s);
      s.finish();
      if (over) break;
    }
    std::printf("%-6s killed:", victims[victim]);
    for (int k = 0; k < stages; ++k) {
      std::printf(" %u times when %s%s", killed_at[static_cast<std::size_t>(k)], names[k],
                  k + 1 < stages ? "," : "\n");
      REQUIRE(killed_at[static_cast<std::size_t>(k)] > 0);
    }
  }
}

TEST_CASE("CAT-57, F15: clocks an hour or a day off change nothing that a client sees") {
  // The cores know no wall clock: what can differ is the origin of the steady clock they are given.
  const auto seen = [](duration shift) {
    settings set = with_pauses();
    set.clock_shift = shift;
    scenario s(set);
    begin(s);
    chat(s, 500ms);
    s.c.note_fault("a kill");
    s.c.kill_for(s.c.router_process(0), false, 100ms);
    chat(s, 500ms);
    s.run(10s);
    s.finish();
    std::vector<std::tuple<int, time_point, time_point, std::uint32_t>> out;
    for (const message_record& m : s.h.messages)
      out.emplace_back(m.code, m.answered, m.first_at, m.first_session);
    return out;
  };
  const auto usual = seen(duration(0));
  REQUIRE(usual.size() > 200);
  for (const duration shift : {duration(1h), duration(24h), duration(365 * 24h)})
    REQUIRE(seen(shift) == usual);
}
