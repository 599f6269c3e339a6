// F9: clients that connect here and there at once. F11: everything is restarted, one after the other.
#include "tests/chaos/scenario.hpp"
#include "tests/support/sanitized.hpp"

namespace beeline::chaos::scripts {
namespace {
constexpr double takeovers_a_second = test::sanitized ? 150 : 1000;
} // namespace

run_plan takeovers_plan(const run_options& o) {
  run_plan p = steady(o);
  p.lanes = {2, 2};
  p.takeovers = static_cast<std::size_t>(o.seconds * takeovers_a_second);
  p.churn = takeovers_a_second;
  for (client_plan& c : p.clients) c.home = -1;
  return p;
}

void takeovers(run& r) {
  const std::size_t wanted = r.plan().takeovers;
  if (!r.until([&] { return r.clients().takeovers() == wanted; }, 240))
    r.broken("not so many takeovers in 240 s");
  r.load_for(0.05); // the crowd counts anew every few milliseconds
  r.time_until(
      "after the last one, each id has one session after", [&] { return r.clients().wrong_places() == 0; },
      5'000);
  r.figure("connects while an older session of the id was there",
           static_cast<double>(r.clients().takeovers()), "", static_cast<double>(wanted));
}

run_plan rolling_plan(const run_options& o) {
  run_plan p = steady(o);
  for (client_plan& c : p.clients) c.home = -1; // who is sent away goes elsewhere, or there again
  return p;
}

void rolling_restart(run& r) {
  const double step = r.options().seconds / 5;
  r.load_for(step);
  for (int part = -1; part < static_cast<int>(r.servers().edges()); ++part) {
    const std::string name = part < 0 ? "router" : "e" + std::to_string(part + 1);
    const std::int64_t from = r.now();
    const std::size_t f =
        r.faults().begin_now({part < 0 ? fault::router_term : fault::edge_term, part, -1, 0, 0});
    r.figure(name + " has ended after", static_cast<double>(r.now() - from) / 1e3, "ms");
    r.faults().end_now(f);
    r.time_until(
        name + " is back and everybody ready after", [&] { return r.servers().ready(); }, 10'000);
    r.load_for(step);
  }
}

} // namespace beeline::chaos::scripts
