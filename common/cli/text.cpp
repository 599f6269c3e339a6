#include "common/cli/text.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <fmt/format.h>

namespace beeline::cli {

std::string count_text(maybe n) { return n ? fmt::format("{:.0f}", *n) : "-"; }

std::string rate_text(maybe r) {
  if (!r) return "-";
  if (*r <= 0) return "0";
  if (*r < 10) return fmt::format("{:.1f}", *r);
  if (*r < 10'000) return fmt::format("{:.0f}", *r);
  if (*r < 1e6) return fmt::format("{:.1f}k", *r / 1e3);
  return fmt::format("{:.2f}M", *r / 1e6);
}

std::string ratio_text(maybe r) { return r ? fmt::format("{:.2f}", *r) : "-"; }

std::string share_text(maybe share) {
  if (!share) return "-";
  const double permille = std::floor(*share * 1000 + 1e-6); // 999 of 1,000 are not all
  return fmt::format("{:.{}f} %", permille / 10, permille == 1000 || permille == 0 ? 0 : 1);
}

std::string bytes_text(maybe n) {
  if (!n) return "-";
  if (*n < 1024) return fmt::format("{:.0f} B", *n);
  static constexpr std::string_view units[] = {"KiB", "MiB", "GiB", "TiB"};
  double v = *n / 1024;
  std::size_t unit = 0;
  for (; v >= 1024 && unit + 1 < std::size(units); ++unit) v /= 1024;
  return fmt::format("{:.1f} {}", v, units[unit]);
}

std::string span_text(maybe seconds) {
  if (!seconds) return "-";
  if (*seconds < 10) return fmt::format("{:.1f} s", *seconds);
  const auto s = static_cast<std::uint64_t>(*seconds);
  if (s < 60) return fmt::format("{} s", s);
  if (s < 3600) return fmt::format("{} min {} s", s / 60, s % 60);
  if (s < 86'400) return fmt::format("{} h {} min", s / 3600, s / 60 % 60);
  return fmt::format("{} d {} h", s / 86'400, s / 3600 % 24);
}

std::string microseconds_text(maybe us) {
  if (!us) return "-";
  if (*us < 1000) return fmt::format("{:.0f} us", *us);
  if (*us < 1e6) return fmt::format("{:.1f} ms", *us / 1e3);
  return fmt::format("{:.2f} s", *us / 1e6);
}

std::string of_several(maybe n, std::string_view one, std::string_view many) {
  return fmt::format("{} {}", count_text(n), n && *n == 1 ? one : many);
}

namespace {
// Bytes of the well-formed UTF-8 character at the beginning; 0: there is none.
std::size_t character(std::string_view s) noexcept {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(s[i]); };
  const unsigned char first = at(0);
  if (first < 0x80) return 1;
  const std::size_t n = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || s.size() < n) return 0;
  for (std::size_t i = 1; i < n; ++i)
    if ((at(i) & 0xc0) != 0x80) return 0;
  if (first == 0xe0 && at(1) < 0xa0) return 0; // overlong
  if (first == 0xed && at(1) > 0x9f) return 0; // surrogates
  if (first == 0xf0 && at(1) < 0x90) return 0; // overlong
  if (first == 0xf4 && at(1) > 0x8f) return 0; // beyond U+10FFFF
  return n;
}
} // namespace

bool is_utf8(std::string_view text) noexcept {
  while (!text.empty()) {
    const std::size_t n = character(text);
    if (n == 0) return false;
    text.remove_prefix(n);
  }
  return true;
}

std::string base64(std::string_view bytes) {
  static constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t n = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t v = 0;
    for (std::size_t k = 0; k < 3; ++k) v = v << 8 | (k < n ? static_cast<unsigned char>(bytes[i + k]) : 0u);
    for (std::size_t k = 0; k < 4; ++k) out += k <= n ? digits[v >> (18 - 6 * k) & 63] : '=';
  }
  return out;
}

std::string printable(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t n = character(text);
    const auto first = static_cast<unsigned char>(text[0]);
    const bool c1 = n == 2 && first == 0xc2 && static_cast<unsigned char>(text[1]) < 0xa0;
    const bool control = (first < 0x20 && first != '\n' && first != '\t') || first == 0x7f || c1;
    if (n == 0 || control)
      for (std::size_t i = 0; i < std::max<std::size_t>(n, 1); ++i)
        out += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[i]));
    else out += text.substr(0, n);
    text.remove_prefix(std::max<std::size_t>(n, 1));
  }
  return out;
}

namespace {
std::size_t width(std::string_view utf8) {
  return static_cast<std::size_t>(std::count_if(
      utf8.begin(), utf8.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}
} // namespace

table::table(std::vector<std::string> heads) {
  for (std::string& h : heads) {
    right_.push_back(h.starts_with('>'));
    if (right_.back()) h.erase(0, 1);
  }
  widths_.resize(right_.size());
  rows_.push_back(std::move(heads));
}

void table::row(std::vector<std::string> cells) {
  for (std::string& c : cells) { // an id or a name is one cell of one line
    c = printable(c);
    std::replace_if(
        c.begin(), c.end(), [](char x) { return x == '\n' || x == '\t'; }, ' ');
  }
  rows_.push_back(std::move(cells));
}

std::string table::take() {
  for (const auto& r : rows_)
    for (std::size_t i = 0; i < r.size(); ++i) widths_[i] = std::max(widths_[i], width(r[i]));
  std::string out = text();
  rows_.clear();
  return out;
}

std::string table::text() const {
  std::vector<std::size_t> widths = widths_;
  for (const auto& r : rows_)
    for (std::size_t i = 0; i < r.size(); ++i) widths[i] = std::max(widths[i], width(r[i]));
  std::string out;
  for (const auto& r : rows_) {
    std::string line;
    for (std::size_t i = 0; i < r.size(); ++i) {
      const std::string blanks(widths[i] - width(r[i]), ' ');
      line += (i ? "  " : "") + (right_[i] ? blanks + r[i] : r[i] + blanks);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

} // namespace beeline::cli
