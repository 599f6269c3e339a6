// Listening: clear errors at start, and no spinning at the file limit.
#include "tests/unit/net_support.hpp"

#include <sys/resource.h>

using namespace net_test;

namespace {

double cpu_seconds() {
  rusage u{};
  ::getrusage(RUSAGE_SELF, &u);
  const auto s = [](const timeval& t) { return double(t.tv_sec) + double(t.tv_usec) / 1e6; };
  return s(u.ru_utime) + s(u.ru_stime);
}

// No new descriptors while it lives.
struct file_limit_reached {
  file_limit_reached() {
    ::getrlimit(RLIMIT_NOFILE, &old);
    // The lowest free descriptor is the limit: nothing below it may be free.
    for (int fd = ::dup(0); fd >= 0 && fd < 200; fd = ::dup(0)) fill.emplace_back(fd);
    rlimit low = old;
    low.rlim_cur = static_cast<rlim_t>(fill.back().get()) + 1;
    ::setrlimit(RLIMIT_NOFILE, &low);
  }
  ~file_limit_reached() { ::setrlimit(RLIMIT_NOFILE, &old); }
  rlimit old{};
  std::vector<net::unique_fd> fill;
};

} // namespace

TEST_CASE("net: a port that is taken is named in the error", "[net]") {
  const auto first = net::bind_tcp("127.0.0.1", 0);
  CHECK(first.port != 0);
  net::start_listening(first);
  const auto expected = "127.0.0.1:" + std::to_string(first.port);
  for (bool shared : {false, true}) {
    try {
      if (shared) (void)net::bind_tcp_shared("127.0.0.1", first.port, 2);
      else (void)net::bind_tcp("127.0.0.1", first.port);
      FAIL("bound twice");
    } catch (const std::system_error& e) {
      CHECK(e.code() == std::errc::address_in_use);
      CHECK_THAT(e.what(), Catch::Contains(expected) && Catch::Contains("in use"));
    }
  }
}

TEST_CASE("net: a second server does not slip into a shared port", "[net]") {
  const auto lanes = net::bind_tcp_shared("127.0.0.1", 0, 3);
  REQUIRE(lanes.size() == 3);
  for (const auto& l : lanes) {
    CHECK(l.port == lanes[0].port);
    net::start_listening(l);
  }
  CHECK_THROWS_AS(net::bind_tcp_shared("127.0.0.1", lanes[0].port, 1), std::system_error);
}

TEST_CASE("net: an address that is none is named in the error", "[net]") {
  CHECK_THROWS_WITH(net::bind_tcp("256.1.1.1", 80), Catch::Contains("256.1.1.1"));
  CHECK_THROWS_WITH(net::bind_tcp("192.0.2.1", 80), Catch::Contains("192.0.2.1:80"));
}

TEST_CASE("net: connections above the limit are closed and counted, and places come back", "[net]") {
  net::connection_budget budget(3);
  server s({}, {}, {&budget});
  std::vector<std::unique_ptr<socket_end>> peers;
  for (int i = 0; i < 3; ++i) peers.push_back(std::make_unique<socket_end>(s.port));
  REQUIRE(eventually([&] { return budget.open() == 3; }));
  socket_end refused(s.port);
  CHECK(refused.receive(1).empty());
  CHECK(s.counters().closed_by(close_reason::connection_limit).get() == 1);
  peers.pop_back();
  REQUIRE(eventually([&] { return budget.open() == 2; }));
  socket_end welcome(s.port);
  const auto f = frame_of(10, 1);
  welcome.send(f);
  CHECK(welcome.receive(f.size()) == f);
  CHECK(s.ask([](scripted_core& c) { return c.ups; }) == 4);
}

TEST_CASE("net: connections that come one by one below the rate leave the burst to those that come at once",
          "[net]") {
  server s({}, {}, {nullptr, 100}); // of which 5 may come at once
  std::vector<std::unique_ptr<socket_end>> peers;
  for (std::uint64_t i = 1; i <= 40; ++i) { // at most 71 a second, however slow this machine is
    peers.push_back(std::make_unique<socket_end>(s.port));
    REQUIRE(eventually([&] { return s.counters().accepts.get() == i; }));
    std::this_thread::sleep_for(14ms);
  }
  for (int i = 0; i < 4; ++i) peers.push_back(std::make_unique<socket_end>(s.port));
  REQUIRE(eventually([&] { return s.counters().accepts.get() == 44; }));
  CHECK(s.counters().accepts_held_back.get() == 0);
}

TEST_CASE("net: CAT-66 the listener neither spins nor goes deaf at the file limit", "[net]") {
  std::atomic<int> lines{0};
  net::core_loop_options o;
  o.log = [&](std::string_view line) { lines += line.find("cannot accept") != std::string_view::npos; };
  server s({}, std::move(o));
  // Descriptors for the peers exist before the limit is reached; they connect after.
  std::vector<net::unique_fd> peers;
  for (int i = 0; i < 4; ++i) peers.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_port = htons(s.port);
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  // Nothing is asserted inside: UBSan's checks of virtual calls need descriptors themselves.
  int connected = 0;
  bool noticed = false;
  double cpu = 0;
  std::uint64_t accepts = 0;
  bool tried_again = false;
  std::chrono::duration<double> took{};
  {
    file_limit_reached full;
    for (auto& p : peers) connected += ::connect(p.get(), reinterpret_cast<sockaddr*>(&a), sizeof a) == 0;
    noticed = eventually([&] { return s.counters().accept_errors.get() > 0; });
    cpu = cpu_seconds();
    const auto start = std::chrono::steady_clock::now();
    const auto errors = s.counters().accept_errors.get();
    tried_again = eventually([&] { return s.counters().accept_errors.get() >= errors + 6; });
    took = std::chrono::steady_clock::now() - start;
    cpu = cpu_seconds() - cpu;
    accepts = s.counters().accepts.get();
  }
  CHECK(connected == 4);
  CHECK(noticed);
  CHECK(tried_again);
  CHECK(took >= 5 * limits::accept_pause);
  CHECK(cpu < 0.3 * took.count());
  CHECK(accepts == 0);
  CHECK(lines == 1);
  CHECK(eventually([&] { return s.counters().accepts.get() == 4; }));
  const auto f = frame_of(10, 1);
  for (auto& p : peers) {
    REQUIRE(::send(p.get(), f.data(), f.size(), MSG_NOSIGNAL) == ssize_t(f.size()));
    bytes got(f.size());
    REQUIRE(::recv(p.get(), got.data(), got.size(), MSG_WAITALL) == ssize_t(f.size()));
    CHECK(got == f);
  }
}
