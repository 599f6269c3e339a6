#include "edge-server/mqtt/encode.hpp"

#include "common/base/check.hpp"
#include "common/base/limits.hpp"
#include "edge-server/mqtt/octets.hpp"
#include "edge-server/mqtt/reason_sets.hpp"

#include <algorithm>

namespace beeline::mqtt {
namespace {

constexpr std::uint8_t first_byte(packet_type t, unsigned flags = 0) noexcept {
  return static_cast<std::uint8_t>(static_cast<unsigned>(t) << 4 | flags);
}
constexpr std::size_t framed(std::size_t body) noexcept { return 1 + varint_bytes(body) + body; }

// Room for a packet of a known body size, its header already written.
octet_writer begin_packet(output_chain& out, std::uint8_t first, std::size_t body) {
  octet_writer w(out.extend(framed(body)));
  w.u8(first);
  w.varint(body);
  return w;
}

std::string_view sendable(std::string_view reason_string) noexcept {
  return reason_string.size() <= limits::reason_bytes_max ? reason_string : std::string_view{};
}
constexpr std::size_t text_property_bytes(std::string_view s) noexcept {
  return s.empty() ? 0 : 3 + s.size();
}

void write_text_property(octet_writer& w, property id, std::string_view s) noexcept {
  if (s.empty()) return;
  w.u8(static_cast<std::uint8_t>(id));
  w.text(s);
}

// --- CONNACK ------------------------------------------------------------------------------------------
// The numbers of CONNACK's properties in a small buffer: twelve of at most five bytes.
class number_properties {
public:
  template <class T> void add(property id, const std::optional<T>& v) noexcept {
    if (!v) return;
    octet_writer w(bytes_.data() + size_);
    w.u8(static_cast<std::uint8_t>(id));
    if constexpr (sizeof(T) == 1) w.u8(static_cast<std::uint8_t>(*v));
    else if constexpr (sizeof(T) == 2) w.u16(*v);
    else w.u32(*v);
    size_ += 1 + sizeof(T);
  }
  const_bytes bytes() const noexcept { return {bytes_.data(), size_}; }

private:
  std::array<std::byte, 12 * 5> bytes_;
  std::size_t size_ = 0;
};

number_properties numbers_of(const connack_properties& p) noexcept {
  number_properties n;
  n.add(property::session_expiry_interval, p.session_expiry);
  n.add(property::receive_maximum, p.receive_maximum);
  n.add(property::maximum_qos, p.maximum_qos);
  n.add(property::retain_available, p.retain_available);
  n.add(property::maximum_packet_size, p.maximum_packet_size);
  n.add(property::topic_alias_maximum, p.topic_alias_maximum);
  n.add(property::wildcard_subscription_available, p.wildcard_subscription_available);
  n.add(property::subscription_identifier_available, p.subscription_identifier_available);
  n.add(property::shared_subscription_available, p.shared_subscription_available);
  n.add(property::server_keep_alive, p.server_keep_alive);
  return n;
}

// --- PUBLISH ------------------------------------------------------------------------------------------
struct publish_sizes {
  std::size_t topic = 0, properties = 0, body = 0;
};

publish_sizes measure(const publish_message& m, protocol_version v) noexcept {
  publish_sizes s;
  for (std::string_view piece : m.topic) s.topic += piece.size();
  s.body = 2 + s.topic + (m.qos ? 2 : 0) + m.payload.size();
  if (v == protocol_version::v5) {
    if (m.message_expiry) s.properties += 5;
    for (const_bytes part : m.forward_properties) s.properties += part.size();
    s.body += varint_bytes(s.properties) + s.properties;
  }
  return s;
}

struct chain_sink {
  output_chain& out;
  void bytes(const_bytes b) { out.append(b); }
};

// Writes the packet to a sink: contiguous memory for a small one, the chain for a large one.
template <class Sink>
void write_publish(Sink& to, const publish_message& m, const publish_sizes& s, protocol_version v) {
  std::array<std::byte, 16> part; // before the topic at most 7 bytes, after it at most 11
  octet_writer head(part.data());
  head.u8(first_byte(packet_type::publish, (m.dup ? 8u : 0u) | unsigned(m.qos) << 1 | (m.retain ? 1u : 0u)));
  head.varint(s.body);
  head.u16(static_cast<std::uint16_t>(s.topic));
  to.bytes({part.data(), head.position()});
  for (std::string_view piece : m.topic) to.bytes(as_bytes(piece));

  octet_writer middle(part.data());
  if (m.qos) middle.u16(m.packet_id);
  if (v == protocol_version::v5) {
    middle.varint(s.properties);
    if (m.message_expiry) {
      middle.u8(static_cast<std::uint8_t>(property::message_expiry_interval));
      middle.u32(*m.message_expiry);
    }
  }
  to.bytes({part.data(), middle.position()});
  if (v == protocol_version::v5)
    for (const_bytes property_bytes : m.forward_properties) to.bytes(property_bytes);
  to.bytes(m.payload);
}

// A larger packet is appended in pieces, so that no chunk's end is wasted for it.
constexpr std::size_t one_piece_max = 1024;

// --- SUBACK, UNSUBACK -----------------------------------------------------------------------------------
std::size_t encode_codes(output_chain& out, packet_type t, std::uint16_t packet_id,
                         std::span<const reason> codes, protocol_version v, std::size_t packet_max) {
  const bool v5 = v == protocol_version::v5;
  if (!v5 && t == packet_type::unsuback) codes = {};
  const std::size_t before = v5 ? 3 : 2; // id, and an empty property block
  const std::size_t total = framed(before + codes.size());
  if (total > packet_max) return 0;
  // There may be more codes than fit one chunk.
  std::size_t n = std::min<std::size_t>(codes.size(), one_piece_max);
  octet_writer w(out.extend(total - codes.size() + n));
  w.u8(first_byte(t));
  w.varint(before + codes.size());
  w.u16(packet_id);
  if (v5) w.u8(0);
  for (;;) {
    for (reason r : codes.first(n)) w.u8(!v5 && is_error(r) ? 0x80 : static_cast<std::uint8_t>(r));
    codes = codes.subspan(n);
    if (codes.empty()) return total;
    n = std::min<std::size_t>(codes.size(), one_piece_max);
    w = octet_writer(out.extend(n));
  }
}

} // namespace

std::size_t encode_connack(output_chain& out, protocol_version v, bool session_present, reason code,
                           const connack_properties& p, std::size_t packet_max) {
  CHECK_INVARIANT(p.assigned_client_id.size() <= limits::client_id_bytes_max);
  const bool v5 = v == protocol_version::v5;
  const number_properties numbers = numbers_of(p);
  std::string_view text = sendable(p.reason_string), reference = sendable(p.server_reference);
  const std::size_t fixed = numbers.bytes().size() + text_property_bytes(p.assigned_client_id);
  const auto body_of = [&](std::size_t properties) {
    return v5 ? 2 + varint_bytes(properties) + properties : 2;
  };

  std::size_t properties = fixed + text_property_bytes(reference) + text_property_bytes(text);
  if (framed(body_of(properties)) > packet_max)
    text = {}, properties = fixed + text_property_bytes(reference);
  if (framed(body_of(properties)) > packet_max) reference = {}, properties = fixed;
  const std::size_t body = body_of(properties);
  if (framed(body) > packet_max) return 0;

  octet_writer w = begin_packet(out, first_byte(packet_type::connack), body);
  w.u8(session_present && code == reason::success);
  w.u8(v5 ? static_cast<std::uint8_t>(code) : v311_return_code(code));
  if (!v5) return framed(body);
  w.varint(properties);
  w.bytes(numbers.bytes());
  write_text_property(w, property::assigned_client_identifier, p.assigned_client_id);
  write_text_property(w, property::reason_string, text);
  write_text_property(w, property::server_reference, reference);
  return framed(body);
}

std::size_t publish_size(const publish_message& m, protocol_version v) noexcept {
  return framed(measure(m, v).body);
}

std::size_t encode_publish(output_chain& out, const publish_message& m, protocol_version v) {
  const publish_sizes s = measure(m, v);
  const std::size_t total = framed(s.body);
  CHECK_INVARIANT(s.topic <= 65'535 && s.body <= varint_max && m.qos <= 2);
  if (total <= one_piece_max) {
    octet_writer memory(out.extend(total));
    write_publish(memory, m, s, v);
  } else {
    chain_sink chain{out};
    write_publish(chain, m, s, v);
  }
  return total;
}

std::size_t encode_ack(output_chain& out, packet_type t, std::uint16_t packet_id, protocol_version v,
                       reason code, std::string_view reason_string, std::size_t packet_max) {
  const bool v5 = v == protocol_version::v5;
  std::size_t text = v5 ? text_property_bytes(sendable(reason_string)) : 0;
  const std::size_t plain = !v5 || code == reason::success ? 2 : 3;
  std::size_t body = text ? 3 + varint_bytes(text) + text : plain;
  if (framed(body) > packet_max) body = plain, text = 0;
  if (framed(body) > packet_max) return 0;

  octet_writer w = begin_packet(out, first_byte(t, t == packet_type::pubrel ? 2 : 0), body);
  w.u16(packet_id);
  if (body > 2) w.u8(static_cast<std::uint8_t>(code));
  if (text) {
    w.varint(text);
    write_text_property(w, property::reason_string, reason_string);
  }
  return framed(body);
}

std::size_t encode_suback(output_chain& out, std::uint16_t packet_id, std::span<const reason> codes,
                          protocol_version v, std::size_t packet_max) {
  return encode_codes(out, packet_type::suback, packet_id, codes, v, packet_max);
}

std::size_t encode_unsuback(output_chain& out, std::uint16_t packet_id, std::span<const reason> codes,
                            protocol_version v, std::size_t packet_max) {
  return encode_codes(out, packet_type::unsuback, packet_id, codes, v, packet_max);
}

std::size_t encode_pingresp(output_chain& out) {
  begin_packet(out, first_byte(packet_type::pingresp), 0);
  return 2;
}

std::size_t encode_disconnect(output_chain& out, protocol_version v, reason code,
                              std::string_view reason_string, std::size_t packet_max,
                              std::string_view server_reference) {
  if (v != protocol_version::v5) return 0;
  std::string_view text = sendable(reason_string), reference = sendable(server_reference);
  const std::size_t plain = code == reason::success ? 0 : 1;
  std::size_t properties = 0;
  const auto measured = [&] {
    properties = text_property_bytes(text) + text_property_bytes(reference);
    return properties ? 1 + varint_bytes(properties) + properties : plain;
  };
  std::size_t body = measured();
  if (framed(body) > packet_max) text = {}, body = measured(); // where to go is worth more than why
  if (framed(body) > packet_max) reference = {}, body = measured();
  if (framed(body) > packet_max) return 0;

  octet_writer w = begin_packet(out, first_byte(packet_type::disconnect), body);
  if (body) w.u8(static_cast<std::uint8_t>(code));
  if (properties) {
    w.varint(properties);
    write_text_property(w, property::reason_string, text);
    write_text_property(w, property::server_reference, reference);
  }
  return framed(body);
}

} // namespace beeline::mqtt
