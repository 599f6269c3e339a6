// The words of MQTT 3.1.1 and 5.0: versions, packet types, reason codes, properties.
//
// Names are those of the specification in snake_case, values those on the wire.
// Owner: nobody, constants only.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace beeline::mqtt {

enum class protocol_version : std::uint8_t { none = 0, v311 = 4, v5 = 5 };

// Who sent a packet: some types, properties and reason codes are one side's only.
enum class sender : std::uint8_t { client, server };

#define BEELINE_MQTT_PACKET_TYPES(X)                                                                         \
  X(reserved, 0)                                                                                             \
  X(connect, 1)                                                                                              \
  X(connack, 2)                                                                                              \
  X(publish, 3)                                                                                              \
  X(puback, 4)                                                                                               \
  X(pubrec, 5)                                                                                               \
  X(pubrel, 6)                                                                                               \
  X(pubcomp, 7)                                                                                              \
  X(subscribe, 8)                                                                                            \
  X(suback, 9)                                                                                               \
  X(unsubscribe, 10)                                                                                         \
  X(unsuback, 11)                                                                                            \
  X(pingreq, 12)                                                                                             \
  X(pingresp, 13)                                                                                            \
  X(disconnect, 14)                                                                                          \
  X(auth, 15)

enum class packet_type : std::uint8_t {
#define X(name, value) name = value,
  BEELINE_MQTT_PACKET_TYPES(X)
#undef X
};
inline constexpr std::string_view packet_type_names[] = {
#define X(name, value) #name,
    BEELINE_MQTT_PACKET_TYPES(X)
#undef X
};
constexpr std::string_view name_of(packet_type t) {
  return packet_type_names[static_cast<std::size_t>(t) & 15];
}

// Of a packet's first byte; enough to refuse a first packet that is not CONNECT (CAT-2).
constexpr packet_type type_of(std::uint8_t first) noexcept { return static_cast<packet_type>(first >> 4); }

// 0x00 is also called "normal disconnection" and "granted QoS 0".
#define BEELINE_MQTT_REASONS(X)                                                                              \
  X(success, 0x00)                                                                                           \
  X(granted_qos_1, 0x01)                                                                                     \
  X(granted_qos_2, 0x02)                                                                                     \
  X(disconnect_with_will_message, 0x04)                                                                      \
  X(no_matching_subscribers, 0x10)                                                                           \
  X(no_subscription_existed, 0x11)                                                                           \
  X(continue_authentication, 0x18)                                                                           \
  X(re_authenticate, 0x19)                                                                                   \
  X(unspecified_error, 0x80)                                                                                 \
  X(malformed_packet, 0x81)                                                                                  \
  X(protocol_error, 0x82)                                                                                    \
  X(implementation_specific_error, 0x83)                                                                     \
  X(unsupported_protocol_version, 0x84)                                                                      \
  X(client_identifier_not_valid, 0x85)                                                                       \
  X(bad_user_name_or_password, 0x86)                                                                         \
  X(not_authorized, 0x87)                                                                                    \
  X(server_unavailable, 0x88)                                                                                \
  X(server_busy, 0x89)                                                                                       \
  X(banned, 0x8A)                                                                                            \
  X(server_shutting_down, 0x8B)                                                                              \
  X(bad_authentication_method, 0x8C)                                                                         \
  X(keep_alive_timeout, 0x8D)                                                                                \
  X(session_taken_over, 0x8E)                                                                                \
  X(topic_filter_invalid, 0x8F)                                                                              \
  X(topic_name_invalid, 0x90)                                                                                \
  X(packet_identifier_in_use, 0x91)                                                                          \
  X(packet_identifier_not_found, 0x92)                                                                       \
  X(receive_maximum_exceeded, 0x93)                                                                          \
  X(topic_alias_invalid, 0x94)                                                                               \
  X(packet_too_large, 0x95)                                                                                  \
  X(message_rate_too_high, 0x96)                                                                             \
  X(quota_exceeded, 0x97)                                                                                    \
  X(administrative_action, 0x98)                                                                             \
  X(payload_format_invalid, 0x99)                                                                            \
  X(retain_not_supported, 0x9A)                                                                              \
  X(qos_not_supported, 0x9B)                                                                                 \
  X(use_another_server, 0x9C)                                                                                \
  X(server_moved, 0x9D)                                                                                      \
  X(shared_subscriptions_not_supported, 0x9E)                                                                \
  X(connection_rate_exceeded, 0x9F)                                                                          \
  X(maximum_connect_time, 0xA0)                                                                              \
  X(subscription_identifiers_not_supported, 0xA1)                                                            \
  X(wildcard_subscriptions_not_supported, 0xA2)

enum class reason : std::uint8_t {
#define X(name, value) name = value,
  BEELINE_MQTT_REASONS(X)
#undef X
};
constexpr std::string_view name_of(reason r) {
  switch (r) {
#define X(name, value)                                                                                       \
  case reason::name: return #name;
    BEELINE_MQTT_REASONS(X)
#undef X
  }
  return "unknown_reason";
}
constexpr bool is_error(reason r) noexcept { return static_cast<std::uint8_t>(r) >= 0x80; }

enum class property : std::uint8_t {
  payload_format_indicator = 0x01,
  message_expiry_interval = 0x02,
  content_type = 0x03,
  response_topic = 0x08,
  correlation_data = 0x09,
  subscription_identifier = 0x0B,
  session_expiry_interval = 0x11,
  assigned_client_identifier = 0x12,
  server_keep_alive = 0x13,
  authentication_method = 0x15,
  authentication_data = 0x16,
  request_problem_information = 0x17,
  will_delay_interval = 0x18,
  request_response_information = 0x19,
  response_information = 0x1A,
  server_reference = 0x1C,
  reason_string = 0x1F,
  receive_maximum = 0x21,
  topic_alias_maximum = 0x22,
  topic_alias = 0x23,
  maximum_qos = 0x24,
  retain_available = 0x25,
  user_property = 0x26,
  maximum_packet_size = 0x27,
  wildcard_subscription_available = 0x28,
  subscription_identifier_available = 0x29,
  shared_subscription_available = 0x2A,
};
inline constexpr std::size_t property_id_end = 0x2B;

inline constexpr std::uint32_t varint_max = 268'435'455; // four bytes of seven bits

} // namespace beeline::mqtt
