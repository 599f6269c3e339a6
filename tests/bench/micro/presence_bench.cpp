// Presence table: registrations, and look-ups of random clients one by one and in batches, at 1 k, 1 M and 10
// M.
#include "common/base/rng.hpp"
#include "router/presence_table.hpp"

#include <benchmark/benchmark.h>
#include <chrono>
#include <memory>

namespace beeline {
namespace {

using router::presence_entry;
using router::presence_table;

presence_entry entry_of(std::uint64_t k) { return {{static_cast<std::uint32_t>(k), 1}, 1, k}; }
id_hash hash_at(std::uint64_t k) { return rng(k)(); } // of client k: as random as a keyed hash

const presence_table& table_of(std::uint64_t clients) { // kept for the next benchmark of that size
  static std::unique_ptr<presence_table> table;
  if (!table || table->size() != clients) {
    table = std::make_unique<presence_table>();
    for (std::uint64_t k = 0; k < clients; ++k) table->insert_or_assign(hash_at(k), entry_of(k));
  }
  return *table;
}

void presence_insert(benchmark::State& state) {
  const auto clients = static_cast<std::uint64_t>(state.range(0));
  double longest = 0;
  for (auto unused : state) {
    presence_table table;
    for (std::uint64_t k = 0; k < clients; k += 64) {
      const auto begun = std::chrono::steady_clock::now();
      for (std::uint64_t i = k; i < std::min(k + 64, clients); ++i)
        table.insert_or_assign(hash_at(i), entry_of(i));
      longest =
          std::max(longest, std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count());
    }
    state.counters["bytes_an_entry"] =
        static_cast<double>(table.memory_bytes()) / static_cast<double>(clients);
  }
  state.counters["longest_64_us"] = longest * 1e6; // the longest pause: growth is by sub-tables
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(presence_insert)
    ->ArgName("clients")
    ->Arg(1'000)
    ->Arg(1'000'000)
    ->Arg(10'000'000)
    ->Unit(benchmark::kMillisecond);

void presence_find(benchmark::State& state) {
  const auto clients = static_cast<std::uint64_t>(state.range(0));
  const auto batch = static_cast<std::size_t>(state.range(1));
  const presence_table& table = table_of(clients);
  rng random(7);
  std::vector<id_hash> wanted(batch);
  std::uint64_t found = 0;
  for (auto unused : state) {
    for (auto& h : wanted) h = hash_at(random.below(clients));
    if (batch > 1)
      for (const auto h : wanted) table.prefetch(h);
    for (const auto h : wanted) found += table.find(h).has_value();
  }
  if (found != static_cast<std::uint64_t>(state.iterations()) * batch)
    state.SkipWithError("a client that is not found");
  state.SetItemsProcessed(state.iterations() * state.range(1));
}
BENCHMARK(presence_find)
    ->ArgNames({"clients", "batch"})
    ->ArgsProduct({{1'000, 1'000'000, 10'000'000}, {1, 32}});

} // namespace
} // namespace beeline
