// What the tests of lanes begin with: the world, its counters by reason, and the properties that
// they send. No state.
#pragma once
#include "tests/support/lane_world.hpp"
#include "tests/support/reason_counters.hpp"

namespace beeline::test {

using namespace std::chrono_literals;

// Of an edge's first lane.
inline std::uint64_t closes(lane_world& w, close_reason r, std::size_t edge = 0) {
  return counter_of(w.lane(edge).counters.closes, r);
}
inline std::uint64_t drops(lane_world& w, drop_reason r, std::size_t edge = 0) {
  return counter_of(w.lane(edge).counters.drops, r);
}
inline std::uint64_t outcomes(lane_world& w, answer a, std::size_t edge = 0) {
  return counter_of(w.lane(edge).counters.outcomes, a);
}

inline std::string receive_maximum(std::uint16_t n) {
  return property_list().two_bytes(property::receive_maximum, n).bytes();
}
inline std::string packet_max(std::uint32_t n) {
  return property_list().four_bytes(property::maximum_packet_size, n).bytes();
}
inline std::string session_expiry(std::uint32_t seconds) {
  return property_list().four_bytes(property::session_expiry_interval, seconds).bytes();
}
inline std::string expiry(std::uint32_t seconds) {
  return property_list().four_bytes(property::message_expiry_interval, seconds).bytes();
}
inline std::string alias(std::uint16_t n) {
  return property_list().two_bytes(property::topic_alias, n).bytes();
}

} // namespace beeline::test
