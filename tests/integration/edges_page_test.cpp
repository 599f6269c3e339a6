// /edges of a real router with more edges than a page holds.
#include "tests/support/cluster.hpp"

#include <catch2/catch.hpp>

using namespace beeline;
using namespace beeline::test;
using Catch::Matchers::Contains;
using nlohmann::json;

TEST_CASE(
    "more edges than a page of /edges holds are told page by page, and wrong places are refused in words") {
  router_process r({"--shards", "2"});
  edge_process c("c", {r.address()}, {"--lanes", "1"}), a("a", {r.address()}, {"--lanes", "2"}),
      b("b", {r.address()}, {"--lanes", "1"});
  for (edge_process* e : {&a, &b, &c}) REQUIRE(e->mqtt() != 0);
  const auto names = [](const json& page) {
    std::string all;
    for (const json& e : page["edges"])
      all += e["edge"].get<std::string>() + std::to_string(e["links"].size()) + " ";
    return all;
  };
  const json first = r.json("/edges?limit=2");
  CHECK(names(first) == "a4 b2 ");
  CHECK(first["next"] == "b");
  const json second = r.json("/edges?limit=2&after=b");
  CHECK(names(second) == "c2 ");
  CHECK(second["next"].is_null());
  CHECK(names(r.json("/edges")) == "a4 b2 c2 ");
  CHECK(names(r.json("/edges?after=aa&limit=1")) == "b2 "); // an edge that has gone is a place too
  for (const char* limit : {"0", "1001", "-1", "x", ""}) {
    CAPTURE(limit);
    const auto refused = r.get(std::string("/edges?limit=") + limit);
    CHECK(refused.status == 400);
    CHECK_THAT(refused.body, Contains("'limit' must be a whole number from 1 to 1000"));
  }
  for (const std::string& after : {std::string(), std::string(65, 'x'), std::string("%ff")}) {
    CAPTURE(after);
    const auto refused = r.get("/edges?after=" + after);
    CHECK(refused.status == 400);
    CHECK_THAT(refused.body, Contains("'after' must be the name of an edge"));
  }
}
