// A small random generator for jitter, sampling and tests: splitmix64. Not for secrets.
//
// The core has no randomness of its own: whoever creates an rng seeds it, the shell from the
// system, the simulator from its seed. Owner: one thread, by value.
#pragma once
#include <cstdint>

namespace beeline {

class rng {
public:
  using result_type = std::uint64_t; // with min, max and (): usable with <random> and std::shuffle
  explicit constexpr rng(std::uint64_t seed) noexcept : state_(seed) {}

  static constexpr std::uint64_t min() noexcept { return 0; }
  static constexpr std::uint64_t max() noexcept { return ~std::uint64_t{0}; }
  constexpr std::uint64_t operator()() noexcept {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15ull;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
  }
  // In [0, n); n > 0. The bias is n / 2^64.
  constexpr std::uint64_t below(std::uint64_t n) noexcept {
    __extension__ using u128 = unsigned __int128;
    return static_cast<std::uint64_t>(static_cast<u128>((*this)()) * n >> 64);
  }
  constexpr bool one_in(std::uint64_t n) noexcept { return below(n) == 0; }

private:
  std::uint64_t state_;
};

} // namespace beeline
