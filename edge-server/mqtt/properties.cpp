#include "edge-server/mqtt/properties.hpp"

#include "edge-server/mqtt/topic.hpp"

#include <array>

namespace beeline::mqtt {
namespace {

enum class wire : std::uint8_t { unknown, u8, u16, u32, varint, text, binary, pair };
enum class range : std::uint8_t { any, flag, not_zero, topic_name };

struct rule {
  wire type = wire::unknown;
  range values = range::any;
  std::uint16_t scopes = 0;
};

template <class... S> constexpr std::uint16_t in(S... s) {
  return static_cast<std::uint16_t>((0u | ... | (1u << static_cast<unsigned>(s))));
}

constexpr auto rules = [] {
  using p = property;
  using s = property_scope;
  std::array<rule, property_id_end> t{};
  auto set = [&t](p id, wire w, range r, std::uint16_t scopes) {
    t[static_cast<std::size_t>(id)] = {w, r, scopes};
  };
  constexpr auto message = in(s::publish, s::will);
  constexpr auto answers = in(s::connack, s::puback, s::pubrec, s::pubrel, s::pubcomp, s::suback, s::unsuback,
                              s::disconnect, s::auth);
  set(p::payload_format_indicator, wire::u8, range::flag, message);
  set(p::message_expiry_interval, wire::u32, range::any, message);
  set(p::content_type, wire::text, range::any, message);
  set(p::response_topic, wire::text, range::topic_name, message);
  set(p::correlation_data, wire::binary, range::any, message);
  set(p::subscription_identifier, wire::varint, range::not_zero, in(s::publish, s::subscribe));
  set(p::session_expiry_interval, wire::u32, range::any, in(s::connect, s::connack, s::disconnect));
  set(p::assigned_client_identifier, wire::text, range::any, in(s::connack));
  set(p::server_keep_alive, wire::u16, range::any, in(s::connack));
  set(p::authentication_method, wire::text, range::any, in(s::connect, s::connack, s::auth));
  set(p::authentication_data, wire::binary, range::any, in(s::connect, s::connack, s::auth));
  set(p::request_problem_information, wire::u8, range::flag, in(s::connect));
  set(p::will_delay_interval, wire::u32, range::any, in(s::will));
  set(p::request_response_information, wire::u8, range::flag, in(s::connect));
  set(p::response_information, wire::text, range::any, in(s::connack));
  set(p::server_reference, wire::text, range::any, in(s::connack, s::disconnect));
  set(p::reason_string, wire::text, range::any, answers);
  set(p::receive_maximum, wire::u16, range::not_zero, in(s::connect, s::connack));
  set(p::topic_alias_maximum, wire::u16, range::any, in(s::connect, s::connack));
  set(p::topic_alias, wire::u16, range::not_zero, in(s::publish));
  set(p::maximum_qos, wire::u8, range::flag, in(s::connack));
  set(p::retain_available, wire::u8, range::flag, in(s::connack));
  set(p::user_property, wire::pair, range::any,
      static_cast<std::uint16_t>(message | answers | in(s::connect, s::subscribe, s::unsubscribe)));
  set(p::maximum_packet_size, wire::u32, range::not_zero, in(s::connect, s::connack));
  set(p::wildcard_subscription_available, wire::u8, range::flag, in(s::connack));
  set(p::subscription_identifier_available, wire::u8, range::flag, in(s::connack));
  set(p::shared_subscription_available, wire::u8, range::flag, in(s::connack));
  return t;
}();

void read_value(octet_reader& from, wire type, property_value& v) noexcept {
  switch (type) {
  case wire::u8: v.number = from.u8(); break;
  case wire::u16: v.number = from.u16(); break;
  case wire::u32: v.number = from.u32(); break;
  case wire::varint: v.number = from.varint(); break;
  case wire::text: v.text = from.text(); break;
  case wire::binary: v.text = as_text(from.binary()); break;
  case wire::pair:
    v.text = from.text();
    v.value = from.text();
    break;
  case wire::unknown: break;
  }
}

bool in_range(range values, const property_value& v) noexcept {
  switch (values) {
  case range::any: return true;
  case range::flag: return v.number <= 1;
  case range::not_zero: return v.number != 0;
  case range::topic_name: return valid_topic_name(v.text);
  }
  return true;
}

// May bear the property by its packet's type, but only when the other side sends it.
bool wrong_side(property id, unsigned scope_bit, sender from) noexcept {
  if (scope_bit == in(property_scope::disconnect))
    return (id == property::server_reference && from == sender::client) ||
           (id == property::session_expiry_interval && from == sender::server);
  return id == property::subscription_identifier && scope_bit == in(property_scope::publish) &&
         from == sender::client;
}

bool may_repeat(property id, unsigned scope_bit) noexcept {
  return id == property::user_property ||
         (id == property::subscription_identifier && scope_bit == in(property_scope::publish));
}

} // namespace

bool property_walk::next(property_value& v) noexcept {
  if (error_ != reason::success || in_.left() == 0) return false;
  const std::byte* const begin = in_.position();
  const std::uint32_t id = in_.varint();
  if (!in_.ok() || id >= rules.size()) return fail(reason::malformed_packet);
  const rule& r = rules[id];
  if ((r.scopes & scope_bit_) == 0) return fail(reason::malformed_packet);

  v = {};
  v.id = static_cast<property>(id);
  read_value(in_, r.type, v);
  if (!in_.ok()) return fail(reason::malformed_packet);
  if (wrong_side(v.id, scope_bit_, from_)) return fail(reason::protocol_error);
  if ((seen_ >> id & 1) != 0 && !may_repeat(v.id, scope_bit_)) return fail(reason::protocol_error);
  seen_ |= std::uint64_t{1} << id;
  if (!in_range(r.values, v))
    return fail(v.id == property::topic_alias ? reason::topic_alias_invalid : reason::protocol_error);
  v.raw = {begin, static_cast<std::size_t>(in_.position() - begin)};
  return true;
}

} // namespace beeline::mqtt
