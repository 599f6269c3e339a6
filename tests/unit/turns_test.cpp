// Deficit round robin: senders that wait for a link, and the flows of each.
#include "common/base/limits.hpp"
#include "common/link/turns.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <string>

using namespace beeline;
using link::turns;

namespace {

constexpr std::uint32_t ann = 0, eve = 1, joe = 2;
constexpr std::size_t whole = limits::sender_turn_bytes;

turns some(unsigned links = 1) {
  turns t;
  for (unsigned k = 0; k < links; ++k) t.add_link();
  t.reserve(100, 10);
  return t;
}
// Who has the next turns when each flow has messages of `size` without end, and how many it sends in each.
std::string next_turns(turns& t, int count, std::size_t size = whole) {
  std::string order;
  for (int i = 0; i < count; ++i) {
    order += (order.empty() ? "" : " ") + std::to_string(t.first(0));
    for (; t.may_send(0, size); order += "x") t.sent(0, size);
    t.over(0);
  }
  return order;
}

} // namespace

TEST_CASE("turns: senders take turns, and so do the flows of each") {
  turns t = some();
  CHECK(t.empty(0));
  t.add(0, ann, 1);
  CHECK(t.alone(0));
  t.add(0, ann, 2);
  CHECK(!t.alone(0));
  t.add(0, ann, 3);
  t.add(0, eve, 4);
  t.add(0, joe, 5);
  t.add(0, joe, 6);
  CHECK(next_turns(t, 9) == "1x 4x 5x 2x 4x 6x 3x 4x 5x");
}

TEST_CASE("turns: what a flow leaves of its turn is its sender's next") {
  turns t = some();
  t.add(0, ann, 1);
  t.add(0, ann, 2);
  t.add(0, eve, 3);
  CHECK(t.first(0) == 1);
  t.sent(0, 100);
  t.remove(1); // it has nothing more
  CHECK(!t.waits(1));
  CHECK(t.first(0) == 2);
  CHECK(!t.may_send(0, whole));
  CHECK(t.may_send(0, whole - 100));
  t.over(0); // it has sent nothing: it is the first in its sender's next turn, with what was left
  CHECK(next_turns(t, 2, 2 * whole - 100) == "3 2x");
}

TEST_CASE("turns: what is too little for a large message is saved up while the sender waits") {
  turns t = some();
  t.add(0, ann, 1);
  t.add(0, ann, 2);
  t.add(0, eve, 3);
  for (int i = 0; i < 3; ++i) {
    CHECK(t.first(0) == 1); // its own small messages do not pass it
    CHECK(!t.may_send(0, 4 * whole));
    t.over(0);
    CHECK(t.first(0) == 3);
    t.sent(0, whole);
    t.over(0);
  }
  CHECK(t.first(0) == 1);
  CHECK(t.may_send(0, 4 * whole));
  t.sent(0, 4 * whole);
  t.over(0);
  CHECK(next_turns(t, 3) == "3x 2x 3x");
  t.remove(1), t.remove(2);
  t.first(0), t.over(0), t.over(0);
  t.add(0, ann, 1); // what was saved is gone when the sender has gone
  CHECK(t.first(0) == 3);
  t.over(0);
  CHECK(t.first(0) == 1);
  CHECK(!t.may_send(0, whole + 1));
}

TEST_CASE("turns: what went without a turn is paid for in the next ones") {
  turns t = some();
  t.add(0, ann, 1);
  t.add(0, eve, 2);
  t.first(0);
  t.sent(0, 3 * whole); // it had a number already
  t.over(0);
  CHECK(next_turns(t, 6) == "2x 1 2x 1 2x 1x");
}

TEST_CASE("turns: nobody else waits, nothing is counted") {
  turns t = some();
  t.add(0, ann, 1);
  t.first(0);
  for (int i = 0; i < 10; ++i) t.sent(0, whole);
  t.add(0, eve, 2);
  CHECK(next_turns(t, 3) == "1x 2x 1x");
}

TEST_CASE("turns: who was alone has neither saved nor owes anything when others come") {
  const bool saved = GENERATE(true, false);
  turns t = some();
  t.add(0, ann, 1);
  t.add(0, eve, 2);
  for (int i = 0; i < 100; ++i) { // ann waits for a large message, or has sent many without a turn
    t.first(0);
    if (!saved) t.sent(0, 3 * whole);
    t.over(0);
    t.first(0);
    t.sent(0, whole);
    t.over(0);
  }
  t.remove(2);
  t.first(0);
  t.sent(0, saved ? 100 * whole : 1);
  t.add(0, eve, 2);
  CHECK(next_turns(t, 4) == "1x 2x 1x 2x");
}

TEST_CASE("turns: a sender that leaves takes its turn with it; the next has a whole one") {
  turns t = some();
  t.add(0, ann, 1);
  t.add(0, eve, 2);
  t.add(0, eve, 3);
  t.first(0);
  t.sent(0, whole - 1);
  t.remove(1);
  CHECK(next_turns(t, 2) == "2x 3x");
}

TEST_CASE("turns: a sender waits for several links at once") {
  turns t = some(3);
  t.add(0, ann, 1);
  t.add(1, ann, 2);
  t.add(2, ann, 3);
  t.add(1, eve, 4);
  t.remove(2); // in the middle of what ann waits for
  CHECK(t.first(1) == 4);
  CHECK(t.first(0) == 1);
  t.remove(1);
  t.remove(3);
  t.remove(4);
  t.remove(4); // it waits nowhere
  for (std::uint16_t k = 0; k < 3; ++k) CHECK(t.empty(k));
  t.add(1, ann, 2);
  CHECK(t.first(1) == 2);
}

TEST_CASE("turns: whoever comes and goes beside them, senders that stay have equal shares, and so have their "
          "flows") {
  std::mt19937 random(GENERATE(1u, 2u, 3u, 4u));
  const std::size_t largest = GENERATE(100, 5'000, 60'000);
  turns t = some(2);
  std::vector<bool> waits(70);
  const auto sender_of = [](std::uint32_t f) { return f % 7; };
  const auto stays = [](std::uint32_t f) { return f < 21; }; // three flows of each sender, on link 0
  for (std::uint32_t f = 0; f < 21; ++f) t.add(0, sender_of(f), f), waits[f] = true;
  std::map<std::uint32_t, std::size_t> of_sender, of_flow;
  const auto link_of = [&](std::uint32_t f) { return static_cast<std::uint16_t>(f < 50 ? 0 : 1); };
  std::vector<std::size_t> next(70); // each one's next message
  for (std::size_t& n : next) n = 1 + random() % largest;
  for (int step = 0; step < 30'000; ++step) {
    if (const std::uint32_t f = 21 + random() % 49; random() % 8 == 0) {
      if (waits[f]) t.remove(f);
      else t.add(link_of(f), sender_of(f), f);
      waits[f] = !waits[f];
    }
    for (std::uint16_t k = 0; k < 2; ++k) {
      if (t.empty(k)) continue;
      const std::uint32_t f = t.first(k);
      REQUIRE(waits[f]);
      REQUIRE(link_of(f) == k);
      if (!t.may_send(k, next[f])) {
        t.over(k);
        continue;
      }
      t.sent(k, next[f]);
      if (k == 0) of_sender[sender_of(f)] += next[f];
      if (stays(f)) of_flow[f] += next[f];
      next[f] = 1 + random() % largest;
      if (!stays(f) && random() % 4 == 0) t.remove(f), waits[f] = false;
    }
  }
  for (std::uint32_t f = 0; f < 70; ++f) CHECK(t.waits(f) == waits[f]);
  for (std::uint16_t k = 0; k < 2; ++k) {
    bool any = false;
    for (std::uint32_t f = 0; f < 70; ++f) any |= waits[f] && link_of(f) == k;
    CHECK(t.empty(k) == !any);
  }
  REQUIRE(of_sender.size() == 7);
  REQUIRE(of_flow.size() == 21);
  const auto [least, most] = std::minmax_element(of_sender.begin(), of_sender.end(),
                                                 [](auto& a, auto& b) { return a.second < b.second; });
  CHECK(most->second - least->second <= 2 * whole + largest);
  for (std::uint32_t f = 0; f < 7; ++f) { // turn and turn about, of messages that are as large in the mean
    const auto [few, many] = std::minmax({of_flow[f], of_flow[f + 7], of_flow[f + 14]});
    CAPTURE(f, few, many);
    CHECK(many < few + few / 2);
  }
}
