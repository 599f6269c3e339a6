// Which reason codes a packet of MQTT 5 may bear (the tables of the specification's chapter 3).
// Pure functions.
#pragma once
#include "edge-server/mqtt/protocol.hpp"

namespace beeline::mqtt {

// For PUBACK, PUBREC, PUBREL, PUBCOMP, DISCONNECT and AUTH; false for every other type.
bool allowed_in(packet_type t, reason r, sender from) noexcept;

// CONNACK of 3.1.1 has five refusals; every MQTT 5 reason has its nearest.
std::uint8_t v311_return_code(reason r) noexcept;

} // namespace beeline::mqtt
