// The shard's own limits: each is counted when it is hit, and only what hit it is affected.
#include "tests/support/link_shard_tools.hpp"

#include <catch2/catch.hpp>

using namespace beeline;
using namespace beeline::test;

namespace {
constexpr handle at_e2{7, 1};

struct two_lanes {
  explicit two_lanes(router::shard_config config) : bench(std::move(config)) {
    e1.joins(), e2.joins();
    e2.registers(at_e2, "bob");
    e1.hears(), e2.hears();
  }
  std::uint64_t closes(close_reason r) {
    return bench.shard.counters.closes[static_cast<std::size_t>(r)].get();
  }
  shard_bench bench;
  scripted_lane e1{bench, "e1", 1}, e2{bench, "e2", 2};
};

test_message to_bob(std::uint64_t number, std::size_t bytes) {
  test_message m;
  m.to = "bob";
  m.number = number;
  m.payload = std::string(bytes, 'x');
  return m;
}
} // namespace

TEST_CASE("shard: when all its outputs together are full, QoS 1 is told busy and QoS 0 is dropped [P6]") {
  auto config = shard_bench::in_service();
  config.outputs_max = 64 * limits::KiB;
  two_lanes t(config);
  t.e2.reads = false;
  std::uint64_t sent = 0;
  while (sent < 200 && t.e1.hears().empty()) t.e1.sends(to_bob(++sent, 4000));
  CHECK(sent < 40); // far from the limit of one link
  CHECK(t.bench.shard.counters.answers[static_cast<std::size_t>(answer::busy)].get() == 1);
  test_message m = to_bob(0, 4000);
  m.qos1 = false;
  t.e1.sends(m);
  CHECK(t.bench.shard.counters.drops[static_cast<std::size_t>(drop_reason::link_full)].get() == 1);
  CHECK(t.bench.pool.bytes_in_use() < 2 * config.outputs_max);
  t.e2.reads = true;
  t.e2.beats_once();
  t.bench.wait(std::chrono::milliseconds(600));
  t.e1.hears();
  t.e1.sends(to_bob(++sent, 4000));
  CHECK(t.e1.hears().empty()); // it went out
}

TEST_CASE(
    "shard: more links than its limit are closed at once and counted; a place that is free again serves") {
  auto config = shard_bench::in_service();
  config.links_max = 2;
  two_lanes t(config);
  CHECK(t.bench.open().close_now);
  t.bench.turn_ends();
  CHECK(t.closes(close_reason::connection_limit) == 1);
  t.e1.drops();
  scripted_lane e3(t.bench, "e3", 3);
  e3.joins();
  CHECK(e3.c != nullptr);
  CHECK(t.e2.c != nullptr);
}

TEST_CASE("shard: a lane that takes no answers loses its link before they fill the memory [P6]") {
  two_lanes t(shard_bench::in_service());
  t.e1.reads = false;
  byte_vector thousand;
  for (std::uint64_t n = 1; n <= 1000; ++n) {
    test_message m = to_bob(n, 0);
    m.to = "nobody";
    const byte_vector one = make(m);
    thousand.insert(thousand.end(), one.begin(), one.end());
  }
  int rounds = 0;
  for (; rounds < 5000 && t.closes(close_reason::out_of_memory) == 0; ++rounds) t.e1.says(thousand);
  CHECK(t.closes(close_reason::out_of_memory) == 1);
  CHECK(rounds > 1000); // not before two whole outputs of a link
  CHECK(t.e2.c != nullptr);
}
