#include "tests/support/lane_world.hpp"

namespace beeline::test {

// --- says -------------------------------------------------------------------------------------------------

void mqtt_client::send(std::string_view bytes) {
  if (!end_) return;
  end_->in += bytes;
  end_->fresh = true;
  world_.run();
}

void mqtt_client::connect(connect_options o) {
  o.version = v_;
  send(encode_connect(o));
}

std::uint16_t mqtt_client::publish(std::string_view topic, std::string_view payload, unsigned qos,
                                   std::string_view properties) {
  publish_options o;
  o.version = v_;
  o.topic = topic;
  o.payload = payload;
  o.qos = static_cast<std::uint8_t>(qos);
  o.properties = properties;
  if (qos) {
    o.packet_id = next_id_;
    if (++next_id_ == 0) next_id_ = 1;
  }
  send(encode_publish(o));
  return o.packet_id;
}

void mqtt_client::puback(std::uint16_t id) { send(encode_ack(packet_type::puback, id, v_)); }
void mqtt_client::subscribe(std::vector<subscribe_filter> filters, std::string_view properties) {
  send(encode_subscribe(77, filters, v_, properties));
}
void mqtt_client::unsubscribe(std::vector<std::string> filters) { send(encode_unsubscribe(78, filters, v_)); }
void mqtt_client::disconnect(reason r, std::string_view properties) {
  send(encode_disconnect(v_, r, properties));
}

void mqtt_client::hang_up() {
  if (!end_) return;
  end_->peer_closed = end_->fresh = true;
  world_.run();
}

void mqtt_client::resume(std::size_t bytes) {
  if (!end_) return;
  end_->takes = bytes;
  world_.lanes_[edge_ * world_.options_.lanes + lane_]->touch(*end_);
  world_.run();
}

// --- hears ------------------------------------------------------------------------------------------------

namespace {
void must(bool ok, std::string_view what) {
  if (!ok) throw unexpected(std::string(what));
}
std::string_view name(packet_type t) { return mqtt::name_of(t); }
} // namespace

mqtt::packet mqtt_client::next(packet_type t) {
  mqtt::packet p;
  const auto r = mqtt::next_packet(as_bytes(rx_), SIZE_MAX, p);
  if (r != mqtt::parse::done)
    throw unexpected("expected " + std::string(name(t)) + ", but nothing came" +
                     (end_ ? "" : " and it is closed"));
  if (p.type() != t) {
    std::string text = "expected " + std::string(name(t)) + ", heard " + std::string(name(p.type()));
    for (std::byte b : p.body.first(std::min<std::size_t>(p.body.size(), 40))) {
      static constexpr char digits[] = "0123456789abcdef";
      text += {' ', digits[static_cast<unsigned>(b) >> 4], digits[static_cast<unsigned>(b) & 15]};
    }
    throw unexpected(text);
  }
  last_ = rx_.substr(0, p.total);
  rx_.erase(0, p.total);
  mqtt::next_packet(as_bytes(last_), SIZE_MAX, p);
  return p;
}

heard_connack mqtt_client::next_connack() {
  connack_packet a;
  must(decode_connack(next(packet_type::connack), v_, a) == reason::success, "CONNACK is malformed");
  heard_connack h{a.code, a.session_present, std::string(a.properties.assigned_client_id),
                  std::string(a.properties.reason_string), a.properties};
  h.properties.assigned_client_id = h.properties.reason_string = {};
  return h;
}

heard_publish mqtt_client::next_publish() {
  mqtt::publish_packet m;
  must(test::decode_publish(next(packet_type::publish), v_, m) == reason::success, "PUBLISH is malformed");
  return {std::string(m.topic),
          std::string(as_text(m.payload)),
          forwarded(m.properties),
          m.qos,
          m.packet_id,
          m.dup,
          m.retain,
          m.properties.message_expiry};
}

heard_ack mqtt_client::next_puback() {
  mqtt::ack_packet a;
  must(test::decode_ack(next(packet_type::puback), v_, a) == reason::success, "PUBACK is malformed");
  return {a.packet_id, static_cast<unsigned>(a.code), std::string(a.reason_string)};
}
heard_ack mqtt_client::next_pubcomp() {
  mqtt::ack_packet a;
  must(test::decode_ack(next(packet_type::pubcomp), v_, a) == reason::success, "PUBCOMP is malformed");
  return {a.packet_id, static_cast<unsigned>(a.code), std::string(a.reason_string)};
}

namespace {
heard_codes codes_of(const mqtt::packet& p, protocol_version v) {
  suback_packet a;
  must(decode_suback(p, v, a) == reason::success, "SUBACK or UNSUBACK is malformed");
  heard_codes h{a.packet_id, {}};
  for (reason r : a.codes) h.codes.push_back(static_cast<unsigned>(r));
  return h;
}
} // namespace
heard_codes mqtt_client::next_suback() { return codes_of(next(packet_type::suback), v_); }
heard_codes mqtt_client::next_unsuback() { return codes_of(next(packet_type::unsuback), v_); }

unsigned mqtt_client::next_disconnect() {
  mqtt::disconnect_packet d;
  must(test::decode_disconnect(next(packet_type::disconnect), v_, d) == reason::success,
       "DISCONNECT is malformed");
  return static_cast<unsigned>(d.code);
}
void mqtt_client::next_pingresp() {
  must(decode_pingresp(next(packet_type::pingresp), v_) == reason::success, "PINGRESP is malformed");
}

} // namespace beeline::test
