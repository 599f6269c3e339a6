#include "edge-server/mqtt/reason_sets.hpp"

namespace beeline::mqtt {
namespace {

bool in_puback(reason r) noexcept { // and in PUBREC
  switch (r) {
  case reason::success:
  case reason::no_matching_subscribers:
  case reason::unspecified_error:
  case reason::implementation_specific_error:
  case reason::not_authorized:
  case reason::topic_name_invalid:
  case reason::packet_identifier_in_use:
  case reason::quota_exceeded:
  case reason::payload_format_invalid: return true;
  default: return false;
  }
}

bool in_any_disconnect(reason r) noexcept {
  switch (r) {
  case reason::success:
  case reason::unspecified_error:
  case reason::malformed_packet:
  case reason::protocol_error:
  case reason::implementation_specific_error:
  case reason::topic_name_invalid:
  case reason::receive_maximum_exceeded:
  case reason::topic_alias_invalid:
  case reason::packet_too_large:
  case reason::message_rate_too_high:
  case reason::quota_exceeded:
  case reason::administrative_action:
  case reason::payload_format_invalid: return true;
  default: return false;
  }
}

bool in_server_disconnect(reason r) noexcept {
  switch (r) {
  case reason::not_authorized:
  case reason::server_busy:
  case reason::server_shutting_down:
  case reason::keep_alive_timeout:
  case reason::session_taken_over:
  case reason::topic_filter_invalid: return true;
  default: return r >= reason::retain_not_supported && r <= reason::wildcard_subscriptions_not_supported;
  }
}

} // namespace

bool allowed_in(packet_type t, reason r, sender from) noexcept {
  switch (t) {
  case packet_type::puback:
  case packet_type::pubrec: return in_puback(r);
  case packet_type::pubrel:
  case packet_type::pubcomp: return r == reason::success || r == reason::packet_identifier_not_found;
  case packet_type::disconnect:
    return in_any_disconnect(r) ||
           (from == sender::server ? in_server_disconnect(r) : r == reason::disconnect_with_will_message);
  case packet_type::auth:
    return r == reason::continue_authentication ||
           r == (from == sender::server ? reason::success : reason::re_authenticate);
  default: return false;
  }
}

std::uint8_t v311_return_code(reason r) noexcept {
  switch (r) {
  case reason::success: return 0;
  case reason::unsupported_protocol_version: return 1;
  case reason::client_identifier_not_valid: return 2;
  case reason::bad_user_name_or_password:
  case reason::bad_authentication_method: return 4;
  case reason::not_authorized:
  case reason::banned: return 5;
  default: return 3; // server unavailable
  }
}

} // namespace beeline::mqtt
