// When there is no memory: the one whose work it was is let go, and what must not fail has a reserve.
#include "common/net/memory_reserve.hpp"
#include "tests/unit/net_support.hpp"

#include <new>

using namespace net_test;
using net::memory_guard;
using net::memory_reserve;

namespace {

// The new-handler as long as it lives; a call of it is what operator new does when it finds nothing.
struct handler_installed {
  handler_installed() : old(std::get_new_handler()) { memory_reserve::install(); }
  ~handler_installed() { std::set_new_handler(old); }
  std::new_handler old;
};
bool helps() {
  try {
    std::get_new_handler()();
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  }
}
int times_it_helps() {
  int n = 0;
  while (helps()) ++n;
  return n;
}

constexpr int blocks = limits::memory_reserve_bytes / limits::memory_reserve_block;
constexpr int last_blocks = limits::memory_reserve_last / limits::memory_reserve_block;

} // namespace

TEST_CASE("net: the reserve is given back block by block, a client's work leaves the last part of it",
          "[net]") {
  const handler_installed h;
  CHECK_FALSE(helps()); // this thread has none
  memory_reserve r;
  CHECK(memory_reserve::current() == &r);
  CHECK(r.whole());
  {
    const memory_guard guard;
    CHECK_FALSE(guard.used_reserve());
    CHECK(helps());
    CHECK(guard.used_reserve());
    CHECK(times_it_helps() == blocks - last_blocks - 1);
    CHECK_FALSE(r.has_spare());
  }
  {
    const optional_work nothing_for_this;
    CHECK_FALSE(helps());
  }
  const memory_guard another;
  CHECK_FALSE(another.used_reserve());
  CHECK(r.bytes() == limits::memory_reserve_last);
  CHECK_FALSE(r.whole());
  CHECK(r.refill());
  CHECK(r.whole());
}

TEST_CASE("net: outside of a client's work all of the reserve may be used, and each thread has its own",
          "[net]") {
  const handler_installed h;
  memory_reserve r;
  CHECK(times_it_helps() == blocks);
  CHECK(r.bytes() == 0);
  std::thread([&] {
    CHECK(memory_reserve::current() == nullptr);
    const memory_reserve own;
    CHECK(times_it_helps() == blocks);
  }).join();
  CHECK(memory_reserve::current() == &r);
}

TEST_CASE("net: a client whose work finds no memory is closed and counted, the others go on", "[net]") {
  server s([](scripted_core& c) {
    c.on_frame = [](scripted_core& self, conn& k, const_bytes f) {
      if (f.size() == 4 + 13) throw std::bad_alloc();
      self.say(k, f);
    };
  });
  socket_end good(s.port), bad(s.port);
  const auto f = frame_of(10, 1);
  good.send(f);
  CHECK(good.receive(f.size()) == f);
  bad.send(frame_of(13, 1));
  CHECK(bad.receive(1).empty());
  CHECK(s.goes_down(close_reason::out_of_memory));
  CHECK(s.counters().closed_by(close_reason::out_of_memory).get() == 1);
  good.send(f);
  CHECK(good.receive(f.size()) == f);
  CHECK(s.bad_calls() == 0);
}

TEST_CASE(
    "net: a client whose work used the reserve is closed when the work is done, and the reserve is whole",
    "[net]") {
  const handler_installed h;
  std::atomic<bool> whole{false};
  server s([&](scripted_core& c) {
    c.on_frame = [&](scripted_core& self, conn& k, const_bytes f) {
      if (f.size() == 4 + 13) std::get_new_handler()();
      else whole = memory_reserve::current()->whole();
      self.say(k, f);
    };
  });
  socket_end bad(s.port);
  bad.send(frame_of(13, 1));
  CHECK(bad.receive(1).empty());
  CHECK(s.goes_down(close_reason::out_of_memory));
  socket_end good(s.port);
  const auto f = frame_of(10, 1);
  good.send(f);
  CHECK(good.receive(f.size()) == f);
  CHECK(whole);
  CHECK(s.bad_calls() == 0);
}

TEST_CASE("net: a core that has no memory for another connection is not told of it", "[net]") {
  server s([](scripted_core& c) {
    c.up = [](scripted_core& self, conn& k) {
      if (self.ups != 2) return;
      self.open.erase(&k);
      throw std::bad_alloc();
    };
  });
  socket_end first(s.port);
  REQUIRE(eventually([&] { return s.counters().streams.get() == 1; }));
  socket_end second(s.port);
  CHECK(second.receive(1).empty());
  CHECK(s.counters().closed_by(close_reason::out_of_memory).get() == 1);
  CHECK(eventually([&] { return s.counters().streams.get() == 1; }));
  const auto f = frame_of(10, 1);
  first.send(f);
  CHECK(first.receive(f.size()) == f);
}
