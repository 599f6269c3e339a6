#include "common/base/peer_guess.hpp"

#include "common/base/limits.hpp"

namespace beeline {
namespace {

unsigned at(std::string_view s, std::size_t i) { return static_cast<unsigned char>(s[i]); }

// CONNACK, whose flags are 0 or 1; or CONNECT, with the length of the protocol's name before it.
bool is_mqtt(std::string_view s) noexcept {
  if (s.size() >= 3 && at(s, 0) == 0x20) return at(s, 1) >= 2 && at(s, 2) <= 1;
  return s.size() >= 8 && at(s, 0) == 0x10 && s.substr(2, 8).find("MQTT") != s.npos;
}

// A frame of the handshake: three bytes of length, then its type, of which there are five.
bool is_link(std::string_view s) noexcept {
  if (s.size() < 4) return false;
  const std::size_t length = at(s, 0) | at(s, 1) << 8 | at(s, 2) << 16, type = at(s, 3);
  return length >= 8 && length <= limits::handshake_frame_bytes_max && type >= 1 && type <= 5;
}

} // namespace

std::string_view guess_peer(std::string_view first) noexcept {
  if (first.starts_with("HTTP/")) return "speaks HTTP, as an --admin port does";
  if (is_mqtt(first)) return "speaks MQTT, as an edge's --mqtt port does";
  if (is_link(first)) return "speaks the link protocol, as a router's --listen port does";
  return {};
}

} // namespace beeline
