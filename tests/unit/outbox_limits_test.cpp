// The origin's window at its bounds: links that stay down, numbers used up, full windows, far predecessors.
#include "tests/support/outbox_origin.hpp"

#include <catch2/catch.hpp>

using namespace beeline;
using namespace beeline::test;
using namespace std::chrono_literals;
using link::outbox;

namespace {

std::uint64_t gave_up(const origin& o) {
  return o.box.counters.drops[static_cast<std::size_t>(drop_reason::gave_up)].get();
}
// Other flows use up so many numbers, up to `last`; each message is answered at once.
void uses_numbers(origin& o, std::uint32_t count, std::uint32_t& last) {
  for (std::uint32_t i = 0; i < count; ++i) {
    o.submit(1'000'000, "carol", eve);
    o.hears(++last, answer::accepted);
    o.conns[0]->link->clear();
  }
  o.box.outcomes.clear();
}

} // namespace

TEST_CASE("outbox_limits: numbers held behind a link that is down are given up when the others need them") {
  outbox::settings s;
  s.window_messages = 4;
  origin o(s, 2);
  o.submit(1);
  o.submit(2);
  o.hears(1, answer::busy);
  o.down(0); // no copy of 1 is left, one of 2 may be: the flow keeps its numbers
  for (std::uint64_t t = 3; t <= 5; ++t) o.submit(t, "carol", eve, 0, 1);
  CHECK(o.sends(1) == lines{"3", "4<1"});
  o.hears(3, answer::accepted, no_member, 1);
  o.hears(4, answer::accepted, no_member, 1);
  CHECK(o.outcomes() == lines{"3 accepted", "4 accepted"});
  CHECK(o.sends(1).empty()); // 1 and 2 pin the floor
  o.wait(1s);
  CHECK(o.outcomes() == lines{"1 refused"});
  CHECK(o.sends(1) == lines{"5"});
  o.hears(5, answer::accepted, no_member, 1);
  o.submit(6, "carol", eve, 0, 1);
  CHECK(o.sends(1).empty());
  o.outcomes();
  o.wait(1s);
  CHECK(o.outcomes() == lines{"2 unknown"});
  CHECK(o.sends(1) == lines{"6"});
  CHECK(gave_up(o) == 2);
  o.hears(6, answer::accepted, no_member, 1);
  CHECK(o.box.idle());
}

TEST_CASE("outbox_limits: numbers that wait for an answer of a live link are not given up") {
  outbox::settings s;
  s.window_messages = 4;
  origin o(s, 2);
  for (std::uint64_t t = 1; t <= 4; ++t) o.submit(t);
  o.submit(5, "carol", eve, 0, 1);
  for (int i = 0; i < 5; ++i) o.wait(1s);
  CHECK(o.outcomes().empty());
  CHECK(o.sends(1).empty());
}

TEST_CASE("outbox_limits: a predecessor farther back than 16 bits does not stop a flow for ever") {
  origin o;
  std::uint32_t last = 1;
  o.submit(1);
  uses_numbers(o, 50'000, last);
  o.submit(2);
  const std::uint32_t second = ++last;
  uses_numbers(o, 50'000, last);
  o.submit(3);
  const std::uint32_t third = ++last;
  o.hears(1, answer::busy);
  o.hears(second, answer::nobody); // what is before the third now lies 100,002 numbers back
  CHECK(o.outcomes() == lines{"2 nobody"});
  o.sends();
  o.box.on_path_lost(0, o.now);
  CHECK(o.sends().empty());
  o.wait(1s);
  CHECK(o.sends() == lines{"1"});
  CHECK(o.tokens() == "1");
  o.hears(1, answer::accepted);
  CHECK(o.sends() == lines{std::to_string(third) + " again"});
  o.hears(third, answer::accepted);
  CHECK(o.outcomes() == lines{"1 accepted", "3 accepted"});
  CHECK(o.box.idle());
}

TEST_CASE("outbox_limits: what waits for a link that is down expires in its own time") {
  origin o;
  o.down();
  o.submit(1, "bob", ann, 3000);
  o.submit(2);
  o.submit(3, "carol", ann, 3000, link::slot_table::no_link); // and so does what nobody serves
  for (int i = 0; i < 2; ++i) o.wait(1s);
  CHECK(o.outcomes().empty());
  for (int i = 0; i < 2; ++i) o.wait(1s);
  CHECK(o.outcomes() == lines{"1 expired", "3 expired"});
  o.up();
  CHECK(o.sends() == lines{"1"});
  CHECK(o.tokens() == "2");
}

TEST_CASE("outbox_limits: what is held on a live link expires in its own time, too") {
  origin o;
  o.submit(1, "bob", ann, 3000);
  o.hears(1, answer::later_lane, 7);
  for (int i = 0; i < 4; ++i) o.wait(1s);
  CHECK(o.outcomes() == lines{"1 expired"});
  CHECK(o.box.idle());
}

TEST_CASE("outbox_limits: a message that may have been taken and expires behind a lost link is unknown") {
  origin o;
  o.submit(1, "bob", ann, 3000);
  o.down();
  for (int i = 0; i < 4; ++i) o.wait(1s);
  CHECK(o.outcomes() == lines{"1 unknown"});
  CHECK(o.box.floor() == 2);
}

TEST_CASE("outbox_limits: a message waits for a link that is down for link_down_max, then it is refused") {
  origin o;
  o.submit(1);
  o.down();
  o.submit(2);
  o.submit(3, "carol", ann, 0, link::slot_table::no_link);
  while (o.now < t0 + limits::link_down_max - 1s) o.wait(1s);
  CHECK(o.outcomes().empty());
  for (int i = 0; i < 2; ++i) o.wait(1s);
  REQUIRE(o.box.outcomes.size() == 3);
  CHECK(o.box.outcomes[1].cause == answer::later_lane); // the client is told that it was the link
  CHECK(o.outcomes() == lines{"1 unknown", "2 refused", "3 refused"});
  CHECK(gave_up(o) == 3);
  CHECK(o.box.idle());
  o.up();
  CHECK(o.sends().empty());
}

TEST_CASE("outbox_limits: with a full window the flows that wait go in their order, whatever their sizes") {
  outbox::settings s;
  s.link_window_bytes = 300;
  origin o(s);
  for (std::uint64_t t = 1; t <= 4; ++t) o.submit(t, "in" + std::to_string(t)); // 4 of about 75 bytes
  CHECK(o.sends().size() == 4);
  o.padding = std::string(100, 'x');
  o.submit(5, "big");
  o.padding.clear();
  for (std::uint64_t t = 6; t <= 8; ++t) o.submit(t, "small" + std::to_string(t));
  CHECK(o.sends().empty());
  o.hears(1, answer::accepted);
  CHECK(o.sends().empty()); // room for a small one, but the big one is first
  o.hears(2, answer::accepted);
  o.hears(3, answer::accepted);
  CHECK(o.sends().size() == 1);
  CHECK(o.tokens() == "5" + std::string(100, 'x'));
  o.hears(4, answer::accepted);
  CHECK(o.sends().size() == 1);
  CHECK(o.tokens() == "6");
  o.hears(5, answer::accepted);
  CHECK(o.sends().size() == 2);
  CHECK(o.tokens() == "7 8");
}

TEST_CASE("outbox_limits: flows that wait for room take turns, so that none waits for all of another") {
  outbox::settings s;
  s.link_window_bytes = 300;
  origin o(s);
  std::uint32_t token = 0;
  for (; token < 4; ++token) o.submit(token, "in" + std::to_string(token));
  CHECK(o.sends().size() == 4);
  for (int i = 0; i < 100; ++i) o.submit(100, "busy");
  for (int i = 0; i < 3; ++i) o.submit(200, "calm", eve);
  o.submit(300, "busy"); // and more of the first flow does not pass the second
  std::string order;
  for (std::uint32_t n = 1; !o.box.idle(); ++n) {
    REQUIRE(n < 1000);
    o.hears(n, answer::accepted);
    o.sends();
    if (!o.copies.empty()) order += (order.empty() ? "" : " ") + o.tokens();
  }
  const std::size_t first = order.find("200");
  REQUIRE(first != std::string::npos);
  CHECK(first == 16 * 4);                    // after one turn of the other flow
  CHECK(order.find("200 200 200") == first); // its own turn is not cut short
  CHECK(order.ends_with(" 300"));            // last of its flow
}

TEST_CASE(
    "outbox_limits: a sender with a hundred destinations gets no more of a full link than one with one") {
  outbox::settings s;
  s.link_window_bytes = 300;
  origin o(s);
  for (std::uint64_t t = 0; t < 4; ++t) o.submit(t, "in" + std::to_string(t)); // the window is full
  CHECK(o.sends().size() == 4);
  for (std::uint64_t t = 0; t < 800; ++t) o.submit(1000 + t, "to" + std::to_string(t % 100));
  for (std::uint64_t t = 0; t < 160; ++t) o.submit(2000 + t, "carol", eve);
  std::size_t of_ann = 0, of_eve = 0;
  for (std::uint32_t n = 1; of_eve < 160; ++n) {
    REQUIRE(n < 1000);
    o.hears(n, answer::accepted);
    o.sends();
    for (heard_frame& f : o.copies) ++(as_text(f.message().payload()).starts_with("1") ? of_ann : of_eve);
    CHECK(of_ann <= of_eve + limits::sender_turn_messages + 4);
    CHECK(of_eve <= of_ann + limits::sender_turn_messages);
  }
  for (std::uint32_t n = 1; !o.box.idle(); ++n) {
    REQUIRE(n < 2000);
    o.hears(n, answer::accepted);
    o.sends();
  }
}

TEST_CASE("outbox_limits: a turn ends by its bytes, too") {
  outbox::settings s;
  s.link_window_bytes = 6000;
  origin o(s);
  o.padding = std::string(5000, 'x');
  o.submit(1, "in");
  CHECK(o.sends().size() == 1);
  for (int i = 0; i < 12; ++i) o.submit(7, "busy");
  o.padding.clear();
  for (int i = 0; i < 3; ++i) o.submit(8, "calm", eve);
  std::string order;
  for (std::uint32_t n = 1; !o.box.idle(); ++n) {
    REQUIRE(n < 100);
    o.hears(n, answer::accepted);
    o.sends();
    for (heard_frame& f : o.copies) order += as_text(f.message().payload()).substr(0, 1);
  }
  CHECK(order == "777788877777777"); // the fourth of 5 KB passes 16 KiB
}

TEST_CASE("outbox_limits: small messages of new flows do not pass a big one that waits for room") {
  outbox::settings s;
  s.link_window_bytes = 300;
  origin o(s);
  for (std::uint64_t t = 1; t <= 3; ++t) o.submit(t, "in" + std::to_string(t));
  o.padding = std::string(100, 'x');
  o.submit(4, "big");
  o.padding.clear();
  CHECK(o.sends().size() == 3);
  o.submit(5, "new");
  CHECK(o.sends().empty()); // there is room for it
  for (std::uint32_t n = 1; n <= 3; ++n) o.hears(n, answer::accepted);
  CHECK(o.sends().size() == 2);
  CHECK(o.tokens() == "4" + std::string(100, 'x') + " 5");
}

TEST_CASE("outbox_limits: on a new link what was in flight goes before what waited for its turn") {
  outbox::settings s;
  s.link_window_bytes = 300;
  origin o(s);
  for (std::uint64_t t = 1; t <= 4; ++t) o.submit(t, "in" + std::to_string(t));
  for (std::uint64_t t = 5; t <= 6; ++t) o.submit(t, "new" + std::to_string(t), eve); // wait
  o.sends();
  o.down();
  o.up();
  CHECK(o.sends().size() == 4);
  CHECK(o.tokens() == "1 2 3 4");
  for (std::uint32_t n = 1; n <= 4; ++n) o.hears(n, answer::accepted);
  o.sends();
  CHECK(o.tokens() == "5 6");
}

TEST_CASE("outbox_limits: what waits for room on a live link expires in its own time") {
  outbox::settings s;
  s.link_window_bytes = 100;
  origin o(s);
  o.submit(1, "in");
  o.submit(2, "waits", eve, 3000);
  for (int i = 0; i < 4; ++i) o.wait(1s);
  CHECK(o.outcomes() == lines{"2 expired"});
}
