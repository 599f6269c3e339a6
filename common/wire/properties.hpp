// The properties of a message (MQTT 5, section 2.2.2) that its recipient sees, as the message carries them:
//
//   id value | id value | ...      0x01 u8; 0x02 u32; 0x03, 0x08 string; 0x09 binary; 0x26 string string
//   string, binary: u16 length (big-endian), bytes
//
// beeline-edge passes on the bytes of its clients; this is for those who write and read them otherwise
// (libbeeline). edge-server/mqtt/properties.* reads the same bytes and is another thing: it judges what a
// client may say, of all of MQTT's properties in all packets, with MQTT's reason codes, which common/ knows
// nothing of. Here stands what an edge has judged already, so that only the bounds of the bytes matter.
// tests/unit/properties_test.cpp holds the two together.
// No I/O, no state. What is read are views into the block given.
#pragma once
#include "common/base/bytes.hpp"

#include <string>
#include <string_view>

namespace beeline::wire {

enum class property_id : std::uint8_t {
  payload_format = 0x01,
  message_expiry = 0x02, // above 24 days only: shorter ones are counted down in the message's header
  content_type = 0x03,
  response_topic = 0x08,
  correlation_data = 0x09,
  user_property = 0x26
};

// Append to `to`. A text is at most 65,535 bytes long.
void put_flag(std::string& to, property_id id, bool value);
void put_text(std::string& to, property_id id, std::string_view value);
void put_user_property(std::string& to, std::string_view name, std::string_view value);

struct property_record {
  property_id id{};
  std::string_view text; // or a user property's name
  std::string_view value;
  std::uint8_t flag = 0;
};
// Reads what begins at `at` and moves it on. False: the end, or bytes that are no property of a message.
bool next_property(const_bytes block, std::size_t& at, property_record& out) noexcept;

} // namespace beeline::wire
