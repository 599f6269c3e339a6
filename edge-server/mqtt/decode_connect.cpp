// CONNECT:  name "MQTT" | level | flags | keep-alive | [properties] | client id
//           | [will properties | will topic | will payload] | [user name] | [password]
#include "edge-server/mqtt/message_properties.hpp"
#include "edge-server/mqtt/topic.hpp"

namespace beeline::mqtt {
namespace {

struct connect_flags {
  std::uint8_t bits;
  bool reserved() const noexcept { return bits & 0x01; }
  bool clean_start() const noexcept { return bits & 0x02; }
  bool will() const noexcept { return bits & 0x04; }
  std::uint8_t will_qos() const noexcept { return bits >> 3 & 3; }
  bool will_retain() const noexcept { return bits & 0x20; }
  bool password() const noexcept { return bits & 0x40; }
  bool user_name() const noexcept { return bits & 0x80; }

  bool consistent(protocol_version v) const noexcept {
    if (reserved() || will_qos() == 3) return false;
    if (!will() && (will_qos() != 0 || will_retain())) return false;
    return v == protocol_version::v5 || user_name() || !password();
  }
};

reason decode_version(octet_reader& in, connect_packet& out) noexcept {
  const const_bytes name = in.binary();
  const std::uint8_t level = in.u8();
  if (!in.ok()) return reason::malformed_packet;
  const bool known_name = as_text(name) == "MQTT";
  // The top bit is set by some bridges and is no part of the level.
  out.version = known_name && level >= 5 && level < 0x80 ? protocol_version::v5 : protocol_version::v311;
  return known_name && (level == 4 || level == 5) ? reason::success : reason::unsupported_protocol_version;
}

void take(const property_value& v, connect_packet& out, bool& authentication_data) noexcept {
  switch (v.id) {
  case property::session_expiry_interval: out.session_expiry = v.number; break;
  case property::receive_maximum: out.receive_maximum = static_cast<std::uint16_t>(v.number); break;
  case property::maximum_packet_size: out.maximum_packet_size = v.number; break;
  case property::topic_alias_maximum: out.topic_alias_maximum = static_cast<std::uint16_t>(v.number); break;
  case property::request_response_information: out.request_response_information = v.number == 1; break;
  case property::request_problem_information: out.request_problem_information = v.number == 1; break;
  case property::authentication_method: out.authentication_method = v.text; break;
  case property::authentication_data: authentication_data = true; break;
  case property::user_property: out.user_property_bytes += v.raw.size(); break;
  default: break;
  }
}

reason decode_connect_properties(octet_reader& in, connect_packet& out) noexcept {
  const const_bytes block = property_block(in);
  if (!in.ok()) return reason::malformed_packet;
  property_walk walk(block, property_scope::connect, sender::client);
  bool authentication_data = false;
  for (property_value v; walk.next(v);) take(v, out, authentication_data);
  if (walk.error() != reason::success) return walk.error();
  return authentication_data && !out.authentication_method ? reason::protocol_error : reason::success;
}

reason decode_will(octet_reader& in, connect_flags flags, protocol_version v, will_message& out) noexcept {
  out.qos = flags.will_qos();
  out.retain = flags.will_retain();
  if (v == protocol_version::v5) {
    const const_bytes block = property_block(in);
    if (!in.ok()) return reason::malformed_packet;
    hop_properties hop;
    const reason r =
        decode_message_properties(block, property_scope::will, sender::client, out.properties, hop);
    if (r != reason::success) return r;
    out.delay = hop.will_delay;
  }
  out.topic = in.text();
  out.payload = in.binary();
  if (!in.ok()) return reason::malformed_packet;
  return valid_topic_name(out.topic) ? reason::success : reason::topic_name_invalid;
}

} // namespace

reason decode_connect(const packet& p, connect_packet& out) noexcept {
  out = {};
  if (p.type() != packet_type::connect) return reason::protocol_error;
  if (const reason r = check_header(p.first, protocol_version::none, sender::client); r != reason::success)
    return r;
  octet_reader in(p.body);
  if (const reason r = decode_version(in, out); r != reason::success) return r;

  const connect_flags flags{in.u8()};
  out.keep_alive = in.u16();
  if (!in.ok() || !flags.consistent(out.version)) return reason::malformed_packet;
  out.clean_start = flags.clean_start();
  if (out.version == protocol_version::v5)
    if (const reason r = decode_connect_properties(in, out); r != reason::success) return r;
  out.client_id = in.text();
  if (!in.ok()) return reason::malformed_packet;
  if (flags.will())
    if (const reason r = decode_will(in, flags, out.version, out.will.emplace()); r != reason::success)
      return r;
  if (flags.user_name()) out.user_name = in.text();
  if (flags.password()) out.password = in.binary();
  if (!in.done()) return reason::malformed_packet;

  // 3.1.1 cannot tell the client the id that it was given, so a session to come back to needs one.
  if (out.version == protocol_version::v311 && out.client_id.empty() && !out.clean_start)
    return reason::client_identifier_not_valid;
  return reason::success;
}

} // namespace beeline::mqtt
