// Why a shard ends a client: another server has its id, or the shard has no room for it; and who is told.
#include "common/net/core_thread.hpp"
#include "common/net/random.hpp"
#include "router/shard.hpp"
#include "tests/embed/embed_world.hpp"
#include "tests/support/raw_mqtt.hpp"

using namespace beeline;
using namespace beeline::test;

namespace {
const arguments room_for_one = {"--shards", "1", "--clients-max", "1"};
using told = std::vector<error_code>;

// A shard that has no room for two claims of one id: a router has no option that makes it so small.
struct busy_router {
  busy_router() { thread.accept_from(std::move(socket)), thread.start(); }
  router::shard_config config() const {
    router::shard_config c;
    c.map = {{0, slot_count - 1, "", socket.port}};
    c.make_nonce = [] { return net::random_bytes<sizeof(wire::nonce)>(); };
    c.warm_up = duration(0);
    c.contested_max = 0;
    return c;
  }
  static net::core_loop_options options() {
    net::core_loop_options o;
    o.accepted = conn::kind_t::link;
    return o;
  }
  net::bound_socket socket = net::bind_tcp("127.0.0.1", 0);
  const std::string address = "127.0.0.1:" + std::to_string(socket.port);
  chunk_pool pool;
  net::core_thread<router::shard> thread{
      "shard", std::make_unique<router::shard>(config(), pool, net::steady_now()), options()};
};

// What an async_attach of the id completes with.
error_code attach_says(server& s, const std::string& id) {
  told all;
  s.lane->async_attach(id, [&](error_code e, link::client_handle) { all.push_back(e); });
  REQUIRE(s.until([&] { return !all.empty(); }));
  return all.front();
}
} // namespace

TEST_CASE("embed_kicked: an attach that a full router refuses is told so, and by nobody else") {
  router_process router(room_for_one);
  asio::io_context context{1};
  server game(context, {router.address()});
  const auto p1 = game.joins("p1");
  CHECK(attach_says(game, "p2") == errc::router_full);
  CHECK(error_code(errc::router_full).message() == "the router has as many clients as it may");
  CHECK(game.sends(p1, "p1", "who is in stays") == "accepted");
  CHECK(game.kicked.empty());
  const auto s = game.lane->statistics();
  CHECK(s.registrations_refused == 1);
  CHECK(s.takeovers == 0);
  CHECK(s.clients == 1);
  CHECK(game.lane->detach(p1));
  game.joins("p2"); // there is room again
}

TEST_CASE("embed_kicked: who is attached already and refused is told by on_kicked and by its waits alike") {
  router_process router(room_for_one);
  asio::io_context context{1};
  server game(context, {router.address()});
  game.joins("p1");
  error_code ec;
  const auto p2 = game.lane->attach("p2", ec);
  told waits, receipts;
  for (int i = 0; i < 2; ++i) game.lane->async_wait_registered(p2, [&](error_code e) { waits.push_back(e); });
  REQUIRE(game.until([&] { return !game.kicked.empty() && waits.size() == 2; }));
  CHECK(waits == told{errc::router_full, errc::router_full});
  CHECK(game.kicked == kicks{{"p2", errc::router_full}});
  CHECK_FALSE(game.lane->detach(p2)); // it is detached already
  game.lane->async_send(p2, to("p1"), [&](error_code e, link::receipt) { receipts.push_back(e); });
  REQUIRE(game.until([&] { return !receipts.empty(); }));
  CHECK(receipts == told{errc::not_attached});
}

TEST_CASE("embed_kicked: at a full router an id still moves, and its loser is told of a takeover") {
  router_process router(room_for_one);
  asio::io_context context{1};
  server one(context, {router.address()}, "one"), two(context, {router.address()}, "two");
  one.joins("p1");
  REQUIRE(two.becomes_ready());
  two.joins("p1");
  REQUIRE(one.until([&] { return !one.kicked.empty(); }));
  CHECK(one.kicked == kicks{{"p1", errc::taken_over}});
  CHECK(one.lane->statistics().takeovers == 1);
  CHECK(one.lane->statistics().registrations_refused == 0);
  CHECK(two.kicked.empty());
}

TEST_CASE("embed_kicked: a router that comes back smaller refuses who was there; what they sent is unknown") {
  const std::string where = "127.0.0.1:" + std::to_string(free_ports(1));
  const arguments at = {"--listen", where, "--admin", "127.0.0.1:0"};
  asio::io_context context{1};
  server game(context, {where});
  std::optional<router_process> router(std::in_place, arguments{"--shards", "1"}, at);
  const link::client_handle players[] = {game.joins("p1"), game.joins("p2")};
  router->os().signal(SIGKILL);
  router->os().wait();
  REQUIRE(game.until([&] { return !game.lane->ready(); }));
  told receipts;
  for (const auto p : players)
    game.lane->async_send(p, to("nobody"), [&](error_code e, link::receipt) { receipts.push_back(e); });
  router.emplace(room_for_one, at);
  REQUIRE(game.until([&] { return !game.kicked.empty() && receipts.size() == 2; }));
  REQUIRE(game.kicked.size() == 1);
  CHECK(game.kicked[0].second == errc::router_full);
  CHECK(receipts == told{errc::outcome_unknown, {}}); // of the one that was refused, of the other that stays
  CHECK(game.lane->statistics().clients == 1);
}

TEST_CASE("embed_kicked: a shard that is busy with claims says so, which is not that it is full") {
  busy_router router;
  asio::io_context context{1};
  server one(context, {router.address}, "one"), two(context, {router.address}, "two");
  const auto p1 = one.joins("p1");
  CHECK(attach_says(two, "p1") == errc::router_busy);
  CHECK(two.lane->statistics().registrations_refused == 1);
  CHECK(one.kicked.empty()); // the owner stays
  CHECK(one.lane->registered(p1));
  CHECK(one.lane->detach(p1));
  one.joins("p2"); // the shard has heard of both now, which another link may be ahead of
  two.joins("p1"); // nobody claims it any more
}
