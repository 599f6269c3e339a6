// What a program's handlers may do: call the lane from within, shut it down, throw.
#include "tests/embed/embed_world.hpp"
#include "tests/support/raw_mqtt.hpp"

using namespace beeline;
using namespace beeline::test;

namespace {
// Calls all that a handler may call, but shutdown; then everything still works.
struct caller {
  explicit caller(linked_world& world) : w(world) {}
  linked_world& w;
  int calls = 0, told = 0, begun = 0;
  void operator()() {
    const std::string id = "made-" + std::to_string(calls++);
    error_code ec;
    const auto c = w.lane.attach(id, ec);
    CHECK_FALSE(ec);
    const auto count = [this](auto&&...) { ++told; };
    w.lane.async_attach(id + "-too", count);
    w.lane.async_wait_registered(c, count);
    w.lane.async_wait_ready(count);
    w.lane.async_send(c, to(id), count);
    begun += 4;
    w.lane.send(c, to(id), ec);
    CHECK(w.lane.statistics().clients > 0);
    w.lane.want_more(), w.lane.ready(), w.lane.problem(), w.lane.registered(c);
    CHECK(w.lane.detach(c)); // with all that was begun for it
    CHECK_FALSE(w.lane.detach(c));
  }
  void all_told() {
    REQUIRE(calls > 0);
    REQUIRE(w.game.until([&] { return told == begun; }));
  }
};
} // namespace

TEST_CASE("embed_handlers: every handler may call the lane, and attach and detach in it") {
  linked_world w;
  caller all{w};
  const auto p1 = w.game.joins("p1");
  SECTION("on_message, also for the client itself") {
    int messages = 0;
    const auto p2 = w.game.joins("p2");
    w.game.also = [&](link::client_handle c, const link::message_view& m) {
      CHECK(c == p2);
      CHECK(m.from() == "p1");
      all();
      if (++messages == 3) CHECK(w.lane.detach(p2));
      CHECK(m.to() == "p2"); // the message lives on
      return outcome::accepted;
    };
    for (int i = 0; i < 3; ++i) CHECK(w.game.sends(p1, "p2", "x") == "accepted");
    w.game.also = nullptr;
    all.all_told();
    CHECK(w.game.sends(p1, "p2", "x") == "nobody");
  }
  SECTION("a receipt's") {
    bool done = false;
    w.lane.async_send(p1, to("nobody"), [&](error_code, link::receipt) {
      all();
      CHECK(w.lane.detach(p1));
      done = true;
    });
    REQUIRE(w.game.until([&] { return done; }));
    all.all_told();
  }
  SECTION("a registration's") {
    bool done = false;
    w.lane.async_attach("p2", [&](error_code e, link::client_handle c) {
      CHECK_FALSE(e);
      all();
      CHECK(w.lane.detach(c));
      w.lane.async_attach("p2", [&](error_code again, link::client_handle) { done = !again; });
    });
    REQUIRE(w.game.until([&] { return done; }));
    all.all_told();
  }
  SECTION("on_kicked") {
    server other(w.context, {w.router.address()}, "other");
    REQUIRE(other.becomes_ready());
    w.game.on_kick = [&] {
      CHECK_FALSE(w.lane.detach(p1)); // it is detached already
      all();
    };
    other.joins("p1");
    REQUIRE(w.game.until([&] { return all.calls > 0; }));
    all.all_told();
  }
  SECTION("on_ready, both ways") {
    w.game.on_readiness = [&] { all(); };
    w.router.os().signal(SIGSTOP); // silence: the links are lost, and come back
    REQUIRE(w.game.until([&] { return !w.lane.ready(); }));
    w.router.os().signal(SIGCONT);
    REQUIRE(w.game.becomes_ready());
    all.all_told();
    CHECK(all.calls >= 2);
  }
  REQUIRE(w.game.becomes_ready());
  const auto p9 = w.game.joins("p9");
  CHECK(w.game.sends(p9, "p9", "still there") == "accepted");
}

TEST_CASE("embed_handlers: a handler may run the io_context, also after it has sent something") {
  linked_world w;
  const auto p1 = w.game.joins("p1");
  w.game.joins("p2");
  int messages = 0, told = 0;
  const auto count = [&](error_code e, link::receipt r) { told += !e && r.what == outcome::accepted; };
  w.game.also = [&](link::client_handle, const link::message_view&) {
    if (++messages < 20'000) w.lane.async_send(p1, to("p2"), count);
    w.context.poll(); // that has the turn which the message asked for
    return outcome::accepted;
  };
  w.lane.async_send(p1, to("p2"), count);
  REQUIRE(w.game.until([&] { return told == 20'000; }));
  w.game.also = nullptr;
  CHECK(w.game.sends(p1, "p2", "x") == "accepted");
  CHECK(w.lane.ready());
}

TEST_CASE("embed_handlers: on_want_more may fill the queues again") {
  asio::io_context context{1};
  const std::string where = "127.0.0.1:" + std::to_string(free_ports(1));
  server game(context, {where}, "game", 20'000);
  error_code ec;
  const auto p1 = game.lane->attach("p1", ec);
  const std::string payload(1000, 'x');
  int accepted = 0, sent = 0, rounds = 0;
  const auto fill = [&] {
    ++rounds;
    link::message m;
    m.to = "p1", m.payload = link::bytes_of(payload);
    while (sent < 100 && game.lane->want_more()) {
      ++sent;
      game.lane->async_send(p1, m, [&](error_code e, link::receipt) { accepted += !e; });
      context.poll_one(); // it may not have begun: another's turn
    }
  };
  game.on_more = fill;
  fill();
  CHECK_FALSE(game.lane->want_more());
  router_process router({"--shards", "1"}, {"--listen", where, "--admin", "127.0.0.1:0"});
  REQUIRE(game.until([&] {
    return sent == 100 &&
           accepted + static_cast<int>(
                          game.lane->statistics().refused[static_cast<std::size_t>(errc::would_block)]) ==
               sent;
  }));
  CHECK(rounds > 2);
}

TEST_CASE("embed_handlers: a shutdown may begin in any handler, and a second one is told so") {
  linked_world w;
  const auto p1 = w.game.joins("p1");
  std::vector<std::pair<error_code, bool>> ends;
  const auto shut = [&] {
    for (int i = 0; i < 2; ++i)
      w.lane.async_shutdown(5s, [&](error_code e, bool all) { ends.emplace_back(e, all); });
  };
  std::string receipt;
  const auto send = [&] {
    w.lane.async_send(p1, to("p1"), [&](error_code e, link::receipt r) {
      receipt = e ? e.message() : std::string(name_of(r.what));
      if (!w.game.also) shut();
    });
  };
  SECTION("on_message") {
    w.game.also = [&](link::client_handle, const link::message_view&) {
      shut();
      return outcome::accepted;
    };
    send();
  }
  SECTION("a receipt's") { send(); }
  REQUIRE(w.game.until([&] { return ends.size() == 2; }));
  CHECK(receipt == "accepted");
  CHECK(ends[0] == std::pair(link::make_error_code(errc::shutting_down), false)); // the second, at once
  CHECK(ends[1] == std::pair(error_code(), true));
  shut(); // after its end too
  w.context.restart();
  w.context.run();
  REQUIRE(ends.size() == 4);
  CHECK(ends[3].first == errc::shutting_down);
}

TEST_CASE("embed_handlers: an exception of a completion handler leaves run(), and the lane goes on") {
  linked_world w;
  const auto p1 = w.game.joins("p1");
  struct bug : std::runtime_error {
    using runtime_error::runtime_error;
  };
  const auto leaves_run = [&] {
    try {
      w.game.until([] { return false; });
    } catch (const bug&) {
      return true;
    }
    return false;
  };
  const auto throws = [](auto&&...) { throw bug("of the program's"); };
  w.lane.async_send(p1, to("p1"), throws);
  CHECK(leaves_run());
  w.lane.async_attach("p2", throws);
  CHECK(leaves_run());
  w.lane.async_attach("a/b", throws);
  CHECK(leaves_run());
  w.lane.async_wait_ready(throws);
  CHECK(leaves_run());
  w.lane.async_wait_registered(p1, throws);
  CHECK(leaves_run());
  CHECK(w.game.sends(p1, "p2", "x") == "accepted");
  CHECK(w.lane.statistics().handler_failures == 0);
  w.lane.async_shutdown(1s, throws);
  CHECK(leaves_run());
  w.context.restart();
  w.context.run();
}

TEST_CASE("embed_handlers: an exception of the lane's own handlers is counted, and the lane goes on") {
  linked_world w;
  const auto p1 = w.game.joins("p1");
  const auto fails = [] { throw std::runtime_error("a bug of the game's"); };
  std::uint64_t failures = 0;
  const auto counted = [&] {
    return w.game.until([&] { return w.lane.statistics().handler_failures > failures; });
  };
  w.game.also = [&](link::client_handle, const link::message_view&) -> outcome { throw 1; };
  CHECK(w.game.sends(p1, "p1", "x") == "refused");
  CHECK(w.lane.statistics().handler_failures == ++failures);
  w.game.also = nullptr;
  server other(w.context, {w.router.address()}, "other");
  REQUIRE(other.becomes_ready());
  w.game.on_kick = fails;
  other.joins("p1");
  REQUIRE(counted());
  failures = w.lane.statistics().handler_failures;
  w.game.on_readiness = fails;
  w.game.on_line = fails;
  w.router.os().signal(SIGSTOP);
  REQUIRE(w.game.until([&] { return !w.lane.ready(); }));
  w.router.os().signal(SIGCONT);
  REQUIRE(w.game.becomes_ready());
  CHECK(w.lane.statistics().handler_failures >= failures + 4); // two of on_ready, and on_log's, of these too
  w.game.on_readiness = w.game.on_line = nullptr;
  const auto p2 = w.game.joins("p2");
  CHECK(w.game.sends(p2, "p2", "x") == "accepted");
}
