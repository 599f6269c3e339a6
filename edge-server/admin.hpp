// What beeline-edge tells about itself over HTTP (docs/operations.md has the list).
//
// Handlers run in the admin thread. Counters are read where they stand (stats.hpp); for /readyz, /drops,
// /clients and /explain/{id} lanes are asked, which copy what they know (gather.hpp).
#pragma once
#include "common/ops/admin_http.hpp"
#include "common/ops/idle_worker.hpp"
#include "edge-server/stats.hpp"

namespace beeline::edge {

// `counters`: of the admin server, once there is one. Edge server, statistics and `pages`, which makes all
// but /healthz and /readyz, outlive it.
std::vector<ops::http_route> admin_routes(edge_server& e, const edge_stats& s, ops::idle_worker& pages,
                                          std::function<const ops::admin_counters*()> counters);

} // namespace beeline::edge
