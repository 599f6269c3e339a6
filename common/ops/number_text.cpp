#include "common/ops/number_text.hpp"

#include <charconv>
#include <cmath>

namespace beeline::ops {

void append_number(std::string& out, std::uint64_t v) {
  char digits[20];
  out.append(digits, std::to_chars(digits, digits + sizeof digits, v).ptr);
}

void append_number(std::string& out, double v) {
  char digits[32];
  // By itself to_chars prefers 2e+05 to 200000, which nobody likes to read.
  const bool readable = v == 0 || (std::abs(v) >= 1e-4 && std::abs(v) < 1e16);
  const auto format = readable ? std::chars_format::fixed : std::chars_format::scientific;
  out.append(digits, std::to_chars(digits, digits + sizeof digits, v, format).ptr);
}

} // namespace beeline::ops
