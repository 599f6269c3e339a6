// Waiting for a registration, and taking back what was begun: detach, cancellation slots.
#include "tests/embed/embed_world.hpp"
#include "tests/support/raw_mqtt.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

using namespace beeline;
using namespace beeline::test;
using type = asio::cancellation_type;

namespace {
// One operation that can be cancelled: what it was told, and how often.
struct operation {
  asio::cancellation_signal signal;
  std::vector<error_code> told;
  auto handler() {
    return asio::bind_cancellation_slot(signal.slot(),
                                        [this](error_code e, auto&&...) { told.push_back(e); });
  }
  bool was_told(error_code e) const { return told == std::vector<error_code>{e}; }
};
const error_code aborted = asio::error::operation_aborted;
constexpr type every[] = {type::terminal, type::partial, type::total};

struct without_router {
  asio::io_context context{1};
  const std::string address = "127.0.0.1:" + std::to_string(free_ports(1));
  server game{context, {address}};
  link::lane& lane = *game.lane;
  link::client_handle attaches(const std::string& id) {
    error_code ec;
    const auto c = lane.attach(id, ec);
    REQUIRE_FALSE(ec);
    return c;
  }
  // Everything that is on its way has arrived.
  void settle() {
    for (int i = 0; i < 10; ++i) context.poll(), context.restart();
  }
};
} // namespace

TEST_CASE(
    "embed_cancel: a wait for the registration ends when the shard has the client, at once if it does") {
  asio::io_context context{1};
  const std::string where = "127.0.0.1:" + std::to_string(free_ports(1));
  server game(context, {where});
  error_code ec;
  const auto c = game.lane->attach("p1", ec);
  operation first, second;
  game.lane->async_wait_registered(c, first.handler());
  game.lane->async_wait_registered(c, second.handler());
  game.until([&] { return !game.lane->problem().empty(); });
  CHECK(first.told.empty());
  router_process router({"--shards", "1"}, {"--listen", where, "--admin", "127.0.0.1:0"});
  REQUIRE(game.until([&] { return !first.told.empty() && !second.told.empty(); }));
  CHECK(first.was_told({}));
  CHECK(second.was_told({}));
  CHECK(game.lane->registered(c));
  CHECK(router.json("/clients/p1")["online"] == true);
  operation third;
  game.lane->async_wait_registered(c, third.handler());
  REQUIRE(game.until([&] { return !third.told.empty(); }));
  CHECK(third.was_told({}));
  router.os().signal(SIGKILL); // the registration is lost with the link, and comes back with it
  REQUIRE(game.until([&] { return !game.lane->registered(c); }));
  operation again;
  game.lane->async_wait_registered(c, again.handler());
  router.os().wait();
  router_process next({"--shards", "1"}, {"--listen", where, "--admin", "127.0.0.1:0"});
  REQUIRE(game.until([&] { return !again.told.empty(); }));
  CHECK(again.was_told({}));
}

TEST_CASE("embed_cancel: detach withdraws a wait for the registration, and an end of the lane ends it") {
  without_router w;
  const auto c = w.attaches("p1");
  operation waits, attaches, stale, ends, late;
  w.lane.async_wait_registered(c, waits.handler());
  w.settle();
  CHECK(waits.told.empty());
  CHECK(w.lane.detach(c));
  w.settle();
  CHECK(waits.was_told(errc::not_attached));
  w.lane.async_wait_registered(c, stale.handler());
  w.settle();
  CHECK(stale.was_told(errc::not_attached));
  const auto d = w.attaches("p1"); // the id is free again
  w.lane.async_wait_registered(d, ends.handler());
  w.lane.async_shutdown(0ms, [](error_code, bool) {});
  REQUIRE(w.game.until([&] { return !ends.told.empty(); }));
  CHECK(ends.was_told(errc::shutting_down));
  w.lane.async_wait_registered(d, late.handler());
  w.settle();
  CHECK(late.was_told(errc::shutting_down));
}

TEST_CASE("embed_cancel: who waits for a registration is told of a kick, as on_kicked is") {
  router_process router;
  asio::io_context early, late;
  server one(early, {router.address()}, "one");
  error_code ec;
  const auto c = one.lane->attach("p1", ec);
  operation waits, attaches;
  one.lane->async_wait_registered(c, waits.handler());
  one.lane->async_attach("p2", attaches.handler());
  while (one.lane->statistics().clients < 2) early.poll_one(); // not so far that it links
  server two(late, {router.address()}, "two"); // it takes some round trips until it is ready: it is later
  REQUIRE(two.becomes_ready());
  two.joins("p1"), two.joins("p2");
  const auto all_told = [&] {
    late.poll(); // whose links live on
    return !one.kicked.empty() && !waits.told.empty() && !attaches.told.empty();
  };
  REQUIRE(one.until(all_told));
  CHECK(waits.was_told(errc::taken_over));
  CHECK(attaches.was_told(errc::taken_over)); // it has told the handle to nobody: on_kicked says nothing
  CHECK(one.kicked == kicks{{"p1", errc::taken_over}});
}

TEST_CASE("embed_cancel: waits are cancelled by every type of cancellation, and leave the rest as it was") {
  for (const type t : every) {
    without_router w;
    const auto c = w.attaches("p1");
    operation ready[2], registered[2];
    for (auto& o : ready) w.lane.async_wait_ready(o.handler());
    for (auto& o : registered) w.lane.async_wait_registered(c, o.handler());
    ready[0].signal.emit(t);
    registered[0].signal.emit(t);
    CHECK(ready[0].told.empty()); // never from inside a call
    w.settle();
    CHECK(ready[0].was_told(aborted));
    CHECK(registered[0].was_told(aborted));
    CHECK(ready[1].told.empty());
    CHECK(registered[1].told.empty());
    CHECK(w.lane.statistics().clients == 1);
    ready[0].signal.emit(t); // nothing is left to cancel
    w.settle();
    CHECK(ready[0].told.size() == 1);
    router_process router({"--shards", "1"}, {"--listen", w.address, "--admin", "127.0.0.1:0"});
    REQUIRE(w.game.until([&] { return !ready[1].told.empty() && !registered[1].told.empty(); }));
    CHECK(ready[1].was_told({}));
    CHECK(registered[1].was_told({}));
  }
}

TEST_CASE("embed_cancel: a cancelled attach detaches the client; what it did cannot be undone in total") {
  without_router w;
  operation total, attach;
  w.lane.async_attach("p0", total.handler());
  total.signal.emit(type::total);
  w.settle();
  CHECK(total.told.empty());
  w.lane.async_attach("p1", attach.handler());
  w.settle();
  CHECK(w.lane.statistics().clients == 2);
  attach.signal.emit(type::partial);
  w.settle();
  CHECK(attach.was_told(aborted));
  CHECK(w.lane.statistics().clients == 1);
  w.attaches("p1"); // the id is free
  router_process router({"--shards", "1"}, {"--listen", w.address, "--admin", "127.0.0.1:0"});
  REQUIRE(w.game.until([&] { return !total.told.empty(); }));
  CHECK(total.was_told({}));
}

TEST_CASE("embed_cancel: an attach that is cancelled while its registration is under way leaves no trace") {
  asio::io_context context{1};
  router_process router;
  server game(context, {router.address()});
  REQUIRE(game.becomes_ready());
  router.os().signal(SIGSTOP);
  operation attach;
  game.lane->async_attach("p1", attach.handler());
  game.until([] { return false; }, 50ms); // it is sent
  attach.signal.emit(type::terminal);
  REQUIRE(game.until([&] { return !attach.told.empty(); }));
  CHECK(attach.was_told(aborted));
  router.os().signal(SIGCONT);
  game.joins("p2"); // the shard has done all that came before
  CHECK(router.json("/clients/p1")["online"] == false);
  CHECK(game.kicked.empty());
}

TEST_CASE("embed_cancel: a cancelled wait for a receipt does not unsend the message") {
  without_router w;
  const auto c = w.attaches("p1");
  operation sends[3];
  for (auto& o : sends) w.lane.async_send(c, to("p1"), o.handler());
  sends[0].signal.emit(type::total);
  sends[1].signal.emit(type::terminal);
  w.settle();
  CHECK(sends[0].told.empty()); // not possible: see lane.hpp
  CHECK(sends[1].was_told(aborted));
  CHECK(w.lane.statistics().unanswered_messages == 3);
  router_process router({"--shards", "1"}, {"--listen", w.address, "--admin", "127.0.0.1:0"});
  REQUIRE(w.game.until([&] { return !sends[0].told.empty() && !sends[2].told.empty(); }));
  CHECK(w.game.heard.size() == 3);
  CHECK(sends[1].told.size() == 1);
  CHECK(sends[2].was_told({}));
  CHECK(w.lane.statistics().receipts[0] == 3); // counted, whether somebody waits for it or not
  // Its place in the lane is free again, for another message with another receipt.
  CHECK(w.game.sends(c, "nobody-there", "x") == "nobody");
  CHECK(sends[1].told.size() == 1);
}

TEST_CASE("embed_cancel: a client whose receipts were given up can be detached, and the lane shut down") {
  without_router w;
  const auto c = w.attaches("p1"), d = w.attaches("p2");
  operation given_up[2], waits;
  w.lane.async_send(c, to("x"), given_up[0].handler());
  w.lane.async_send(d, to("x"), given_up[1].handler());
  w.lane.async_send(c, to("x"), waits.handler());
  for (auto& o : given_up) o.signal.emit(type::partial);
  w.settle();
  CHECK(w.lane.detach(c));
  w.settle();
  CHECK(waits.was_told(errc::outcome_unknown));
  bool ended = false;
  w.lane.async_shutdown(0ms, [&](error_code, bool) { ended = true; });
  REQUIRE(w.game.until([&] { return ended; }));
  for (auto& o : given_up) CHECK(o.was_told(aborted));
}

TEST_CASE("embed_cancel: a cancelled shutdown waits no longer, but ends the lane") {
  for (const type t : {type::terminal, type::partial}) {
    without_router w;
    const auto c = w.attaches("p1");
    operation sent, shut;
    w.lane.async_send(c, to("x"), sent.handler());
    w.lane.async_shutdown(1h, shut.handler());
    w.settle();
    CHECK(shut.told.empty());
    shut.signal.emit(type::total); // nothing can be undone
    w.settle();
    CHECK(shut.told.empty());
    shut.signal.emit(t);
    w.context.run(); // ends: nothing of the lane is left
    CHECK(shut.was_told(aborted));
    CHECK(sent.was_told(errc::outcome_unknown));
  }
}

TEST_CASE("embed_cancel: a signal that comes when the lane has gone does nothing") {
  asio::cancellation_signal signal;
  std::vector<error_code> told;
  {
    without_router w;
    w.lane.async_wait_ready(
        asio::bind_cancellation_slot(signal.slot(), [&](error_code e) { told.push_back(e); }));
    w.game.lane.reset();
    signal.emit(type::terminal); // its completion is on its way already
    w.settle();
    CHECK(told == std::vector<error_code>{errc::shutting_down});
    server other(w.context, {w.address});
    other.lane->async_wait_ready(
        asio::bind_cancellation_slot(signal.slot(), [&](error_code e) { told.push_back(e); }));
  } // the io_context goes with the completion in it
  signal.emit(type::terminal);
  CHECK(told.size() == 1);
}

TEST_CASE("embed_cancel: coroutines may wait beside a timer") {
  without_router w;
  std::string result;
  asio::co_spawn(
      w.context,
      [&]() -> asio::awaitable<void> {
        using namespace asio::experimental::awaitable_operators;
        asio::steady_timer timer(w.context, 5ms);
        const auto c = w.attaches("p1");
        const auto ready =
            co_await (w.lane.async_wait_ready(asio::use_awaitable) || timer.async_wait(asio::use_awaitable));
        result += ready.index() == 1 ? "late, " : "ready, ";
        timer.expires_after(5ms);
        const auto sent = co_await (w.lane.async_send(c, to("p1"), asio::use_awaitable) ||
                                    timer.async_wait(asio::use_awaitable));
        result += sent.index() == 1 ? "late" : "sent";
      },
      asio::detached);
  REQUIRE(w.game.until([&] { return result == "late, late"; }));
  CHECK(w.lane.statistics().unanswered_messages == 1);
}

TEST_CASE("embed_cancel: signals from the thread of the handlers' executor meet completions of the lane") {
  asio::io_context context{1};
  router_process router;
  server game(context, {router.address()});
  REQUIRE(game.becomes_ready());
  const auto c = game.joins("p1");
  struct shot {
    asio::cancellation_signal signal;
    int told = 0;
  };
  constexpr int shots = 500;
  std::vector<shot> all(3 * shots);
  std::atomic<int> told{0};
  asio::thread_pool pool(1);
  const auto handler = [&](shot& s) {
    return asio::bind_cancellation_slot(s.signal.slot(), asio::bind_executor(pool, [&](auto&&...) {
                                          ++s.told;
                                          ++told;
                                        }));
  };
  for (int i = 0; i < shots; ++i)
    asio::post(pool, [&, i] {
      shot* s = &all[3 * static_cast<std::size_t>(i)];
      game.lane->async_send(c, to("p1"), handler(s[0]));
      game.lane->async_wait_registered(c, handler(s[1]));
      game.lane->async_attach("q" + std::to_string(i), handler(s[2]));
      // Some at once, and some that may have been answered.
      if (i % 2)
        for (int k = 0; k < 3; ++k) s[k].signal.emit(type::terminal);
      if (i >= 20)
        for (int k = 0; k < 3; ++k) (s - 60)[k].signal.emit(type::terminal);
    });
  REQUIRE(game.until([&] { return told == 3 * shots; }));
  pool.join();
  for (const shot& s : all) CHECK(s.told == 1);
  REQUIRE(game.until([&] { return game.lane->statistics().unanswered_messages == 0; }));
  CHECK(game.sends(c, "p1", "still there") == "accepted");
}
