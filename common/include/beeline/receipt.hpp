// What became of a QoS 1 message: the delivery contract's answers.
//
// A receipt comes for every QoS 1 message that was sent, exactly once. `accepted` means that the message is
// in the recipient's session at the server that holds it; not that the recipient has read it: see
// message::ask_recipient.
#pragma once
#include <beeline/config.hpp>

#include <cstdint>
#include <string_view>

BEELINE_LINK_BEGIN

enum class outcome : std::uint8_t {
  accepted, // the recipient's server has it
  nobody,   // nobody has that id, and nobody kept the message
  full,     // the recipient's queue is full; nothing was kept
  refused,  // above a limit of the recipient, or given up after many tries
  expired,  // its deadline passed on the way
  unknown   // a server was lost with the message in flight: it may have been taken
};
BEELINE_API std::string_view name_of(outcome o) noexcept; // "accepted", for logs and metrics
BEELINE_API std::string_view text_of(outcome o) noexcept; // in words, for people

// What the recipient itself made of a message that its server had accepted, for who asked (ask_recipient).
enum class recipient : std::uint8_t {
  not_asked,
  acknowledged,
  session_ended, // first
  expired,       // in the recipient's queue
  rejected,      // acknowledged with an error
  silent,        // nothing came within receipt_timeout
  server_lost,   // first
  not_promised   // a server is at a limit, or too old for it
};

struct receipt {
  outcome what = outcome::unknown;
  link::recipient by_recipient = link::recipient::not_asked;
  bool accepted() const noexcept { return what == outcome::accepted; }
};

BEELINE_LINK_END
