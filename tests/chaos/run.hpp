// One run: the cluster, its network, its clients, and the time that they share. It starts them, lets the load
// run while faults that were drawn, or a scenario's script, do their work, waits for rest and writes down
// what there is to judge.
//
// Owner: the driver's main thread. Members stand in the order in which they are made, and go the other way
// round.
#pragma once
#include "tests/chaos/crowd.hpp"
#include "tests/chaos/injector.hpp"

namespace beeline::chaos {

struct scenario;

class run {
public:
  run(const run_options& o, const run_plan& plan, const scenario* script, std::unique_ptr<namespaces> nets);

  bool start(); // everybody is ready and connected
  void go();    // to the written end
  std::string words();

  // For scripts, while the load runs.
  const run_options& options() const noexcept { return options_; }
  const run_plan& plan() const noexcept { return plan_; }
  cluster& servers() noexcept { return cluster_; }
  crowd& clients() noexcept { return crowd_; }
  proxy& links() noexcept { return *proxy_; }
  namespaces& network() noexcept { return *nets_; }
  injector& faults() noexcept { return injector_; }
  const std::vector<std::string>& ids() const noexcept { return ids_; }

  std::int64_t now() const {
    return std::chrono::duration_cast<std::chrono::microseconds>(crowd::clock::now() - begin_).count();
  }
  void load_for(double seconds);
  std::int64_t mark(const std::string& name) { return facts_.moments[name] = now(); }
  void figure(std::string name, double value, std::string unit, double least = 0, double most = -1);
  // Memory and descriptors of each server now, for the picture too.
  const std::vector<process_sample>& sample();
  // What is noted before the load to be compared at rest.
  std::map<std::string, double>& notes() noexcept { return notes_; }
  void broken(std::string what) { facts_.broken.push_back(std::move(what)); }
  // Limits on times hold as they stand in full size; a short run shares its processors with other tests.
  double time_limit(double of_full_size) const;
  // Looks every few milliseconds; false: not within that time.
  bool until(const std::function<bool()>& f, double seconds);
  // How long until then, in ms, as a figure that has its limit; what never comes is a figure too.
  double time_until(const std::string& name, const std::function<bool()>& f, double limit_ms);

private:
  crowd_settings settings() const;
  bool all_quiet();
  void come_to_rest();
  void end_processes();
  void describe();

  const run_options& options_;
  const run_plan& plan_;
  const scenario* script_;
  crowd::clock::time_point begin_ = crowd::clock::now();
  std::unique_ptr<namespaces> nets_;
  layout where_;
  std::unique_ptr<proxy> proxy_;
  cluster cluster_;
  crowd crowd_;
  injector injector_;
  std::vector<std::string> ids_;
  run_facts facts_;
  std::map<std::string, double> notes_;
};

} // namespace beeline::chaos
