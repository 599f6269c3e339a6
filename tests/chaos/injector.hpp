// Does to the cluster what the plan says, at its times, and tells what really happened. Owner: the driver's
// main thread; it waits in `run` and `heal`.
#pragma once
#include "tests/chaos/cluster.hpp"
#include "tests/chaos/plan.hpp"
#include "tests/chaos/proxy.hpp"

#include <functional>

namespace beeline::chaos {

class injector {
public:
  using clock = std::function<std::int64_t()>; // µs since the run began
  injector(cluster& c, proxy* links, namespaces* nets, clock now);

  // From the begin of the load to its end; all faults are over then.
  void run(const std::vector<planned_fault>& plan, std::int64_t load_begin, std::int64_t load_end);
  const std::vector<fault_fact>& told() const { return told_; }

  // One at a time, as a script says; what was begun has to be ended before the load ends.
  // `done`: the script has done it itself, to so many.
  std::size_t begin_now(const planned_fault& f, unsigned done = 0);
  void end_now(std::size_t number);

private:
  unsigned begin(const planned_fault& f);
  void end(const planned_fault& f, fault_fact& told);
  unsigned on_links(const planned_fault& f, bool on);
  unsigned on_process(const planned_fault& f);
  unsigned damage(const planned_fault& f, proxy::harm how);
  void wait_until(std::int64_t at);
  cluster& cluster_;
  proxy* proxy_;
  namespaces* nets_;
  clock now_;
  std::vector<planned_fault> begun_; // by script
  std::vector<fault_fact> told_;
};

} // namespace beeline::chaos
