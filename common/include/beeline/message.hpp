// A message to send, and a message that was received.
//
// Both are views: they own nothing. The lane copies what it needs before a send function returns; a received
// message lives until the handler that got it returns. Whoever needs it longer copies what he needs.
#pragma once
#include <beeline/config.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

BEELINE_LINK_BEGIN

using bytes_view = std::span<const std::byte>;
inline bytes_view bytes_of(std::string_view text) noexcept { return std::as_bytes(std::span(text)); }
inline std::string_view text_of(bytes_view b) noexcept {
  return {reinterpret_cast<const char*>(b.data()), b.size()};
}

enum class qos : std::uint8_t {
  at_most_once = 0, // no receipt; may be lost
  at_least_once = 1 // a receipt; accepted at most once by each session, in order for sender and recipient
};

// MQTT 5's properties of a message. MQTT clients see them as they are; to MQTT 3.1.1 clients they are lost.
struct properties {
  std::string_view content_type;   // empty: none
  std::string_view response_topic; // e.g. "@/C1/answers"
  bytes_view correlation_data;
  bool is_text = false; // the payload is UTF-8 (payload format indicator 1)
  std::span<const std::pair<std::string_view, std::string_view>> user; // 64 KiB in all
};

struct message {
  std::string_view to;      // client id
  std::string_view channel; // an MQTT recipient sees it in the topic: "@/SENDER/CHANNEL"; may be empty
  bytes_view payload;
  struct properties properties = {};
  // 0: none. Counted from the call; what is late is dropped on its way, and its receipt is `expired`.
  std::chrono::milliseconds deadline{0}; // at most 24 days
  // QoS 1: the receipt comes only when the recipient itself has acknowledged the message (an MQTT client by
  // its PUBACK, a program's handler by accepting it), never will, or lane_options::receipt_timeout is over.
  bool ask_recipient = false;
};

// Lives until the handler that got it returns. Owner: the lane.
class BEELINE_API message_view {
public:
  std::string_view from() const noexcept;    // the sender's client id
  std::string_view to() const noexcept;      // the recipient's
  std::string_view channel() const noexcept; // may be empty
  bytes_view payload() const noexcept;
  std::string_view text() const noexcept { return text_of(payload()); }
  link::qos qos() const noexcept;
  // What was left of the deadline when the message set out. Empty: it has none.
  std::optional<std::chrono::milliseconds> deadline() const noexcept;

  // Properties, read as they are asked for. Empty: not there.
  std::string_view content_type() const noexcept;
  std::string_view response_topic() const noexcept;
  bytes_view correlation_data() const noexcept;
  bool is_text() const noexcept;
  // The user properties one after the other: start with a fresh cursor; false at the end.
  struct cursor {
    std::size_t at = 0;
  };
  bool next_user_property(cursor& c, std::string_view& name, std::string_view& value) const noexcept;

private:
  friend class lane_core;
  explicit message_view(const std::byte* frame, std::size_t size) noexcept : frame_(frame), size_(size) {}
  const std::byte* frame_;
  std::size_t size_;
};

BEELINE_LINK_END
