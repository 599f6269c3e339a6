// What can go wrong at this end of a link, as boost::system::error_code.
//
// What becomes of a message is no error: that is its receipt (beeline/receipt.hpp).
#pragma once
#include <beeline/config.hpp>

#include <boost/system/error_code.hpp>
#include <cstddef>
#include <type_traits>

BEELINE_LINK_BEGIN

enum class errc {
  not_attached = 1,  // the client is not, or no more, attached to this lane
  already_attached,  // this lane has a client of that id: detach it first
  invalid_client_id, // 1 to 128 bytes of UTF-8, without / + # and control characters
  message_too_large, // above 1 MiB, or unanswered_bytes_max, with all its names and properties
  invalid_message,   // no destination, or a field that cannot be sent: too long, not UTF-8
  would_block,       // queues are full: wait for want_more
  not_ready,         // no link to the recipient's router (QoS 0 only: QoS 1 waits)
  taken_over,        // the id attached elsewhere, later than this one
  router_full,       // its shard has as many clients as it may (--clients-max) and does not take this one
  router_busy,       // likewise, for it has too many ids that are claimed twice at this moment: attach again
  shutting_down,     // the lane is being shut down
  outcome_unknown    // the session or the lane ended before the message was answered: it may have been taken
};

inline constexpr std::size_t errc_count = static_cast<std::size_t>(errc::outcome_unknown) + 1; // of an array

// The category "beeline.link". Each value has a message in words.
BEELINE_API const boost::system::error_category& error_category() noexcept;

inline boost::system::error_code make_error_code(errc e) noexcept {
  return {static_cast<int>(e), error_category()};
}

BEELINE_LINK_END

template <> struct boost::system::is_error_code_enum<beeline::link::errc> : std::true_type {};
