// MQTT packets from bytes: framing, and a decoder for each packet that a client sends.
//
//   first byte (type, flags) | remaining length (varint) | body
//
// Framing judges a packet by its header alone, before a byte of the body is awaited or kept. A
// decoder gives reason::success and fills `out`, or gives the reason code with which the connection
// is to be closed; then `out` is filled only in part. Nothing is allocated: texts and spans are
// views into the packet and live as long as its bytes. All work is linear in the packet's size.
//
// In general: malformed_packet is what cannot be parsed (cut, trailing bytes, reserved bits,
// not UTF-8, a property of another packet); protocol_error is what can be parsed and is not allowed.
// Limits that a session sets (topic length, QoS 2, alias range, ...) are the session's to judge.
//
// Owner: whoever calls; pure functions.
#pragma once
#include "common/base/bytes.hpp"
#include "edge-server/mqtt/protocol.hpp"

#include <array>
#include <optional>

namespace beeline::mqtt {

struct packet {
  std::uint8_t first = 0;
  const_bytes body;
  std::size_t total = 0; // whole packet with its header; 0 while the header is not there
  packet_type type() const noexcept { return type_of(first); }
  std::uint8_t flags() const noexcept { return first & 0x0f; }
};

// After need_more, `out.total` says how many bytes the packet has, or 0 if that is not known yet.
enum class parse : std::uint8_t { done, need_more, malformed, too_large };
parse next_packet(const_bytes in, std::size_t packet_max, packet& out) noexcept;

// Is this first byte right for a packet that `from` may send in this version? The decoders below
// test it too. malformed_packet: reserved type or flags; protocol_error: the other side's type.
reason check_header(std::uint8_t first, protocol_version v, sender from) noexcept;

// The properties of a message or a will that concern its recipient. `forward_parts` are the raw
// property bytes to carry through, unchanged and in order: all but topic alias, message expiry and
// will delay, which leave at most four parts (one, where there is neither).
// A message expiry above counted_expiry_max is forwarded like any property, and counts as none here.
inline constexpr std::uint32_t counted_expiry_max = 0x7fff'ffff / 1000; // seconds; what links can count down
struct message_properties {
  std::optional<std::uint32_t> message_expiry; // seconds
  // User properties that mean something here (docs/mqtt.md); they are forwarded like the others.
  std::optional<std::string_view> ack, deadline_ms;
  std::optional<bool> payload_is_utf8;
  std::string_view response_topic, content_type;
  const_bytes correlation_data;
  std::size_t user_property_bytes = 0; // ids and lengths included
  std::size_t user_properties = 0;
  std::array<const_bytes, 4> forward_parts;
  std::size_t forward_count = 0;
  std::size_t forward_bytes = 0;
  std::span<const const_bytes> forward() const noexcept { return {forward_parts.data(), forward_count}; }
};

struct will_message {
  std::string_view topic;
  const_bytes payload;
  std::uint8_t qos = 0;
  bool retain = false;
  std::uint32_t delay = 0; // seconds
  message_properties properties;
};

struct connect_packet {
  // Known also when the rest is bad, so that CONNACK can be written in the client's form; none while
  // not even that could be read (then there is no CONNACK). For an unsupported version: v5 if the
  // client is newer, else v311.
  protocol_version version = protocol_version::none;
  bool clean_start = false;     // 3.1.1: clean session
  std::uint16_t keep_alive = 0; // seconds, 0: none
  std::string_view client_id;   // syntax beyond UTF-8: see valid_client_id
  std::optional<will_message> will;
  std::optional<std::string_view> user_name;
  std::optional<const_bytes> password;
  std::uint32_t session_expiry = 0; // seconds; 3.1.1 has none: 0 also without clean session
  std::uint16_t receive_maximum = 65'535;
  std::optional<std::uint32_t> maximum_packet_size;
  std::uint16_t topic_alias_maximum = 0;
  bool request_response_information = false;
  bool request_problem_information = true;
  std::optional<std::string_view> authentication_method;
  std::size_t user_property_bytes = 0;
};

struct publish_packet {
  bool dup = false, retain = false;
  std::uint8_t qos = 0;          // 0 to 2
  std::string_view topic;        // may be empty if topic_alias is set
  std::uint16_t packet_id = 0;   // 0 at QoS 0
  std::uint16_t topic_alias = 0; // 0: none
  message_properties properties;
  const_bytes payload;
};

struct ack_packet { // PUBACK, PUBREC, PUBREL, PUBCOMP
  std::uint16_t packet_id = 0;
  reason code = reason::success;
  std::string_view reason_string;
};

struct subscription {
  std::string_view filter;
  std::uint8_t qos = 0;
  bool no_local = false, retain_as_published = false;
  std::uint8_t retain_handling = 0;
  bool shared = false;
  bool valid = false; // valid_filter(filter); else answer topic_filter_invalid for this one
};

struct subscribe_packet {
  std::uint16_t packet_id = 0;
  std::optional<std::uint32_t> subscription_identifier;
  std::size_t count = 0; // at least 1
  const_bytes filters;   // for subscription_walk
};

struct unsubscribe_packet {
  std::uint16_t packet_id = 0;
  std::size_t count = 0; // at least 1
  const_bytes filters;   // for filter_walk
};

struct disconnect_packet {
  reason code = reason::success;
  std::optional<std::uint32_t> session_expiry;
  std::string_view reason_string, server_reference;
};

struct auth_packet {
  reason code = reason::success;
  std::string_view method;
  const_bytes data;
};

// Walks over what decode_subscribe / decode_unsubscribe have found good.
class subscription_walk {
public:
  explicit subscription_walk(const subscribe_packet& p) noexcept : left_(p.filters) {}
  bool next(subscription& s) noexcept;

private:
  const_bytes left_;
};
class filter_walk {
public:
  explicit filter_walk(const unsubscribe_packet& p) noexcept : left_(p.filters) {}
  bool next(std::string_view& filter) noexcept;

private:
  const_bytes left_;
};

reason decode_connect(const packet& p, connect_packet& out) noexcept;
reason decode_publish(const packet& p, protocol_version v, publish_packet& out,
                      sender from = sender::client) noexcept;
reason decode_ack(const packet& p, protocol_version v, ack_packet& out,
                  sender from = sender::client) noexcept;
reason decode_subscribe(const packet& p, protocol_version v, subscribe_packet& out) noexcept;
reason decode_unsubscribe(const packet& p, protocol_version v, unsubscribe_packet& out) noexcept;
reason decode_pingreq(const packet& p, protocol_version v) noexcept;
reason decode_disconnect(const packet& p, protocol_version v, disconnect_packet& out,
                         sender from = sender::client) noexcept;
reason decode_auth(const packet& p, protocol_version v, auth_packet& out,
                   sender from = sender::client) noexcept;

} // namespace beeline::mqtt
