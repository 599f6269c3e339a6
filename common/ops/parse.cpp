#include "common/ops/parse.hpp"

#include "common/base/ids.hpp"
#include "common/base/limits.hpp"
#include "common/ops/start_error.hpp"

#include <algorithm>
#include <charconv>

namespace beeline::ops {
namespace {

[[noreturn]] void bad(std::string_view what, std::string_view text, std::string_view advice) {
  throw start_error(std::string(what) + " " + quoted(text) + ": " + std::string(advice), exit_usage);
}

// Digits from the front of `text`, which is moved behind them. Empty when there are none or too many.
std::optional<std::uint64_t> take_number(std::string_view& text) noexcept {
  std::uint64_t n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return n;
}

// `text` is what was given, for the message.
host_port parse_bare(std::string_view what, std::string_view text, std::string_view bare, port_zero zero) {
  host_port at;
  if (const std::string problem = read_host_port(bare, zero, at); !problem.empty()) bad(what, text, problem);
  return at;
}

} // namespace

std::string to_string(const host_port& a) {
  const bool v6 = a.host.find(':') != a.host.npos;
  return (v6 ? "[" + a.host + "]" : a.host) + ":" + std::to_string(a.port);
}

std::string size_text(std::uint64_t n) {
  constexpr const char* units[] = {"", "KiB", "MiB", "GiB"};
  std::size_t u = 0;
  while (u < 3 && n != 0 && n % 1024 == 0) n /= 1024, ++u;
  return std::to_string(n) + units[u];
}

std::string duration_text(duration d) {
  const auto us = d.count();
  if (us % 1'000'000 == 0) return std::to_string(us / 1'000'000) + "s";
  if (us % 1'000 == 0) return std::to_string(us / 1'000) + "ms";
  return std::to_string(us) + "us";
}

std::optional<std::int64_t> to_integer(std::string_view text, std::int64_t min, std::int64_t max) noexcept {
  std::int64_t n = 0;
  const auto end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, n);
  if (error != std::errc() || stop != end || n < min || n > max) return std::nullopt;
  return n;
}

host_port parse_host_port(std::string_view what, std::string_view text, port_zero zero) {
  return parse_bare(what, text, text, zero);
}

host_port parse_http_address(std::string_view what, std::string_view text, port_zero zero) {
  constexpr std::string_view scheme = "http://";
  std::string_view bare = text;
  if (bare.starts_with(scheme)) {
    bare.remove_prefix(scheme.size());
    if (bare.ends_with('/')) bare.remove_suffix(1);
    if (bare.find('/') != bare.npos && bare.find(',') == bare.npos)
      bad(what, text, "no page is wanted here; write HOST:PORT or http://HOST:PORT");
  }
  return parse_bare(what, text, bare, zero);
}

slot_range parse_slots(std::string_view what, std::string_view text) {
  const std::string advice = "write FIRST-LAST within 0-" + std::to_string(slot_count - 1) + ", like 0-2047";
  std::string_view rest = text;
  const auto first = take_number(rest);
  if (!first || !rest.starts_with('-')) bad(what, text, advice);
  rest.remove_prefix(1);
  const auto last = take_number(rest);
  if (!last || !rest.empty() || *first >= slot_count || *last >= slot_count) bad(what, text, advice);
  if (*first > *last) bad(what, text, "the first slot is above the last; " + advice);
  return {static_cast<std::uint32_t>(*first), static_cast<std::uint32_t>(*last)};
}

std::uint64_t parse_size(std::string_view what, std::string_view text, std::uint64_t min, std::uint64_t max) {
  std::string_view rest = text;
  const auto n = take_number(rest);
  constexpr std::string_view advice = "write a size like 8MiB, 64KiB, 1GiB or 4096 (bytes)";
  if (!n) bad(what, text, advice);
  unsigned shift = 0;
  if (rest == "KiB") shift = 10;
  else if (rest == "MiB") shift = 20;
  else if (rest == "GiB") shift = 30;
  else if (!rest.empty()) bad(what, text, advice);
  if (*n > (std::numeric_limits<std::uint64_t>::max() >> shift)) bad(what, text, "that is too large");
  const std::uint64_t size = *n << shift;
  if (size < min) bad(what, text, "must be at least " + size_text(min));
  if (size > max) bad(what, text, "must be at most " + size_text(max));
  return size;
}

duration parse_duration(std::string_view what, std::string_view text, duration min, duration max) {
  struct unit {
    std::string_view name;
    std::uint64_t us;
  };
  constexpr unit units[] = {
      {"us", 1}, {"ms", 1'000}, {"s", 1'000'000}, {"min", 60'000'000}, {"h", 3'600'000'000}};
  std::string_view rest = text;
  const auto n = take_number(rest);
  const auto u = std::find_if(std::begin(units), std::end(units), [&](auto& x) { return x.name == rest; });
  if (!n || u == std::end(units))
    bad(what, text, "write a time with its unit, like 500ms, 3s, 2min (units: us, ms, s, min, h)");
  constexpr auto us_max = static_cast<std::uint64_t>(duration::max().count());
  if (*n > us_max / u->us || duration(*n * u->us) > max)
    bad(what, text, "must be at most " + duration_text(max));
  if (duration(*n * u->us) < min) bad(what, text, "must be at least " + duration_text(min));
  return duration(*n * u->us);
}

std::uint64_t parse_count(std::string_view what, std::string_view text, std::uint64_t min,
                          std::uint64_t max) {
  std::string_view rest = text;
  const auto n = take_number(rest);
  if (!n || !rest.empty() || *n < min || *n > max)
    bad(what, text, "give a whole number from " + std::to_string(min) + " to " + std::to_string(max));
  return *n;
}

} // namespace beeline::ops
