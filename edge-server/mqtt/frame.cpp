// Framing: where a packet ends, and whether its first byte may stand there at all.
#include "edge-server/mqtt/decode.hpp"

namespace beeline::mqtt {

parse next_packet(const_bytes in, std::size_t packet_max, packet& out) noexcept {
  out = {};
  if (in.empty()) return parse::need_more;
  out.first = static_cast<std::uint8_t>(in[0]);
  std::size_t body = 0;
  for (std::size_t i = 1;; ++i) {
    if (i == in.size()) return parse::need_more;
    const auto b = static_cast<std::uint8_t>(in[i]);
    body |= static_cast<std::size_t>(b & 0x7f) << (7 * (i - 1));
    if (b >= 0x80) {
      if (i == 4) return parse::malformed; // a fifth byte would follow (CAT-12)
      continue;
    }
    if (b == 0 && i > 1) return parse::malformed; // not the shortest form
    out.total = 1 + i + body;
    if (out.total > packet_max) return parse::too_large;
    if (in.size() < out.total) return parse::need_more;
    out.body = in.subspan(1 + i, body);
    return parse::done;
  }
}

namespace {

bool other_sides(packet_type t, protocol_version v, sender from) noexcept {
  switch (t) {
  case packet_type::connect:
  case packet_type::subscribe:
  case packet_type::unsubscribe:
  case packet_type::pingreq: return from == sender::server;
  case packet_type::connack:
  case packet_type::suback:
  case packet_type::unsuback:
  case packet_type::pingresp: return from == sender::client;
  case packet_type::disconnect: return from == sender::server && v != protocol_version::v5;
  default: return false;
  }
}

std::uint8_t required_flags(packet_type t) noexcept {
  return t == packet_type::pubrel || t == packet_type::subscribe || t == packet_type::unsubscribe ? 2 : 0;
}

} // namespace

reason check_header(std::uint8_t first, protocol_version v, sender from) noexcept {
  const packet_type t = type_of(first);
  if (t == packet_type::reserved) return reason::malformed_packet;
  if (t == packet_type::auth && v != protocol_version::v5) return reason::malformed_packet;
  if (other_sides(t, v, from)) return reason::protocol_error;
  const std::uint8_t flags = first & 0x0f;
  if (t != packet_type::publish)
    return flags == required_flags(t) ? reason::success : reason::malformed_packet;
  const unsigned qos = flags >> 1 & 3;
  const bool dup = (flags & 8) != 0;
  return qos == 3 || (qos == 0 && dup) ? reason::malformed_packet : reason::success;
}

} // namespace beeline::mqtt
