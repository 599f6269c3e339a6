// MQTT 5 properties: which packet may bear which, of what type, how often; and a walk over a block.
//
//   property block (its length is read before):  id value | id value | ...
//
// The walk is linear and keeps a bit for each id that it has met (CAT-15). Everything that can be
// judged of one property alone is judged here, so that the decoders only pick what they need.
//
// Messages carry five of these on links; common/wire/properties.* reads and writes those for programs without
// MQTT, and says why it is not this one.
// Owner: whoever calls. Views live as long as the bytes walked over.
#pragma once
#include "edge-server/mqtt/octets.hpp"

namespace beeline::mqtt {

// Where a block stands: the packet's type, or the will inside CONNECT.
enum class property_scope : std::uint8_t {
  will = 0,
  connect = 1,
  connack,
  publish,
  puback,
  pubrec,
  pubrel,
  pubcomp,
  subscribe,
  suback,
  unsubscribe,
  unsuback,
  disconnect = 14,
  auth = 15
};
constexpr property_scope scope_of(packet_type t) noexcept { return static_cast<property_scope>(t); }

struct property_value {
  property id;
  std::uint32_t number = 0; // byte, two byte, four byte and variable byte integers
  std::string_view text;    // UTF-8 string, binary data, or a user property's name
  std::string_view value;   // a user property's value
  const_bytes raw;          // id and value as they came
};

// Usage: while (walk.next(v)) ...; then walk.error() is success, or why the block is bad:
//   malformed_packet     cut, unknown id, id of another packet type, not UTF-8
//   protocol_error       twice what may come once, value out of its range, the other side's property
//   topic_alias_invalid  alias 0
class property_walk {
public:
  property_walk(const_bytes block, property_scope where, sender from) noexcept
      : in_(block), scope_bit_(1u << static_cast<unsigned>(where)), from_(from) {}

  bool next(property_value& v) noexcept;
  reason error() const noexcept { return error_; }

private:
  bool fail(reason r) noexcept {
    error_ = r;
    return false;
  }
  octet_reader in_;
  std::uint64_t seen_ = 0;
  unsigned scope_bit_;
  sender from_;
  reason error_ = reason::success;
};

// Reads the block's length and gives the block; a length beyond the packet clears in.ok().
inline const_bytes property_block(octet_reader& in) noexcept { return in.bytes(in.varint()); }

} // namespace beeline::mqtt
