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

bool host_char(char c) noexcept {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == '-' ||
         c == '_';
}
bool ipv6_char(char c) noexcept { return host_char(c) || c == ':' || c == '%'; }

// Splits off the host; `text` keeps what follows it, from the colon on.
std::string_view take_host(std::string_view what, std::string_view& text) {
  const std::string_view whole = text;
  if (text.starts_with('[')) {
    const auto close = text.find(']');
    if (close == text.npos) bad(what, whole, "the ']' is missing; write it like [::1]:1883");
    const auto host = text.substr(1, close - 1);
    text.remove_prefix(close + 1);
    if (host.find(':') == host.npos || !std::all_of(host.begin(), host.end(), ipv6_char))
      bad(what, whole, "only an IPv6 address stands in brackets, like [::1]:1883");
    return host;
  }
  const auto colon = text.find(':');
  if (colon == text.npos) bad(what, whole, "the port is missing; write HOST:PORT, like 127.0.0.1:1883");
  const auto host = text.substr(0, colon);
  text.remove_prefix(colon);
  if (host.empty() && text.find(':', 1) == text.npos)
    bad(what, whole, "the host is missing; write 0.0.0.0" + std::string(text) + " for all addresses");
  if (text.find(':', 1) != text.npos) bad(what, whole, "put an IPv6 address in brackets, like [::1]:1883");
  if (!std::all_of(host.begin(), host.end(), host_char))
    bad(what, whole, "that is no host name or address; write HOST:PORT, like 127.0.0.1:1883");
  return host;
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
  std::string_view rest = text;
  const auto host = take_host(what, rest);
  if (host.size() > limits::host_name_bytes_max) bad(what, text, "the host name is too long");
  if (!rest.starts_with(':')) bad(what, text, "the port is missing; write HOST:PORT, like [::1]:1883");
  const bool any = zero == port_zero::allowed;
  const auto port = to_integer(rest.substr(1), any ? 0 : 1, 65535);
  if (!port || rest[1] == '-')
    bad(what, text,
        any ? "the port must be a number from 0 (any free port) to 65535"
            : "the port must be a number from 1 to 65535");
  return {std::string(host), static_cast<std::uint16_t>(*port)};
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
