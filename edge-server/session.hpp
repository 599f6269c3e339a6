// The state of one client connection at its lane. Plain data; the rules are in lane*.cpp.
// Owner: the lane's thread.
#pragma once
#include "common/base/conn.hpp"
#include "common/base/ids.hpp"
#include "common/base/slab.hpp"
#include "common/base/time.hpp"
#include "edge-server/mqtt/protocol.hpp"

#include <boost/unordered/unordered_flat_map.hpp>
#include <deque>
#include <memory>
#include <string>
#include <vector>

namespace beeline::edge {

// A message that waits for room in its recipient's window: the link frame as it came.
struct pending_message {
  std::byte* block = nullptr;
  std::uint32_t size = 0;
  time_point expires = never;
  std::uint32_t receipt = none; // that its sender waits for
};

struct session {
  enum class state : std::uint8_t { free, connecting, registering, live, closed };

  conn* c = nullptr;
  state st = state::free;
  mqtt::protocol_version version = mqtt::protocol_version::none;
  bool problem_information = true; // MQTT 5: reason strings are wanted
  bool reading_paused = false;
  bool window_full = false; // a reason for it: it has too much without an answer
  bool assigned_id = false;
  bool going = false;                // it is to go to another server, as soon as nothing of its is under way
  std::uint16_t keep_alive = 0;      // seconds as enforced; 0: none
  std::uint16_t told_keep_alive = 0; // server keep-alive to be announced; 0: the client's own
  std::uint16_t receive_maximum = 0; // of the client, bounded by ours
  std::uint16_t next_packet_id = 1;
  std::uint16_t waits_for_link = 0xffff; // paused until that link has drained
  std::uint32_t index = none;            // own place in the lane's table
  std::uint32_t packet_bytes_max = ~0u;  // the client's Maximum Packet Size
  handle client;
  time_point since{}, last_heard{}, paused_since{}, going_since{};
  std::uint32_t held_bytes = 0; // bytes that wait: for the rest of a packet, or until it is read again
  bool incomplete = false;      // for the client itself: for the rest of a packet, or for it to read

  // As publisher: QoS 1 messages without an answer.
  std::uint32_t unanswered = 0;
  std::size_t unanswered_bytes = 0;
  std::uint32_t awaiting = 0; // accepted, and the recipient's receipt is waited for: no PUBACK yet either
  // As recipient: packet ids without PUBACK, and messages that wait for room.
  boost::unordered_flat_map<std::uint16_t, std::uint32_t> in_flight; // to the receipt that is owed, or none
  std::unique_ptr<std::deque<pending_message>> pending;
  std::size_t pending_bytes = 0;
  std::size_t pending_expiring = 0; // of these, how many expire some day

  std::unique_ptr<std::vector<std::string>> aliases; // topic by alias - 1
  std::vector<std::uint64_t> filters;                // granted subscriptions, a hash of each
};

} // namespace beeline::edge
