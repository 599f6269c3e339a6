// Round robin on two levels: senders that wait for a link, and the flows of each.
#include "common/base/limits.hpp"
#include "common/link/turns.hpp"

#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <set>
#include <string>

using namespace beeline;
using link::turns;

namespace {

constexpr std::uint32_t ann = 0, eve = 1, joe = 2;

turns some(unsigned links = 1) {
  turns t;
  for (unsigned k = 0; k < links; ++k) t.add_link();
  t.reserve(100, 10);
  return t;
}
// Whole turns of flows that never run out.
std::string whole_turns(turns& t, int count) {
  std::string order;
  for (int i = 0; i < count; ++i) {
    order += (order.empty() ? "" : " ") + std::to_string(t.first(0));
    unsigned sent = 0;
    for (; t.has_turn(0); ++sent) t.sent(0, 1);
    CHECK(sent == limits::sender_turn_messages);
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
  CHECK(whole_turns(t, 9) == "1 4 5 2 4 6 3 4 5");
}

TEST_CASE("turns: what a flow leaves of its turn is its sender's next") {
  turns t = some();
  t.add(0, ann, 1);
  t.add(0, ann, 2);
  t.add(0, eve, 3);
  CHECK(t.first(0) == 1);
  t.sent(0, 1);
  t.remove(1); // it has nothing more
  CHECK(!t.waits(1));
  CHECK(t.first(0) == 2);
  unsigned sent = 1;
  for (; t.has_turn(0); ++sent) t.sent(0, 1);
  CHECK(sent == limits::sender_turn_messages);
  t.over(0);
  CHECK(t.first(0) == 3);
}

TEST_CASE("turns: a flow that ends with its turn leaves the place in front of the next to it") {
  turns t = some();
  for (std::uint32_t f = 1; f <= 3; ++f) t.add(0, ann, f);
  t.add(0, eve, 4);
  CHECK(t.first(0) == 1);
  while (t.has_turn(0)) t.sent(0, 1);
  t.remove(1); // its last message was the turn's last
  CHECK(whole_turns(t, 4) == "4 2 4 3");
}

TEST_CASE("turns: a turn ends by its bytes, and the last message may pass them") {
  turns t = some();
  t.add(0, ann, 1);
  t.first(0);
  t.sent(0, limits::sender_turn_bytes - 1);
  CHECK(t.has_turn(0));
  t.sent(0, limits::sender_turn_bytes);
  CHECK(!t.has_turn(0));
}

TEST_CASE("turns: an interrupted turn begins anew, and the place stays") {
  turns t = some();
  t.add(0, ann, 1);
  t.add(0, eve, 2);
  t.first(0);
  t.sent(0, limits::sender_turn_bytes);
  t.interrupt(0);
  CHECK(t.first(0) == 1);
  CHECK(t.has_turn(0));
}

TEST_CASE("turns: a sender that leaves takes its turn with it; the next has a whole one") {
  turns t = some();
  t.add(0, ann, 1);
  t.add(0, eve, 2);
  t.first(0);
  for (int i = 0; i < 10; ++i) t.sent(0, 1);
  t.remove(1);
  CHECK(whole_turns(t, 2) == "2 2");
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

TEST_CASE(
    "turns: however they come and go, nobody is forgotten, and nobody gets two turns while another waits") {
  std::mt19937 random(7);
  turns t = some(2);
  std::map<std::uint32_t, std::pair<std::uint16_t, std::uint32_t>> waiting; // flow -> link, sender
  std::map<std::pair<std::uint16_t, std::uint32_t>, int> since; // turns of others since its last, or it came
  for (int step = 0; step < 3000; ++step) {
    const std::uint32_t f = random() % 60;
    const std::uint16_t k = f % 2;
    const std::uint32_t sender = f % 7;
    if (!waiting.contains(f)) {
      t.add(k, sender, f);
      waiting[f] = {k, sender};
      since.try_emplace({k, sender}, 0);
    } else if (random() % 3 == 0) {
      t.remove(f);
      waiting.erase(f);
    }
    for (std::uint16_t link = 0; link < 2; ++link) {
      std::set<std::uint32_t> senders;
      for (const auto& [flow, where] : waiting) {
        CHECK(t.waits(flow));
        if (where.first == link) senders.insert(where.second);
      }
      CHECK(t.empty(link) == senders.empty());
      std::erase_if(
          since, [&](const auto& s) { return s.first.first == link && !senders.contains(s.first.second); });
      if (senders.empty() || random() % 2) continue;
      const std::uint32_t first = t.first(link);
      REQUIRE(waiting.contains(first));
      for (auto& [who, turns_of_others] : since)
        if (who.first == link) REQUIRE(++turns_of_others <= 8);
      since[{link, waiting[first].second}] = 0;
      t.over(link);
    }
  }
}
