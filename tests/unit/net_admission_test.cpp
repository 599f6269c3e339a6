// Who may connect: places in all, for each address, and in a second.
#include "tests/unit/net_support.hpp"

using namespace net_test;
using net::connection_budget;
using verdict = net::connection_budget::verdict;

namespace {

sockaddr_storage address(const char* text) {
  sockaddr_storage s{};
  auto& v4 = reinterpret_cast<sockaddr_in&>(s);
  auto& v6 = reinterpret_cast<sockaddr_in6&>(s);
  if (::inet_pton(AF_INET, text, &v4.sin_addr) == 1) v4.sin_family = AF_INET;
  else if (::inet_pton(AF_INET6, text, &v6.sin6_addr) == 1) v6.sin6_family = AF_INET6;
  return s;
}
net::source_address from(const char* text) { return net::source_of(address(text)); }

} // namespace

TEST_CASE("net: IPv4 addresses are told apart, IPv6 ones by their first 64 bits, mapped ones are IPv4",
          "[net]") {
  CHECK(from("192.0.2.1") != from("192.0.2.2"));
  CHECK(from("192.0.2.1") == from("::ffff:192.0.2.1"));
  CHECK(from("2001:db8:1:2::1") == from("2001:db8:1:2:ffff:ffff:ffff:ffff"));
  CHECK(from("2001:db8:1:2::1") != from("2001:db8:1:3::1"));
  CHECK(from("::1") != from("0.0.0.1"));
  CHECK(from("0.0.0.0") != from("::"));
}

TEST_CASE("net: places for an address are counted apart from places in all, and come back", "[net]") {
  connection_budget b(5, 2);
  const auto a = from("192.0.2.1"), c = from("2001:db8::1");
  net::budget_slot slots[6];
  CHECK(b.take(a, slots[0]) == verdict::taken);
  CHECK(b.take(a, slots[1]) == verdict::taken);
  CHECK(b.take(a, slots[2]) == verdict::address_full);
  CHECK_FALSE(slots[2]);
  CHECK(b.open() == 2);
  CHECK(b.take(c, slots[2]) == verdict::taken);
  CHECK(b.take(c, slots[3]) == verdict::taken);
  CHECK(b.take(from("192.0.2.2"), slots[4]) == verdict::taken);
  CHECK(b.take(from("192.0.2.3"), slots[5]) == verdict::full);
  CHECK(b.addresses() == 3);
  net::budget_slot moved = std::move(slots[0]);
  slots[0].reset(); // it has gone on with the other
  CHECK(b.open() == 5);
  moved.reset();
  CHECK(b.open() == 4);
  CHECK(b.take(a, slots[0]) == verdict::taken);
  for (auto& s : slots) s.reset();
  CHECK(b.open() == 0);
  CHECK(b.addresses() == 0);
}

TEST_CASE("net: places of addresses are exact when many threads come and go", "[net]") {
  connection_budget b(1'000'000, 3);
  std::atomic<int> over{0}, open[4] = {};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int k = 0; k < 20'000; ++k) {
        const int which = (k + t) % 4;
        const std::string text = "192.0.2." + std::to_string(which);
        net::budget_slot slot;
        if (b.take(from(text.c_str()), slot) != verdict::taken) continue;
        if (open[which].fetch_add(1) >= 3) ++over;
        open[which].fetch_sub(1);
      }
    });
  for (auto& t : threads) t.join();
  CHECK(over == 0);
  CHECK(b.open() == 0);
  CHECK(b.addresses() == 0);
}

TEST_CASE("net: one more connection from an address is closed and counted, one from elsewhere is welcome",
          "[net]") {
  connection_budget budget(100, 2);
  server s({}, {}, {&budget});
  socket_end one(s.port), two(s.port), refused(s.port);
  CHECK(refused.receive(1).empty());
  CHECK(s.counters().closed_by(close_reason::address_limit).get() == 1);
  two.close();
  REQUIRE(eventually([&] { return budget.open() == 1; }));
  socket_end welcome(s.port);
  const auto f = frame_of(10, 1);
  welcome.send(f);
  CHECK(welcome.receive(f.size()) == f);
}

TEST_CASE("net: also at a low rate the first connection is taken at once", "[net]") {
  server s({}, {}, {nullptr, 0.01});
  socket_end first(s.port), second(s.port);
  const auto f = frame_of(10, 1);
  first.send(f);
  CHECK(first.receive(f.size()) == f);
  CHECK(second.connected);
  CHECK(eventually([&] { return s.counters().accepts_held_back.get() == 1; }));
  CHECK(s.counters().accepts.get() == 1);
}

TEST_CASE("net: connections above the rate wait in the kernel, in order, and the loop sleeps meanwhile",
          "[net]") {
  constexpr std::size_t peers = 60;
  server s([](scripted_core& c) { c.up = [](scripted_core& self, conn& k) { self.say(k, frame_of(0, 0)); }; },
           {}, {nullptr, 100}); // burst: 5
  std::vector<std::unique_ptr<socket_end>> all;
  for (std::size_t k = 0; k < peers; ++k) all.push_back(std::make_unique<socket_end>(s.port));
  for (auto& p : all) CHECK(p->connected); // as far as they can tell
  const auto begin = std::chrono::steady_clock::now();
  const auto turns = s.counters().turns.get();
  for (std::size_t k = 0; k < peers; ++k) {
    REQUIRE(all[k]->receive(4).size() == 4);
    if (k + 20 < peers) CHECK(s.counters().accepts.get() < peers); // those behind are still there
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  CHECK(took.count() > 0.4);
  CHECK(s.counters().accepts_held_back.get() >= 5);
  CHECK(s.counters().turns.get() - turns < 1'000);
  CHECK(s.bad_calls() == 0);
}
