// Tables of receipts that find no memory: each entry is there whole, or not at all (F14).
#include "common/link/receipts.hpp"
#include "tests/memory/allocations.hpp"

#include <catch2/catch.hpp>

using namespace beeline;
using namespace beeline::test;

namespace {

constexpr std::uint32_t many = 300; // so that each part of a table grows several times

// f(number) without memory from its k-th allocation on, for every k, until it needs no more than that.
template <class F> void no_memory_anywhere_in(F f) {
  for (std::uint32_t number = 1; number <= many; ++number)
    for (std::size_t k = 0;; ++k) {
      REQUIRE(k < 10);
      allocations::fail_from(k);
      const bool done = f(number);
      if (!allocations::heal()) {
        REQUIRE(done);
        break;
      }
      REQUIRE_FALSE(done);
    }
}

} // namespace

TEST_CASE("no memory anywhere for a receipt that is awaited: it is not in the table, and all others are") {
  link::receipts_awaited t;
  std::size_t before = 0;
  no_memory_anywhere_in([&](std::uint32_t number) {
    link::receipts_awaited::entry e;
    e.number = number, e.until = time_point{} + std::chrono::seconds(number);
    const bool done = t.add(e);
    before += done;
    return done && t.size() == before;
  });
  link::receipts_awaited::entry e;
  for (std::uint32_t number = 1; number <= many; ++number) {
    REQUIRE(t.take_late(never, e));
    REQUIRE(e.number == number);
    REQUIRE_FALSE(t.take(number, e));
  }
  CHECK(t.size() == 0);
}

TEST_CASE("no memory anywhere for a receipt that is owed: it is not in the table, and all others are") {
  constexpr lane_id origin{7};
  link::receipts_owed t(many);
  std::vector<std::uint32_t> places;
  places.reserve(many);
  no_memory_anywhere_in([&](std::uint32_t number) {
    const std::uint32_t i = t.open(origin, number, 0);
    if (i == none) {
      t.heard(origin, number); // of what is not there
      return t.has(origin, number);
    }
    places.push_back(i);
    return t.has(origin, number) && t.size() == places.size();
  });
  CHECK(t.open(origin, many + 1, 0) == none); // full
  for (const std::uint32_t i : places) t.close(i);
  CHECK(t.size() == 0);
}
