// The origin's window: order, predecessors, stops and restarts, lost paths (rules 1 to 5).
#include "tests/support/outbox_origin.hpp"

#include <catch2/catch.hpp>

using namespace beeline;
using namespace beeline::test;
using namespace std::chrono_literals;
using link::outbox;

TEST_CASE(
    "outbox: messages are numbered by the lane, and name what is unanswered before them in their flow") {
  origin o;
  o.submit(1);
  o.submit(2, "bob", eve);
  o.submit(3);
  o.submit(4, "carol");
  o.submit(5);
  CHECK(o.sends() == lines{"1", "2", "3<2", "4", "5<2"});
  o.hears(5, answer::accepted);
  o.hears(1, answer::accepted);
  CHECK(o.outcomes() == lines{"5 accepted", "1 accepted"});
  CHECK(o.box.floor() == 2);
  o.submit(6);
  CHECK(o.sends() == lines{"6<3"}); // 3 is the newest that is unanswered
  CHECK(o.copies[0].message().floor_back() == 4);
  for (std::uint32_t n : {2, 3, 4, 6}) o.hears(n, answer::accepted);
  CHECK(o.box.idle());
  CHECK(o.box.floor() == 7);
  o.submit(7);
  CHECK(o.sends() == lines{"7"}); // all answered: no predecessor
  CHECK(o.blocks.bytes_in_use() > 0);
  o.hears(7, answer::full);
  CHECK(o.outcomes().back() == "7 full");
  CHECK(o.blocks.bytes_in_use() == 0);
}

TEST_CASE("outbox: the answers that are final are outcomes as they are") {
  origin o;
  const answer all[] = {answer::accepted, answer::nobody,  answer::full,
                        answer::refused,  answer::expired, answer::unknown};
  std::uint32_t n = 0;
  for (answer a : all) {
    o.submit(n);
    o.hears(++n, a);
    CHECK(o.outcomes() == lines{std::to_string(n - 1) + " " + std::string(name_of(a))});
  }
  o.hears(3, answer::accepted);
  CHECK(o.outcomes().empty());
  CHECK(o.box.counters.late_answers.get() == 1);
}

TEST_CASE("outbox: a retry stops the flow until all is answered, then it sends again in order, prev anew") {
  origin o;
  for (std::uint64_t t = 1; t <= 3; ++t) o.submit(t);
  CHECK(o.sends() == lines{"1", "2<1", "3<1"});
  o.hears(2, answer::retry);
  o.submit(4);
  CHECK(o.sends().empty());
  o.hears(1, answer::accepted);
  CHECK(o.sends().empty());
  o.hears(3, answer::retry);
  CHECK(o.sends() == lines{"4 resent", "5<1 resent", "6<1"}); // no copy existed: new numbers
  CHECK(o.tokens() == "2 3 4");
  CHECK(o.box.floor() == 4);
}

TEST_CASE("outbox: other flows go on while one is stopped") {
  origin o;
  o.submit(1);
  o.submit(2);
  o.submit(3, "carol");
  o.sends();
  o.hears(1, answer::busy);
  o.submit(4, "carol");
  CHECK(o.sends() == lines{"4<1"});
}

TEST_CASE("outbox: a flow is held while its shard warms up, and goes on in service") {
  origin o;
  o.submit(1);
  o.submit(2);
  o.sends();
  o.hears(1, answer::later_warm_up);
  o.hears(2, answer::later_warm_up);
  CHECK(o.sends().empty());
  CHECK(o.box.floor() == 3); // numbers were given up: a held flow does not hold the lane
  o.settled({5});
  CHECK(o.sends().empty());
  o.box.on_in_service(0, o.now);
  CHECK(o.sends() == lines{"3", "4<1"});
  CHECK(o.tokens() == "1 2");
}

TEST_CASE("outbox: a flow is held for a lost lane until that very lane is back or gone") {
  origin o;
  o.submit(1);
  o.sends();
  o.hears(1, answer::later_lane, 7);
  o.settled({8});
  o.box.on_in_service(0, o.now);
  CHECK(o.sends().empty());
  o.settled({7});
  CHECK(o.sends() == lines{"2"});
}

TEST_CASE("outbox: of many lanes that are settled at once each ends its holds, no other does") {
  origin o;
  const std::string to[] = {"bob", "cid", "dan", "eli"};
  for (std::uint32_t k = 0; k < 4; ++k) o.submit(k + 1, to[k]);
  o.sends();
  for (std::uint32_t k = 0; k < 4; ++k) o.hears(k + 1, answer::later_lane, static_cast<member_index>(7 + k));
  o.settled({3, 7, 9, 10, 11});
  CHECK(o.sends().size() == 3);
  CHECK(o.tokens() == "1 3 4");
  o.settled({8});
  CHECK(o.sends().size() == 1);
  CHECK(o.tokens() == "2");
}

TEST_CASE("outbox: when the link ends holds are cleared, and all is sent again in order on the next") {
  origin o;
  o.box.set_shard_time(0, 500);
  for (std::uint64_t t = 1; t <= 3; ++t) o.submit(t);
  o.sends();
  o.hears(1, answer::accepted);
  o.hears(2, answer::later_lane, 7);
  o.down();
  o.submit(4);
  CHECK(o.sends().empty());
  o.box.set_shard_time(0, 900);
  o.up();
  // 2 had an answer, so no copy of it is left; but 3 may be taken, and so the flow keeps its numbers.
  CHECK(o.sends() == lines{"2", "3<1 again", "4<1"});
  CHECK(o.copies[1].message().first_sent() == 500);
  CHECK(o.copies[2].message().first_sent() == 900);
  CHECK(o.box.floor() == 2);
}

TEST_CASE("outbox: when a path is lost everything in flight there is sent again, in order, until answered") {
  origin o({}, 2);
  o.submit(1);
  o.submit(2, "carol", ann, 0, 1);
  o.submit(3);
  o.sends(0), o.sends(1);
  o.box.on_path_lost(0, o.now);
  CHECK(o.sends(0) == lines{"1 again", "3<2 again"});
  CHECK(o.sends(1).empty());
  o.hears(1, answer::accepted); // of the first copy
  o.hears(1, answer::accepted); // of the second
  CHECK(o.outcomes() == lines{"1 accepted"});
  o.submit(4);
  CHECK(o.sends(0) == lines{"4<1"});
  CHECK(o.box.counters.resent.get() == 2);
  CHECK(o.box.counters.safety_resends.get() == 0);
}

TEST_CASE("outbox: nobody for a message that was sent again means unknown: it may have been taken") {
  for (answer a : {answer::nobody, answer::refused, answer::expired}) {
    origin o;
    o.submit(1);
    o.box.on_path_lost(0, o.now);
    o.hears(1, a);
    CHECK(o.outcomes() == lines{"1 unknown"});
  }
  origin o;
  o.submit(1);
  o.box.on_path_lost(0, o.now);
  o.hears(1, answer::full);
  CHECK(o.outcomes() == lines{"1 full"});
}

TEST_CASE(
    "outbox: a message marked again keeps its number and its mark through every answer but a final one") {
  origin o;
  o.submit(1);
  o.box.on_path_lost(0, o.now);
  CHECK(o.sends() == lines{"1", "1 again"});
  o.hears(1, answer::later_lane, 3);
  CHECK(o.box.floor() == 1);
  o.settled({3});
  CHECK(o.sends() == lines{"1 again"});
  o.hears(1, answer::retry);
  CHECK(o.sends() == lines{"1 again"});
  o.hears(1, answer::accepted);
  CHECK(o.outcomes() == lines{"1 accepted"});
  CHECK(o.box.floor() == 2);
}

TEST_CASE("outbox: a busy flow pauses, longer each time, and gives up after a limit") {
  origin o;
  o.submit(1);
  std::uint32_t n = 1;
  duration longest{};
  unsigned resends = 0;
  o.sends();
  for (o.hears(n, answer::busy); o.box.outcomes.empty(); o.hears(n, answer::busy)) {
    CHECK(o.sends().empty());
    duration pause{};
    for (lines sent; sent.empty() && pause < 1s; sent = o.sends()) o.wait(1ms), pause += 1ms;
    REQUIRE(o.copies.size() == 1);
    longest = std::max(longest, pause);
    n = static_cast<std::uint32_t>(o.copies[0].message().number());
    ++resends;
  }
  CHECK(resends == limits::resends_max);
  CHECK(longest == limits::resend_pause_max);
  CHECK(o.outcomes() == lines{"1 refused"});
  CHECK(o.box.counters.drops[static_cast<std::size_t>(drop_reason::gave_up)].get() == 1);
  CHECK(o.box.idle());
}

TEST_CASE("outbox: the window of a link bounds its bytes in flight, flows take turns") {
  outbox::settings s;
  s.link_window_bytes = 3 * 74; // three messages
  origin o(s);
  for (std::uint64_t t = 1; t <= 4; ++t) o.submit(t);
  for (std::uint64_t t = 5; t <= 6; ++t) o.submit(t, "carol");
  const lines first = o.sends();
  CHECK(first.size() == 3);
  std::size_t sent = 3;
  for (std::uint32_t n = 1; sent < 6; ++n) {
    o.hears(n, answer::accepted);
    const lines more = o.sends();
    CHECK(more.size() == 1);
    sent += more.size();
    REQUIRE(n < 6);
  }
  for (std::uint32_t n = 4; n <= 6; ++n) o.hears(n, answer::accepted);
  CHECK(o.box.idle());
}

TEST_CASE("outbox: one message above the window still goes, alone") {
  outbox::settings s;
  s.link_window_bytes = 100;
  origin o(s);
  o.padding = std::string(1000, 'x');
  o.submit(1);
  o.submit(2);
  CHECK(o.sends() == lines{"1"});
  o.hears(1, answer::accepted);
  CHECK(o.sends() == lines{"2"});
}

TEST_CASE("outbox: when all numbers are in use new messages wait, on every link, and go on by themselves") {
  outbox::settings s;
  s.window_messages = 4;
  origin o(s, 2);
  for (std::uint64_t t = 1; t <= 4; ++t) o.submit(t);
  o.submit(5, "carol", eve, 0, 1);
  CHECK(o.sends(0).size() == 4);
  CHECK(o.sends(1).empty());
  o.hears(2, answer::accepted);
  CHECK(o.sends(1).empty()); // the floor has not moved
  o.hears(1, answer::accepted);
  CHECK(o.sends(1) == lines{"5"});
}

TEST_CASE("outbox: a link that ends with all numbers in use is served again by the next") {
  outbox::settings s;
  s.window_messages = 4;
  origin o(s, 2);
  for (std::uint64_t t = 1; t <= 4; ++t) o.submit(t, "to" + std::to_string(t));
  o.submit(5, "late");
  o.sends();
  o.down();
  o.up();
  CHECK(o.sends() == lines{"1 again", "2 again", "3 again", "4 again"});
  for (std::uint32_t n = 1; n <= 4; ++n) o.hears(n, answer::accepted);
  CHECK(o.sends() == lines{"5"});
  o.hears(5, answer::accepted);
  CHECK(o.box.idle());
}

TEST_CASE("outbox: a message that expires while it waits goes nowhere, one in time says what is left") {
  origin o;
  o.down();
  o.submit(1, "bob", ann, 100);
  o.submit(2, "bob", ann, 1000);
  o.now += 300ms;
  o.terms.clock.sample(to_us(o.now + 5s), 0, o.now); // the shard's clock is 5 s ahead
  o.up();
  CHECK(o.outcomes() == lines{"1 expired"});
  CHECK(o.sends() == lines{"1"});
  CHECK(o.tokens() == "2");
  CHECK(wire::ttl_of(o.copies[0].message().deadline(), to_us(o.now + 5s)) == 700);
}

TEST_CASE("outbox: a link before version 3 is told a time to live") {
  origin o;
  o.terms.version = 2;
  o.submit(1, "bob", ann, 700);
  CHECK(o.sends() == lines{"1"});
  CHECK(o.copies[0].message().ttl_ms() == 700);
}

TEST_CASE("outbox: what is held expires on time, not when something else happens") {
  origin o;
  o.submit(1, "bob", ann, 250);
  o.submit(2, "bob", ann, 40'000);
  o.submit(3);
  o.sends();
  o.hears(1, answer::later_warm_up), o.hears(2, answer::later_warm_up), o.hears(3, answer::later_warm_up);
  o.wait(1ms);
  CHECK(o.box.next_deadline() == o.now + 249ms);
  o.wait(248ms);
  CHECK(o.outcomes().empty());
  o.wait(1ms);
  CHECK(o.outcomes() == lines{"1 expired"});
  o.box.on_in_service(0, o.now);
  CHECK(o.sends().size() == 2);
  CHECK(o.tokens() == "2 3");
}

TEST_CASE("outbox: the safety timer sends only a flow's oldest again, rarely, and counts") {
  origin o;
  for (std::uint64_t t = 1; t <= 3; ++t) o.submit(t);
  o.sends();
  for (int i = 0; i < 9; ++i) o.wait(1s);
  CHECK(o.sends().empty());
  CHECK(o.box.counters.safety_resends.get() == 0);
  for (int i = 0; i < 2; ++i) o.wait(1s);
  CHECK(o.sends() == lines{"1 again"});
  CHECK(o.box.counters.safety_resends.get() == 1);
  for (int i = 0; i < 15; ++i) o.wait(1s);
  CHECK(o.sends().empty()); // backoff
  for (int i = 0; i < 8; ++i) o.wait(1s);
  CHECK(o.sends() == lines{"1 again"});
}

TEST_CASE("outbox: the safety timer begins when the message has left the link's own output") {
  origin o;
  o.submit(1);
  for (int i = 0; i < 60; ++i) o.wait(1s);
  CHECK(o.box.counters.safety_resends.get() == 0);
  CHECK(o.sends() == lines{"1"});
  for (int i = 0; i < 9; ++i) o.wait(1s);
  CHECK(o.sends().empty());
  for (int i = 0; i < 2; ++i) o.wait(1s);
  CHECK(o.sends() == lines{"1 again"});
}

TEST_CASE("outbox: a moved slot takes its flows to the new link, marked again, in order") {
  origin o({}, 2);
  o.submit(1);
  o.submit(2);
  o.sends(0);
  link::slot_table slots;
  const link::router_map map{{0, 4095, "two", 1}};
  const std::vector<std::uint16_t> links{1};
  slots.build({{"two", &map, &links}});
  o.box.rehome(slots, o.now);
  CHECK(o.sends(0).empty());
  CHECK(o.sends(1) == lines{"1 again", "2<1 again"});
}

TEST_CASE("outbox: a message that nobody can serve yet waits for a map") {
  origin o;
  o.submit(1, "bob", ann, 0, link::slot_table::no_link);
  CHECK(o.sends().empty());
  link::slot_table slots;
  const link::router_map map{{0, 4095, "one", 1}};
  const std::vector<std::uint16_t> links{0};
  slots.build({{"one", &map, &links}});
  o.box.rehome(slots, o.now);
  CHECK(o.sends() == lines{"1"});
}

TEST_CASE("outbox: a resend waits while the link's queue is long") {
  outbox::settings s;
  s.link_window_bytes = 200;
  origin o(s);
  o.padding = std::string(300, 'x');
  o.submit(1);
  o.box.on_path_lost(0, o.now); // the first copy is still queued
  CHECK(o.sends() == lines{"1"});
  o.box.on_drained(0, o.now);
  CHECK(o.sends() == lines{"1 again"});
}

TEST_CASE("outbox: what held a flow at a shard that lost its slot does not hold it when the slot is back") {
  for (answer a : {answer::busy, answer::later_lane, answer::later_warm_up, answer::retry}) {
    origin o({}, 2);
    o.submit(1);
    o.sends(0);
    link::slot_table nobody, one;
    const link::router_map map{{0, 4095, "two", 1}};
    const std::vector<std::uint16_t> links{0};
    nobody.build({});
    one.build({{"one", &map, &links}});
    o.box.rehome(nobody, o.now);
    o.hears(1, a, 7); // of the copy that went there
    CHECK(o.box.counters.late_answers.get() == 1);
    o.box.rehome(one, o.now);
    CHECK(o.sends(0) == lines{"1 again"});
    o.hears(1, answer::accepted);
    o.submit(2);
    CHECK(o.sends(0) == lines{"2"});
  }
}

TEST_CASE("outbox: a path lost while the link is down is said again by the new link, once") {
  origin o;
  o.submit(1);
  o.sends();
  o.down();
  o.box.on_path_lost(0, o.now); // the new link is not in sync yet
  o.up();
  CHECK(o.sends() == lines{"1 again"});
  o.box.on_drained(0, o.now);
  CHECK(o.sends().empty());
  CHECK(o.box.counters.resent.get() == 1);
}
