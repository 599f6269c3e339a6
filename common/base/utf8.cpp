#include "common/base/utf8.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace beeline {
namespace {

constexpr bool is_tail(unsigned char c) noexcept { return (c & 0xc0) == 0x80; }

// Length of the well-formed character of two or more bytes at p, or 0.
std::size_t long_character(const unsigned char* p, std::size_t left) noexcept {
  const unsigned char c = p[0];
  if (c < 0xc2) return 0; // a tail byte, or an overlong form of ASCII
  if (c < 0xe0) return left >= 2 && is_tail(p[1]) ? 2 : 0;
  if (c < 0xf0) {
    if (left < 3 || !is_tail(p[1]) || !is_tail(p[2])) return 0;
    if (c == 0xe0 && p[1] < 0xa0) return 0;  // overlong
    if (c == 0xed && p[1] >= 0xa0) return 0; // surrogate
    return 3;
  }
  if (c > 0xf4 || left < 4 || !is_tail(p[1]) || !is_tail(p[2]) || !is_tail(p[3])) return 0;
  if (c == 0xf0 && p[1] < 0x90) return 0;  // overlong
  if (c == 0xf4 && p[1] >= 0x90) return 0; // above U+10FFFF
  return 4;
}

} // namespace

bool valid_utf8(std::string_view s) noexcept {
  constexpr std::uint64_t ones = 0x0101010101010101ull, highs = 0x8080808080808080ull;
  auto p = reinterpret_cast<const unsigned char*>(s.data());
  std::size_t left = s.size();
  while (left) {
    if (left >= 8) {
      std::uint64_t w;
      std::memcpy(&w, p, 8);
      if (((w | (w - ones)) & highs) == 0) { // eight bytes, each 0x01 to 0x7f
        p += 8, left -= 8;
        continue;
      }
    }
    std::size_t n = 1;
    if (*p == 0 || (*p >= 0x80 && (n = long_character(p, left)) == 0)) return false;
    p += n, left -= n;
  }
  return true;
}

} // namespace beeline
