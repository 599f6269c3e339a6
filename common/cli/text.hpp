// What the commands print: numbers for people, tables, texts that came from others. Pure functions.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace beeline::cli {

using maybe = std::optional<double>; // a number that an older server may not have: "-"

std::string count_text(maybe n);         // "1234"
std::string rate_text(maybe a_second);   // "0", "7.5", "812", "12.3k", "1.20M"
std::string ratio_text(maybe r);         // "1.00"
std::string share_text(maybe share);     // "100 %", "99.9 %", never rounded up
std::string bytes_text(maybe n);         // "812 B", "1.5 KiB"
std::string span_text(maybe seconds);    // "0.4 s", "12 s", "3 min 5 s", "2 h 10 min", "5 d 3 h"
std::string microseconds_text(maybe us); // "85 us", "1.2 ms", "2.50 s"
std::string of_several(maybe n, std::string_view one, std::string_view many); // "1 client", "2 clients"

bool is_utf8(std::string_view text) noexcept;
std::string base64(std::string_view bytes);
// Fit for a terminal: control characters but line feed and tab as \xNN, bytes that are no UTF-8 too.
std::string printable(std::string_view text);

// Columns as wide as they need to be. A head that begins with '>' is of a column of numbers, set right.
class table {
public:
  explicit table(std::vector<std::string> heads);
  void row(std::vector<std::string> cells);
  bool empty() const noexcept { return rows_.size() == 1; }
  std::string text() const; // lines without blanks at their ends
  // The same in parts, for a list too long to keep: what came since the last take, the heads only at first.
  // Columns never get narrower.
  std::string take();

private:
  std::vector<std::size_t> widths_;
  std::vector<bool> right_;
  std::vector<std::vector<std::string>> rows_;
};

} // namespace beeline::cli
