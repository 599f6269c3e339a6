// MQTT packets to bytes: an encoder for each packet that a server sends.
//
// Each appends one whole packet to the chain (small ones by one extend) and returns its bytes.
// `packet_max` is the recipient's Maximum Packet Size: a packet that would be larger is first tried
// without its reason string, as the specification wants, and if it is still too large nothing is
// appended and 0 returned. Reason strings above limits::reason_bytes_max are left out, too.
// Nothing is allocated but chunks of the chain.
//
// Owner: the thread that owns the chain's pool.
#pragma once
#include "common/base/output.hpp"
#include "edge-server/mqtt/protocol.hpp"

#include <array>
#include <optional>

namespace beeline::mqtt {

inline constexpr std::size_t no_packet_max = SIZE_MAX;

struct connack_properties { // MQTT 5 only; what is not set is not sent
  std::optional<std::uint32_t> session_expiry;
  std::optional<std::uint16_t> receive_maximum;
  std::optional<std::uint8_t> maximum_qos; // 0 or 1; QoS 2 is said by not sending it
  std::optional<bool> retain_available;
  std::optional<std::uint32_t> maximum_packet_size;
  std::string_view assigned_client_id; // empty: not sent; at most limits::client_id_bytes_max
  std::optional<std::uint16_t> topic_alias_maximum;
  std::string_view reason_string;
  std::string_view server_reference; // at most limits::reason_bytes_max, like the text
  std::optional<bool> wildcard_subscription_available;
  std::optional<bool> subscription_identifier_available;
  std::optional<bool> shared_subscription_available;
  std::optional<std::uint16_t> server_keep_alive;
};

// 3.1.1: `code` becomes the nearest return code. Session present is sent with success only.
std::size_t encode_connack(output_chain& out, protocol_version v, bool session_present, reason code,
                           const connack_properties& properties = {}, std::size_t packet_max = no_packet_max);

struct publish_message {
  std::array<std::string_view, 4> topic; // pieces, e.g. "@/", sender, "/", channel; 65,535 bytes at most
  std::uint16_t packet_id = 0;           // sent if qos > 0
  std::uint8_t qos = 0;
  bool dup = false, retain = false;
  std::optional<std::uint32_t> message_expiry;     // MQTT 5 only, as are the next
  std::span<const const_bytes> forward_properties; // raw property bytes
  const_bytes payload;
};
// Bytes of the whole packet, to be held against Maximum Packet Size before it is queued.
std::size_t publish_size(const publish_message& m, protocol_version v) noexcept;
std::size_t encode_publish(output_chain& out, const publish_message& m, protocol_version v);

// PUBACK, PUBREC, PUBREL, PUBCOMP in their shortest form. 3.1.1 knows the id alone.
std::size_t encode_ack(output_chain& out, packet_type t, std::uint16_t packet_id, protocol_version v,
                       reason code = reason::success, std::string_view reason_string = {},
                       std::size_t packet_max = no_packet_max);

// One code a filter. SUBACK of 3.1.1: 0x80 for every error; UNSUBACK of 3.1.1: no codes.
std::size_t encode_suback(output_chain& out, std::uint16_t packet_id, std::span<const reason> codes,
                          protocol_version v, std::size_t packet_max = no_packet_max);
std::size_t encode_unsuback(output_chain& out, std::uint16_t packet_id, std::span<const reason> codes,
                            protocol_version v, std::size_t packet_max = no_packet_max);

std::size_t encode_pingresp(output_chain& out);

// MQTT 5 only: a 3.1.1 server just closes, so nothing is appended for it.
std::size_t encode_disconnect(output_chain& out, protocol_version v, reason code,
                              std::string_view reason_string = {}, std::size_t packet_max = no_packet_max,
                              std::string_view server_reference = {});

} // namespace beeline::mqtt
