// Randomness of the operating system: what the core must not have of its own and is given instead.
// Any thread; no state. Throws std::system_error when the system has none to give.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

namespace beeline::net {

void fill_random(void* to, std::size_t n);

inline std::uint64_t random_number() {
  std::uint64_t v;
  fill_random(&v, sizeof v);
  return v;
}
template <std::size_t N> std::array<std::byte, N> random_bytes() {
  std::array<std::byte, N> v;
  fill_random(v.data(), N);
  return v;
}

} // namespace beeline::net
