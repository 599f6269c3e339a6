// The client's half of MQTT, for tests and the simulator: encoders for what a client sends,
// decoders for what a server sends. Parsing is shared with the server's codec where
// both sides do the same (PUBLISH, acknowledgements, DISCONNECT, properties).
//
// Encoders write what they are told, right or wrong, so that tests can send nonsense. They give
// strings; append_publish and append_puback add to one, for senders that batch. Views in decoded
// structs live as long as the packet's bytes. Pure functions.
#pragma once
#include "edge-server/mqtt/decode.hpp"
#include "edge-server/mqtt/encode.hpp"

#include <string>
#include <vector>

namespace beeline::test {

using mqtt::packet_type;
using mqtt::property;
using mqtt::protocol_version;
using mqtt::reason;

// A property block under construction, without its length.
inline constexpr auto v311 = protocol_version::v311;
inline constexpr auto v5 = protocol_version::v5;

class property_list {
public:
  property_list& byte(property id, std::uint8_t v);
  property_list& two_bytes(property id, std::uint16_t v);
  property_list& four_bytes(property id, std::uint32_t v);
  property_list& varint(property id, std::uint32_t v);
  property_list& text(property id, std::string_view s); // UTF-8 string and binary data
  property_list& user(std::string_view name, std::string_view value);
  property_list& raw(std::string_view bytes);
  const std::string& bytes() const noexcept { return bytes_; }

private:
  std::string bytes_;
};

struct will_options {
  std::string topic = {}, payload = {}, properties = {};
  std::uint8_t qos = 0;
  bool retain = false;
};

struct connect_options {
  protocol_version version = protocol_version::v5;
  std::string client_id = {};
  bool clean_start = true;
  std::uint16_t keep_alive = 60;
  std::string properties = {}; // MQTT 5 only, as all `properties` here
  std::optional<will_options> will = {};
  std::optional<std::string> user_name = {}, password = {};
};

struct publish_options {
  protocol_version version = protocol_version::v5;
  std::string_view topic = {};
  std::string_view payload = {};
  std::uint8_t qos = 0;
  std::uint16_t packet_id = 0; // sent if qos > 0
  bool dup = false, retain = false;
  std::string_view properties = {};
};

struct subscribe_filter {
  std::string filter;
  std::uint8_t options = 1;
};

std::string encode_varint(std::size_t v);
std::string encode_packet(std::uint8_t first, std::string_view body); // header and body
std::string encode_connect(const connect_options& o);
void append_publish(std::string& out, const publish_options& o);
std::string encode_publish(const publish_options& o);
void append_puback(std::string& out, std::uint16_t packet_id);
// PUBACK, PUBREC, PUBREL, PUBCOMP; `properties` empty: without the block.
std::string encode_ack(packet_type t, std::uint16_t packet_id, protocol_version v,
                       reason code = reason::success, std::string_view properties = {});
std::string encode_subscribe(std::uint16_t packet_id, const std::vector<subscribe_filter>& filters,
                             protocol_version v, std::string_view properties = {});
std::string encode_unsubscribe(std::uint16_t packet_id, const std::vector<std::string>& filters,
                               protocol_version v, std::string_view properties = {});
std::string encode_pingreq();
std::string encode_disconnect(protocol_version v, reason code = reason::success,
                              std::string_view properties = {});

struct connack_packet {
  bool session_present = false;
  std::uint8_t code = 0; // a reason in MQTT 5, a return code in 3.1.1
  mqtt::connack_properties properties;
};
struct suback_packet { // and UNSUBACK
  std::uint16_t packet_id = 0;
  std::vector<reason> codes; // empty in an UNSUBACK of 3.1.1
  std::string_view reason_string;
};

reason decode_connack(const mqtt::packet& p, protocol_version v, connack_packet& out);
reason decode_publish(const mqtt::packet& p, protocol_version v, mqtt::publish_packet& out);
reason decode_ack(const mqtt::packet& p, protocol_version v, mqtt::ack_packet& out);
reason decode_suback(const mqtt::packet& p, protocol_version v, suback_packet& out); // and UNSUBACK
reason decode_pingresp(const mqtt::packet& p, protocol_version v);
reason decode_disconnect(const mqtt::packet& p, protocol_version v, mqtt::disconnect_packet& out);

// All forwarded property bytes in one piece.
std::string forwarded(const mqtt::message_properties& p);

} // namespace beeline::test
