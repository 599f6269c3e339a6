// Threads with cores: dialling, moving connections, asking, stopping.
#include "tests/support/hanging_names.hpp"
#include "tests/unit/net_support.hpp"

#include <cstdlib>

using namespace net_test;

namespace {

std::unique_ptr<core_thread> dialler(std::string host, std::uint16_t port, net::core_loop_options o = {}) {
  auto core = std::make_unique<scripted_core>();
  core->wanted.push_back({7, std::move(host), port});
  core->raw = true;
  core->on_frame = [](scripted_core&, conn&, const_bytes) {}; // the other end echoes
  auto t = std::make_unique<core_thread>("dialler", std::move(core), std::move(o));
  t->start();
  return t;
}

std::string failure_of(core_thread& t) {
  std::string why;
  eventually([&] {
    return t
        .ask([&](scripted_core& c) {
          if (c.failures.empty()) return false;
          why = std::to_string(c.failures[0].first) + ' ' + c.failures[0].second;
          return true;
        })
        .get();
  });
  return why;
}

} // namespace

TEST_CASE("net: a link is dialled and carries the index that the core gave it", "[net]") {
  const std::string host = GENERATE("127.0.0.1", "localhost");
  server s;
  auto t = dialler(host, s.port);
  REQUIRE(eventually([&] { return t->counters().connects_ok.get() == 1; }));
  CHECK(t->ask([](scripted_core& c) { return (*c.open.begin())->owner; }).get() == 7);
  CHECK(t->ask([](scripted_core& c) { return (*c.open.begin())->kind == conn::kind_t::link; }).get());
  t->call([](scripted_core& c) { c.say(**c.open.begin(), frame_of(100, 1)); });
  CHECK(eventually([&] { return t->counters().bytes_in.get() == 104; }));
  CHECK(t->ask([](scripted_core& c) { return c.bad_calls; }).get() == 0);
}

TEST_CASE("net: a connect that fails is reported in words", "[net]") {
  const auto closed = net::bind_tcp("127.0.0.1", 0); // bound, not listening: refuses
  auto t = dialler("127.0.0.1", closed.port);
  CHECK_THAT(failure_of(*t),
             Catch::Contains("7 cannot connect to 127.0.0.1:" + std::to_string(closed.port)) &&
                 Catch::Contains("refused"));
  CHECK(t->counters().connects_failed.get() == 1);
  auto u = dialler("no-such-host.invalid", 1);
  CHECK_THAT(failure_of(*u), Catch::Contains("cannot connect to no-such-host.invalid:1"));
  CHECK(u->ask([](scripted_core& c) { return c.ups + c.bad_calls; }).get() == 0);
}

TEST_CASE("net: a connect that hangs is given up in time", "[net]") {
  const auto full = net::bind_tcp("127.0.0.1", 0);
  net::start_listening(full, 0);
  std::vector<net::unique_fd> waiting; // fill the queue: further SYNs are dropped
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_port = htons(full.port);
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  for (int i = 0; i < 4; ++i) {
    waiting.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    (void)::connect(waiting.back().get(), reinterpret_cast<sockaddr*>(&a), sizeof a);
  }
  net::core_loop_options o;
  o.connect_max = 200ms;
  auto t = dialler("127.0.0.1", full.port, std::move(o));
  CHECK_THAT(failure_of(*t), Catch::Contains("timed out"));
}

TEST_CASE("net: stopping while a connect hangs ends at once and leaks nothing", "[net]") {
  const int base = open_descriptors();
  {
    auto t = dialler("192.0.2.1", 9);
    CHECK(eventually([&] { return t->ask([](scripted_core& c) { return c.wanted.empty(); }).get(); }));
  }
  CHECK(open_descriptors() == base);
}

TEST_CASE("net: stopping while a name is resolved does not wait for the resolver", "[net]") {
  beeline::test::hanging_names names;
  {
    auto t = dialler("router.hangs", 9);
    REQUIRE(eventually([&] { return names.waiting() == 1; }));
  }
  CHECK(names.waiting() == 1);
}

TEST_CASE("net: a connection moves to another thread with its unconsumed bytes", "[net]") {
  net::connection_budget budget(100);
  server to([](scripted_core& c) {
    c.on_frame = [](scripted_core& self, conn& k, const_bytes f) {
      self.say(k, as_bytes("moved:"));
      self.say(k, f);
    };
  });
  net::core_loop_options o;
  int moved_to = -1;
  o.move = [&](int lane, net::moved_stream m) {
    moved_to = lane;
    to.thread->adopt(std::move(m));
  };
  server from(
      [](scripted_core& c) {
        c.on_frame = [](scripted_core& self, conn& k, const_bytes f) {
          self.say(k, f);
          k.move_to = 3;
          self.dirty().mark(k);
        };
      },
      std::move(o), {&budget});
  socket_end peer(from.port);
  const auto a = frame_of(10, 1), b = frame_of(2000, 2), c = frame_of(300'000, 3);
  bytes all = a; // the first is answered before the move, the rest goes along: whole, and cut
  all.insert(all.end(), b.begin(), b.end());
  all.insert(all.end(), c.begin(), c.begin() + 1000);
  REQUIRE(peer.send(all));
  CHECK(peer.receive(a.size()) == a);
  CHECK(peer.receive(6) == bytes_of("moved:"));
  CHECK(peer.receive(b.size()) == b);
  REQUIRE(peer.send(const_bytes(c).subspan(1000)));
  CHECK(peer.receive(6) == bytes_of("moved:"));
  CHECK(peer.receive(c.size()) == c);
  CHECK(from.downs(close_reason::moved_lane) == 1);
  CHECK(moved_to == 3);
  CHECK(from.counters().streams.get() == 0);
  CHECK(from.counters().rest_bytes.get() == 0);
  CHECK(budget.open() == 1); // its place went along
  peer.close();
  CHECK(to.goes_down(close_reason::peer_closed));
  CHECK(eventually([&] { return budget.open() == 0; }));
  CHECK(from.bad_calls() + to.bad_calls() == 0);
}

TEST_CASE("net: many connections move while they talk", "[net]") {
  server* lanes[2] = {nullptr, nullptr};
  const auto options = [&](int self) {
    net::core_loop_options o;
    o.move = [&lanes, self](int, net::moved_stream m) { lanes[1 - self]->thread->adopt(std::move(m)); };
    return o;
  };
  const auto script = [](scripted_core& c) {
    c.on_frame = [](scripted_core& self, conn& k, const_bytes f) {
      self.say(k, f);
      if (std::to_integer<unsigned>(f[4]) % 4 == 0) k.move_to = 1, self.dirty().mark(k);
    };
  };
  server one(script, options(0)), two(script, options(1));
  lanes[0] = &one, lanes[1] = &two;
  std::vector<std::unique_ptr<socket_end>> peers;
  for (int i = 0; i < 20; ++i) peers.push_back(std::make_unique<socket_end>(one.port));
  bytes all;
  for (unsigned i = 0; i < 200; ++i) {
    const auto f = frame_of(1 + i * 7, i);
    all.insert(all.end(), f.begin(), f.end());
  }
  for (auto& p : peers) REQUIRE(p->send(all));
  for (auto& p : peers) CHECK(p->receive(all.size()) == all);
  CHECK(one.counters().closed_by(close_reason::moved_lane).get() > 100);
  CHECK(one.bad_calls() + two.bad_calls() == 0);
  peers.clear();
  one.thread->stop(), two.thread->stop(); // both end before either is destroyed: they name each other
  one.thread->join(), two.thread->join();
}

TEST_CASE("net: the core's deadline is kept", "[net]") {
  server s;
  s.thread->call([](scripted_core& c, time_point now) { c.tick_at = now + 30ms; });
  const auto start = std::chrono::steady_clock::now();
  CHECK(eventually([&] { return s.ask([](scripted_core& c) { return c.ticks; }) == 1; }));
  CHECK(std::chrono::steady_clock::now() - start >= 29ms);
  CHECK(s.bad_calls() == 0);
}

TEST_CASE("net: questions from many threads are answered in the core's thread", "[net]") {
  server s;
  std::vector<std::thread> askers;
  std::atomic<int> right{0};
  for (int i = 0; i < 4; ++i)
    askers.emplace_back([&] {
      for (int k = 0; k < 500; ++k) right += s.ask([](scripted_core& c) { return ++c.ticks; }) > 0;
    });
  for (auto& a : askers) a.join();
  CHECK(right == 2000);
  CHECK(s.ask([](scripted_core& c) { return c.ticks; }) == 2000);
}

TEST_CASE("net: stopping says the last words and waits for them to be taken", "[net]") {
  const auto words = frame_of(2 * limits::MiB, 1);
  net::core_loop_options o;
  o.streams.send_buffer = 64 * 1024;
  auto s = std::make_unique<server>(
      [&](scripted_core& c) { c.up = [&](scripted_core& self, conn& k) { self.say(k, words); }; },
      std::move(o));
  socket_end peer(s->port, 8192);
  REQUIRE(eventually([&] { return s->counters().partial_writes.get() > 0; }));
  s->thread->stop();
  const bool same = peer.receive(words.size()) == words;
  CHECK(same);
  CHECK(peer.ended());
  peer.close();
  const auto start = std::chrono::steady_clock::now();
  s->thread->join();
  CHECK(std::chrono::steady_clock::now() - start < 1s); // not the whole patience
  CHECK(s->counters().closed_by(close_reason::shutdown).get() == 1);
  CHECK_FALSE(socket_end(s->port).connected);
}

TEST_CASE("net: stopping does not wait for ever for a peer that takes nothing", "[net]") {
  server s([](scripted_core& c) {
    c.up = [](scripted_core& self, conn& k) { self.say(k, frame_of(16 * limits::MiB, 1)); };
  });
  socket_end peer(s.port, 4096);
  REQUIRE(eventually([&] { return s.counters().partial_writes.get() > 0; }));
  const auto start = std::chrono::steady_clock::now();
  s.thread->stop();
  s.thread->join();
  CHECK(std::chrono::steady_clock::now() - start < 4s);
  CHECK(s.counters().closed_by(close_reason::shutdown).get() == 1);
  CHECK(s.counters().streams.get() == 0);
}

TEST_CASE("net: what is asked of a thread that has ended is a broken promise, not a hang", "[net]") {
  std::future<int> answer;
  {
    server s;
    s.thread->stop();
    s.thread->join();
    answer = s.thread->ask([](scripted_core& c) { return c.ups; });
  }
  CHECK_THROWS_AS(answer.get(), std::future_error);
}
