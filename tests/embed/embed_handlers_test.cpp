// What a program's handlers may do: call the lane from within, throw, bring an executor and memory of theirs.
#include "tests/embed/embed_world.hpp"
#include "tests/support/raw_mqtt.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>
#include <thread>

using namespace beeline;
using namespace beeline::test;
using boost::system::error_code;
using link::errc;
using link::outcome;
namespace asio = boost::asio;

namespace {
link::message to(std::string_view id) {
  link::message m;
  m.to = id;
  return m;
}
struct world {
  explicit world(std::size_t unanswered_bytes_max = link::lane_options{}.unanswered_bytes_max)
      : game(context, {router.address()}, "game", unanswered_bytes_max) {
    REQUIRE(game.becomes_ready());
  }
  asio::io_context context{1};
  router_process router;
  server game;
  link::lane& lane = *game.lane;
  std::uint64_t refused(errc e) const { return lane.statistics().refused[static_cast<std::size_t>(e)]; }
};

// Calls all that a handler may call, but shutdown; then everything still works.
struct caller {
  explicit caller(world& world_) : w(world_) {}
  world& w;
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

// Memory that knows how much of it is in use.
struct ledger {
  std::size_t blocks = 0, ever = 0;
};
template <class T> struct counted {
  using value_type = T;
  ledger* book;
  explicit counted(ledger& b) : book(&b) {}
  template <class U> counted(const counted<U>& o) : book(o.book) {}
  T* allocate(std::size_t n) {
    ++book->blocks, ++book->ever;
    return std::allocator<T>().allocate(n);
  }
  void deallocate(T* p, std::size_t n) {
    --book->blocks;
    std::allocator<T>().deallocate(p, n);
  }
  template <class U> bool operator==(const counted<U>& o) const { return book == o.book; }
};
} // namespace

TEST_CASE("embed_handlers: every handler may call the lane, and attach and detach in it") {
  world w;
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
  world w;
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
  world w;
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
  world w;
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

TEST_CASE("embed_handlers: a completion comes where its handler's executor is") {
  world w;
  const auto p1 = w.game.joins("p1");
  const auto here = std::this_thread::get_id();
  asio::thread_pool pool(1);
  std::atomic<int> elsewhere{0}, in_strand{0};
  const auto there = [&](auto&&...) { elsewhere += std::this_thread::get_id() != here; };
  SECTION("another context's") {
    const auto on = [&](auto f) { return asio::bind_executor(pool, f); };
    w.lane.async_send(p1, to("p1"), on(there));
    w.lane.async_attach("p2", on(there));
    w.lane.async_attach("p2", on(there)); // an error, at once: not from inside this call either
    w.lane.async_wait_ready(on(there));
    w.lane.async_wait_registered(p1, on(there));
    REQUIRE(w.game.until([&] { return elsewhere == 5; }));
    w.lane.async_shutdown(5s, on(there));
    REQUIRE(w.game.until([&] { return elsewhere == 6; }));
  }
  SECTION("a strand's, of any kind") {
    const auto strand = asio::make_strand(pool);
    const asio::any_io_executor any = strand;
    const auto inside = [&](auto&&...) { in_strand += strand.running_in_this_thread(); };
    w.lane.async_send(p1, to("p1"), asio::bind_executor(strand, inside));
    w.lane.async_send(p1, to("p1"), asio::bind_executor(any, inside));
    REQUIRE(w.game.until([&] { return in_strand == 2; }));
  }
  SECTION("which has work as long as it waits") {
    asio::io_context other{1};
    bool told = false;
    w.router.os().signal(SIGSTOP);
    w.lane.async_send(p1, to("p1"),
                      asio::bind_executor(other, [&](error_code, link::receipt) { told = true; }));
    w.game.until([&] { return false; }, 20ms);
    CHECK(other.poll() == 0);
    CHECK_FALSE(other.stopped());
    w.router.os().signal(SIGCONT);
    w.game.meanwhile([&] {
      other.run();
      return true;
    }); // ends when the receipt has come
    CHECK(told);
  }
}

TEST_CASE("embed_handlers: an operation lives in its handler's memory, which is given back before the call") {
  world w;
  const auto p1 = w.game.joins("p1");
  ledger book;
  int called = 0;
  std::size_t held = 0;
  const auto in_book = [&] {
    return asio::bind_allocator(counted<void>(book), [&](auto&&...) {
      ++called;
      held += book.blocks;
    });
  };
  const auto one = [&](auto begin) {
    const auto [before, calls] = std::pair(book.ever, called);
    begin();
    CHECK(book.ever > before);
    REQUIRE(w.game.until([&] { return called == calls + 1; }));
    CHECK(book.ever >= before + 2); // the operation, and its completion
    CHECK(book.blocks == 0);
  };
  one([&] { w.lane.async_send(p1, to("p1"), in_book()); });
  one([&] { w.lane.async_attach("p2", in_book()); });
  one([&] { w.lane.async_attach("a/b", in_book()); });
  one([&] { w.lane.async_wait_ready(in_book()); });
  one([&] { w.lane.async_wait_registered(p1, in_book()); });
  w.router.os().signal(SIGSTOP);
  bool dropped = false;
  asio::post(w.context, [&] { // also when it begins inside the lane's thread
    w.lane.async_send(p1, to("p1"), in_book());
    CHECK(book.blocks == 1);
    dropped = w.lane.detach(p1);
  });
  REQUIRE(w.game.until([&] { return called == 6; }));
  CHECK(dropped);
  one([&] { w.lane.async_shutdown(0ms, in_book()); });
  CHECK(held == 0);
}

TEST_CASE("embed_handlers: what a handler's memory holds is given back when the io_context goes") {
  ledger book;
  {
    asio::io_context context{1};
    server game(context, {"127.0.0.1:" + std::to_string(free_ports(1))});
    const auto never = [&] {
      return asio::bind_allocator(counted<void>(book), [](auto&&...) { FAIL("called"); });
    };
    game.lane->async_wait_ready(never());
    game.until([] { return false; }, 10ms);
    game.lane->async_wait_ready(never()); // one waits in the lane, one on its way there
    CHECK(book.blocks >= 2);
  }
  CHECK(book.blocks == 0);
}

TEST_CASE("embed_handlers: what is refused is counted by its reason") {
  world w(10'000);
  const auto p1 = w.game.joins("p1");
  error_code ec;
  const std::string big(2 * 1024 * 1024, 'x'), some(6'000, 'x');
  link::message m;
  const auto sends_both = [&] {
    w.lane.send(p1, m, ec);
    w.lane.async_send(p1, m, [](error_code, link::receipt) {});
    w.game.until([] { return false; }, 1ms);
  };
  m.to = "a/b";
  sends_both();
  CHECK(w.refused(errc::invalid_message) == 2);
  m.to = "p1", m.payload = link::bytes_of(big);
  sends_both();
  CHECK(w.refused(errc::message_too_large) == 2);
  m.payload = link::bytes_of(std::string_view(big).substr(0, 11'000)); // of QoS 1 only
  sends_both();
  CHECK(w.refused(errc::message_too_large) == 3);
  m.payload = {};
  w.lane.send({}, m, ec);
  CHECK(w.refused(errc::not_attached) == 1);
  w.lane.attach("p1", ec);
  w.lane.attach("#", ec);
  CHECK(w.refused(errc::already_attached) == 1);
  CHECK(w.refused(errc::invalid_client_id) == 1);
  CHECK(w.refused(errc::not_ready) == 0);
  w.router.os().signal(SIGKILL);
  w.router.os().wait();
  REQUIRE(w.game.until([&] { return !w.lane.ready(); }));
  const auto dropped = w.lane.statistics().dropped;
  CHECK_FALSE(w.lane.send(p1, m, ec));
  CHECK(w.refused(errc::not_ready) == 1);
  CHECK(w.lane.statistics().dropped == dropped + 1);
  m.payload = link::bytes_of(some);
  for (int i = 0; i < 3; ++i) w.lane.async_send(p1, m, [](error_code, link::receipt) {});
  REQUIRE(w.game.until([&] { return w.refused(errc::would_block) == 2; }));
  w.lane.async_shutdown(0ms, [](error_code, bool) {});
  REQUIRE(w.game.until([&] { return w.lane.statistics().unanswered_messages == 0; }));
  CHECK_FALSE(w.lane.send(p1, m, ec));
  CHECK(w.refused(errc::shutting_down) == 1);
}

TEST_CASE("embed_handlers: the smallest limits are kept, and the lane goes on") {
  for (const std::size_t limit : {0u, 1u}) {
    world w(limit);
    const auto p1 = w.game.joins("p1");
    CHECK(w.game.sends(p1, "p1", "x") == link::make_error_code(errc::message_too_large).message());
    CHECK(w.lane.want_more());
    error_code ec;
    REQUIRE(w.game.meanwhile([&] { return w.router.becomes_ready(); })); // QoS 0 does not wait for a warm-up
    CHECK(w.lane.send(p1, to("p1"), ec));                                // no limit of QoS 0
    REQUIRE(w.game.until([&] { return w.game.heard.size() == 1; }));
  }
  world w(100); // room for one message of these, not for two
  const auto p1 = w.game.joins("p1");
  std::vector<error_code> told;
  for (int i = 0; i < 2; ++i)
    w.lane.async_send(p1, to("p1"), [&](error_code e, link::receipt) { told.push_back(e); });
  REQUIRE(w.game.until([&] { return told.size() == 2; }));
  CHECK(told == std::vector<error_code>{errc::would_block, {}});
  REQUIRE(w.game.until([&] { return w.lane.want_more() && w.game.wanted == 1; }));
  CHECK(w.game.sends(p1, "p1", "x") == "accepted");
}

TEST_CASE("embed_handlers: an idle lane takes few turns of its io_context") {
  std::optional<world> linked;
  std::optional<asio::io_context> own;
  std::optional<server> alone;
  asio::io_context* context = nullptr;
  SECTION("linked") {
    linked.emplace();
    linked->game.joins("p1");
    context = &linked->context;
  }
  SECTION("without a router, when its first dials have failed") {
    own.emplace(1);
    alone.emplace(*own, std::vector<std::string>{"127.0.0.1:" + std::to_string(free_ports(1))});
    alone->until([] { return false; }, 500ms);
    context = &*own;
  }
  context->restart();
  const std::size_t handlers = context->run_for(2s);
  // A check every 125 ms, and for each of two links a heartbeat each way every 500 ms; some handlers a turn.
  CHECK(handlers > 5);
  CHECK(handlers < 200);
}
