#include "edge-server/mqtt/decode.hpp"

#include "edge-server/mqtt/message_properties.hpp"
#include "edge-server/mqtt/reason_sets.hpp"
#include "edge-server/mqtt/topic.hpp"

namespace beeline::mqtt {
namespace {

reason check_type(const packet& p, packet_type wanted, protocol_version v, sender from) noexcept {
  return p.type() == wanted ? check_header(p.first, v, from) : reason::protocol_error;
}

// Packet ids are never 0.
reason read_packet_id(octet_reader& in, std::uint16_t& id) noexcept {
  id = in.u16();
  if (!in.ok()) return reason::malformed_packet;
  return id == 0 ? reason::protocol_error : reason::success;
}

// Reads a property block and hands each property to `take`.
template <class Take> reason walk_block(octet_reader& in, packet_type t, sender from, Take take) noexcept {
  const const_bytes block = property_block(in);
  if (!in.ok()) return reason::malformed_packet;
  property_walk walk(block, scope_of(t), from);
  for (property_value v; walk.next(v);) take(v);
  return walk.error();
}

// Options of a subscription. Bits 7 and 6 are reserved; 3.1.1 knows none but the QoS.
reason check_options(std::uint8_t options, std::string_view filter, protocol_version v) noexcept {
  const unsigned qos = options & 3;
  if (v != protocol_version::v5) return options > 2 ? reason::malformed_packet : reason::success;
  if (options & 0xc0) return reason::malformed_packet;
  const bool no_local = options & 4;
  const unsigned retain_handling = options >> 4 & 3;
  if (qos == 3 || retain_handling == 3 || (no_local && is_shared_filter(filter)))
    return reason::protocol_error;
  return reason::success;
}

} // namespace

reason decode_publish(const packet& p, protocol_version v, publish_packet& out, sender from) noexcept {
  out = {};
  if (const reason r = check_type(p, packet_type::publish, v, from); r != reason::success) return r;
  out.dup = p.first & 0x08;
  out.qos = p.first >> 1 & 3;
  out.retain = p.first & 0x01;

  octet_reader in(p.body);
  out.topic = in.text();
  if (!in.ok()) return reason::malformed_packet;
  if (out.qos > 0)
    if (const reason r = read_packet_id(in, out.packet_id); r != reason::success) return r;
  if (v == protocol_version::v5) {
    const const_bytes block = property_block(in);
    if (!in.ok()) return reason::malformed_packet;
    hop_properties hop;
    const reason r = decode_message_properties(block, property_scope::publish, from, out.properties, hop);
    if (r != reason::success) return r;
    out.topic_alias = hop.topic_alias;
  }
  out.payload = in.rest();
  if (out.topic.empty()) return out.topic_alias ? reason::success : reason::protocol_error;
  return valid_topic_name(out.topic) ? reason::success : reason::topic_name_invalid;
}

reason decode_ack(const packet& p, protocol_version v, ack_packet& out, sender from) noexcept {
  out = {};
  const packet_type t = p.type();
  if (t < packet_type::puback || t > packet_type::pubcomp) return reason::protocol_error;
  if (const reason r = check_header(p.first, v, from); r != reason::success) return r;
  octet_reader in(p.body);
  if (const reason r = read_packet_id(in, out.packet_id); r != reason::success) return r;
  if (v == protocol_version::v5 && in.left()) {
    out.code = static_cast<reason>(in.u8());
    if (!allowed_in(t, out.code, from)) return reason::protocol_error;
    if (in.left()) {
      const reason r = walk_block(in, t, from, [&out](const property_value& pv) {
        if (pv.id == property::reason_string) out.reason_string = pv.text;
      });
      if (r != reason::success) return r;
    }
  }
  return in.done() ? reason::success : reason::malformed_packet;
}

reason decode_subscribe(const packet& p, protocol_version v, subscribe_packet& out) noexcept {
  out = {};
  const packet_type t = packet_type::subscribe;
  if (const reason r = check_type(p, t, v, sender::client); r != reason::success) return r;
  octet_reader in(p.body);
  if (const reason r = read_packet_id(in, out.packet_id); r != reason::success) return r;
  if (v == protocol_version::v5) {
    const reason r = walk_block(in, t, sender::client, [&out](const property_value& pv) {
      if (pv.id == property::subscription_identifier) out.subscription_identifier = pv.number;
    });
    if (r != reason::success) return r;
  }
  out.filters = {in.position(), in.left()};
  for (; in.left(); ++out.count) {
    const std::string_view filter = in.text();
    const std::uint8_t options = in.u8();
    if (!in.ok()) return reason::malformed_packet;
    if (const reason r = check_options(options, filter, v); r != reason::success) return r;
  }
  return out.count ? reason::success : reason::protocol_error;
}

bool subscription_walk::next(subscription& s) noexcept {
  if (left_.empty()) return false;
  octet_reader in(left_);
  s.filter = as_text(in.binary()); // its UTF-8 has been checked
  const std::uint8_t options = in.u8();
  s.qos = options & 3;
  s.no_local = options & 4;
  s.retain_as_published = options & 8;
  s.retain_handling = options >> 4 & 3;
  s.shared = is_shared_filter(s.filter);
  s.valid = valid_filter(s.filter);
  left_ = in.rest();
  return true;
}

reason decode_unsubscribe(const packet& p, protocol_version v, unsubscribe_packet& out) noexcept {
  out = {};
  const packet_type t = packet_type::unsubscribe;
  if (const reason r = check_type(p, t, v, sender::client); r != reason::success) return r;
  octet_reader in(p.body);
  if (const reason r = read_packet_id(in, out.packet_id); r != reason::success) return r;
  if (v == protocol_version::v5) {
    const reason r = walk_block(in, t, sender::client, [](const property_value&) {});
    if (r != reason::success) return r;
  }
  out.filters = {in.position(), in.left()};
  for (; in.left(); ++out.count) in.text();
  if (!in.ok()) return reason::malformed_packet;
  return out.count ? reason::success : reason::protocol_error;
}

bool filter_walk::next(std::string_view& filter) noexcept {
  if (left_.empty()) return false;
  octet_reader in(left_);
  filter = as_text(in.binary());
  left_ = in.rest();
  return true;
}

reason decode_pingreq(const packet& p, protocol_version v) noexcept {
  if (const reason r = check_type(p, packet_type::pingreq, v, sender::client); r != reason::success) return r;
  return p.body.empty() ? reason::success : reason::malformed_packet;
}

reason decode_disconnect(const packet& p, protocol_version v, disconnect_packet& out, sender from) noexcept {
  out = {};
  const packet_type t = packet_type::disconnect;
  if (const reason r = check_type(p, t, v, from); r != reason::success) return r;
  if (p.body.empty()) return reason::success;
  if (v != protocol_version::v5) return reason::malformed_packet;
  octet_reader in(p.body);
  out.code = static_cast<reason>(in.u8());
  if (!allowed_in(t, out.code, from)) return reason::protocol_error;
  if (in.left()) {
    const reason r = walk_block(in, t, from, [&out](const property_value& pv) {
      if (pv.id == property::session_expiry_interval) out.session_expiry = pv.number;
      if (pv.id == property::reason_string) out.reason_string = pv.text;
      if (pv.id == property::server_reference) out.server_reference = pv.text;
    });
    if (r != reason::success) return r;
  }
  return in.done() ? reason::success : reason::malformed_packet;
}

reason decode_auth(const packet& p, protocol_version v, auth_packet& out, sender from) noexcept {
  out = {};
  const packet_type t = packet_type::auth;
  if (const reason r = check_type(p, t, v, from); r != reason::success) return r;
  octet_reader in(p.body);
  if (in.left()) out.code = static_cast<reason>(in.u8());
  if (!allowed_in(t, out.code, from)) return reason::protocol_error;
  if (p.body.empty()) return reason::success;
  bool has_method = false;
  const reason r = walk_block(in, t, from, [&](const property_value& pv) {
    if (pv.id == property::authentication_method) out.method = pv.text, has_method = true;
    if (pv.id == property::authentication_data) out.data = as_bytes(pv.text);
  });
  if (r != reason::success) return r;
  if (!in.done()) return reason::malformed_packet;
  return has_method ? reason::success : reason::protocol_error;
}

} // namespace beeline::mqtt
