// MQTT's integers: big-endian, and the variable byte integer; bounded reading, unchecked writing.
//
// `octet_reader` never reads past its end: a get that does not fit, text that is not UTF-8 or a
// varint that is too long clears `ok()`, gives zero or an empty view, and every later get does the
// same. Views live as long as the bytes. `octet_writer` trusts its caller to have measured.
#pragma once
#include "common/base/bytes.hpp"
#include "common/base/utf8.hpp"
#include "edge-server/mqtt/protocol.hpp"

namespace beeline::mqtt {

constexpr std::size_t varint_bytes(std::size_t v) noexcept {
  return v < 128 ? 1 : v < 16'384 ? 2 : v < 2'097'152 ? 3 : 4;
}

class octet_reader {
public:
  explicit octet_reader(const_bytes b) noexcept : p_(b.data()), end_(b.data() + b.size()) {}

  std::uint8_t u8() noexcept {
    if (left() < 1) return fail(), std::uint8_t{0};
    return static_cast<std::uint8_t>(*p_++);
  }
  std::uint16_t u16() noexcept {
    if (left() < 2) return fail(), std::uint16_t{0};
    p_ += 2;
    return __builtin_bswap16(load_le<std::uint16_t>(p_ - 2));
  }
  std::uint32_t u32() noexcept {
    if (left() < 4) return fail(), 0u;
    p_ += 4;
    return __builtin_bswap32(load_le<std::uint32_t>(p_ - 4));
  }
  std::uint32_t varint() noexcept { // one to four bytes, in the shortest form
    std::uint32_t v = 0;
    for (unsigned shift = 0; shift < 28; shift += 7) {
      const std::uint8_t b = u8();
      v |= std::uint32_t(b & 0x7f) << shift;
      if (b >= 0x80) continue;
      if (b == 0 && shift > 0) fail();
      return ok_ ? v : 0;
    }
    return fail(), 0u;
  }
  const_bytes bytes(std::size_t n) noexcept {
    if (left() < n) return fail(), const_bytes{};
    p_ += n;
    return {p_ - n, n};
  }
  const_bytes binary() noexcept { return bytes(u16()); } // two length bytes first
  std::string_view text() noexcept {
    const std::string_view s = as_text(binary());
    if (!valid_utf8(s)) return fail(), std::string_view{};
    return s;
  }
  const_bytes rest() noexcept { return bytes(left()); }

  const std::byte* position() const noexcept { return p_; }
  std::size_t left() const noexcept { return static_cast<std::size_t>(end_ - p_); }
  bool ok() const noexcept { return ok_; }
  bool done() const noexcept { return ok_ && p_ == end_; } // all read, nothing missing

private:
  void fail() noexcept {
    ok_ = false;
    p_ = end_;
  }
  const std::byte* p_;
  const std::byte* end_;
  bool ok_ = true;
};

class octet_writer {
public:
  explicit octet_writer(std::byte* to) noexcept : p_(to) {}
  void u8(std::uint8_t v) noexcept { *p_++ = static_cast<std::byte>(v); }
  void u16(std::uint16_t v) noexcept {
    store_le(p_, __builtin_bswap16(v));
    p_ += 2;
  }
  void u32(std::uint32_t v) noexcept {
    store_le(p_, __builtin_bswap32(v));
    p_ += 4;
  }
  void varint(std::size_t v) noexcept {
    for (; v >= 0x80; v >>= 7) u8(static_cast<std::uint8_t>(v | 0x80));
    u8(static_cast<std::uint8_t>(v));
  }
  void bytes(const_bytes b) noexcept {
    if (b.empty()) return; // memcpy wants a pointer even for nothing
    std::memcpy(p_, b.data(), b.size());
    p_ += b.size();
  }
  void text(std::string_view s) noexcept {
    u16(static_cast<std::uint16_t>(s.size()));
    bytes(as_bytes(s));
  }
  std::byte* position() const noexcept { return p_; }

private:
  std::byte* p_;
};

} // namespace beeline::mqtt
