// beeline-edge: start-up, and the order in which things end.
#include "common/net/event_loop.hpp"
#include "common/ops/build_info.hpp"
#include "common/ops/start_error.hpp"
#include "edge-server/admin.hpp"

#include <algorithm>
#include <cstdio>

namespace beeline::edge {
namespace {

void say(const std::string& line) {
  std::fprintf(stdout, "beeline-edge %s\n", line.c_str());
  std::fflush(stdout);
}

// Clients never take the descriptors that links and the admin server need. What lanes with very many links
// need beyond that shows when the routers have told their shards (edge_server::fit_connections).
void fit_descriptors(edge_config& c) {
  const std::uint64_t have = ops::raise_descriptor_limit();
  const std::uint64_t kept = limits::descriptors_spare + limits::descriptors_per_lane * c.lanes;
  c.descriptors_for_clients = have - std::min(have, kept);
  if (c.descriptors_for_clients >= c.connections_max) return;
  if (c.descriptors_for_clients == 0)
    throw ops::start_error("only " + std::to_string(have) + " file descriptors, of which " +
                               std::to_string(kept) +
                               " are not for clients; raise the limit (ulimit -n, "
                               "LimitNOFILE)",
                           ops::exit_fault);
  ops::log_warning(
      "at most {} connections, not --max-connections {}: only {} file descriptors, of which {} are "
      "not for clients; raise the limit (ulimit -n, LimitNOFILE) or lower --max-connections",
      c.descriptors_for_clients, c.connections_max, have, kept);
  c.connections_max = c.descriptors_for_clients;
}

int run(int argc, const char* const* argv) {
  edge_config config = read_config(argc, argv);
  fit_descriptors(config);
  const ops::host_port admin_at = config.program.admin;
  ops::control_loop control; // outlives all that posts to it
  edge_server edge(std::move(config), control);
  edge_stats stats(edge);
  ops::idle_worker pages;
  std::unique_ptr<ops::admin_server> admin;
  admin = std::make_unique<ops::admin_server>("--admin", admin_at, admin_routes(edge, stats, pages, [&admin] {
                                                return admin ? &admin->counters() : nullptr;
                                              }));
  admin->start();
  ops::log_info("{} started as '{}' with {} lanes; the MQTT port {} opens when all routers are linked",
                ops::build_text(), edge.config().name, edge.lanes().size(), edge.mqtt_address());
  say("admin at http://" + ops::to_string(admin->local_endpoint()));
  edge.start([&edge] {
    say("listening for MQTT at " + edge.mqtt_address());
    say("ready");
  });
  control.before_end([&edge] { edge.drain(); });
  control.every(limits::pulse_interval, [&edge] { edge.beat(); });
  control.every(limits::page_patience, [&pages] { pages.run_overdue(net::steady_now()); });
  stats.sample(); // what rates begin with
  control.every(limits::rates_interval, [&stats] { stats.sample(); });
  control.every(limits::log_suppressed_interval, [] { ops::log_all_suppressed(); });
  control.run();
  admin->stop(); // before what its handlers name
  pages.stop();
  edge.stop();
  ops::log_all_suppressed();
  ops::log_info("ended");
  return 0;
}

} // namespace
} // namespace beeline::edge

int main(int argc, char** argv) {
  return beeline::ops::run_main("beeline-edge", [&] { return beeline::edge::run(argc, argv); });
}
