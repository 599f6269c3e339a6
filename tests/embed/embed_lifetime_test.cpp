// Who may go before whom: lanes, io_contexts, handlers that own lanes, threads, names that take long.
#include "tests/embed/embed_world.hpp"
#include "tests/support/hanging_names.hpp"
#include "tests/support/raw_mqtt.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace beeline;
using namespace beeline::test;

namespace {
std::string nowhere() { return "127.0.0.1:" + std::to_string(free_ports(1)); }
link::lane_options options(const std::string& router) {
  link::lane_options o;
  o.name = "game", o.routers = {router};
  return o;
}
link::lane_handlers handlers(std::shared_ptr<int> owned = nullptr) {
  link::lane_handlers h;
  h.on_message = [owned](link::client_handle, const link::message_view&) { return link::outcome::accepted; };
  return h;
}
// Begins everything that waits, with handlers that own `what`; counts those that are called.
template <class What> void begin_all(link::lane& lane, What what, int& called) {
  error_code ec;
  const auto c = lane.attach("p0", ec);
  const auto count = [what, &called](auto&&...) { ++called; };
  lane.async_wait_ready(count);
  lane.async_attach("p1", count);
  lane.async_wait_registered(c, count);
  lane.async_send(c, to("x"), count);
  lane.async_shutdown(1h, count);
}
constexpr int begun = 5;
// As a program does that stops before its router is there.
void run_a_little(asio::io_context& context) {
  context.restart();
  context.run_for(20ms);
}
} // namespace

TEST_CASE("embed_lifetime: handlers that own the lane they wait in are destroyed with the io_context") {
  std::weak_ptr<link::lane> watched;
  const auto guard = std::make_shared<int>(0);
  int called = 0;
  {
    asio::io_context context{1};
    auto lane = std::make_shared<link::lane>(context, options(nowhere()), handlers(guard));
    watched = lane;
    run_a_little(context);
    begin_all(*lane, lane, called);
    run_a_little(context);
    CHECK(called == 0);
  }
  CHECK(called == 0);
  CHECK(watched.expired());
  CHECK(guard.use_count() == 1);
}

TEST_CASE("embed_lifetime: a coroutine that owns its lane and waits in it is destroyed with the io_context") {
  const auto guard = std::make_shared<int>(0);
  {
    asio::io_context context{1};
    asio::co_spawn(
        context,
        [&, g = guard]() -> asio::awaitable<void> {
          const auto kept = g;
          link::lane lane(context, options(nowhere()), handlers(g));
          co_await lane.async_attach("p1", asio::use_awaitable);
        },
        asio::detached);
    run_a_little(context);
    CHECK(guard.use_count() > 1);
  }
  CHECK(guard.use_count() == 1);
}

TEST_CASE("embed_lifetime: handlers of the lane that own it are destroyed with the io_context too") {
  std::weak_ptr<link::lane> watched;
  {
    asio::io_context context{1};
    auto itself = std::make_shared<std::shared_ptr<link::lane>>();
    auto h = handlers();
    h.on_ready = [itself](bool) {};
    *itself = std::make_shared<link::lane>(context, options(nowhere()), h);
    watched = *itself;
    run_a_little(context);
  }
  CHECK(watched.expired());
}

TEST_CASE("embed_lifetime: a destructor of a handler may call the lane that is being dropped") {
  struct caller {
    std::shared_ptr<link::lane> lane;
    link::client_handle c;
    ~caller() {
      error_code ec;
      CHECK_FALSE(lane->send(c, to("x"), ec));
      CHECK(ec == errc::shutting_down);
      lane->async_send(c, to("x"), [](error_code, link::receipt) { FAIL("called"); });
      lane->async_wait_ready([](error_code) { FAIL("called"); });
      lane->detach(c);
      CHECK_FALSE(lane->ready());
      CHECK(lane->statistics().refused[static_cast<std::size_t>(errc::shutting_down)] > 0);
    }
  };
  asio::io_context context{1};
  auto lane = std::make_shared<link::lane>(context, options(nowhere()), handlers());
  error_code ec;
  auto c = std::make_shared<caller>(lane, lane->attach("p1", ec));
  lane->async_send(c->c, to("x"), [c](error_code, link::receipt) {});
  lane->async_wait_ready([c](error_code) {});
  c.reset();
  lane.reset();
  run_a_little(context);
}

TEST_CASE("embed_lifetime: a lane that is destroyed first tells all that waits, when the io_context is run") {
  asio::io_context context{1};
  std::optional<link::lane> lane(std::in_place, context, options(nowhere()), handlers());
  run_a_little(context);
  int called = 0;
  begin_all(*lane, 0, called);
  SECTION("at once") {}
  SECTION("when they have begun") { run_a_little(context); }
  lane.reset();
  CHECK(called == 0);
  context.restart();
  context.run(); // ends
  CHECK(called == begun);
}

TEST_CASE("embed_lifetime: what is begun when the io_context was stopped is told later, or never") {
  const auto guard = std::make_shared<int>(0);
  int called = 0;
  {
    std::optional<asio::io_context> context(std::in_place, 1);
    std::optional<link::lane> lane(std::in_place, *context, options(nowhere()), handlers());
    run_a_little(*context);
    context->stop();
    begin_all(*lane, guard, called);
    CHECK(called == 0);
    SECTION("run again") {
      run_a_little(*context);
      lane.reset();
      context->restart();
      context->run();
      CHECK(called == begun);
    }
    SECTION("the lane goes first") { lane.reset(); }
    SECTION("the io_context goes first") { // against the rule of lane.hpp, but it happens
      context.reset();
      CHECK_FALSE(lane->ready());
      lane.reset();
    }
  }
  CHECK((called == 0 || called == begun));
  CHECK(guard.use_count() == 1);
}

TEST_CASE("embed_lifetime: lanes of one io_context go in any order, also from other threads") {
  asio::io_context context{1};
  std::vector<std::unique_ptr<link::lane>> lanes;
  int called = 0;
  for (int i = 0; i < 3; ++i)
    lanes.push_back(std::make_unique<link::lane>(context, options(nowhere()), handlers()));
  run_a_little(context);
  for (auto& l : lanes) begin_all(*l, 0, called);
  lanes[1].reset();
  run_a_little(context);
  CHECK(called == begun);
  std::thread([&] { lanes[0].reset(); }).join(); // while nobody runs the io_context
  run_a_little(context);
  CHECK(called == 2 * begun);
}

TEST_CASE("embed_lifetime: threads that send while the io_context is stopped and destroyed are told or not") {
  for (int round = 0; round < 20; ++round) {
    auto context = std::make_unique<asio::io_context>(1);
    auto lane = std::make_unique<link::lane>(*context, options(nowhere()), handlers());
    std::vector<std::future<link::receipt>> futures;
    std::atomic<bool> sent{false};
    std::thread runs([&] { context->run(); });
    std::thread sends([&] {
      const auto c = lane->async_attach("p1", asio::use_future);
      for (int i = 0; i < 50; ++i) {
        const std::string text = std::to_string(i);
        link::message m;
        m.to = "x", m.payload = link::bytes_of(text);
        futures.push_back(lane->async_send({}, m, asio::use_future));
        if (i == 25) context->stop();
      }
      sent = true;
    });
    sends.join();
    runs.join();
    if (round % 2) lane.reset();
    if (round % 4 > 1 && lane) lane.reset();
    context->restart();
    if (round % 3 == 0) context->poll();
    if (lane && round % 2 == 0) lane.reset();
    context.reset();
    CHECK(sent);
    for (auto& f : futures) {
      try {
        f.get();
        FAIL("sent by nobody");
      } catch (const boost::system::system_error& e) {
        CHECK((e.code() == errc::not_attached || e.code() == errc::shutting_down));
      } catch (const std::future_error& e) { // destroyed with the io_context
        CHECK(e.code() == std::future_errc::broken_promise);
      }
    }
  }
}

TEST_CASE("embed_lifetime: a name that takes long to resolve holds neither run() nor the io_context") {
  hanging_names names;
  std::optional<asio::io_context> context(std::in_place, 1);
  std::optional<link::lane> lane(std::in_place, *context, options("router.hangs:7400"), handlers());
  const auto under_way = [&] {
    context->poll_one();
    return names.waiting() == 1;
  };
  REQUIRE(eventually(under_way));
  bool ended = false;
  SECTION("after a shutdown") {
    lane->async_shutdown(0ms, [&](error_code, bool) { ended = true; });
    context->restart();
    context->run();
    CHECK(ended);
    lane.reset();
  }
  SECTION("after the lane was destroyed") {
    lane.reset();
    context->restart();
    context->run();
  }
  SECTION("when the io_context goes first") {}
  context.reset();
  CHECK(names.waiting() == 1); // that it still hangs shows that nobody waited for it
  lane.reset();
}

TEST_CASE("embed_lifetime: a name that hangs is looked up once at a time, and used when it is known") {
  router_process router;
  asio::io_context context{1};
  hanging_names names;
  const std::string address = "router.hangs:" + std::to_string(router.port());
  server one(context, {address});
  // Dials are given up after limits::link_connect_max and tried again.
  const auto gave_up = [&] { return one.log.find("timed out") != one.log.npos; };
  REQUIRE(one.until(gave_up));
  REQUIRE(one.until([&] { return false; }, 1500ms) == false); // the next dial has begun
  CHECK(names.lookups() == 1);
  names.release();
  CHECK(one.becomes_ready());
}

TEST_CASE("embed_lifetime: a handle that is stale stays stale, however often its place is used again") {
  asio::io_context context{1};
  link::lane lane(context, options(nowhere()), handlers());
  error_code ec;
  const auto stale = lane.attach("p1", ec);
  CHECK(lane.detach(stale));
  bool place_was_used = false;
  for (int i = 0; i < 2 * 65'536 + 10; ++i) {
    const auto c = lane.attach("p1", ec);
    place_was_used |= c.index == stale.index;
    if (c == stale || lane.detach(stale)) FAIL("valid again after " << i << " others");
    REQUIRE(lane.detach(c));
  }
  CHECK(place_was_used);
}

TEST_CASE(
    "embed_lifetime: a lane whose io_context is run by another thread than before is found in debug builds") {
  int out[2];
  REQUIRE(::pipe(out) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(out[1], STDERR_FILENO);
    asio::io_context context{1};
    link::lane lane(context, options("127.0.0.1:1"), handlers());
    context.run_for(5ms);
    std::thread([&] { context.restart(), context.run_for(300ms); }).join();
    ::_exit(0);
  }
  ::close(out[1]);
  std::string said;
  for (char c; ::read(out[0], &c, 1) == 1;) said += c;
  ::close(out[0]);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
#ifdef NDEBUG
  CHECK(WIFEXITED(status));
  CHECK(said.find("internal error") == said.npos);
#else
  CHECK(WIFSIGNALED(status));
  CHECK(said.find("same_thread is false") != said.npos);
#endif
}
