// What the fuzz targets share: an input that never ends too early, and the way to say that something is
// wrong. One thread; views live as long as the input's bytes.
//
// Read twice in one call's arguments, it means another thing to another compiler: their order is not defined.
#pragma once
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace beeline::fuzz {

class input {
public:
  input(const std::uint8_t* p, std::size_t n) noexcept : p_(p), left_(n) {}
  bool empty() const noexcept { return left_ == 0; }
  std::size_t left() const noexcept { return left_; }
  std::uint8_t byte() noexcept { // 0 when there is no more
    if (left_ == 0) return 0;
    --left_;
    return *p_++;
  }
  std::uint16_t two() noexcept {
    const unsigned high = byte();
    return static_cast<std::uint16_t>(high << 8 | byte());
  }
  std::uint64_t number() noexcept { // small ones are common
    std::uint64_t v = 0;
    for (unsigned n = byte() % 9; n; --n) v = v << 8 | byte();
    return v;
  }
  std::string_view text(std::size_t n) noexcept {
    if (n > left_) n = left_;
    const std::string_view s(reinterpret_cast<const char*>(p_), n);
    p_ += n;
    left_ -= n;
    return s;
  }

private:
  const std::uint8_t* p_;
  std::size_t left_;
};

[[noreturn]] inline void failed(const char* what, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
  std::abort();
}

} // namespace beeline::fuzz

#define MUST_HOLD(x) ((x) ? void(0) : ::beeline::fuzz::failed(#x, __FILE__, __LINE__))

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
