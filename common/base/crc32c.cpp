#include "common/base/crc32c.hpp"

#include <array>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace beeline {
namespace {
constexpr std::array<std::uint32_t, 256> make_table() {
  std::array<std::uint32_t, 256> t{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t c = i;
    for (int k = 0; k < 8; ++k) c = c & 1 ? c >> 1 ^ 0x82f63b78u : c >> 1;
    t[i] = c;
  }
  return t;
}
constexpr auto table = make_table();

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) std::uint32_t crc32c_sse42(const_bytes bytes, std::uint32_t crc) noexcept {
  std::uint64_t c = ~crc;
  const std::byte* p = bytes.data();
  std::size_t n = bytes.size();
  for (; n >= 8; n -= 8, p += 8) c = _mm_crc32_u64(c, load_le<std::uint64_t>(p));
  auto c32 = static_cast<std::uint32_t>(c);
  if (n & 4) c32 = _mm_crc32_u32(c32, load_le<std::uint32_t>(p)), p += 4;
  for (n &= 3; n; --n, ++p) c32 = _mm_crc32_u8(c32, static_cast<unsigned char>(*p));
  return ~c32;
}
const bool has_sse42 = __builtin_cpu_supports("sse4.2");
#endif
} // namespace

std::uint32_t crc32c_table(const_bytes bytes, std::uint32_t crc) noexcept {
  crc = ~crc;
  for (std::byte b : bytes) crc = table[(crc ^ static_cast<std::uint32_t>(b)) & 0xff] ^ crc >> 8;
  return ~crc;
}

std::uint32_t crc32c(const_bytes bytes, std::uint32_t crc) noexcept {
#if defined(__x86_64__)
  if (has_sse42) return crc32c_sse42(bytes, crc);
#endif
  return crc32c_table(bytes, crc);
}

} // namespace beeline
