// F3 and F4: an edge that is killed, seen and unseen, and one that is back at once.
#include "tests/chaos/scenario.hpp"

#include <csignal>

namespace beeline::chaos::scripts {
namespace {

constexpr int victim = 0; // e1

std::vector<std::string> clients_at(run& r, int edge, bool only_who_stays_away) {
  std::vector<std::string> ids;
  for (const client_plan& c : r.plan().clients)
    if (c.home == edge && !(only_who_stays_away && c.returns)) ids.push_back(c.id);
  return ids;
}

// Stands still for a moment first, so that messages are in flight to it for certain.
std::size_t kill_with_messages_in_flight(run& r) {
  r.servers().process(victim)->signal(SIGSTOP);
  r.load_for(0.1);
  const std::size_t f = r.faults().begin_now({fault::edge_kill_long, victim, -1, 0, 0});
  r.mark("dead");
  return f;
}

void its_clients_go(run& r, double limit_ms) {
  const auto ids = clients_at(r, victim, true);
  r.time_until(
      "its clients are known to be gone after", [&] { return r.servers().online_of(ids) == 0; }, limit_ms);
  r.mark("gone");
}

} // namespace

run_plan edge_killed_plan(const run_options& o) {
  run_plan p = steady(o);
  for (client_plan& c : p.clients) c.returns = c.home != victim;
  return p;
}

run_plan edge_restarted_plan(const run_options& o) {
  run_plan p = steady(o);
  for (std::size_t i = 0; i < p.clients.size(); ++i)
    p.clients[i].returns = p.clients[i].home != victim || i % 2 == 0;
  return p;
}

void edge_kill(run& r) {
  r.load_for(r.options().seconds / 3);
  const std::size_t f = kill_with_messages_in_flight(r);
  its_clients_go(r, 2'000 + 1'000); // linger, and one second
  r.load_for(r.options().seconds * 2 / 3);
  r.faults().end_now(f);
}

void edge_vanishes(run& r) {
  r.load_for(r.options().seconds / 3);
  const std::size_t net = r.faults().begin_now({fault::net_down, victim, -1, 0, 0});
  const std::size_t f = r.faults().begin_now({fault::edge_kill_long, victim, -1, 0, 0});
  r.mark("dead");
  its_clients_go(r, 6'000);
  r.load_for(r.options().seconds * 2 / 3);
  r.faults().end_now(net);
  r.faults().end_now(f);
}

void edge_restart(run& r) {
  r.load_for(r.options().seconds / 3);
  const std::size_t f = kill_with_messages_in_flight(r);
  r.faults().end_now(f);
  r.time_until(
      "the new life is in sync after", [&] { return !r.servers().ask(victim, "/readyz").is_discarded(); },
      -1);
  const auto absent = clients_at(r, victim, true);
  r.figure("of the old life's clients then still known", static_cast<double>(r.servers().online_of(absent)),
           "", 0, 0);
  r.mark("gone");
  r.load_for(r.options().seconds * 2 / 3);
}

} // namespace beeline::chaos::scripts
