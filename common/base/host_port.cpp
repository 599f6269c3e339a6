#include "common/base/host_port.hpp"

#include "common/base/limits.hpp"

#include <algorithm>
#include <charconv>

namespace beeline {
namespace {

bool host_char(char c) noexcept {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == '-' ||
         c == '_';
}
bool ipv6_char(char c) noexcept { return host_char(c) || c == ':' || c == '%'; }

bool read_port(std::string_view text, std::uint16_t& out) noexcept {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

// "[::1]:1883"; `text` keeps what follows the brackets.
std::string take_bracketed(std::string_view& text, std::string& host) {
  const auto close = text.find(']');
  if (close == text.npos) return "the ']' is missing; write it like [::1]:1883";
  host = text.substr(1, close - 1);
  text.remove_prefix(close + 1);
  if (host.find(':') == host.npos || !std::all_of(host.begin(), host.end(), ipv6_char))
    return "only an IPv6 address stands in brackets, like [::1]:1883";
  if (!text.starts_with(':')) return "the port is missing; write HOST:PORT, like [::1]:1883";
  return {};
}

// Splits off the host; `text` keeps what follows it, from the colon on.
std::string take_host(std::string_view& text, std::string& host) {
  if (text.find(',') != text.npos) return "one address is wanted here, not a list; write HOST:PORT";
  if (text.find("://") != text.npos) return "no URL is wanted here; write HOST:PORT, like 127.0.0.1:1883";
  if (text.starts_with('[')) return take_bracketed(text, host);
  const auto colon = text.find(':');
  if (colon == text.npos) return "the port is missing; write HOST:PORT, like 127.0.0.1:1883";
  host = text.substr(0, colon);
  text.remove_prefix(colon);
  if (text.find(':', 1) != text.npos) return "put an IPv6 address in brackets, like [::1]:1883";
  if (std::uint16_t port = 0; host.empty() && read_port(text.substr(1), port)) // else the port is wrong, too
    return "the host is missing; write 0.0.0.0" + std::string(text) + " for all addresses";
  if (!std::all_of(host.begin(), host.end(), host_char))
    return "that is no host name or address; write HOST:PORT, like 127.0.0.1:1883";
  return {};
}

} // namespace

std::string read_host_port(std::string_view text, port_zero zero, host_port& out) {
  std::string_view rest = text;
  if (std::string problem = take_host(rest, out.host); !problem.empty()) return problem;
  if (out.host.size() > limits::host_name_bytes_max) return "the host name is too long";
  rest.remove_prefix(1);
  const bool any = zero == port_zero::allowed;
  if (read_port(rest, out.port) && (any || out.port != 0)) return {};
  return any ? "the port must be a number from 0 (any free port) to 65535"
             : "the port must be a number from 1 to 65535";
}

} // namespace beeline
