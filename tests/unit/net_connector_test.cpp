// Dials: names with several addresses.
#include "common/net/connector.hpp"
#include "tests/unit/net_support.hpp"

using namespace net_test;
using net::connector;

namespace {

// Listens at an address of 127.0.0.0/8; deaf: what comes is dropped, as its queue is full.
struct listening {
  listening(const char* address, std::uint16_t wanted, bool deaf) : fd(socket()) {
    sockaddr_in a{};
    a.sin_family = AF_INET;
    a.sin_port = htons(wanted);
    REQUIRE(::inet_pton(AF_INET, address, &a.sin_addr) == 1);
    REQUIRE(::bind(fd.get(), reinterpret_cast<sockaddr*>(&a), sizeof a) == 0);
    REQUIRE(::listen(fd.get(), deaf ? 0 : 10) == 0);
    socklen_t n = sizeof a;
    ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&a), &n);
    port = ntohs(a.sin_port);
    for (int i = 0; deaf && i < 4; ++i) {
      others.push_back(socket());
      (void)::connect(others.back().get(), reinterpret_cast<sockaddr*>(&a), sizeof a);
    }
  }
  static net::unique_fd socket() {
    return net::unique_fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  }
  net::unique_fd fd;
  std::vector<net::unique_fd> others;
  std::uint16_t port = 0;
};

struct dialler {
  dialler() { loop.own(); }
  // The words of a failure, or empty: connected.
  std::string dial(const std::string& host, std::uint16_t port, duration timeout) {
    std::optional<std::string> said;
    c.dial(
        host, port, [&](net::unique_fd, std::string_view why) { said = why; }, timeout);
    const time_point end = net::steady_now() + 10s;
    while (!said) {
      REQUIRE(net::steady_now() < end);
      loop.wait(net::steady_now() + 50ms);
      loop.run_tasks(net::steady_now());
    }
    return *said;
  }
  net::event_loop loop;
  std::vector<std::string> found;
  int lookups = 0;
  connector c{loop, [this](const std::string&, const net::name_lookup::done_fn& done) {
                ++lookups;
                net::name_lookup::answer a;
                for (const std::string& f : found) a.addresses.push_back(boost::asio::ip::make_address(f));
                if (found.empty()) a.why = "no such name";
                done(a);
              }};
};

} // namespace

TEST_CASE("net_connector: an address of a name that swallows all does not keep it from the others") {
  listening deaf("127.0.0.2", 0, true);
  listening good("127.0.0.3", deaf.port, false);
  dialler d;
  d.found = {"127.0.0.2", "127.0.0.3"};
  CHECK_THAT(d.dial("router", deaf.port, 300ms), Catch::Matchers::Contains("timed out"));
  CHECK(d.dial("router", deaf.port, 300ms).empty());
  CHECK(d.dial("router", deaf.port, 300ms).empty()); // the one that answered stays the first
  CHECK(d.lookups == 3);                             // each time: names may come to mean something else
}

TEST_CASE("net_connector: an address that refuses is passed at once; no address is said in words") {
  listening good("127.0.0.3", 0, false);
  dialler d;
  d.found = {"127.0.0.2", "127.0.0.3"};
  CHECK(d.dial("router", good.port, 5s).empty());
  d.found = {"127.0.0.2"};
  CHECK_THAT(d.dial("router", good.port, 5s), Catch::Matchers::Contains("refused"));
  d.found.clear();
  CHECK_THAT(d.dial("router", good.port, 5s), Catch::Matchers::Contains("no such name"));
}
