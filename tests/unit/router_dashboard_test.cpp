// The dashboard's routes behind the real admin server: types and headers, and that other pages stay what they
// are.
#include "router/dashboard.hpp"
#include "tests/support/http_get.hpp"

#include <algorithm>
#include <catch2/catch.hpp>

using namespace beeline;
using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;

namespace {

struct server {
  ops::admin_server admin{"--admin", {"127.0.0.1", 0}, routes()};
  server() { admin.start(); }
  static std::vector<ops::http_route> routes() {
    auto all = router::dashboard_routes();
    all.push_back({"/stats", [](const ops::http_request&, ops::http_responder r) {
                     r({200, "application/json", "{}"});
                   }});
    return all;
  }
  test::http_answer get(const std::string& path) const {
    return test::http_get(admin.local_endpoint().port, path);
  }
};

} // namespace

TEST_CASE("dashboard: / is a page that may load its own scripts and nothing else") {
  const server s;
  const auto page = s.get("/");
  CHECK(page.status == 200);
  CHECK_THAT(page.body, StartsWith("<!doctype html>"));
  CHECK_THAT(page.head, Contains("\r\nContent-Type: text/html; charset=utf-8\r\n"));
  CHECK_THAT(page.head, Contains("\r\nContent-Security-Policy: default-src 'none'; script-src 'self'; ") &&
                            !Contains("unsafe") && !Contains("*"));
  CHECK_THAT(page.head, Contains("frame-ancestors 'none'") && Contains("trusted-types 'none'"));
  CHECK_THAT(page.head, Contains("\r\nCache-Control: no-store\r\n"));
  CHECK_THAT(page.head, Contains("\r\nX-Content-Type-Options: nosniff\r\n"));
  CHECK_THAT(page.head, Contains("\r\nReferrer-Policy: no-referrer\r\n"));
}

TEST_CASE("dashboard: every file that a file names is served, with its type") {
  const server s;
  const auto files = router::dashboard_files();
  REQUIRE(files.size() > 3);
  for (const auto& f : files) {
    INFO(f.name);
    CHECK(f.text.find("http://") == f.text.find("http://www.w3.org/")); // names of formats, nothing to fetch
    CHECK(f.text.find("https://") == f.text.npos);
    if (f.name == "index.html") continue;
    const auto got = s.get("/dashboard/" + std::string(f.name));
    CHECK(got.status == 200);
    CHECK(got.body == f.text);
    const bool style = f.name.ends_with(".css");
    CHECK_THAT(got.head, Contains(style ? "Content-Type: text/css;" : "Content-Type: text/javascript;"));
    CHECK_THAT(got.head, Contains("Content-Security-Policy: default-src 'none'"));
    const bool named = std::ranges::any_of(files, [&](const auto& other) {
      return other.text.find("/" + std::string(f.name)) != other.text.npos;
    });
    CHECK(named);
  }
}

TEST_CASE("dashboard: the other pages are as they were") {
  const server s;
  const auto stats = s.get("/stats");
  CHECK(stats.body == "{}");
  CHECK_THAT(stats.head,
             !Contains("Content-Security-Policy") && Contains("Content-Type: application/json\r\n"));
  for (auto path :
       {"/dashboard", "/dashboard/", "/dashboard/index.html", "/dashboard/../stats", "/index.html", "//"})
    CHECK(s.get(path).status == 404);
}
