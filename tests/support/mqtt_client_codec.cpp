#include "tests/support/mqtt_client_codec.hpp"

#include "edge-server/mqtt/properties.hpp"

namespace beeline::test {
namespace {

constexpr std::uint8_t first_byte(packet_type t, unsigned flags = 0) {
  return static_cast<std::uint8_t>(static_cast<unsigned>(t) << 4 | flags);
}
void put8(std::string& to, unsigned v) { to += static_cast<char>(v); }
void put16(std::string& to, unsigned v) {
  put8(to, v >> 8);
  put8(to, v & 0xff);
}
void put32(std::string& to, std::uint32_t v) {
  put16(to, v >> 16);
  put16(to, v & 0xffff);
}
void put_varint(std::string& to, std::size_t v) {
  for (; v >= 0x80; v >>= 7) put8(to, static_cast<unsigned>(v & 0x7f) | 0x80);
  put8(to, static_cast<unsigned>(v));
}
void put_text(std::string& to, std::string_view s) {
  put16(to, static_cast<unsigned>(s.size()));
  to += s;
}
void put_block(std::string& to, std::string_view properties, protocol_version v) {
  if (v != protocol_version::v5) return;
  put_varint(to, properties.size());
  to += properties;
}

template <class Take> reason walk_block(mqtt::octet_reader& in, packet_type t, Take take) {
  const const_bytes block = mqtt::property_block(in);
  if (!in.ok()) return reason::malformed_packet;
  mqtt::property_walk walk(block, mqtt::scope_of(t), mqtt::sender::server);
  for (mqtt::property_value v; walk.next(v);) take(v);
  return walk.error();
}

void take_connack_property(const mqtt::property_value& v, mqtt::connack_properties& p) {
  switch (v.id) {
  case property::session_expiry_interval: p.session_expiry = v.number; break;
  case property::receive_maximum: p.receive_maximum = static_cast<std::uint16_t>(v.number); break;
  case property::maximum_qos: p.maximum_qos = static_cast<std::uint8_t>(v.number); break;
  case property::retain_available: p.retain_available = v.number == 1; break;
  case property::maximum_packet_size: p.maximum_packet_size = v.number; break;
  case property::assigned_client_identifier: p.assigned_client_id = v.text; break;
  case property::topic_alias_maximum: p.topic_alias_maximum = static_cast<std::uint16_t>(v.number); break;
  case property::reason_string: p.reason_string = v.text; break;
  case property::wildcard_subscription_available: p.wildcard_subscription_available = v.number == 1; break;
  case property::subscription_identifier_available:
    p.subscription_identifier_available = v.number == 1;
    break;
  case property::shared_subscription_available: p.shared_subscription_available = v.number == 1; break;
  case property::server_keep_alive: p.server_keep_alive = static_cast<std::uint16_t>(v.number); break;
  default: break;
  }
}

} // namespace

property_list& property_list::byte(property id, std::uint8_t v) {
  put8(bytes_, static_cast<unsigned>(id));
  put8(bytes_, v);
  return *this;
}
property_list& property_list::two_bytes(property id, std::uint16_t v) {
  put8(bytes_, static_cast<unsigned>(id));
  put16(bytes_, v);
  return *this;
}
property_list& property_list::four_bytes(property id, std::uint32_t v) {
  put8(bytes_, static_cast<unsigned>(id));
  put32(bytes_, v);
  return *this;
}
property_list& property_list::varint(property id, std::uint32_t v) {
  put8(bytes_, static_cast<unsigned>(id));
  put_varint(bytes_, v);
  return *this;
}
property_list& property_list::text(property id, std::string_view s) {
  put8(bytes_, static_cast<unsigned>(id));
  put_text(bytes_, s);
  return *this;
}
property_list& property_list::user(std::string_view name, std::string_view value) {
  text(property::user_property, name);
  put_text(bytes_, value);
  return *this;
}
property_list& property_list::raw(std::string_view bytes) {
  bytes_ += bytes;
  return *this;
}

std::string encode_varint(std::size_t v) {
  std::string s;
  put_varint(s, v);
  return s;
}

std::string encode_packet(std::uint8_t first, std::string_view body) {
  std::string s;
  put8(s, first);
  put_varint(s, body.size());
  s += body;
  return s;
}

std::string encode_connect(const connect_options& o) {
  std::string body;
  put_text(body, "MQTT");
  put8(body, static_cast<unsigned>(o.version));
  unsigned flags = o.clean_start ? 0x02 : 0;
  if (o.will) flags |= 0x04u | unsigned(o.will->qos) << 3 | (o.will->retain ? 0x20u : 0u);
  if (o.password) flags |= 0x40;
  if (o.user_name) flags |= 0x80;
  put8(body, flags);
  put16(body, o.keep_alive);
  put_block(body, o.properties, o.version);
  put_text(body, o.client_id);
  if (o.will) {
    put_block(body, o.will->properties, o.version);
    put_text(body, o.will->topic);
    put_text(body, o.will->payload);
  }
  if (o.user_name) put_text(body, *o.user_name);
  if (o.password) put_text(body, *o.password);
  return encode_packet(first_byte(packet_type::connect), body);
}

void append_publish(std::string& out, const publish_options& o) {
  const std::size_t block =
      o.version == v5 ? mqtt::varint_bytes(o.properties.size()) + o.properties.size() : 0;
  put8(out,
       first_byte(packet_type::publish, (o.dup ? 8u : 0u) | unsigned(o.qos) << 1 | (o.retain ? 1u : 0u)));
  put_varint(out, 2 + o.topic.size() + (o.qos ? 2 : 0) + block + o.payload.size());
  put_text(out, o.topic);
  if (o.qos) put16(out, o.packet_id);
  put_block(out, o.properties, o.version);
  out += o.payload;
}

std::string encode_publish(const publish_options& o) {
  std::string s;
  append_publish(s, o);
  return s;
}

void append_puback(std::string& out, std::uint16_t packet_id) {
  put8(out, first_byte(packet_type::puback));
  put8(out, 2);
  put16(out, packet_id);
}

std::string encode_ack(packet_type t, std::uint16_t packet_id, protocol_version v, reason code,
                       std::string_view properties) {
  std::string body;
  put16(body, packet_id);
  if (v == protocol_version::v5 && (code != reason::success || !properties.empty())) {
    put8(body, static_cast<unsigned>(code));
    if (!properties.empty()) put_block(body, properties, v);
  }
  return encode_packet(first_byte(t, t == packet_type::pubrel ? 2 : 0), body);
}

std::string encode_subscribe(std::uint16_t packet_id, const std::vector<subscribe_filter>& filters,
                             protocol_version v, std::string_view properties) {
  std::string body;
  put16(body, packet_id);
  put_block(body, properties, v);
  for (const subscribe_filter& f : filters) {
    put_text(body, f.filter);
    put8(body, f.options);
  }
  return encode_packet(first_byte(packet_type::subscribe, 2), body);
}

std::string encode_unsubscribe(std::uint16_t packet_id, const std::vector<std::string>& filters,
                               protocol_version v, std::string_view properties) {
  std::string body;
  put16(body, packet_id);
  put_block(body, properties, v);
  for (const std::string& f : filters) put_text(body, f);
  return encode_packet(first_byte(packet_type::unsubscribe, 2), body);
}

std::string encode_pingreq() { return encode_packet(first_byte(packet_type::pingreq), {}); }

std::string encode_disconnect(protocol_version v, reason code, std::string_view properties) {
  std::string body;
  if (v == protocol_version::v5 && (code != reason::success || !properties.empty())) {
    put8(body, static_cast<unsigned>(code));
    if (!properties.empty()) put_block(body, properties, v);
  }
  return encode_packet(first_byte(packet_type::disconnect), body);
}

reason decode_connack(const mqtt::packet& p, protocol_version v, connack_packet& out) {
  out = {};
  if (p.type() != packet_type::connack) return reason::protocol_error;
  if (const reason r = mqtt::check_header(p.first, v, mqtt::sender::server); r != reason::success) return r;
  mqtt::octet_reader in(p.body);
  const std::uint8_t flags = in.u8();
  out.code = in.u8();
  if (!in.ok() || flags > 1) return reason::malformed_packet;
  out.session_present = flags == 1;
  if (v == protocol_version::v5) {
    const reason r = walk_block(in, packet_type::connack, [&out](const mqtt::property_value& pv) {
      take_connack_property(pv, out.properties);
    });
    if (r != reason::success) return r;
  }
  if (!in.done()) return reason::malformed_packet;
  return out.session_present && out.code != 0 ? reason::protocol_error : reason::success;
}

reason decode_publish(const mqtt::packet& p, protocol_version v, mqtt::publish_packet& out) {
  return mqtt::decode_publish(p, v, out, mqtt::sender::server);
}
reason decode_ack(const mqtt::packet& p, protocol_version v, mqtt::ack_packet& out) {
  return mqtt::decode_ack(p, v, out, mqtt::sender::server);
}

reason decode_suback(const mqtt::packet& p, protocol_version v, suback_packet& out) {
  out = {};
  const packet_type t = p.type();
  if (t != packet_type::suback && t != packet_type::unsuback) return reason::protocol_error;
  if (const reason r = mqtt::check_header(p.first, v, mqtt::sender::server); r != reason::success) return r;
  mqtt::octet_reader in(p.body);
  out.packet_id = in.u16();
  if (!in.ok()) return reason::malformed_packet;
  if (v == protocol_version::v5) {
    const reason r = walk_block(in, t, [&out](const mqtt::property_value& pv) {
      if (pv.id == property::reason_string) out.reason_string = pv.text;
    });
    if (r != reason::success) return r;
  }
  while (in.left()) out.codes.push_back(static_cast<reason>(in.u8()));
  const bool without_codes = t == packet_type::unsuback && v != protocol_version::v5;
  return out.codes.empty() == without_codes ? reason::success : reason::malformed_packet;
}

reason decode_pingresp(const mqtt::packet& p, protocol_version v) {
  if (p.type() != packet_type::pingresp) return reason::protocol_error;
  if (const reason r = mqtt::check_header(p.first, v, mqtt::sender::server); r != reason::success) return r;
  return p.body.empty() ? reason::success : reason::malformed_packet;
}

reason decode_disconnect(const mqtt::packet& p, protocol_version v, mqtt::disconnect_packet& out) {
  return mqtt::decode_disconnect(p, v, out, mqtt::sender::server);
}

std::string forwarded(const mqtt::message_properties& p) {
  std::string s;
  for (const_bytes part : p.forward()) s += as_text(part);
  return s;
}

} // namespace beeline::test
