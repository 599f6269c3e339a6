// beeline-router: start-up, and the order in which things end.
#include "common/net/event_loop.hpp"
#include "common/ops/build_info.hpp"
#include "common/ops/start_error.hpp"
#include "router/admin.hpp"

#include <cstdio>

namespace beeline::router {
namespace {

void say(const std::string& line) {
  std::fprintf(stdout, "beeline-router %s\n", line.c_str());
  std::fflush(stdout);
}

int run(int argc, const char* const* argv) {
  router_config config = read_config(argc, argv);
  ops::raise_descriptor_limit();
  const ops::host_port admin_at = config.program.admin;
  ops::control_loop control; // outlives all that posts to it
  router r(std::move(config), control);
  router_stats stats(r);
  ops::idle_worker pages;
  std::unique_ptr<ops::admin_server> admin;
  admin = std::make_unique<ops::admin_server>("--admin", admin_at, admin_routes(r, stats, pages, [&admin] {
                                                return admin ? &admin->counters() : nullptr;
                                              }));
  r.start();
  admin->start();
  ops::log_info("{} started with {} shards", ops::build_text(), r.shards().size());
  for (std::size_t k = 0; k < r.shards().size(); ++k) {
    const shard_config& c = r.shards()[k]->core->config();
    say("shard " + std::to_string(k) + " listening at " + r.shards()[k]->address + " for slots " +
        std::to_string(c.first_slot) + "-" + std::to_string(c.last_slot));
  }
  say("admin at http://" + ops::to_string(admin->local_endpoint()));
  say("ready");
  control.every(limits::pulse_interval, [&r] { r.beat(); });
  control.every(limits::page_patience, [&pages] { pages.run_overdue(net::steady_now()); });
  stats.sample(); // what rates begin with
  control.every(limits::rates_interval, [&stats] { stats.sample(); });
  control.every(limits::log_suppressed_interval, [] { ops::log_all_suppressed(); });
  control.run();
  admin->stop(); // before what its handlers name
  pages.stop();
  r.stop();
  ops::log_all_suppressed();
  ops::log_info("ended");
  return 0;
}

} // namespace
} // namespace beeline::router

int main(int argc, char** argv) {
  return beeline::ops::run_main("beeline-router", [&] { return beeline::router::run(argc, argv); });
}
