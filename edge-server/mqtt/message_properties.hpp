// Property blocks of messages (PUBLISH and the will), picked apart for the recipient. Shared by the
// decoders; not an interface for sessions. Pure function; views live as long as the block.
#pragma once
#include "edge-server/mqtt/decode.hpp"
#include "edge-server/mqtt/properties.hpp"

namespace beeline::mqtt {

// What concerns this hop alone and is not carried through.
struct hop_properties {
  std::uint16_t topic_alias = 0; // 0: none
  std::uint32_t will_delay = 0;
};

reason decode_message_properties(const_bytes block, property_scope where, sender from,
                                 message_properties& out, hop_properties& hop) noexcept;

} // namespace beeline::mqtt
