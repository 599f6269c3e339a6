// What beeline-router tells about itself over HTTP (docs/operations.md has the list).
//
// Handlers run in the admin thread. Counters are read where they stand (stats.hpp); for /edges,
// /clients/{id}, /drops and /explain/{id} shards are asked, which copy what they know (gather.hpp).
#pragma once
#include "common/ops/admin_http.hpp"
#include "common/ops/idle_worker.hpp"
#include "router/stats.hpp"

namespace beeline::router {

// `counters`: of the admin server, once there is one. Router, statistics and `pages`, which makes all but
// /healthz, /readyz and the dashboard's files, outlive the server.
std::vector<ops::http_route> admin_routes(router& r, const router_stats& s, ops::idle_worker& pages,
                                          std::function<const ops::admin_counters*()> counters);

} // namespace beeline::router
