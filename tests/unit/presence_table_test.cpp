// The presence table against a map, at its edges, and its memory (L1).
#include "common/base/rng.hpp"
#include "router/presence_table.hpp"
#include "tests/support/sanitized.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <vector>

using namespace beeline;
using namespace beeline::router;

namespace {

using model_map = std::map<id_hash, presence_entry>;

constexpr std::uint64_t connected_end = std::uint64_t{1} << presence_table::connected_bits;

presence_entry random_entry(rng& r, member_index links = no_member) {
  return {{static_cast<std::uint32_t>(r()), static_cast<std::uint16_t>(r())},
          static_cast<member_index>(r.below(links)),
          r.below(connected_end)};
}

bool same(const presence_table& table, const model_map& model) {
  auto at = model.begin();
  bool equal = table.size() == model.size();
  table.for_each([&](id_hash id, const presence_entry& e) {
    equal = equal && at != model.end() && at->first == id && at->second == e;
    if (at != model.end()) ++at;
  });
  return equal && at == model.end();
}

// Where ids of a test lie: `mask` says which bits vary, so that many share a home or a sub-table.
struct id_space {
  const char* name;
  std::uint64_t base, mask;
};
constexpr id_space spaces[] = {
    {"all 64 bits", 0, ~std::uint64_t{0}},
    {"two sub-tables", 0, 0x001fffffffffffffull},
    {"one sub-table", 0x7770000000000000ull, 0x000fffffffffffffull},
    {"8 bits of the hash", 0, 0xff00000000000000ull},
    {"neighbours at the first home", 0x0120000000000000ull, 0x3ff},
    {"neighbours at the last home", 0xabcffffffffffc00ull, 0x3ff},
    {"64 homes", 0x5550000000000000ull, 0x000fc0000000003full},
};

// Steps that lean towards inserts for a while, then towards erasing, so that the table grows and shrinks.
void run_against_model(const id_space& space, int steps, std::uint64_t seed) {
  rng r(seed);
  presence_table table;
  model_map model;
  for (int step = 0; step < steps; ++step) {
    const id_hash id = space.base | (r() & space.mask);
    const bool inserting = r.below(8) < (step / 20'000 % 2 == 0 ? 6u : 2u);
    if (inserting) {
      const presence_entry e = random_entry(r);
      const bool is_new = model.insert_or_assign(id, e).second;
      if (table.insert_or_assign(id, e) != is_new) FAIL("insert of " << id << " at step " << step);
    } else {
      // Mostly something that is there: the next one of the model.
      const auto at = model.lower_bound(id);
      const id_hash victim = at == model.end() || r.one_in(4) ? id : at->first;
      if (table.erase(victim) != (model.erase(victim) != 0))
        FAIL("erase of " << victim << " at step " << step);
    }
    const id_hash asked = space.base | (r() & space.mask);
    const auto found = table.find(asked);
    const auto expected = model.find(asked);
    if (found.has_value() != (expected != model.end())) FAIL("find of " << asked << " at step " << step);
    if (found && *found != expected->second) FAIL("entry of " << asked << " at step " << step);
    if (step % 9'973 == 0 && !(table.check() && same(table, model))) FAIL("invariants at step " << step);
  }
  REQUIRE(table.check());
  REQUIRE(same(table, model));
  while (!model.empty()) {
    REQUIRE(table.erase(model.begin()->first));
    model.erase(model.begin());
  }
  CHECK(table.check());
  CHECK(table.size() == 0);
}

} // namespace

TEST_CASE("presence table agrees with a map over random operations", "[presence_table]") {
  for (const id_space& space : spaces) {
    INFO("ids: " << space.name);
    run_against_model(space, test::fast_build ? 300'000 : 30'000, space.mask);
  }
}

TEST_CASE("presence table holds its invariants after every step of a small world", "[presence_table]") {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    rng r(seed);
    presence_table table(5, 6);
    model_map model;
    const std::uint64_t low_bits = r.below(52);
    for (int step = 0; step < 600; ++step) {
      const id_hash id = (5 + r.below(2)) << 52 | (r() & 0x3f) << low_bits >> 12 << 6 | (r() & 0x3f);
      const bool insert = r.below(600) > static_cast<std::uint64_t>(step) / 2;
      const presence_entry e = random_entry(r);
      if (insert) REQUIRE(table.insert_or_assign(id, e) == model.insert_or_assign(id, e).second);
      else REQUIRE(table.erase(id) == (model.erase(id) != 0));
      REQUIRE(table.check());
      REQUIRE(same(table, model));
    }
  }
}

TEST_CASE("presence table keeps every bit of an entry at its extremes", "[presence_table]") {
  presence_table table;
  const std::vector<id_hash> ids = {
      0,          1, 0x000fffffffffffffull, 0x0010000000000000ull, 0xfff0000000000000ull, ~id_hash{0} - 1,
      ~id_hash{0}};
  const std::vector<presence_entry> entries = {
      {{0, 0}, 0, 0},
      {{0xffffffff, 0xffff}, no_member - 1, connected_end - 1},
      {{0xffffffff, 0}, 0, connected_end - 1},
      {{0, 0xffff}, 1, std::uint64_t{1} << 32},
      {{1, 0}, no_member - 1, (std::uint64_t{1} << 32) - 1},
  };
  for (std::size_t shift = 0; shift < entries.size(); ++shift) {
    for (std::size_t i = 0; i < ids.size(); ++i)
      CHECK(table.insert_or_assign(ids[i], entries[(i + shift) % entries.size()]) == (shift == 0));
    for (std::size_t i = 0; i < ids.size(); ++i)
      CHECK(table.find(ids[i]) == entries[(i + shift) % entries.size()]);
    CHECK(table.check());
  }
}

TEST_CASE("presence table of a shard owns its slots alone", "[presence_table]") {
  const presence_table table(2048, 2050);
  CHECK_FALSE(table.owns(id_hash{2047} << 52 | 0xfffffffffffffull));
  CHECK(table.owns(id_hash{2048} << 52));
  CHECK(table.owns(id_hash{2050} << 52 | 0xfffffffffffffull));
  CHECK_FALSE(table.owns(id_hash{2051} << 52));
  CHECK_FALSE(table.owns(0));
  CHECK_FALSE(table.find(id_hash{2049} << 52));
  table.prefetch(id_hash{2049} << 52); // an empty sub-table is no trouble
}

TEST_CASE("presence table erases at both ends and in the middle of a cluster", "[presence_table]") {
  constexpr std::uint64_t last_home = 0x000ffffffffff000ull;
  for (const std::uint64_t base : {std::uint64_t{0}, last_home})
    for (id_hash victim = 0; victim < 30; ++victim) {
      presence_table table;
      for (id_hash i = 0; i < 30; ++i) table.insert_or_assign(base + (i * 7 + victim) % 30, {{1, 1}, 1, i});
      REQUIRE(table.check());
      REQUIRE(table.erase(base + victim));
      REQUIRE_FALSE(table.erase(base + victim));
      REQUIRE(table.check());
      for (id_hash i = 0; i < 30; ++i) REQUIRE(table.find(base + i).has_value() == (i != victim));
    }
}

TEST_CASE("presence table sweep erases exactly the dead, in bounded steps", "[presence_table]") {
  rng r(11);
  presence_table table(0, 63);
  model_map model;
  const auto insert = [&](member_index links) {
    const id_hash id = r() >> 6;
    const presence_entry e = random_entry(r, links);
    table.insert_or_assign(id, e);
    model.insert_or_assign(id, e);
  };
  for (int i = 0; i < 20'000; ++i) insert(10);
  // Link 3 has died; others go on registering while the sweep is under way, also with new links.
  sweep_cursor cursor;
  std::size_t steps = 0, erased = 0;
  const auto dead = [](member_index link) { return link == 3; };
  bool complete = false;
  while (!complete) {
    std::size_t erased_before = erased;
    complete = table.sweep(cursor, 500, dead, [&](id_hash id) {
      const auto at = model.find(id);
      REQUIRE(at != model.end());
      REQUIRE(at->second.link == 3);
      model.erase(at);
      ++erased;
    });
    REQUIRE(erased - erased_before < 500 + 2 * 20'000 / 64);
    ++steps;
    for (int i = 0; i < 100; ++i) insert(3); // links 0, 1, 2
    REQUIRE(table.check());
    REQUIRE(same(table, model));
  }
  CHECK(steps >= 20);
  CHECK(erased > 1500);
  CHECK(cursor.next == 0);
  CHECK(std::none_of(model.begin(), model.end(), [](const auto& m) { return m.second.link == 3; }));
}

TEST_CASE("presence table sweep of everything gives the memory back", "[presence_table]") {
  rng r(12);
  presence_table table;
  const std::size_t empty_bytes = table.memory_bytes();
  for (int i = 0; i < 300'000; ++i) table.insert_or_assign(r(), {{1, 1}, 1, 1});
  CHECK(table.memory_bytes() > 20 * 300'000);
  sweep_cursor cursor;
  std::size_t erased = 0;
  while (!table.sweep(
      cursor, 1'000, [](member_index) { return true; }, [&](id_hash) { ++erased; })) {
  }
  CHECK(erased == 300'000);
  CHECK(table.size() == 0);
  CHECK(table.check());
  CHECK(table.memory_bytes() < empty_bytes + 200 * 1024);
}

TEST_CASE("presence table sweep with a budget of zero still goes on", "[presence_table]") {
  presence_table table(0, 3);
  for (id_hash slot = 0; slot < 4; ++slot) table.insert_or_assign(slot << 52, {{1, 1}, 1, 1});
  sweep_cursor cursor;
  int steps = 1;
  while (!table.sweep(
      cursor, 0, [](member_index) { return false; }, [](id_hash) {}))
    ++steps;
  CHECK(steps == 4);
  CHECK(table.size() == 4);
}

TEST_CASE("presence table needs at most 28 bytes an entry while it fills and empties", "[presence_table]") {
  for (const std::uint32_t slots : {2048u, 4096u}) {
    rng r(slots);
    presence_table table(0, slots - 1);
    std::vector<id_hash> ids;
    const auto worst = [&](double& w) {
      w = std::max(w, double(table.memory_bytes()) / double(table.size()));
    };
    double filling = 0, emptying = 0;
    while (table.size() < 1'000'000) {
      ids.push_back(r() >> (slots == 2048));
      table.insert_or_assign(ids.back(), {{1, 1}, 1, 1});
      if (table.size() >= 500'000 && table.size() % 10'000 == 0) worst(filling);
    }
    const std::size_t largest = 1'000'000 / slots * 3 / 2;
    CHECK(table.longest_growth() < largest);
    CHECK(table.grows() > slots);
    while (table.size() > 500'000) {
      table.erase(ids.back());
      ids.pop_back();
      if (table.size() % 10'000 == 0) worst(emptying);
    }
    CHECK(filling <= 28.0);
    CHECK(emptying <= 28.0);
    CHECK(table.check());
    CHECK(std::all_of(ids.begin(), ids.end(), [&](id_hash id) { return table.find(id).has_value(); }));
  }
}
