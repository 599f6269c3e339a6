// Bytes between sockets and a core: nothing lost, nothing twice, whatever the cuts and the pace.
#include "tests/unit/net_support.hpp"

#include <netinet/tcp.h>
#include <random>

using namespace net_test;

namespace {

bytes mixed_frames(std::size_t total, unsigned seed) {
  std::mt19937 random(seed);
  bytes all;
  while (all.size() < total) {
    const std::size_t n = random() % 8 == 0 ? random() % 300'000 : random() % 900;
    const auto f = frame_of(n, static_cast<unsigned>(random()));
    all.insert(all.end(), f.begin(), f.end());
  }
  const auto big = frame_of(limits::MiB, seed); // far above the scratch
  all.insert(all.end(), big.begin(), big.end());
  return all;
}

net::core_loop_options with(std::function<void(net::core_loop_options&)> change) {
  net::core_loop_options o;
  change(o);
  return o;
}

} // namespace

TEST_CASE("net: megabytes come back byte for byte, cut anywhere", "[net]") {
  const auto kind = GENERATE(conn::kind_t::client, conn::kind_t::link);
  if (kind == conn::kind_t::link) {
    // A link's output needs frames of its own format to be cut right; raw bytes go as urgent ones.
    server s(
        [](scripted_core& c) {
          c.on_frame = [](scripted_core& self, conn& k, const_bytes f) {
            k.link->urgent.append(f);
            self.dirty().mark(k);
          };
        },
        with([](auto& o) { o.accepted = conn::kind_t::link; }));
    const auto all = mixed_frames(6 * limits::MiB, 1);
    socket_end peer(s.port);
    std::thread sender([&] { peer.send(all); });
    const bool same = peer.receive(all.size()) == all;
    sender.join();
    CHECK(same);
    CHECK(s.bad_calls() == 0);
    return;
  }
  server s;
  const auto all = mixed_frames(6 * limits::MiB, 2);
  socket_end peer(s.port);
  std::thread sender([&] {
    std::mt19937 random(7);
    for (std::size_t at = 0; at < all.size();) {
      const auto n = std::min<std::size_t>(all.size() - at, 1 + random() % 200'000);
      peer.send(const_bytes(all).subspan(at, n));
      at += n;
    }
  });
  const bool same = peer.receive(all.size()) == all;
  sender.join();
  CHECK(same);
  CHECK(s.bad_calls() == 0);
  CHECK(s.counters().bytes_in.get() == all.size());
  CHECK(s.counters().bytes_out.get() == all.size());
  CHECK(s.counters().rest_bytes.get() == 0);
  peer.close();
  CHECK(s.goes_down(close_reason::peer_closed));
  CHECK(s.counters().closed_by(close_reason::peer_closed).get() == 1);
}

TEST_CASE("net: a frame that comes one byte at a time is kept, and no more than came", "[net]") {
  server s;
  socket_end peer(s.port);
  const int on = 1;
  ::setsockopt(peer.get(), IPPROTO_TCP, 1 /* TCP_NODELAY */, &on, sizeof on);
  const auto f = frame_of(6000, 3); // passes the length up to which the rest is copied to the scratch
  for (std::size_t i = 0; i + 1 < f.size(); ++i) REQUIRE(peer.send(const_bytes(f).subspan(i, 1)));
  CHECK(eventually([&] { return s.counters().rest_bytes.get() == f.size() - 1; }));
  REQUIRE(peer.send(const_bytes(f).last(1)));
  CHECK(peer.receive(f.size()) == f);
  CHECK(s.counters().rest_bytes.get() == 0);
}

TEST_CASE("net: CAT-1 a length that claims a gigabyte reserves nothing", "[net]") {
  server s;
  socket_end peer(s.port);
  bytes claim(8);
  store_le<std::uint32_t>(claim.data(), 0x3fffffff);
  REQUIRE(peer.send(claim));
  CHECK(eventually([&] { return s.counters().bytes_in.get() == 8; }));
  CHECK(s.counters().rest_bytes.get() == 8);
  peer.close();
  CHECK(eventually([&] { return s.counters().rest_bytes.get() == 0; }));
}

TEST_CASE("net: a slow reader gets everything, and the core hears when it drained", "[net]") {
  constexpr std::size_t total = 8 * limits::MiB;
  const auto block = frame_of(limits::MiB - 4, 4);
  server s(
      [&](scripted_core& c) {
        c.up = [&](scripted_core& self, conn& k) {
          for (std::size_t i = 0; i < total; i += block.size()) self.say(k, block);
        };
      },
      with([](auto& o) { o.streams.send_buffer = 32 * 1024; }));
  socket_end peer(s.port, 8 * 1024);
  REQUIRE(eventually([&] { return s.counters().partial_writes.get() > 0; }));
  for (std::size_t i = 0; i < total; i += block.size()) {
    REQUIRE(peer.receive(block.size()) == block);
  }
  CHECK(eventually([&] { return s.ask([](scripted_core& c) { return c.drains; }) > 0; }));
  CHECK(s.ask([](scripted_core& c) { return (*c.open.begin())->output_bytes(); }) == 0);
  CHECK(s.counters().partial_writes.get() > 0);
  CHECK(s.bad_calls() == 0);
}

TEST_CASE("net: the core hears of a drain also when all went in one write", "[net]") {
  server s([&](scripted_core& c) {
    // Reading stops with the answer and goes on when that has drained: it must not stop for ever.
    c.on_frame = [](scripted_core& self, conn& k, const_bytes f) {
      self.say(k, f);
      k.want_read = false;
    };
    c.drained = [](scripted_core& self, conn& k) {
      k.want_read = true;
      self.dirty().mark(k);
    };
  });
  socket_end peer(s.port);
  for (unsigned i = 0; i < 3; ++i) {
    const auto f = frame_of(100, static_cast<std::uint8_t>(i));
    peer.send(f);
    REQUIRE(peer.receive(f.size()) == f);
  }
  CHECK(s.counters().partial_writes.get() == 0);
  CHECK(s.bad_calls() == 0);
}

TEST_CASE("net: an idle connection costs no turns once its output has drained", "[net]") {
  server s;
  socket_end peer(s.port);
  const auto f = frame_of(100, 1);
  peer.send(f);
  REQUIRE(peer.receive(f.size()) == f);
  const auto settled = s.turns_at_tick(20ms);
  CHECK(s.turns_at_tick(300ms) - settled < 5);
}

TEST_CASE("net: back pressure stops reading, and whole frames held back come without new bytes", "[net]") {
  server s(
      [](scripted_core& c) {
        c.on_frame = [](scripted_core& self, conn& k, const_bytes f) {
          self.say(k, f);
          k.want_read = false; // after each frame
          self.dirty().mark(k);
        };
      },
      with([](auto& o) { o.streams.receive_buffer = 16 * 1024; }));
  socket_end peer(s.port);
  bytes ten;
  for (unsigned i = 0; i < 10; ++i) {
    const auto f = frame_of(50, i);
    ten.insert(ten.end(), f.begin(), f.end());
  }
  REQUIRE(peer.send(ten)); // one segment: one read
  bytes got = peer.receive(54);
  CHECK(s.ask([](scripted_core& c) { return (*c.open.begin())->want_read; }) == false);
  const auto turns = s.counters().turns.get();
  const auto more = frame_of(4 * limits::MiB, 11); // does not fit anywhere
  std::thread sender([&] { peer.send(more); });
  const auto turns_later = s.turns_at_tick(100ms);
  CHECK(s.counters().bytes_in.get() <= ten.size() + 256 * limits::KiB);
  CHECK(turns_later - turns < 10); // readable all the time, and no spinning
  const auto resume = [&] {
    s.ask([](scripted_core& c) {
      (*c.open.begin())->want_read = true;
      c.dirty().mark(**c.open.begin());
      return 0;
    });
  };
  for (unsigned i = 1; i < 10; ++i) {
    resume();
    const auto f = peer.receive(54);
    got.insert(got.end(), f.begin(), f.end());
  }
  CHECK(got == ten);
  resume();
  const bool same = peer.receive(more.size()) == more;
  sender.join();
  CHECK(same);
  CHECK(s.bad_calls() == 0);
}

TEST_CASE("net: a reset is noticed also while nothing is read", "[net]") {
  server s([](scripted_core& c) {
    c.up = [](scripted_core& self, conn& k) {
      k.want_read = false;
      self.dirty().mark(k);
    };
  });
  socket_end peer(s.port);
  REQUIRE(eventually([&] { return s.ask([](scripted_core& c) { return c.ups; }) == 1; }));
  peer.abort();
  CHECK(s.goes_down(close_reason::network_error));
}

TEST_CASE("net: last words arrive though the peer keeps talking", "[net]") {
  const auto words = frame_of(3 * limits::MiB, 5);
  server s(
      [&](scripted_core& c) {
        c.on_frame = [&](scripted_core& self, conn& k, const_bytes) {
          self.say(k, words);
          self.end(k, close_reason::malformed);
        };
      },
      with([](auto& o) { o.streams.send_buffer = 64 * 1024; }));
  socket_end peer(s.port);
  REQUIRE(peer.send(frame_of(10, 1)));
  std::atomic<bool> done{false};
  std::thread talker([&] {
    const auto noise = frame_of(1000, 2);
    while (!done && ::send(peer.get(), noise.data(), noise.size(), MSG_NOSIGNAL | MSG_DONTWAIT) != -2)
      std::this_thread::sleep_for(100us);
  });
  const bool same = peer.receive(words.size()) == words;
  CHECK(same);
  CHECK(peer.ended());
  done = true;
  talker.join();
  peer.close();
  CHECK(s.goes_down(close_reason::malformed));
  CHECK(eventually([&] { return s.counters().streams.get() == 0; }));
  CHECK(s.bad_calls() == 0);
}

TEST_CASE("net: last words that nobody takes are given up in time", "[net]") {
  server s(
      [](scripted_core& c) {
        c.up = [](scripted_core& self, conn& k) {
          self.say(k, frame_of(16 * limits::MiB, 1));
          self.end(k, close_reason::taken_over);
        };
      },
      with([](auto& o) { o.streams.close_flush_max = 300ms; }));
  const auto start = std::chrono::steady_clock::now();
  socket_end peer(s.port, 4096);
  CHECK(s.goes_down(close_reason::taken_over));
  CHECK(eventually([&] { return s.counters().streams.get() == 0; }));
  CHECK(std::chrono::steady_clock::now() - start < 3s);
}

TEST_CASE("net: what was held back for a connection is not kept while its last words wait", "[net]") {
  server s([](scripted_core& c) { c.hold = [](const conn&) { return true; }; },
           with([](auto& o) { o.streams.close_flush_max = 60s; }));
  socket_end peer(s.port, 4096);
  REQUIRE(peer.send(frame_of(50'000, 1)));
  REQUIRE(eventually([&] { return s.counters().rest_bytes.get() == 50'004; }));
  s.ask([](scripted_core& c) {
    for (conn* k : c.open) {
      c.say(*k, frame_of(16 * limits::MiB, 1));
      c.end(*k, close_reason::taken_over);
    }
    return 0;
  });
  CHECK(eventually([&] { return s.counters().rest_bytes.get() == 0; }));
  CHECK(s.counters().streams.get() == 1); // it says its last words yet
  CHECK(s.bad_calls() == 0);
}

TEST_CASE("net: a closed connection whose peer stays is forgotten in time", "[net]") {
  server s(
      [](scripted_core& c) {
        c.up = [](scripted_core& self, conn& k) { self.end(k, close_reason::taken_over); };
      },
      with([](auto& o) { o.streams.close_flush_max = 300ms; }));
  socket_end peer(s.port);
  CHECK(peer.ended());
  CHECK(s.goes_down(close_reason::taken_over)); // the core is free of it at once
  CHECK(eventually([&] { return s.counters().streams.get() == 0; }, 3s));
}

TEST_CASE("net: a client that takes nothing is closed, one that takes little is not", "[net]") {
  server s(
      [](scripted_core& c) {
        c.up = [](scripted_core& self, conn& k) { self.say(k, frame_of(16 * limits::MiB, 1)); };
      },
      with([](auto& o) {
        o.streams.client_stall_max = 1500ms;
        o.streams.send_buffer = 64 * 1024;
      }));
  socket_end stalled(s.port, 4096), slow(s.port, 4096);
  for (int i = 0; i < 30 && s.downs(close_reason::client_write_stall) == 0; ++i) {
    CHECK(slow.receive(4096).size() == 4096);
    std::this_thread::sleep_for(100ms); // a reader that is slow, and not dead
  }
  CHECK(s.goes_down(close_reason::client_write_stall));
  CHECK(s.ask([](scripted_core& c) { return c.open.size(); }) == 1);
}

TEST_CASE("net: each connection comes up once and goes down once, however it ends", "[net]") {
  const int base = open_descriptors();
  {
    server s([](scripted_core& c) {
      c.on_frame = [](scripted_core& self, conn& k, const_bytes f) {
        self.say(k, f);
        const auto how = std::to_integer<unsigned>(f[4]) % 5;
        if (how == 0) self.end(k, close_reason::malformed);
        if (how == 1) k.why = close_reason::taken_over, k.close_now = true;
        // One connection's bytes may end another, anywhere in the same batch of ready ones.
        if (how == 2) (*self.open.begin())->close_now = true, self.dirty().mark(**self.open.begin());
      };
    });
    std::mt19937 random(9);
    for (int round = 0; round < 20; ++round) {
      std::vector<std::unique_ptr<socket_end>> peers;
      for (int i = 0; i < 50; ++i) peers.push_back(std::make_unique<socket_end>(s.port));
      for (auto& p : peers) p->send(frame_of(20, static_cast<unsigned>(random())));
      for (auto& p : peers) {
        if (random() % 3 == 0) p->abort();
        else if (random() % 2) p->close();
      }
    }
    CHECK(eventually([&] { return s.counters().streams.get() == 0; }));
    CHECK(s.ask([](scripted_core& c) {
      int downs = 0;
      for (auto& [why, n] : c.downs) downs += n;
      return downs == c.ups && c.open.empty();
    }));
    CHECK(s.ask([](scripted_core& c) { return c.ups; }) == 1000);
    CHECK(s.bad_calls() == 0);
    std::uint64_t closed = 0;
    for (const auto& n : s.counters().closed) closed += n.get();
    CHECK(closed == 1000);
    CHECK(s.ask([](scripted_core& c) { return c.pool().bytes_in_use(); }) == 0);
  }
  CHECK(open_descriptors() == base);
}

TEST_CASE("net: an ended connection is not heard of again while a copy of its descriptor lives", "[net]") {
  net::unique_fd copy; // as a child has it that is being started
  server s([&](scripted_core& c) {
    c.up = [&](scripted_core&, conn& k) {
      copy = net::unique_fd(::dup(static_cast<net::stream*>(k.shell)->fd.get()));
    };
  });
  socket_end(s.port).close();
  REQUIRE(s.goes_down(close_reason::peer_closed));
  REQUIRE(s.ask([&](scripted_core&) { return copy.get(); }) >= 0);
  const auto turns = s.counters().turns.get();
  CHECK(s.turns_at_tick(300ms) - turns < 50); // else epoll would tell its end again and again
  CHECK(s.bad_calls() == 0);
}

TEST_CASE("net: a link's socket gives up on a peer that acknowledges nothing, and keeps little in the kernel",
          "[net]") {
  unsigned unacknowledged_ms = 0;
  int notsent = 0, keepalive = 0, nodelay = 0;
  const auto look = [](int fd, int level, int name, auto& value) {
    socklen_t size = sizeof value;
    return ::getsockopt(fd, level, name, &value, &size) == 0;
  };
  server s(
      [&](scripted_core& c) {
        c.up = [&](scripted_core&, conn& k) {
          const int fd = static_cast<net::stream*>(k.shell)->fd.get();
          (void)(look(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, unacknowledged_ms) &&
                 look(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, notsent) &&
                 look(fd, SOL_SOCKET, SO_KEEPALIVE, keepalive) &&
                 look(fd, IPPROTO_TCP, TCP_NODELAY, nodelay));
        };
      },
      with([](auto& o) { o.accepted = conn::kind_t::link; }));
  const socket_end peer(s.port);
  REQUIRE(eventually([&] { return s.ask([](scripted_core& c) { return c.ups; }) == 1; }));
  CHECK(std::chrono::milliseconds(unacknowledged_ms) == limits::link_unacknowledged_max);
  CHECK(static_cast<std::size_t>(notsent) == limits::link_notsent_bytes_max);
  CHECK(keepalive == 1);
  CHECK(nodelay == 1);
}
