// The accepted numbers of one origin, against a set.
#include "common/base/rng.hpp"
#include "common/link/accepted_window.hpp"

#include <catch2/catch.hpp>
#include <set>

using namespace beeline;
using link::accepted_window;

TEST_CASE("accepted_window: knows nothing at first") {
  accepted_window w;
  CHECK(w.floor() == 0);
  for (std::uint64_t n : {0ull, 1ull, 63ull, 64ull, 1000000ull}) CHECK_FALSE(w.contains(n));
  CHECK(w.memory_bytes() == 0);
  CHECK_FALSE(w.beyond(accepted_window::limit - 1));
  CHECK(w.beyond(accepted_window::limit));
}

TEST_CASE("accepted_window: what is below the floor is settled, the highest floor told counts") {
  accepted_window w;
  for (std::uint64_t n = 1; n <= 100; ++n) w.insert(n);
  w.raise_floor(50);
  w.raise_floor(20);
  CHECK(w.floor() == 50);
  CHECK(w.below_floor(49));
  CHECK_FALSE(w.below_floor(50));
  CHECK_FALSE(w.contains(49));
  CHECK(w.contains(50));
  CHECK(w.contains(100));
  CHECK_FALSE(w.contains(101));
}

TEST_CASE("accepted_window: behaves as a set under random numbers and floors") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    rng r(seed);
    accepted_window w;
    std::set<std::uint64_t> model;
    std::uint64_t floor = 0;
    const std::uint64_t spread = seed % 4 == 0 ? 100'000 : seed % 4 == 1 ? 70 : 3'000;
    for (int step = 0; step < 10'000; ++step) {
      const std::uint64_t n = floor + r.below(spread);
      if (r.below(10) < 7) {
        w.insert(n);
        model.insert(n);
      } else if (r.below(4) == 0) {
        floor += r.below(r.one_in(50) ? 3 * spread : spread / 20 + 2);
        w.raise_floor(floor);
        model.erase(model.begin(), model.lower_bound(floor));
      }
      const std::uint64_t probe = (floor > 100 ? floor - 100 : 0) + r.below(spread + 200);
      if (w.contains(probe) != model.contains(probe)) {
        CAPTURE(seed, step, probe, floor);
        REQUIRE(w.contains(probe) == model.contains(probe));
      }
    }
    bool same = true;
    for (std::uint64_t n = floor; n < floor + 2 * spread; ++n)
      same = same && w.contains(n) == model.contains(n);
    CHECK(same);
  }
}

TEST_CASE("accepted_window: grows to the whole limit and no further, and gives the memory back") {
  accepted_window w;
  const std::uint64_t base = 1'000'003;
  w.raise_floor(base);
  w.insert(base + accepted_window::limit - 1);
  w.insert(base);
  CHECK(w.contains(base));
  CHECK(w.contains(base + accepted_window::limit - 1));
  CHECK_FALSE(w.contains(base + 1));
  CHECK(w.beyond(base + accepted_window::limit));
  CHECK(w.memory_bytes() <= 2 * accepted_window::limit / 8 + 64);
  w.raise_floor(base + 5 * accepted_window::limit);
  CHECK(w.memory_bytes() == 0);
  w.insert(base + 5 * accepted_window::limit);
  CHECK(w.contains(base + 5 * accepted_window::limit));
  CHECK_FALSE(w.contains(base + 5 * accepted_window::limit + 1));
}

TEST_CASE("accepted_window: an origin that goes on for long needs little memory") {
  accepted_window w;
  std::size_t most = 0;
  for (std::uint64_t n = 1; n < 200'000; ++n) {
    w.insert(n);
    if (n > 100) w.raise_floor(n - 100);
    most = std::max(most, w.memory_bytes());
  }
  CHECK(most <= 64);
}
