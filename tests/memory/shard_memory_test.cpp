// A shard without memory: who is new is refused, messages wait at their origin, what is there stays (F14).
#include "tests/memory/allocations.hpp"
#include "tests/support/link_shard_tools.hpp"

#include <catch2/catch.hpp>

using namespace beeline;
using namespace beeline::test;
using namespace std::chrono_literals;

TEST_CASE("shard: without memory for one more client it is refused, the others stay, and it ends by itself") {
  two_lanes_with_bob t;
  const auto& counters = t.bench.shard.counters;
  std::uint32_t n = 1; // clients of e1
  for (int round = 1; round <= 3; ++round) {
    const auto before = counters.clients.get();
    t.e1.hears();
    allocations::fail_refusable_from(0);
    std::string id;
    do { // the table has room for some
      REQUIRE(++n < 2'000'000);
      id = "new" + std::to_string(n);
      t.e1.registers({n, 1}, id);
    } while (counters.claims_refused.get() < static_cast<std::uint64_t>(2 * round - 1));
    REQUIRE(allocations::heal());
    CHECK(t.e1.hears().back() == "full " + std::to_string(n) + ".1 for " + id);
    CHECK_FALSE(t.online(id));
    CHECK(t.owner("bob") == "e2");
    t.e1.registers({++n, 1}, "at once"); // for a second nobody is taken
    CHECK_FALSE(t.online("at once"));
    CHECK(counters.memory_short.get() == static_cast<std::uint64_t>(round));
    t.bench.wait(1100ms);
    t.e1.registers({n, 2}, id);
    CHECK(t.owner(id) == "e1");
    CHECK(counters.clients.get() >= before);
  }
}

TEST_CASE("shard: without memory for a message its sender waits, and its link stays") {
  two_lanes_with_bob t;
  const std::size_t bytes = GENERATE(1, 100'000);
  for (std::size_t k = 0, done = 0; !done; ++k) {
    INFO("allocation " << k << " and all after it fail");
    REQUIRE(k < 100);
    test_message m;
    m.number = 2 * k + 1, m.payload = std::string(bytes, 'x');
    const auto busy = t.answers(answer::busy);
    allocations::fail_refusable_from(k);
    t.e1.sends(m);
    done = !allocations::heal();
    CHECK(t.answers(answer::busy) == busy + !done);
    t.bench.wait(100ms);
    const auto got = t.e2.hears();
    CHECK(got.size() == done);
    m.number += 1, m.qos1 = false; // QoS 0 is dropped meanwhile
    const auto drops = t.drops(drop_reason::memory_limit);
    t.e1.sends(m);
    CHECK(t.drops(drop_reason::memory_limit) == drops + !done);
    t.bench.wait(1100ms);
    t.e1.hears();
    t.e2.hears();
  }
  CHECK(t.closes(close_reason::out_of_memory) == 0);
  CHECK(t.e1.c);
  CHECK(t.e2.c);
}
