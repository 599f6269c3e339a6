// A lane at its limits, what it counts of them, and what it costs while nothing happens.
#include "tests/embed/embed_world.hpp"
#include "tests/support/raw_mqtt.hpp"

using namespace beeline;
using namespace beeline::test;

TEST_CASE("embed_limits: what is refused is counted by its reason") {
  linked_world w(10'000);
  const auto p1 = w.game.joins("p1");
  error_code ec;
  const std::string big(2 * 1024 * 1024, 'x'), some(6'000, 'x');
  link::message m;
  const auto sends_both = [&] {
    w.lane.send(p1, m, ec);
    bool told = false;
    w.lane.async_send(p1, m, [&](error_code, link::receipt) { told = true; });
    REQUIRE(w.game.until([&] { return told; }));
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

TEST_CASE("embed_limits: the smallest limits are kept, and the lane goes on") {
  for (const std::size_t limit : {0u, 1u}) {
    linked_world w(limit);
    const auto p1 = w.game.joins("p1");
    CHECK(w.game.sends(p1, "p1", "x") == link::make_error_code(errc::message_too_large).message());
    CHECK(w.lane.want_more());
    error_code ec;
    REQUIRE(w.game.meanwhile([&] { return w.router.becomes_ready(); })); // QoS 0 does not wait for a warm-up
    CHECK(w.lane.send(p1, to("p1"), ec));                                // no limit of QoS 0
    REQUIRE(w.game.until([&] { return w.game.heard.size() == 1; }));
  }
  linked_world w(100); // room for one message of these, not for two
  const auto p1 = w.game.joins("p1");
  std::vector<error_code> told;
  for (int i = 0; i < 2; ++i)
    w.lane.async_send(p1, to("p1"), [&](error_code e, link::receipt) { told.push_back(e); });
  REQUIRE(w.game.until([&] { return told.size() == 2; }));
  CHECK(told == std::vector<error_code>{errc::would_block, {}});
  REQUIRE(w.game.until([&] { return w.lane.want_more() && w.game.wanted == 1; }));
  CHECK(w.game.sends(p1, "p1", "x") == "accepted");
}

TEST_CASE("embed_limits: an idle lane takes few turns of its io_context") {
  std::optional<linked_world> linked;
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
