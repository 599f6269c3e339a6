// A router shard with simulated links: frames of 100-byte messages from one lane to random ones of a million
// clients at another, in reads of 64 KiB, with all that a shard does for them but system calls.
#include "common/base/rng.hpp"
#include "tests/support/link_shard_tools.hpp"

#include <benchmark/benchmark.h>

namespace beeline {
namespace {

constexpr std::size_t read_bytes = 64 * 1024, reads = 64;

std::string id_of(std::uint64_t k) { return "client-" + std::to_string(k); }

struct world {
  explicit world(std::uint64_t clients, bool qos1) {
    t.join();
    for (std::uint64_t k = 0; k < clients;) {
      std::vector<std::string> ids;
      for (; ids.size() < 1000 && k < clients; ++k) ids.push_back(id_of(k));
      std::vector<wire::registration> some;
      for (std::uint64_t i = 0; i < ids.size(); ++i)
        some.push_back({{static_cast<std::uint32_t>(k - ids.size() + i), 1}, to_us(t.bench.now), 0, ids[i]});
      t.e2.says(test::make_batch(wire::frame_type::register_clients, some));
      t.e2.frames.clear();
    }
    rng random(5);
    test::test_message m;
    m.payload = std::string(100, 'x');
    m.qos1 = qos1;
    for (auto& in : input) {
      while (in.size() < read_bytes) {
        m.to = id_of(random.below(clients));
        m.number = ++messages;
        const test::byte_vector one = make(m);
        in.insert(in.end(), one.begin(), one.end());
      }
    }
    t.bench.hold = true;
  }

  // What the shell does for one read and the writes that follow.
  void turn(test::byte_vector& in) {
    auto& shard = t.bench.shard;
    shard.begin_turn(t.bench.now);
    shard.on_bytes(*t.e1.c, in, t.bench.now);
    shard.end_turn(t.bench.now);
    while (conn* c = shard.dirty().pop()) {
      c->consume(c->output_bytes());
      shard.on_drained(*c, t.bench.now);
    }
  }

  test::two_lanes t;
  std::vector<test::byte_vector> input = std::vector<test::byte_vector>(reads);
  std::uint64_t messages = 0; // in all reads together
};

void shard_messages(benchmark::State& state) {
  world w(static_cast<std::uint64_t>(state.range(0)), state.range(1) != 0);
  const auto& out = w.t.bench.shard.counters.messages_out[state.range(1)];
  const std::uint64_t before = out.get();
  std::uint64_t rounds = 0;
  for (auto unused : state) {
    for (auto& in : w.input) w.turn(in);
    ++rounds;
  }
  if (out.get() - before != rounds * w.messages) state.SkipWithError("a message that is not passed on");
  state.SetItemsProcessed(static_cast<std::int64_t>(rounds * w.messages));
}
BENCHMARK(shard_messages)
    ->ArgNames({"clients", "qos"})
    ->Args({1'000, 0})
    ->Args({1'000'000, 0})
    ->Args({1'000'000, 1})
    ->Unit(benchmark::kMillisecond);

} // namespace
} // namespace beeline
