// One run: a router process, a crowd, what was sampled of both, and what did not hold.
//
// Owner: the driver's main thread.
#pragma once
#include "tests/population/crowd.hpp"
#include "tests/support/process.hpp"

#include <functional>

namespace beeline::population {

using namespace std::chrono_literals;

class run {
public:
  explicit run(const run_options& o);

  // Asks until it holds, and samples meanwhile; false when time has passed.
  bool until(const std::function<bool()>& holds, duration most);
  void go_on_for(double seconds);
  void must(bool holds, const std::string& promise); // a violation when it does not
  bool kept_all() const noexcept { return violations_ == 0; }

  // Every client is registered at the router, which serves.
  bool presence_complete();
  void start_with(std::uint32_t clients); // returns when presence is complete; throws when it will not be
  // After the load: everything is answered, every client reached once more, all ended, the messages judged.
  verdict end_and_judge();

  std::size_t rss() const { return router.rss_bytes(); }
  std::size_t rss_most_mark() const noexcept { return rss_most_; } // sampled at 10 Hz since forget_marks()
  void forget_marks();

  const run_options& options;
  test::temporary_folder folder; // the router's log
  router_process router;
  crowd clients;

private:
  void sample(time_point now);
  void probe_all();

  std::size_t rss_most_ = 0;
  time_point next_sample_{};
  unsigned violations_ = 0;
};

// Words for tables.
std::string ms(std::uint64_t us);
std::string mib(std::uint64_t bytes);
std::string quantiles(const histogram_snapshot& h); // "p50 0.4 p99 2.1 most 5.0 ms"

void presence(run& r);
void router_kill(run& r);
void router_stop(run& r);
void edge_kill(run& r);

} // namespace beeline::population
