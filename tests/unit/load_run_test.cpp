// The load generator's clients against an edge that is nobody: which addresses they try, and what they say.
#include "common/cli/bench/load_run.hpp"
#include "common/net/unique_fd.hpp"

#include <catch2/catch.hpp>
#include <cstring>
#include <netinet/in.h>

using namespace beeline;
using namespace beeline::load;
using namespace std::chrono_literals;

namespace {

// A port of loopback that takes connections and says nothing, or one where nobody listens.
struct place {
  explicit place(bool listens) : fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in a{};
    a.sin_family = AF_INET;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.size = sizeof a;
    REQUIRE(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&a), sizeof a) == 0);
    REQUIRE(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address.bytes), &address.size) == 0);
    if (listens) REQUIRE(::listen(fd.get(), 16) == 0);
  }
  net::unique_fd fd;
  edge_target::address address;
};

std::string problem_with(std::vector<edge_target::address> addresses, std::sig_atomic_t interrupts = 0) {
  settings s;
  s.prefix = "p";
  s.clients = 3;
  s.timeout = 50ms;
  const volatile std::sig_atomic_t flag = interrupts;
  run r(s, {{"edge:1", std::move(addresses), 0}}, flag);
  try {
    r.go();
  } catch (const std::runtime_error& e) {
    return e.what();
  }
  return "";
}

} // namespace

TEST_CASE("a client tries all addresses of its edge, and tells why the last one failed") {
  const place nobody(false), other(false), silent(true);
  CHECK(problem_with({nobody.address, other.address}) ==
        "client 'p-0' at edge:1: cannot connect: Connection refused");
  // It got through to the last one, which gives no CONNACK.
  CHECK(problem_with({nobody.address, other.address, silent.address}) ==
        "edge:1 gave 3 clients no CONNACK in 50ms");
}

TEST_CASE("an interrupt ends the wait for a CONNACK") {
  const place silent(true);
  CHECK(problem_with({silent.address}, 1) == "interrupted before all clients were connected");
}

TEST_CASE("a name that is none is told with the address") {
  CHECK_THROWS_WITH(resolve({"no.such.name.invalid", 1}),
                    Catch::Matchers::StartsWith("cannot resolve no.such.name.invalid:1: "));
  CHECK(resolve({"::1", 7}).name == "[::1]:7");
}
