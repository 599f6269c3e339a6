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

constexpr handle joe{3, 1};
// The slots of these are on these links, all others on link 0.
void moves(origin& o, std::initializer_list<std::pair<std::string_view, std::uint16_t>> to) {
  std::vector<std::uint16_t> link_of(slot_count, 0), links;
  for (const auto& [id, link] : to) link_of[slot_of(hash_of(id))] = link;
  link::router_map map;
  for (std::uint16_t slot = 0; slot < slot_count; ++slot) {
    if (slot == 0 || link_of[slot] != link_of[slot - 1])
      map.push_back({slot, slot, "r", 1}), links.push_back(link_of[slot]);
    map.back().last = slot;
  }
  link::slot_table slots;
  slots.build({{"r", &map, &links}});
  REQUIRE(slots.problem().empty());
  o.box.rehome(slots, o.now);
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

TEST_CASE(
    "outbox_limits: numbers that come free when a link comes up are handed out at once, on every link") {
  outbox::settings s;
  s.window_messages = 4;
  origin o(s, 3);
  o.down(2);
  o.submit(1);
  o.submit(2);
  o.hears(1, answer::busy);
  o.down(0);
  for (std::uint64_t t = 3; t <= 5; ++t) o.submit(t, "carol", eve, 0, 1);
  CHECK(o.sends(1) == lines{"3", "4<1"});
  o.hears(3, answer::accepted, no_member, 1);
  o.hears(4, answer::accepted, no_member, 1);
  CHECK(o.sends(1).empty()); // 1 and 2 pin the floor
  o.up(2);
  CHECK(o.outcomes() == lines{"3 accepted", "4 accepted", "1 refused"});
  CHECK(o.sends(1) == lines{"5"});
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
  for (int i = 0; i < 1000; ++i) o.submit(100, "busy");
  for (int i = 0; i < 3; ++i) o.submit(200, "calm", eve);
  o.submit(300, "busy"); // and more of the first flow does not pass the second
  std::string order;
  std::size_t bytes = 0, before = 0; // of the other flow until the calm one's turn
  for (std::uint32_t n = 1; !o.box.idle(); ++n) {
    REQUIRE(n < 2000);
    o.hears(n, answer::accepted);
    o.sends();
    for (heard_frame& f : o.copies) {
      bytes += f.bytes.size();
      if (as_text(f.message().payload()) == "200" && before == 0) before = bytes;
    }
    if (!o.copies.empty()) order += (order.empty() ? "" : " ") + o.tokens();
  }
  const std::size_t first = order.find("200");
  REQUIRE(first != std::string::npos);
  CHECK(before > limits::sender_turn_bytes - 100); // after one turn of the other
  CHECK(before < limits::sender_turn_bytes + 100);
  CHECK(order.find("200 200 200") == first); // its own turn is not cut short
  CHECK(order.ends_with(" 300"));            // last of its flow
}

TEST_CASE("outbox_limits: neither many destinations nor large messages get a sender more of a full link") {
  const bool large = GENERATE(false, true);
  outbox::settings s;
  s.link_window_bytes = large ? 50'000 : 300;
  origin o(s);
  for (std::uint64_t t = 0; t < 4; ++t) o.submit(t, "in" + std::to_string(t));
  if (large) o.padding = std::string(50'000, 'x');
  o.submit(5, "full");
  CHECK(o.sends().size() == 4);
  if (large) o.padding = std::string(20'000, 'x');
  for (std::uint64_t t = 0; t < 600; ++t) o.submit(1000 + t, "to" + std::to_string(t % 100));
  o.padding.clear();
  for (std::uint64_t t = 0; t < 300; ++t) o.submit(2000 + t, "carol", eve);
  std::size_t of_ann = 0, of_eve = 0, eves = 0; // bytes
  std::uint32_t n = 1;
  for (; eves < 300; ++n) {
    REQUIRE(n < 2000);
    o.hears(n, answer::accepted);
    o.sends();
    for (heard_frame& f : o.copies) {
      const bool is_eve = as_text(f.message().payload()).starts_with("2");
      eves += is_eve;
      if (!as_text(f.message().payload()).starts_with("5")) (is_eve ? of_eve : of_ann) += f.bytes.size();
    }
    const std::size_t most_apart = 2 * limits::sender_turn_bytes + (large ? 20'100 : 100);
    CHECK(of_ann <= of_eve + most_apart);
    CHECK(of_eve <= of_ann + most_apart);
  }
  for (; !o.box.idle(); ++n) {
    REQUIRE(n < 2000);
    o.hears(n, answer::accepted);
    o.sends();
  }
}

TEST_CASE("outbox_limits: what waits and moves to another link waits there, what has a number goes first") {
  outbox::settings s;
  s.link_window_bytes = 300;
  origin o(s, 2);
  for (std::uint64_t t = 1; t <= 3; ++t) o.submit(t, "in", joe); // a flow of joe's
  for (std::uint64_t t = 10; t < 15; ++t) o.submit(t, "bob");
  for (std::uint64_t t = 20; t < 25; ++t) o.submit(t, "carol", eve);
  CHECK(o.sends().size() == 4);      // 1 2 3 10
  moves(o, {{"bob", 1}, {"in", 1}}); // ann's first is in flight, and all of joe's
  CHECK(o.sends(0).size() == 4);
  CHECK(o.tokens() == "20 21 22 23");
  CHECK(o.sends(1) == lines{"1 again", "2<1 again", "3<1 again", "4 again"});
  CHECK(o.tokens() == "1 2 3 10");
  std::vector<heard_frame> in_flight = o.copies;
  moves(o, {{"bob", 1}, {"in", 1}, {"carol", 1}}); // and carol's: nobody is left on link 0
  CHECK(o.sends(0).empty());
  std::string order;
  while (!in_flight.empty()) {
    for (heard_frame& f : std::exchange(in_flight, {}))
      o.hears(static_cast<std::uint32_t>(f.message().number()), answer::accepted, no_member, 1);
    CHECK(o.sends(0).empty());
    o.sends(1);
    in_flight = o.copies;
    if (!o.copies.empty()) order += " " + o.tokens();
  }
  CHECK(order == " 11 12 13 14 20 21 22 23 24");
  CHECK(o.box.idle());
}

TEST_CASE(
    "outbox_limits: a sender that goes while it waits leaves its turn, and no trace for who comes after it") {
  outbox::settings s;
  s.link_window_bytes = 300;
  origin o(s);
  for (std::uint64_t t = 1; t <= 8; ++t) o.submit(t); // ann's: 1 to 4 go, the others wait
  for (std::uint64_t t = 20; t < 23; ++t) o.submit(t, "carol", eve);
  CHECK(o.sends().size() == 4);
  o.box.sender_gone(ann, o.now);
  const handle next{ann.index, ann.generation + 1u};
  for (std::uint64_t t = 30; t < 33; ++t) o.submit(t, "bob", next);
  CHECK(o.sends().empty());
  std::string order;
  for (std::uint32_t n = 1; !o.box.idle(); ++n) {
    REQUIRE(n < 100);
    o.hears(n, answer::accepted);
    o.sends();
    if (!o.copies.empty()) order += " " + o.tokens();
  }
  CHECK(order == " 20 21 22 30 31 32");
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

TEST_CASE("outbox_limits: a large message in front of others that would fit leaves: they go at once") {
  const std::string how = GENERATE("its sender leaves", "it expires");
  CAPTURE(how);
  outbox::settings s;
  s.link_window_bytes = 300;
  origin o(s);
  for (std::uint64_t t = 1; t <= 3; ++t) o.submit(t, "in" + std::to_string(t), joe);
  o.padding = std::string(100, 'x');
  o.submit(4, "big", ann, how == "it expires" ? 500 : 0);
  o.padding.clear();
  o.submit(5, "small", eve);
  CHECK(o.sends().size() == 3);
  if (how == "it expires") o.wait(500ms);
  else o.box.sender_gone(ann, o.now);
  CHECK(o.sends().size() == 1);
  CHECK(o.tokens() == "5");
}

TEST_CASE("outbox_limits: numbers that come free go to the link whose answer freed them") {
  outbox::settings s;
  s.window_messages = 4;
  origin o(s, 2);
  for (std::uint64_t t = 0; t < 2; ++t) o.submit(t, "bob" + std::to_string(t)), o.submit(t, "eve", eve, 0, 1);
  for (std::uint64_t t = 10; t < 20; ++t) o.submit(t, "many"), o.submit(t, "others", eve, 0, 1);
  std::vector<std::uint32_t> in_flight[2];
  const auto read = [&] {
    for (unsigned k = 0; k < 2; ++k) {
      o.sends(k);
      for (heard_frame& f : o.copies)
        in_flight[k].push_back(static_cast<std::uint32_t>(f.message().number()));
    }
  };
  read();
  for (std::uint32_t n = 1; n <= 12; ++n) { // in order, so that each frees one
    const unsigned k = in_flight[1].front() == n;
    REQUIRE(in_flight[k].front() == n);
    in_flight[k].erase(in_flight[k].begin());
    o.hears(n, answer::accepted, no_member, k);
    read();
    CHECK(in_flight[0].size() == 2);
    CHECK(in_flight[1].size() == 2);
  }
}

TEST_CASE("outbox_limits: with all numbers in use the oldest goes first, though others wait before it") {
  outbox::settings s;
  s.window_messages = 4;
  s.link_window_bytes = 240;
  origin o(s, 2);
  o.submit(1, "bob");                                                    // number 1, on link 0
  for (std::uint64_t t = 2; t <= 4; ++t) o.submit(t, "in", joe, 0, 1);   // 2 to 4 fill link 1
  for (std::uint64_t t = 5; t <= 8; ++t) o.submit(t, "more", eve, 0, 1); // wait for it
  CHECK(o.sends(1).size() == 3);
  moves(o, {{"bob", 1}, {"in", 1}, {"more", 1}});
  CHECK(o.sends(1).empty()); // no room for 1 there
  o.hears(2, answer::accepted, no_member, 1);
  CHECK(o.sends(1) == lines{"1 again"}); // no second later, and not behind eve's
  o.hears(1, answer::accepted, no_member, 1);
  CHECK(o.sends(1).size() == 1);
  CHECK(o.tokens() == "5");
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
