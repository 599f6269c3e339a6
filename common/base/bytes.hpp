// Little-endian loads and stores, and a bounded reader for untrusted bytes.
//
// `byte_reader` never reads past its end: a get that does not fit sets `ok() == false`, returns
// zero or an empty view, and every later get does the same. Views live as long as the bytes.
#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace beeline {

static_assert(std::endian::native == std::endian::little, "stores assume a little-endian machine");

template <class T> T load_le(const void* p) noexcept {
  T v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
template <class T> void store_le(void* p, T v) noexcept { std::memcpy(p, &v, sizeof v); }
inline std::uint32_t load_u24(const void* p) noexcept {
  auto b = static_cast<const unsigned char*>(p);
  return std::uint32_t(b[0]) | std::uint32_t(b[1]) << 8 | std::uint32_t(b[2]) << 16;
}
inline void store_u24(void* p, std::uint32_t v) noexcept {
  auto b = static_cast<unsigned char*>(p);
  b[0] = static_cast<unsigned char>(v);
  b[1] = static_cast<unsigned char>(v >> 8);
  b[2] = static_cast<unsigned char>(v >> 16);
}

using const_bytes = std::span<const std::byte>;
using mutable_bytes = std::span<std::byte>;

inline std::string_view as_text(const_bytes b) noexcept {
  return {reinterpret_cast<const char*>(b.data()), b.size()};
}
inline const_bytes as_bytes(std::string_view s) noexcept {
  return {reinterpret_cast<const std::byte*>(s.data()), s.size()};
}

class byte_reader {
public:
  explicit byte_reader(const_bytes b) noexcept : p_(b.data()), end_(b.data() + b.size()) {}

  template <class T> T get() noexcept {
    if (left() < sizeof(T)) return fail<T>();
    T v = load_le<T>(p_);
    p_ += sizeof(T);
    return v;
  }
  const_bytes bytes(std::size_t n) noexcept {
    if (left() < n) {
      ok_ = false;
      p_ = end_;
      return {};
    }
    const_bytes b{p_, n};
    p_ += n;
    return b;
  }
  std::string_view text(std::size_t n) noexcept { return as_text(bytes(n)); }
  std::string_view text8() noexcept { return text(get<std::uint8_t>()); } // one length byte first

  std::size_t left() const noexcept { return static_cast<std::size_t>(end_ - p_); }
  bool ok() const noexcept { return ok_; }
  bool done() const noexcept { return ok_ && p_ == end_; } // all read, nothing missing

private:
  template <class T> T fail() noexcept {
    ok_ = false;
    p_ = end_;
    return T{};
  }
  const std::byte* p_;
  const std::byte* end_;
  bool ok_ = true;
};

} // namespace beeline
