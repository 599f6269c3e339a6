// The tool's HTTP client: its patience is for the name, too.
#include "common/cli/http_client.hpp"

#include <catch2/catch.hpp>
#include <future>

using namespace beeline;
using namespace beeline::cli;
using Catch::Matchers::Contains;

TEST_CASE("a name that is not resolved in time is given up, though the resolver goes on") {
  std::promise<void> release;
  const std::shared_future<void> released = release.get_future();
  const auto slow = [released](const std::string&) {
    released.wait();
    return resolved{{"127.0.0.1"}, {}};
  };
  const http_reply r = http_get({"slow.example", 1}, "/", std::chrono::milliseconds(1), slow);
  CHECK(r.status == 0);
  CHECK_THAT(r.problem, Contains("cannot resolve slow.example in time"));
  release.set_value();
}

TEST_CASE("a name that is not known says so; one that is numeric is not asked for") {
  const auto unknown = [](const std::string&) { return resolved{{}, "no such name"}; };
  CHECK(http_get({"x.example", 1}, "/", std::chrono::seconds(10), unknown).problem ==
        "cannot resolve x.example: no such name");
  CHECK_THAT(http_get({"127.0.0.1", 1}, "/", std::chrono::seconds(10), unknown).problem, Contains("refused"));
  CHECK_THAT(http_get({"::1", 1}, "/", std::chrono::seconds(10), unknown).problem, !Contains("resolve"));
}

TEST_CASE("the system resolves this machine's name") {
  const resolved r = resolve_by_system("localhost");
  CHECK(r.problem.empty());
  CHECK_FALSE(r.addresses.empty());
}
