// The dashboard: a page for people at `/` of the router's admin port, and its scripts and style below
// /dashboard/.
//
// Its files stand in router/dashboard and are part of the program (embed.cmake): it needs no folder at run
// time and fetches nothing from elsewhere, which its Content-Security-Policy also forbids. All that it shows
// it reads from the other admin pages. Constant data; any thread.
#pragma once
#include "common/ops/admin_http.hpp"

#include <span>
#include <string_view>

namespace beeline::router {

struct dashboard_file {
  std::string_view name; // "index.html"
  std::string_view text; // for ever
};
std::span<const dashboard_file> dashboard_files() noexcept; // made by embed.cmake

std::vector<ops::http_route> dashboard_routes();

} // namespace beeline::router
