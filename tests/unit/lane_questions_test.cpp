// What an operator may ask a lane: its drops and refusals, its sessions page by page, one client in full.
#include "tests/support/drop_lines.hpp"
#include "tests/support/lane_test.hpp"

#include <catch2/catch.hpp>
#include <set>

using namespace beeline;
using namespace beeline::test;

namespace {

// Newest first.
std::vector<std::string> told(lane_world& w, std::size_t edge = 0, std::string_view about = {}) {
  return lines_of(w.lane(edge).drops(100, about).newest);
}
using lines = std::vector<std::string>;

} // namespace

TEST_CASE("drops: a refusal is remembered where it was told, and who dropped it says why", "[lane]") {
  lane_world w;
  auto& c1 = w.connect("C1");
  c1.publish("@/C9", "x");
  c1.publish("@/C9", "x", 0);
  c1.publish("news", "x");
  c1.publish("news", "x", 0);
  CHECK(told(w) ==
        lines{"drop bad_topic C1>news qos0", "refusal bad_topic C1>news qos1", "refusal nobody C1>C9 qos1"});
  CHECK(lines_of(w.shard().drops(9).newest) == lines{"drop nobody C1>C9 qos0", "refusal nobody C1>C9 qos1"});
  CHECK(w.lane(0).drops(100).recorded == 3);
}

TEST_CASE("drops: a full queue is remembered at both ends, and the search finds the recipient", "[lane]") {
  lane_world w({.lane = [](edge::lane_config& c) { c.pending_max = 1; }});
  auto& c1 = w.connect("C1");
  w.connect("C2", {.edge = 1, .properties = receive_maximum(1)});
  for (int i = 0; i < 3; ++i) c1.publish("@/C2", "x");
  CHECK(told(w, 0, "C2") == lines{"refusal full C1>C2 qos1"});
  CHECK(told(w, 1, "C2") == lines{"drop recipient_full C1>C2 qos1"});
  CHECK(told(w, 1, "C1").size() == 1);
  CHECK(told(w, 1, "C3").empty());
}

TEST_CASE("drops: what waited for a client that went, and what expired while it waited", "[lane]") {
  lane_world w;
  auto& c1 = w.connect("C1");
  auto& c2 = w.connect("C2", {.edge = 1, .properties = receive_maximum(1)});
  c1.publish("@/C2", "a");
  c1.publish("@/C2", "b", 1, expiry(1));
  c1.publish("@/C2", "c");
  w.advance(2s);
  c2.puback(c2.next_publish().id);
  c1.publish("@/C2", "d");
  c2.hang_up();
  CHECK(told(w, 1) == lines{"drop recipient_gone C1>C2 qos1", "drop expired C1>C2 qos1"});
}

TEST_CASE("drops: QoS 0 without a link", "[lane]") {
  lane_world w;
  auto& c1 = w.connect("C1");
  w.router_down();
  c1.publish("@/C2", "x", 0);
  CHECK(told(w) == lines{"drop link_down C1>C2 qos0"});
}

TEST_CASE("drops: refused CONNECTs, by id and reason", "[lane]") {
  lane_world w;
  auto& bad = w.open();
  bad.connect({.client_id = "a/b"});
  CHECK(told(w) == lines{"connect client_identifier_not_valid a/b>"});
  w.router_down();
  auto& late = w.open();
  late.connect({.client_id = "C7"});
  w.advance(6s);
  CHECK(told(w).front() == "connect not_registered C7>");
}

TEST_CASE("drops: a flood is counted and only the newest are kept", "[lane]") {
  lane_world w;
  auto& c1 = w.connect("C1");
  for (int k = 0; k < 1'500; ++k) c1.publish("news", "x", 0);
  CHECK(w.lane(0).drops(5'000).newest.size() == limits::drops_kept);
  CHECK(w.lane(0).drops(5'000).recorded == 1'500);
}

TEST_CASE("sessions: page by page, none twice and none left out while others come and go", "[lane]") {
  lane_world w;
  std::set<std::string> wanted;
  std::vector<mqtt_client*> others;
  for (int k = 0; k < 30; ++k) {
    others.push_back(&w.connect("other-" + std::to_string(k)));
    w.connect("stays-" + std::to_string(k));
    wanted.insert("stays-" + std::to_string(k));
  }
  w.open(); // no CONNECT yet: no session
  std::multiset<std::string> seen;
  std::uint32_t at = 0;
  std::size_t pages = 0;
  while (at != none) {
    const auto page = w.lane(0).sessions(at, 7, w.now());
    CHECK(page.sessions.size() <= 7);
    for (const auto& s : page.sessions) seen.insert(s.id);
    at = page.next;
    REQUIRE(++pages < 30);
    if (pages % 2) others[pages]->hang_up();
    else w.connect("new-" + std::to_string(pages));
  }
  for (const std::string& id : wanted) CHECK(seen.count(id) == 1);
  for (const std::string& id : seen) CHECK(seen.count(id) == 1);
}

TEST_CASE("sessions: a full page that was the last says so", "[lane]") {
  lane_world w;
  w.connect("C1");
  auto& c2 = w.connect("C2");
  CHECK(w.lane(0).sessions(0, 2, w.now()).next == none);
  CHECK(w.lane(0).sessions(0, 1, w.now()).next == 1);
  c2.hang_up();
  CHECK(w.lane(0).sessions(0, 1, w.now()).next == none);
  CHECK(w.lane(0).sessions(99, 1, w.now()).sessions.empty());
}

TEST_CASE("sessions: a walk looks at a bounded number of places", "[lane]") {
  lane_world w;
  std::vector<mqtt_client*> all;
  for (std::size_t k = 0; k <= limits::clients_walk_max; ++k) all.push_back(&w.connect(numbered("C", k)));
  for (std::size_t k = 0; k < limits::clients_walk_max; ++k) all[k]->hang_up();
  const auto page = w.lane(0).sessions(0, 10, w.now());
  CHECK(page.sessions.empty());
  REQUIRE(page.next == limits::clients_walk_max);
  CHECK(w.lane(0).sessions(page.next, 10, w.now()).sessions.size() == 1);
}

TEST_CASE("explain: a client that is here, with its window and queue", "[lane]") {
  lane_world w;
  auto& c1 = w.connect("C1");
  w.connect("C2", {.edge = 1, .properties = receive_maximum(2)});
  for (int k = 0; k < 5; ++k) c1.publish("@/C2", "x");
  w.advance(1500ms);
  const auto x = w.lane(1).explain("C2", w.now());
  CHECK(x.here);
  CHECK(x.session.live);
  CHECK(x.session.v5);
  CHECK(x.registered);
  CHECK(x.session.in_flight == 2);
  CHECK(x.session.in_flight_max == 2);
  CHECK(x.session.pending_messages == 3);
  CHECK(x.session.pending_bytes > 3 * 64);
  CHECK(x.session.connected_for >= 1500ms);
  CHECK(x.link == link::link_state::up);
  CHECK(x.router.find(':') != std::string::npos);
  CHECK(w.lane(1).counters.pending_high_water.get() == 3);
}

TEST_CASE("explain: a client that is elsewhere, and one whose shard is away", "[lane]") {
  lane_world w;
  w.connect("C1");
  CHECK_FALSE(w.lane(1).explain("C1", w.now()).here);
  w.router_down();
  auto& late = w.open(v311, 1);
  late.connect({.version = v311, .client_id = "C3"});
  const auto x = w.lane(1).explain("C3", w.now());
  CHECK(x.here);
  CHECK_FALSE(x.session.live);
  CHECK_FALSE(x.session.v5);
  CHECK_FALSE(x.registered);
  CHECK(x.link != link::link_state::up);
}

TEST_CASE("drops: what was given up says so, and not that a recipient refused it", "[lane]") {
  lane_world w;
  auto& c1 = w.connect("C1");
  w.router_down();
  c1.publish("@/C2", "x");
  for (int k = 0; k < 62; ++k) w.advance(1s);
  CHECK(told(w) == lines{"refusal gave_up C1>C2 qos1"});
}

TEST_CASE("drops: what was given up with an earlier copy under way says so too, as its counter does",
          "[lane]") {
  lane_world w;
  auto& c1 = w.connect("C1");
  w.connect("C2");
  w.stall_link(0, true);
  c1.publish("@/C2", "x");
  w.advance(100ms);
  w.router_down();
  for (int k = 0; k < 62; ++k) w.advance(1s);
  CHECK(c1.next_puback().reason == 0x83); // unknown: the copy may have come
  CHECK(told(w) == lines{"refusal gave_up C1>C2 qos1"});
  const auto& drops = w.lane(0).endpoint().outgoing.counters.drops;
  CHECK(drops[static_cast<std::size_t>(drop_reason::gave_up)].get() == 1);
}
