// Packets of live sessions, and what their publishers are told.
#include "edge-server/lane.hpp"
#include "edge-server/mqtt/topic.hpp"

#include "common/link/endpoint.ipp"

#include <algorithm>
#include <charconv>
#include <functional>

namespace beeline::edge {

using mqtt::packet_type;
using mqtt::protocol_version;
using mqtt::reason;

namespace {
// Subscriptions select nothing, as everything for a client comes to it: which it has matters only for the
// reason code of UNSUBSCRIBE. So their hashes do, and a packet of 100,000 filters costs about its bytes.
std::uint64_t hash_of_filter(std::string_view f) noexcept { return std::hash<std::string_view>{}(f); }

constexpr std::size_t ix(answer a) { return static_cast<std::size_t>(a); }

close_reason close_reason_of(reason r) {
  switch (r) {
  case reason::malformed_packet: return close_reason::malformed;
  case reason::packet_too_large: return close_reason::packet_too_large;
  case reason::receive_maximum_exceeded: return close_reason::receive_maximum_exceeded;
  case reason::qos_not_supported:
  case reason::retain_not_supported:
  case reason::subscription_identifiers_not_supported:
  case reason::bad_authentication_method: return close_reason::unsupported;
  default: return close_reason::protocol_error;
  }
}

// "@/C2/chat" -> C2, chat. False: no address of a client.
bool parse_address(std::string_view topic, std::string_view& id, std::string_view& channel) {
  if (!topic.starts_with("@/")) return false;
  topic.remove_prefix(2);
  const std::size_t slash = topic.find('/');
  id = topic.substr(0, slash);
  channel = slash == std::string_view::npos ? std::string_view{} : topic.substr(slash + 1);
  return mqtt::valid_client_id(id);
}

struct told {
  reason code;
  std::string_view text;
};
told told_of(answer a, answer cause) {
  switch (a) {
  case answer::accepted: return {reason::success, {}};
  case answer::nobody: return {reason::no_matching_subscribers, {}};
  case answer::full: return {reason::quota_exceeded, "the recipient's queue is full"};
  case answer::expired: return {reason::implementation_specific_error, "the message expired on its way"};
  case answer::unknown:
    return {reason::implementation_specific_error,
            "outcome unknown: a server was lost with the message in flight"};
  default:
    return {reason::implementation_specific_error,
            cause == answer::refused      ? "refused: the message is above a limit of its recipient"
            : cause == answer::later_lane ? "given up: no link to the recipient's router"
                                          : "given up: a queue on the way stayed full"};
  }
}
// Of a message that was accepted, and whose sender wants to know of its recipient's own PUBACK.
told told_of(link::receipt_told r) {
  using enum link::receipt_told;
  constexpr reason other = reason::implementation_specific_error;
  switch (r) {
  case received: return {reason::success, {}};
  case session_ended: return {other, "taken, but the recipient's session ended before it acknowledged"};
  case expired: return {other, "taken, but it expired before the recipient could be sent it"};
  case rejected: return {other, "taken, and the recipient acknowledged it with an error"};
  case timeout: return {other, "taken, but the recipient has not acknowledged it in time"};
  case owner_lost: return {other, "taken, but the recipient's server was lost before it acknowledged"};
  case not_promised: return {other, "taken, but its server gives no receipts now"};
  }
  return {other, {}};
}
} // namespace

void lane::on_packet(session& s, const mqtt::packet& p, time_point now) {
  reason r = reason::success;
  switch (p.type()) {
  case packet_type::publish: return on_publish(s, p, now);
  case packet_type::puback: return on_puback(s, p, now);
  case packet_type::subscribe: return on_subscribe(s, p);
  case packet_type::unsubscribe: return on_unsubscribe(s, p);
  case packet_type::disconnect: return on_disconnect(s, p);
  case packet_type::pingreq:
    r = mqtt::decode_pingreq(p, s.version);
    if (r == reason::success) {
      mqtt::encode_pingresp(s.c->out);
      return dirty_.mark(*s.c);
    }
    break;
  case packet_type::pubrel: { // there is no QoS 2 message that it could be about
    mqtt::ack_packet a;
    r = mqtt::decode_ack(p, s.version, a);
    if (r == reason::success) {
      mqtt::encode_ack(s.c->out, packet_type::pubcomp, a.packet_id, s.version,
                       s.version == protocol_version::v5 ? reason::packet_identifier_not_found
                                                         : reason::success);
      return dirty_.mark(*s.c);
    }
    break;
  }
  default:
    r = mqtt::check_header(p.first, s.version, mqtt::sender::client);
    if (r == reason::success)
      r = reason::protocol_error; // a second CONNECT, AUTH without a method, PUBREC, PUBCOMP
  }
  counters.malformed.add();
  close_session(s, close_reason_of(r), r);
}

// --- PUBLISH --------------------------------------------------------------------------------------------

reason lane::resolve_alias(session& s, mqtt::publish_packet& p) {
  if (p.topic_alias == 0) return reason::success;
  if (p.topic_alias > limits::topic_alias_max) return reason::topic_alias_invalid;
  if (!s.aliases) s.aliases = std::make_unique<std::vector<std::string>>(limits::topic_alias_max);
  std::string& known = (*s.aliases)[p.topic_alias - 1u];
  const std::string_view topic = p.topic.substr(0, limits::topic_bytes_max + 1); // too long stays too long
  if (topic.empty() && known.empty()) return reason::protocol_error;
  if (!topic.empty() && topic != known)
    known = std::string(topic); // of that size: assigned it may grow beyond
  p.topic = known;
  return reason::success;
}

void lane::put_puback(session& s, std::uint16_t packet_id, reason r, std::string_view text) {
  try {
    mqtt::encode_ack(s.c->out, packet_type::puback, packet_id, s.version, r,
                     s.problem_information ? text : std::string_view{}, s.packet_bytes_max);
  } catch (const std::bad_alloc&) { // it would wait for its answer for ever
    return close_session(s, close_reason::out_of_memory, reason::success);
  }
  dirty_.mark(*s.c);
}

// A PUBLISH that is answered here, because it cannot be sent at all.
void lane::refuse_publish(session& s, const mqtt::publish_packet& p, std::string_view to, reason r,
                          drop_reason why, std::string_view text) {
  count_drop(why);
  const link::client* c = endpoint_.find(s.client);
  endpoint_.drops.put(p.qos ? drop_kind::refusal : drop_kind::drop, name_of(why), c->id,
                      to.empty() ? p.topic : to, p.qos, last_time_);
  if (p.qos == 0) return;
  counters.outcomes[ix(answer::refused)].add();
  if (s.version == protocol_version::v311) {
    counters.outcomes_untold.add();
    if (config_.v311_refused_disconnects)
      return close_session(s, close_reason::message_refused, reason::success);
  }
  put_puback(s, p.packet_id, r, text);
}

void lane::on_publish(session& s, const mqtt::packet& p, time_point now) {
  mqtt::publish_packet m;
  reason r = mqtt::decode_publish(p, s.version, m);
  if (r == reason::success) r = resolve_alias(s, m);
  if (r == reason::success && m.qos == 2) r = reason::qos_not_supported;
  if (r == reason::success && m.retain && s.version == protocol_version::v5) r = reason::retain_not_supported;
  if (r == reason::success && m.qos == 1 && s.version == protocol_version::v5 &&
      s.unanswered + s.awaiting >= config_.inflight_max)
    r = reason::receive_maximum_exceeded;
  if (r != reason::success) {
    if (close_reason_of(r) != close_reason::unsupported) counters.malformed.add();
    return close_session(s, close_reason_of(r), r);
  }
  if (s.going && m.qos == 1) return counters.publishes_sent_away.add(); // it comes again, elsewhere
  counters.publishes[m.qos].add();
  counters.publish_bytes.add(m.payload.size());
  wire::message_parts out;
  if (m.topic.size() > limits::topic_bytes_max)
    return refuse_publish(s, m, out.destination, reason::topic_name_invalid, drop_reason::bad_topic,
                          "topic longer than 1 KiB");
  if (!parse_address(m.topic, out.destination, out.channel))
    return refuse_publish(s, m, out.destination, reason::topic_name_invalid, drop_reason::bad_topic,
                          "only @/client and @/client/channel are served");
  if (m.retain) // 3.1.1
    return refuse_publish(s, m, out.destination, reason::retain_not_supported, drop_reason::retain, {});
  if (m.properties.user_property_bytes > limits::user_properties_bytes_max)
    return refuse_publish(s, m, out.destination, reason::quota_exceeded, drop_reason::properties_too_large,
                          "user properties above 64 KiB");
  out.hash = endpoint_.hash(out.destination);
  const std::string_view sender = endpoint_.find(s.client)->id;
  out.sender = sender;
  out.properties = m.properties.forward();
  out.payload = m.payload;
  if (!time_to_live(m, out.ttl_ms))
    return refuse_publish(s, m, out.destination, reason::payload_format_invalid, drop_reason::bad_property,
                          "deadline-ms has to be a number from 1 to 2147483647");
  out.receipt = m.qos == 1 && m.properties.ack == "received";
  if (out.receipt && endpoint_.receipts_full())
    return refuse_publish(s, m, out.destination, reason::quota_exceeded, drop_reason::receipts_full,
                          "too many receipts are waited for");
  if (m.qos == 1) {
    ++s.unanswered; // before: the outcome may come from within
    s.unanswered_bytes += wire::message_bytes(out, true);
    endpoint_.send_qos1(s.client, m.packet_id, out, now);
    return update_reading(s);
  }
  std::uint16_t link = 0;
  drop_reason why{};
  if (endpoint_.send_qos0(out, link, why) != link::endpoint<lane>::sent::link_full) return;
  if (link >= paused_by_link_.size()) paused_by_link_.resize(link + 1u);
  if (s.waits_for_link == 0xffff) {
    paused_by_link_[link].push_back(s.index);
    s.waits_for_link = link;
  }
  update_reading(s);
}

// The shorter of Message Expiry Interval and the user property deadline-ms; 0: for ever, or so long that no
// queue here lasts it out. False: deadline-ms is no number.
bool lane::time_to_live(const mqtt::publish_packet& p, std::uint32_t& ttl_ms) const {
  std::uint64_t ms = wire::ttl_ms_max + 1ull;
  if (p.properties.message_expiry) ms = std::max<std::uint64_t>(*p.properties.message_expiry * 1000ull, 1);
  if (p.properties.deadline_ms) {
    const std::string_view text = *p.properties.deadline_ms;
    std::uint32_t own = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), own);
    if (error != std::errc{} || end != text.data() + text.size() || own == 0 || own > wire::ttl_ms_max)
      return false;
    ms = std::min<std::uint64_t>(ms, own);
  }
  ttl_ms = ms > wire::ttl_ms_max ? 0 : static_cast<std::uint32_t>(ms);
  return true;
}

session* lane::publisher(handle h) {
  const std::uint32_t i = session_of(h);
  if (i == none || sessions_[i].st != session::state::live) return nullptr;
  return &sessions_[i];
}

// Accepted, and the sender waits on for its recipient: that takes its packet id, but no room here, and does
// not keep its socket from being read. (Else two clients that wait for each other would never be heard.)
void lane::on_taken(const link::outbox::outcome& o, time_point) {
  session* s = publisher(o.sender);
  if (!s) return;
  --s->unanswered;
  ++s->awaiting;
  s->unanswered_bytes -= o.bytes;
  update_reading(*s);
}

void lane::on_receipt(handle sender, std::uint64_t token, link::receipt_told what, time_point) {
  session* s = publisher(sender);
  if (!s) return;
  --s->awaiting;
  const auto [code, text] = told_of(what);
  (code == reason::success ? counters.outcomes[ix(answer::accepted)] : counters.outcomes_taken).add();
  put_puback(*s, static_cast<std::uint16_t>(token), code, text);
  update_reading(*s);
}

void lane::on_outcome(const link::outbox::outcome& o, time_point) {
  session* const to = publisher(o.sender);
  if (!to) return;
  session& s = *to;
  --s.unanswered;
  s.unanswered_bytes -= o.bytes;
  counters.outcomes[ix(o.what)].add();
  const auto [code, text] = told_of(o.what, o.cause);
  if (s.version == protocol_version::v311 && o.what != answer::accepted) {
    counters.outcomes_untold.add();
    if (config_.v311_refused_disconnects && o.what != answer::nobody)
      return close_session(s, close_reason::message_refused, reason::success);
  }
  put_puback(s, static_cast<std::uint16_t>(o.token), code, text);
  update_reading(s);
}

// --- the others -------------------------------------------------------------------------------------------

void lane::on_puback(session& s, const mqtt::packet& p, time_point now) {
  mqtt::ack_packet a;
  if (const reason r = mqtt::decode_ack(p, s.version, a); r != reason::success) {
    counters.malformed.add();
    return close_session(s, close_reason_of(r), r);
  }
  const auto sent = s.in_flight.find(a.packet_id);
  if (sent == s.in_flight.end()) return counters.pubacks_unknown.add();
  const std::uint32_t receipt = sent->second;
  s.in_flight.erase(sent);
  settle(receipt, mqtt::is_error(a.code) ? wire::receipt::rejected : wire::receipt::received);
  counters.pubacks_in.add();
  pump_pending(s, now);
}

void lane::on_subscribe(session& s, const mqtt::packet& p) {
  mqtt::subscribe_packet m;
  reason r = mqtt::decode_subscribe(p, s.version, m);
  if (r == reason::success && m.subscription_identifier) r = reason::subscription_identifiers_not_supported;
  if (r != reason::success) {
    counters.malformed.add();
    return close_session(s, close_reason_of(r), r);
  }
  counters.subscribes.add();
  std::vector<reason> codes;
  mqtt::subscription_walk walk(m);
  for (mqtt::subscription q; walk.next(q);) {
    reason code = q.qos == 0 ? reason::success : reason::granted_qos_1;
    const std::uint64_t hash = hash_of_filter(q.filter);
    const bool known = std::find(s.filters.begin(), s.filters.end(), hash) != s.filters.end();
    if (!q.valid || q.filter.size() > limits::topic_bytes_max) code = reason::topic_filter_invalid;
    else if (q.shared) code = reason::shared_subscriptions_not_supported;
    else if (!q.filter.starts_with("@/")) code = reason::topic_filter_invalid;
    else if (!known && s.filters.size() >= limits::subscriptions_max) code = reason::quota_exceeded;
    else if (!known) s.filters.push_back(hash);
    if (mqtt::is_error(code)) counters.subscriptions_refused.add();
    codes.push_back(code);
  }
  mqtt::encode_suback(s.c->out, m.packet_id, codes, s.version, s.packet_bytes_max);
  dirty_.mark(*s.c);
}

void lane::on_unsubscribe(session& s, const mqtt::packet& p) {
  mqtt::unsubscribe_packet m;
  if (const reason r = mqtt::decode_unsubscribe(p, s.version, m); r != reason::success) {
    counters.malformed.add();
    return close_session(s, close_reason_of(r), r);
  }
  std::vector<reason> codes;
  mqtt::filter_walk walk(m);
  for (std::string_view filter; walk.next(filter);)
    codes.push_back(std::erase(s.filters, hash_of_filter(filter)) ? reason::success
                                                                  : reason::no_subscription_existed);
  mqtt::encode_unsuback(s.c->out, m.packet_id, codes, s.version, s.packet_bytes_max);
  dirty_.mark(*s.c);
}

void lane::on_disconnect(session& s, const mqtt::packet& p) {
  mqtt::disconnect_packet m;
  reason r = mqtt::decode_disconnect(p, s.version, m);
  // Session expiry was 0 in CONNACK; a client may not raise it from there.
  if (r == reason::success && m.session_expiry.value_or(0) != 0) r = reason::protocol_error;
  if (r != reason::success) {
    counters.malformed.add();
    return close_session(s, close_reason_of(r), r);
  }
  close_session(s, close_reason::client_disconnect, reason::success);
}

} // namespace beeline::edge
