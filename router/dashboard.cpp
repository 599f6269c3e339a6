#include "router/dashboard.hpp"

#include "common/base/check.hpp"

namespace beeline::router {
namespace {

// Nothing from elsewhere, no inline script or style, no way to make markup of a text: ids come from
// strangers.
constexpr std::string_view policy =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri "
    "'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

std::string content_type(std::string_view name) {
  if (name.ends_with(".html")) return "text/html; charset=utf-8";
  if (name.ends_with(".css")) return "text/css; charset=utf-8";
  CHECK_INVARIANT(name.ends_with(".js"));
  return "text/javascript; charset=utf-8";
}

// Not cached (Cache-Control: no-store is the server's own): a router of another version has another page.
ops::http_response page(const dashboard_file& f) {
  return {200,
          content_type(f.name),
          std::string(f.text),
          {{"Content-Security-Policy", std::string(policy)}, {"Referrer-Policy", "no-referrer"}}};
}

} // namespace

std::vector<ops::http_route> dashboard_routes() {
  std::vector<ops::http_route> routes;
  for (const dashboard_file& f : dashboard_files()) {
    const std::string path = f.name == "index.html" ? "/" : "/dashboard/" + std::string(f.name);
    routes.push_back(
        {path, [&f](const ops::http_request&, ops::http_responder respond) { respond(page(f)); }});
  }
  return routes;
}

} // namespace beeline::router
