// What beeline-edge tells about itself over HTTP (docs/operations.md has the list).
//
// Handlers run in the admin thread. Counters are read where they stand; only /readyz asks the lanes,
// and the control loop makes the page.
#pragma once
#include "common/ops/admin_http.hpp"
#include "edge-server/edge.hpp"

namespace beeline::edge {

// `counters`: of the admin server, once there is one. The edge server outlives it.
std::vector<ops::http_route> admin_routes(edge_server& e,
                                          std::function<const ops::admin_counters*()> counters);

} // namespace beeline::edge
