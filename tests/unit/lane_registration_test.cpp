// What a client is told when its shard has no room for it.
#include "tests/support/drop_lines.hpp"
#include "tests/support/lane_test.hpp"

#include <catch2/catch.hpp>

using namespace beeline;
using namespace beeline::test;

namespace {
constexpr unsigned quota_exceeded = 0x97, server_busy = 0x89, v311_server_unavailable = 3;

// A world whose shard's limit of clients is `most`, which may change before its next life.
struct small_shard {
  std::size_t most, contested = limits::claims_contested_max;
  lane_world w{
      {.shard = [this](router::shard_config& c) { c.clients_max = most, c.contested_max = contested; }}};

  heard_connack connack_of(std::string_view id, protocol_version v = v5, std::size_t edge = 0) {
    auto& c = w.open(v, edge);
    c.connect({.version = v, .client_id = std::string(id)});
    return c.next_connack();
  }
};
} // namespace

TEST_CASE("registration: a full shard refuses a CONNECT with 0x97 at once, and says why", "[lane]") {
  small_shard t{2};
  auto& a = t.w.connect("A");
  t.w.connect("B", {.edge = 1});
  const auto refused = t.connack_of("C");
  CHECK(refused.code == quota_exceeded);
  CHECK(refused.text == "the router has as many clients as it may");
  CHECK(t.connack_of("D", v311, 1).code == v311_server_unavailable);
  CHECK(t.w.shard().counters.claims_refused.get() == 2);
  CHECK(t.w.lane(0).counters.connects_refused.get() == 1);
  CHECK(t.w.lane(0).endpoint().counters.refused.get() == 1);
  CHECK(closes(t.w, close_reason::registration_refused) == 1);
  CHECK(t.w.lane(0).counters.sessions.get() == 1);
  CHECK(lines_of(t.w.lane(0).drops(1).newest) == std::vector<std::string>{"connect registration_refused C>"});

  a.disconnect();
  CHECK(t.connack_of("C").code == 0);
}

TEST_CASE("registration: at a full shard a client that is known may still move", "[lane]") {
  small_shard t{1};
  auto& first = t.w.connect("A");
  t.w.connect("A", {.edge = 1});
  CHECK(first.closed_with(0x8e)); // taken over
  CHECK(t.w.lane(0).endpoint().counters.takeovers.get() == 1);
  CHECK(t.w.lane(0).counters.takeovers.get() == 0); // those on one lane
}

TEST_CASE("registration: sessions that a smaller shard has no room for are told 0x97 and end", "[lane]") {
  small_shard t{2};
  auto& a = t.w.connect("A");
  auto& b = t.w.connect("B");
  t.w.router_down();
  t.most = 1;
  t.w.router_up();
  t.w.advance(limits::warm_up + 1s);
  CHECK(a.closed() != b.closed());
  CHECK((a.closed() ? a : b).closed_with(quota_exceeded));
  CHECK(closes(t.w, close_reason::registration_refused) == 1);
  const std::string id = a.closed() ? "A" : "B";
  CHECK(lines_of(t.w.lane(0).drops(1).newest) ==
        std::vector<std::string>{"connect registration_refused " + id + ">"});
  CHECK(t.w.lane(0).counters.takeovers.get() == 0);
}

TEST_CASE("registration: a 3.1.1 session that a smaller shard has no room for is closed without a word",
          "[lane]") {
  small_shard t{2};
  auto& a = t.w.connect("A", {.v = v311});
  auto& b = t.w.connect("B", {.v = v311});
  t.w.router_down();
  t.most = 1;
  t.w.router_up();
  t.w.advance(limits::warm_up + 1s);
  CHECK(a.closed() != b.closed());
  CHECK((a.nothing() && b.nothing()));
  CHECK(closes(t.w, close_reason::registration_refused) == 1);
}

TEST_CASE("registration: a shard that is busy with claims refuses a second one with 0x89; the first stays",
          "[lane]") {
  small_shard t{2, 0};
  auto& first = t.w.connect("A");
  const auto refused = t.connack_of("A", v5, 1);
  CHECK(refused.code == server_busy);
  CHECK(refused.text == "too many client ids are claimed twice at this moment");
  CHECK(t.connack_of("A", v311, 1).code == v311_server_unavailable);
  CHECK_FALSE(first.closed());
  CHECK(closes(t.w, close_reason::registration_busy, 1) == 2);
  CHECK(closes(t.w, close_reason::registration_refused, 1) == 0);
  CHECK(t.w.lane(1).counters.connects_refused.get() == 2);
  CHECK(lines_of(t.w.lane(1).drops(1).newest) == std::vector<std::string>{"connect registration_busy A>"});
  CHECK(lines_of(t.w.shard().drops(1).newest) == std::vector<std::string>{"connect registration_busy A>"});
  CHECK(t.w.shard().counters.claims_refused.get() == 2);
}
