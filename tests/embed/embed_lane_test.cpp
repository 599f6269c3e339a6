// A lane's life: options, errors, completion tokens, lost routers, back pressure, the end.
#include "tests/embed/embed_world.hpp"
#include "tests/support/raw_mqtt.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <future>
#include <thread>

using namespace beeline;
using namespace beeline::test;

namespace {
std::string complaint(const std::function<void(link::lane_options&, link::lane_handlers&)>& change) {
  asio::io_context context{1};
  link::lane_options o;
  o.name = "game", o.routers = {"127.0.0.1:1"};
  link::lane_handlers h;
  h.on_message = [](link::client_handle, const link::message_view&) { return outcome::accepted; };
  change(o, h);
  try {
    link::lane l(context, o, h);
  } catch (const std::invalid_argument& e) {
    return e.what();
  }
  return "none";
}
} // namespace

TEST_CASE("embed_lane: wrong options are refused in words") {
  const auto says = [](const std::string& what, const std::string& part) {
    INFO(what);
    return what.find(part) != std::string::npos;
  };
  using options = link::lane_options&;
  using handlers = link::lane_handlers&;
  CHECK(complaint([](options, handlers) {}) == "none");
  CHECK(says(complaint([](options o, handlers) { o.name = ""; }), "name"));
  CHECK(says(complaint([](options o, handlers) { o.name = std::string(65, 'x'); }), "name"));
  CHECK(says(complaint([](options o, handlers) { o.number = 1; }), "number"));
  CHECK(says(complaint([](options o, handlers) { o.lanes = 0; }), "number"));
  CHECK(says(complaint([](options o, handlers) { o.routers.clear(); }), "routers"));
  const auto router = [](const char* text) {
    return complaint([&](options o, handlers) { o.routers = {text}; });
  };
  // The words of the programs for the same mistakes.
  CHECK(router("host") == "router address 'host': the port is missing; write HOST:PORT, like 127.0.0.1:1883");
  CHECK(says(router(":1"), "the host is missing"));
  CHECK(says(router("::1:1"), "in brackets"));
  CHECK(says(router("a:1,b:1"), "not a list"));
  for (const char* bad : {"host:", "host:0", "host:65536", "host:1x"})
    CHECK(says(router(bad), "the port must be a number from 1 to 65535"));
  CHECK(complaint([](options o, handlers) { o.routers = {"[::1]:7400"}; }) == "none");
  CHECK(says(complaint([](options o, handlers) { o.receipts_max = 0; }), "receipts_max"));
  CHECK(says(complaint([](options o, handlers) { o.receipt_timeout = {}; }), "receipt_timeout"));
  CHECK(says(complaint([](options, handlers h) { h.on_message = nullptr; }), "on_message"));
}

TEST_CASE("embed_lane: bad ids and messages are told at once") {
  linked_world w;
  error_code ec;
  for (const std::string& id : {std::string(), std::string(129, 'x'), std::string("a/b"), std::string("a#"),
                                std::string("\x01"), std::string("\xff")}) {
    w.game.lane->attach(id, ec);
    CHECK(ec == errc::invalid_client_id);
  }
  const auto p1 = w.game.joins("p1");
  w.game.lane->attach("p1", ec);
  CHECK(ec == errc::already_attached);
  const auto fails = [&](auto change) {
    link::message m;
    m.to = "p1";
    change(m);
    error_code qos0;
    CHECK_FALSE(w.game.lane->send(p1, m, qos0));
    CHECK(w.game.sends(p1, m) == qos0.message());
    return qos0;
  };
  const std::string big(1024 * 1024, 'x'), bad = "\xc0", wide(70'000, 'x');
  CHECK(fails([&](auto& m) { m.to = {}; }) == errc::invalid_message);
  CHECK(fails([&](auto& m) { m.channel = "a/#"; }) == errc::invalid_message);
  CHECK(fails([&](auto& m) { m.channel = bad; }) == errc::invalid_message);
  CHECK(fails([&](auto& m) { m.payload = link::bytes_of(big); }) == errc::message_too_large);
  CHECK(fails([&](auto& m) { m.properties.content_type = wide; }) == errc::invalid_message);
  CHECK(fails([&](auto& m) { m.properties.response_topic = "@/+"; }) == errc::invalid_message);
  CHECK(fails([&](auto& m) { m.deadline = -1ms; }) == errc::invalid_message);
  CHECK(fails([&](auto& m) { m.properties.is_text = true, m.payload = link::bytes_of(bad); }) ==
        errc::invalid_message);
  CHECK(w.game.lane->detach(p1));
  CHECK_FALSE(w.game.lane->detach(p1));
  CHECK(fails([&](auto&) {}) == errc::not_attached);
  CHECK(error_code(errc::taken_over).message() == "the id was attached elsewhere");
  CHECK(std::string(error_code(errc::router_full).category().name()) == "beeline.link");
}

TEST_CASE("embed_lane: coroutines and futures do as well as callbacks") {
  linked_world w;
  std::string result;
  asio::co_spawn(
      w.context,
      [&]() -> asio::awaitable<void> {
        co_await w.game.lane->async_wait_ready(asio::use_awaitable);
        const auto a = co_await w.game.lane->async_attach("a", asio::use_awaitable);
        co_await w.game.lane->async_attach("b", asio::use_awaitable);
        link::message m;
        m.to = "b", m.payload = link::bytes_of("from a coroutine");
        const link::receipt r = co_await w.game.lane->async_send(a, m, asio::use_awaitable);
        result = name_of(r.what);
        try {
          co_await w.game.lane->async_attach("a", asio::use_awaitable);
        } catch (const boost::system::system_error& e) {
          result += ", " + e.code().message();
        }
      },
      asio::detached);
  REQUIRE(w.game.until([&] { return result.find(',') != result.npos; }));
  CHECK(result == "accepted, a client of that id is attached to this lane already");
  CHECK(w.game.heard == std::vector<std::string>{"a -> b/: from a coroutine"});

  // From another thread, while this one runs the context.
  std::atomic<bool> over{false};
  outcome there = outcome::unknown, nobody = outcome::unknown;
  std::thread other([&] {
    w.game.lane->async_wait_ready(asio::use_future).get();
    const auto c = w.game.lane->async_attach("c", asio::use_future).get();
    {
      const std::string payload = "from a future";
      link::message m;
      m.to = "b", m.payload = link::bytes_of(payload);
      there = w.game.lane->async_send(c, m, asio::use_future).get().what;
      m.to = "no one";
      nobody = w.game.lane->async_send(c, m, asio::use_future).get().what;
    }
    over = true;
  });
  CHECK(w.game.until([&] { return over.load(); }));
  other.join();
  CHECK(there == outcome::accepted);
  CHECK(nobody == outcome::nobody);
  CHECK(w.game.heard.back() == "c -> b/: from a future");
}

TEST_CASE("embed_lane: when the router is killed and comes back all recover, and receipts tell the truth") {
  asio::io_context context{1};
  const std::uint16_t port = free_ports(1);
  const arguments where{"--listen", "127.0.0.1:" + std::to_string(port), "--admin", "127.0.0.1:0"};
  std::optional<router_process> router(std::in_place, arguments{"--shards", "1"}, where);
  server one(context, {router->address()}, "one"), two(context, {router->address()}, "two");
  REQUIRE(one.becomes_ready());
  REQUIRE(two.becomes_ready());
  const auto a = one.joins("a");
  two.joins("b");
  constexpr int rounds = 3, each = 200;
  int sent = 0, answered = 0, accepted = 0, unknown = 0, other = 0;
  for (int round = 0; round < rounds; ++round) {
    const auto before = one.lane->statistics().sent;
    for (int i = 0; i < each; ++i) {
      const std::string text = std::to_string(sent++);
      link::message m;
      m.to = "b", m.payload = link::bytes_of(text);
      one.lane->async_send(a, m, [&](error_code e, link::receipt r) {
        ++answered;
        REQUIRE_FALSE(e);
        ++(r.accepted() ? accepted : r.what == outcome::unknown ? unknown : other);
      });
      if (i == each / 2) {
        one.until([&] { return one.lane->statistics().sent > before; }); // some are under way
        router->os().signal(SIGKILL);
        router->os().wait();
        router.emplace(arguments{"--shards", "1"}, where);
      }
    }
    REQUIRE(one.until([&] { return answered == sent; }));
    REQUIRE(one.becomes_ready());
    REQUIRE(two.becomes_ready());
  }
  CHECK(other == 0);
  CHECK(two.heard.size() >= static_cast<std::size_t>(accepted));
  CHECK(two.heard.size() <= static_cast<std::size_t>(accepted + unknown));
  int last = -1;
  for (const std::string& line : two.heard) { // in order, none twice
    const int n = std::stoi(line.substr(line.rfind(' ')));
    CHECK(n > last);
    last = n;
  }
  CHECK(one.lane->statistics().link_losses == rounds);
  CHECK(one.readiness.size() == 1 + 2 * rounds);
}

TEST_CASE("embed_lane: without a router QoS 1 waits within its limit, and QoS 0 is refused") {
  asio::io_context context{1};
  const std::uint16_t port = free_ports(1);
  server game(context, {"127.0.0.1:" + std::to_string(port)}, "game", 100'000);
  error_code ec;
  const auto p1 = game.lane->attach("p1", ec);
  REQUIRE_FALSE(ec);
  CHECK_FALSE(game.lane->registered(p1));
  CHECK_FALSE(game.lane->problem().empty());
  const std::string kilobyte(1000, 'x');
  link::message m;
  m.to = "p1", m.payload = link::bytes_of(kilobyte);
  CHECK_FALSE(game.lane->send(p1, m, ec));
  CHECK(ec == errc::not_ready);
  int sent = 0, accepted = 0, refused = 0;
  for (; sent < 200; ++sent)
    game.lane->async_send(p1, m, [&](error_code e, link::receipt r) {
      if (e == errc::would_block) ++refused;
      else if (!e && r.accepted()) ++accepted;
    });
  REQUIRE(game.until([&] { return refused > 0; }));
  CHECK_FALSE(game.lane->want_more());
  CHECK(game.lane->problem().find("127.0.0.1:" + std::to_string(port)) != std::string::npos);
  CHECK(game.lane->statistics().unanswered_bytes <= 100'000);
  CHECK(game.wanted == 0);
  router_process router({"--shards", "1"},
                        {"--listen", "127.0.0.1:" + std::to_string(port), "--admin", "127.0.0.1:0"});
  REQUIRE(game.until([&] { return accepted + refused == sent; }));
  CHECK(accepted > 90);
  CHECK(game.until([&] { return game.wanted == 1; }));
  CHECK(game.lane->want_more());
  CHECK(game.heard.size() == static_cast<std::size_t>(accepted));
}

TEST_CASE(
    "embed_lane: who was told to wait is called, also when a large message met a queue that was not long") {
  asio::io_context context{1};
  const std::uint16_t port = free_ports(1);
  server game(context, {"127.0.0.1:" + std::to_string(port)}, "game", 100'000);
  error_code ec;
  const auto p1 = game.lane->attach("p1", ec);
  std::vector<error_code> told;
  const auto sends = [&](std::size_t bytes) {
    const std::string payload(bytes, 'x');
    link::message m;
    m.to = "p1", m.payload = link::bytes_of(payload);
    game.lane->async_send(p1, m, [&](error_code e, link::receipt) { told.push_back(e); });
  };
  sends(40'000);
  sends(70'000); // each fits, both do not
  sends(100'000);
  REQUIRE(game.until([&] { return told.size() == 2; }));
  CHECK(told == std::vector<error_code>{errc::would_block, errc::message_too_large});
  CHECK_FALSE(game.lane->want_more());
  router_process router({"--shards", "1"},
                        {"--listen", "127.0.0.1:" + std::to_string(port), "--admin", "127.0.0.1:0"});
  CHECK(game.until([&] { return game.wanted == 1; }));
  CHECK(game.lane->want_more());
  sends(70'000);
  REQUIRE(game.until([&] { return told.size() == 4; }));
  CHECK_FALSE(told.back());
}

TEST_CASE("embed_lane: a shutdown waits for receipts and then says good-bye") {
  linked_world w;
  server peer(w.context, {w.router.address()}, "peer");
  REQUIRE(peer.becomes_ready());
  const auto p1 = w.game.joins("p1");
  peer.joins("p2");
  int accepted = 0;
  for (int i = 0; i < 100; ++i) {
    link::message m;
    m.to = "p2";
    w.game.lane->async_send(p1, m, [&](error_code e, link::receipt r) { accepted += !e && r.accepted(); });
  }
  std::optional<bool> all;
  w.game.lane->async_shutdown(5s, [&](error_code e, bool answered) { all = !e && answered; });
  CHECK(w.game.sends(p1, "p2", "late") == "the lane is being shut down");
  REQUIRE(w.game.until([&] { return all.has_value(); }));
  CHECK(*all);
  CHECK(accepted == 100);
  CHECK(peer.heard.size() == 100);
  CHECK(w.router.json("/clients/p1")["online"] == false); // at once, without linger
}

TEST_CASE("embed_lane: a shutdown without an answer ends in its time, and what waited is unknown") {
  asio::io_context context{1};
  server game(context, {"127.0.0.1:" + std::to_string(free_ports(1))});
  error_code ec;
  const auto p1 = game.lane->attach("p1", ec);
  std::string told;
  link::message m;
  m.to = "p2";
  game.lane->async_send(p1, m, [&](error_code e, link::receipt) { told = e.message(); });
  std::optional<bool> all;
  const auto began = std::chrono::steady_clock::now();
  game.lane->async_shutdown(100ms, [&](error_code, bool answered) { all = answered; });
  context.run(); // ends: nothing of the lane is left
  CHECK(std::chrono::steady_clock::now() - began >= 100ms);
  REQUIRE(all);
  CHECK_FALSE(*all);
  CHECK(told == link::make_error_code(errc::outcome_unknown).message());
}

TEST_CASE("embed_lane: a lane that is destroyed leaves nothing in the io_context") {
  asio::io_context context{1};
  router_process router;
  std::vector<std::string> told;
  {
    server game(context, {router.address(), "127.0.0.1:" + std::to_string(free_ports(1))});
    error_code ec;
    const auto p1 = game.lane->attach("p1", ec);
    link::message m;
    m.to = "p2";
    game.lane->async_send(p1, m, [&](error_code e, link::receipt) { told.push_back(e.message()); });
    game.lane->async_wait_ready([&](error_code e) { told.push_back(e.message()); });
    game.until([&] { return game.lane->statistics().links_up > 0; });
    game.lane->async_attach("p3", [&](error_code e, link::client_handle) { told.push_back(e.message()); });
  }
  context.restart();
  context.run();
  std::sort(told.begin(), told.end());
  CHECK(told == std::vector<std::string>{"the lane is being shut down", "the lane is being shut down",
                                         link::make_error_code(errc::outcome_unknown).message()});
}

TEST_CASE("embed_lane: a shutdown that gives up on messages with deadlines tells each once, and ends") {
  linked_world w;
  const auto p1 = w.game.joins("p1");
  w.router.os().signal(SIGSTOP);
  int told = 0, unknown = 0;
  for (int i = 0; i < 50; ++i) {
    link::message m;
    m.to = "p2", m.deadline = 300ms;
    w.game.lane->async_send(
        p1, m, [&](error_code e, link::receipt) { ++told, unknown += e == errc::outcome_unknown; });
  }
  std::optional<bool> all;
  w.game.lane->async_shutdown(50ms, [&](error_code, bool answered) { all = answered; });
  CHECK(w.game.until([&] { return all.has_value(); }));
  w.game.until([&] { return told > 50; }, 500ms); // past the deadlines: none is told twice
  w.router.os().signal(SIGCONT);
  CHECK(all == false);
  CHECK(told == 50);
  CHECK(unknown == 50);
}

TEST_CASE("embed_lane: receipts that are open when a client is detached are unknown, and no handler is "
          "called after the "
          "lane has gone") {
  linked_world w;
  const auto p1 = w.game.joins("p1");
  w.router.os().signal(SIGSTOP);
  std::vector<error_code> told;
  link::message m;
  m.to = "p2";
  w.game.lane->async_send(p1, m, [&](error_code e, link::receipt) { told.push_back(e); });
  REQUIRE(w.game.until([&] { return w.game.lane->statistics().unanswered_messages == 1; }));
  CHECK(w.game.lane->detach(p1));
  REQUIRE(w.game.until([&] { return !told.empty(); }));
  CHECK(told == std::vector<error_code>{errc::outcome_unknown});
  const std::size_t heard = w.game.readiness.size();
  const std::string log = w.game.log;
  w.game.lane.reset();
  w.router.os().signal(SIGCONT);
  w.context.restart();
  w.context.run();
  CHECK(w.game.readiness.size() == heard);
  CHECK(w.game.log == log);
  CHECK(told.size() == 1);
}
