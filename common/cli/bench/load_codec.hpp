// As much of MQTT 5 as the load generator needs: CONNECT, PUBLISH, PUBACK and PINGREQ to bytes; CONNACK,
// PUBLISH, PUBACK and DISCONNECT from bytes. Written apart from the edge server's codec, so that one does not
// judge itself.
//
// Views live as long as the bytes given. Readers give nothing for what is malformed. Pure functions.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace beeline::load {

enum class packet_type : std::uint8_t {
  connack = 2,
  publish = 3,
  puback = 4,
  pingresp = 13,
  disconnect = 14
};

struct packet {
  packet_type type{};
  std::uint8_t flags = 0;
  std::string_view body;
  std::size_t total = 0; // with its head
};
// Nothing: more bytes are needed. A head that can never be right has total 0.
std::optional<packet> next_packet(std::string_view in) noexcept;

struct message {
  std::string_view topic, payload;
  std::uint8_t qos = 0;
  std::uint16_t packet_id = 0;
};
struct answer {
  std::uint16_t packet_id = 0;
  std::uint8_t code = 0;
};
std::optional<std::uint8_t> read_connack(const packet& p) noexcept; // its reason code
std::uint8_t read_disconnect(const packet& p) noexcept;             // the same; 0 when it has none
std::optional<message> read_publish(const packet& p) noexcept;
std::optional<answer> read_puback(const packet& p) noexcept;

void append_connect(std::string& out, std::string_view id, std::uint16_t keep_alive_seconds);
void append_publish(std::string& out, const message& m);
void append_puback(std::string& out, std::uint16_t packet_id);
void append_pingreq(std::string& out);

} // namespace beeline::load
