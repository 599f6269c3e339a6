// Many claims settled at once: nobody is left out, and nobody is hit twice.
#include "tests/support/link_shard_tools.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <numeric>
#include <set>

using namespace beeline;
using namespace beeline::test;
using namespace std::chrono_literals;
using router::claim;
using router::contest;

namespace {

claim claim_of(std::string id, std::uint64_t connected, std::uint32_t number) {
  claim c;
  c.id = std::move(id);
  c.connected = connected;
  c.h = {number, 1};
  return c;
}
bool later(const claim& a, const claim& b) { return a.connected > b.connected; }
std::vector<std::uint32_t> numbers(const std::vector<claim>& all) {
  std::vector<std::uint32_t> n;
  for (const claim& c : all) n.push_back(c.h.index);
  std::sort(n.begin(), n.end());
  return n;
}

// Three lanes of one shard; every client is told to it, and says its id when it is asked or not.
struct three_lanes {
  explicit three_lanes(unsigned bits) : bench(config(bits)) {
    for (scripted_lane* l : {&e1, &e2, &e3}) l->hash_bits = bits, l->joins();
  }
  static router::shard_config config(unsigned bits) {
    auto c = shard_bench::in_service();
    c.hash_bits = bits;
    return c;
  }
  std::set<std::uint32_t> entries() const { // by handle
    std::set<std::uint32_t> all;
    bench.shard.for_each_entry(
        [&](id_hash, std::string_view, std::uint16_t, handle h, bool) { CHECK(all.insert(h.index).second); });
    return all;
  }
  shard_bench bench;
  scripted_lane e1{bench, "e1", 1}, e2{bench, "e2", 2}, e3{bench, "e3", 3};
};

} // namespace

TEST_CASE("shard_contest: in whatever order claims stand, of each id exactly the latest stays") {
  const contest claims = {claim_of("ann", 1, 0), claim_of("bob", 1, 1), claim_of("ann", 2, 2),
                          claim_of("bob", 3, 3), claim_of("ann", 3, 4), claim_of("", 9, 5),
                          claim_of("", 1, 6)};
  std::vector<std::size_t> order(claims.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::size_t wrong = 0;
  do {
    contest all;
    for (std::size_t i : order) all.push_back(claims[i]);
    const auto losers = numbers(take_losers(all, later));
    wrong += numbers(all) != std::vector<std::uint32_t>{3, 4, 5, 6}; // those without an id are kept
    wrong += losers != std::vector<std::uint32_t>{0, 1, 2};
  } while (std::next_permutation(order.begin(), order.end()));
  CHECK(wrong == 0);
}

TEST_CASE("shard_contest: of sessions that connected in the same moment the one that came in last stays") {
  contest all = {claim_of("ann", 1, 0), claim_of("bob", 1, 1), claim_of("ann", 1, 2), claim_of("ann", 1, 3)};
  CHECK(numbers(take_losers(all, later)) == std::vector<std::uint32_t>{0, 2});
  CHECK(numbers(all) == std::vector<std::uint32_t>{1, 3});
}

TEST_CASE("shard_contest: when an owner's lane is gone all who waited for it are confirmed") {
  three_lanes t(64);
  const std::uint32_t clients = 1000;
  const time_point early = t.bench.now;
  t.bench.wait(100ms);
  const auto id = [](std::uint32_t i) { return "c" + std::to_string(i); };
  for (std::uint32_t i = 0; i < clients; ++i) t.e2.registers({i, 1}, id(i));
  t.e2.drops();
  t.e1.hears(), t.e3.hears();
  for (std::uint32_t i = 0; i < clients; ++i) (i % 3 ? t.e1 : t.e3).registers({i, 2}, id(i), early);
  CHECK(t.e1.hears().empty());
  CHECK(t.bench.shard.counters.contested.get() == clients);
  t.bench.wait(limits::linger + 500ms);
  CHECK(t.bench.shard.counters.contested.get() == 0);
  std::size_t wrong = 0;
  for (std::uint32_t i = 0; i < clients; ++i) {
    scripted_lane& mine = i % 3 ? t.e1 : t.e3;
    wrong += t.bench.shard.where(id(i), t.bench.now).edge != mine.who.edge_name;
    wrong += mine.since_of({i, 2}) == 0;
  }
  CHECK(wrong == 0);
}

TEST_CASE("shard_contest: a lane that goes takes all its claims of every hash along, and no others") {
  const unsigned bits = 8;
  three_lanes t(bits);
  const std::uint32_t clients = 1500; // about six ids for each hash, so claims of one lane stand together
  std::set<std::uint32_t> of_e1;
  std::map<id_hash, unsigned> left; // by hash: how many of e1
  const auto lane_of = [&](std::uint32_t i) -> scripted_lane& { return i % 3 ? t.e2 : t.e1; };
  for (std::uint32_t i = 0; i < clients; ++i) {
    const std::string id = "c" + std::to_string(i);
    lane_of(i).registers({i, 1}, id);
    lane_of(i).identifies({i, 1}, "", id);
    if (&lane_of(i) == &t.e1) of_e1.insert(i), ++left[hash_of(id, bits)];
  }
  // The first of a hash was not contested when it said its id; now it is.
  for (int each = 0; each < 20; ++each) // an answer to each of the questions, which others of its hash caused
    for (std::uint32_t i = 0; i < clients; ++i) lane_of(i).identifies({i, 1}, "", "c" + std::to_string(i));
  CHECK(t.entries().size() == clients);
  t.e2.leaves();
  CHECK(t.entries() == of_e1);
  const auto shared = std::count_if(left.begin(), left.end(), [](const auto& x) { return x.second > 1; });
  CHECK(shared > 100);
  CHECK(t.bench.shard.counters.contested.get() == static_cast<std::uint64_t>(shared));
}

TEST_CASE(
    "shard_contest: clients of a lost edge that came back elsewhere are settled in steps, and reached in "
    "between") {
  three_lanes t(64);
  constexpr std::uint32_t clients = 5'000;
  const auto id = [](std::uint32_t n) { return "c" + std::to_string(n); };
  for (std::uint32_t n = 0; n < clients; ++n) t.e1.registers({n, 1}, id(n));
  t.e1.drops();
  t.bench.wait(1s);
  for (std::uint32_t n = 0; n < clients; ++n) t.e2.registers({n, 1}, id(n));
  const auto& contested = t.bench.shard.counters.contested;
  CHECK(contested.get() == clients); // e1 may come back, and the shard does not know its clients' ids
  t.bench.wait(limits::linger - 1s); // the turn in which e1 is gone
  CHECK(contested.get() > 0);
  CHECK(contested.get() < clients);
  t.e2.hears();
  for (std::uint32_t n = 0; n < clients; ++n) {
    test_message m;
    m.to = id(n);
    m.number = n + 1;
    t.e3.sends(m);
  }
  CHECK(t.e2.hears().size() == clients);
  unsigned turns = 0;
  for (; contested.get() != 0 && turns < clients; ++turns) {
    CHECK(t.bench.shard.next_deadline() <= t.bench.now); // no waiting before it is done
    t.bench.shard.begin_turn(t.bench.now);
    t.bench.shard.on_time(t.bench.now);
    t.bench.shard.end_turn(t.bench.now);
  }
  CHECK(turns < 10);
  CHECK(t.entries().size() == clients);
  CHECK(t.bench.shard.where(id(0), t.bench.now).edge == "e2");
}
