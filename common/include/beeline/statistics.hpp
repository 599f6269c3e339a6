// What a lane counts. A plain copy of numbers, taken by lane::statistics() in the lane's thread.
#pragma once
#include <beeline/error.hpp>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

BEELINE_LINK_BEGIN

struct link_statistics {
  std::string address; // "HOST:PORT" of the shard
  std::uint16_t shard = 0;
  std::string state;                                         // idle, dialling, handshake, syncing, up
  std::uint64_t queue_bytes = 0, queue_bytes_high_water = 0; // not yet sent
  std::uint64_t round_trip_us = 0;                           // of the newest heartbeat
  std::uint64_t sent = 0, received = 0, resent = 0;          // messages: first copies, for us, further copies
  std::uint64_t bytes_out = 0, bytes_in = 0;
  std::uint64_t losses = 0;
};

struct statistics {
  // Now.
  std::uint64_t clients = 0;             // attached
  std::uint64_t unanswered_messages = 0; // QoS 1, sent by us
  std::uint64_t unanswered_bytes = 0;
  std::uint64_t queue_bytes = 0; // waiting for the network
  std::uint64_t links = 0, links_up = 0;
  std::uint64_t receipts_awaited = 0; // of recipients, by our senders (ask_recipient)
  std::uint64_t receipts_owed = 0;    // by our clients, or given and not yet known to have arrived
  // Since the lane began.
  std::uint64_t sent = 0, sent_qos0 = 0;          // first copies
  std::uint64_t resent = 0;                       // further copies, after a lost link
  std::uint64_t received = 0, received_bytes = 0; // messages of both QoS for our clients, payload bytes
  std::uint64_t accepted = 0, accepted_qos0 = 0;  // taken by handlers
  std::uint64_t dropped = 0;                      // QoS 0 that could not be sent, or found no client here
  std::uint64_t handler_failures = 0;             // exceptions that handlers let out; the message was refused
  std::uint64_t link_losses = 0, takeovers = 0;
  std::uint64_t registrations_refused = 0;         // by a shard: errc::router_full, router_busy
  std::array<std::uint64_t, 6> receipts{};         // by outcome
  std::array<std::uint64_t, 8> by_recipient{};     // of these, of who asked: by recipient
  std::array<std::uint64_t, errc_count> refused{}; // sends and attaches that did not begin, by errc
  std::vector<link_statistics> link;
};

BEELINE_LINK_END
