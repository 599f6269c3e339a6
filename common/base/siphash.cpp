#include "common/base/siphash.hpp"

#include "common/base/bytes.hpp"

#include <bit>

namespace beeline {
namespace {
struct state {
  std::uint64_t a, b, c, d;
  void round() noexcept {
    a += b, b = std::rotl(b, 13), b ^= a, a = std::rotl(a, 32);
    c += d, d = std::rotl(d, 16), d ^= c;
    a += d, d = std::rotl(d, 21), d ^= a;
    c += b, b = std::rotl(b, 17), b ^= c, c = std::rotl(c, 32);
  }
  void absorb(std::uint64_t m) noexcept {
    d ^= m;
    round(), round();
    a ^= m;
  }
};
} // namespace

std::uint64_t siphash(const siphash_key& key, std::string_view text) noexcept {
  state s{key.k0 ^ 0x736f6d6570736575ull, key.k1 ^ 0x646f72616e646f6dull, key.k0 ^ 0x6c7967656e657261ull,
          key.k1 ^ 0x7465646279746573ull};
  const char* p = text.data();
  const char* end = p + (text.size() & ~std::size_t{7});
  for (; p != end; p += 8) s.absorb(load_le<std::uint64_t>(p));
  std::uint64_t last = static_cast<std::uint64_t>(text.size()) << 56;
  for (std::size_t i = 0; i < (text.size() & 7); ++i)
    last |= static_cast<std::uint64_t>(static_cast<unsigned char>(p[i])) << (8 * i);
  s.absorb(last);
  s.c ^= 0xff;
  s.round(), s.round(), s.round(), s.round();
  return s.a ^ s.b ^ s.c ^ s.d;
}

} // namespace beeline
