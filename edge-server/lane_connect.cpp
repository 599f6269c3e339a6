// CONNECT and CONNACK: who may come in, and what is announced.
#include "edge-server/lane.hpp"
#include "edge-server/mqtt/topic.hpp"

#include "common/link/endpoint.ipp"

#include <algorithm>

namespace beeline::edge {

using mqtt::reason;

std::string lane::make_client_id() {
  static constexpr char digits[] = "0123456789abcdef";
  for (;;) { // until it is one of this lane
    std::string id = "auto-";
    for (std::uint64_t r = random_(), k = 0; k < 16; ++k, r >>= 4) id += digits[r & 15];
    if (endpoint_.hash(id) % config_.link.who.lanes == config_.link.who.number &&
        !by_id_.contains(std::string_view(id)))
      return id;
  }
}

// What is refused before an id matters.
bool lane::check_connect(session& s, const mqtt::connect_packet& c) {
  if (c.authentication_method) {
    refuse(s, c.version, reason::bad_authentication_method, "no extended authentication is offered",
           c.client_id);
    return false;
  }
  if (c.will) {
    if (c.will->retain)
      refuse(s, c.version, reason::retain_not_supported, "retained messages are not offered", c.client_id);
    else if (c.will->qos == 2)
      refuse(s, c.version, reason::qos_not_supported, "QoS 2 is not offered", c.client_id);
    else
      refuse(s, c.version, reason::implementation_specific_error, "will messages are not offered",
             c.client_id);
    return false;
  }
  if (c.client_id.empty() && c.version == mqtt::protocol_version::v311 && !c.clean_start) {
    refuse(s, c.version, reason::client_identifier_not_valid, "an empty client id needs a clean session");
    return false;
  }
  if (!c.client_id.empty() && !mqtt::valid_client_id(c.client_id)) {
    refuse(s, c.version, reason::client_identifier_not_valid,
           "a client id has 1 to 128 bytes without / + # and control characters", c.client_id);
    return false;
  }
  return true;
}

// True: the packet is consumed. False: the connection moves to the lane of its id.
bool lane::on_connect(session& s, const mqtt::packet& p, time_point now) {
  mqtt::connect_packet c;
  const reason r = mqtt::decode_connect(p, c);
  s.version = c.version;
  s.problem_information = c.request_problem_information;
  if (r != reason::success) {
    counters.malformed.add();
    refuse(s, c.version, r, {});
    return true;
  }
  s.packet_bytes_max = c.maximum_packet_size.value_or(~0u);
  if (draining_) return send_away(s, c.version, c.client_id), true;
  if (!check_connect(s, c)) return true;
  const std::string id = c.client_id.empty() ? make_client_id() : std::string(c.client_id);
  const auto home = static_cast<std::int32_t>(endpoint_.hash(id) % config_.link.who.lanes);
  if (home != config_.link.who.number) {
    update_held(s, 0);
    s.c->move_to = home;
    dirty_.mark(*s.c);
    return false;
  }
  update_held(s, 0);
  s.assigned_id = c.client_id.empty();
  s.receive_maximum = std::min(c.receive_maximum, config_.inflight_max);
  const auto keep_alive_max = static_cast<std::uint16_t>(std::clamp<std::int64_t>(
      std::chrono::duration_cast<std::chrono::seconds>(config_.keep_alive_max).count(), 1, 65'535));
  s.keep_alive = c.keep_alive;
  if (c.version == mqtt::protocol_version::v5 && (c.keep_alive == 0 || c.keep_alive > keep_alive_max))
    s.keep_alive = s.told_keep_alive = keep_alive_max; // 3.1.1 has no way to be told
  const std::uint32_t loser = enter(s, id, now);
  s.st = session::state::registering;
  ++registering_;
  s.since = now;
  s.c->want_read = false; // until CONNACK
  if (loser != none) {
    counters.takeovers.add();
    close_session(sessions_[loser], close_reason::taken_over, reason::session_taken_over);
  }
  return true;
}

// Makes it the session of its id, and returns which one was, or none; all of it, or nothing when there is no
// memory. The new session is registered before the old one is unregistered: there is no moment without.
std::uint32_t lane::enter(session& s, const std::string& id, time_point now) {
  const handle h = s.client = endpoint_.attach(id, now);
  try {
    if (h.index >= by_client_.size()) by_client_.resize(h.index + 1, none);
    std::uint32_t loser = none;
    if (const auto old = by_id_.find(std::string_view(id)); old == by_id_.end()) by_id_.insert(s.index);
    else
      loser = std::exchange(const_cast<std::uint32_t&>(*old), s.index); // of the same id: its place is right
    by_client_[h.index] = s.index;
    return loser;
  } catch (const std::bad_alloc&) {
    const necessary_work inside_any;
    s.client = {};
    endpoint_.detach(h, now);
    throw;
  }
}

void lane::send_connack(session& s) {
  mqtt::connack_properties props;
  props.session_expiry = 0; // a session ends with its connection
  props.receive_maximum = config_.inflight_max;
  props.maximum_qos = 1;
  props.retain_available = false;
  props.maximum_packet_size = static_cast<std::uint32_t>(config_.packet_bytes_max);
  props.topic_alias_maximum = limits::topic_alias_max;
  props.subscription_identifier_available = false;
  props.shared_subscription_available = false;
  if (s.told_keep_alive) props.server_keep_alive = s.told_keep_alive;
  if (s.assigned_id) props.assigned_client_id = endpoint_.find(s.client)->id;
  if (mqtt::encode_connack(s.c->out, s.version, false, reason::success, props, s.packet_bytes_max) == 0)
    close_session(s, close_reason::packet_too_large,
                  reason::success); // its Maximum Packet Size is below CONNACK
}

} // namespace beeline::edge
