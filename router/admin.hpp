// What beeline-router tells about itself over HTTP (docs/operations.md has the list).
//
// Handlers run in the admin thread. Counters are read where they stand; only /edges and
// /clients/{id} ask a shard, which copies what it knows, and the control loop makes the page.
#pragma once
#include "common/ops/admin_http.hpp"
#include "router/router.hpp"

namespace beeline::router {

// `counters`: of the admin server, once there is one. The router outlives the server.
std::vector<ops::http_route> admin_routes(router& r, std::function<const ops::admin_counters*()> counters);

} // namespace beeline::router
