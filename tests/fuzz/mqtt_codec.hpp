// CAT-12, 14, 15, 16, 17: what both targets of the MQTT codec try, each in its version. The input is a stream
// of bytes, a packet with a good head, a packet made of fields, or what the server's encoders are to write.
//
// What must hold: a packet cut anywhere is need_more; its views stay inside it; what was decoded is the same
// after encoding and decoding it again; the codec of the load generator and that of libbeeline, which were
// written apart, read the same.
#pragma once
#include "common/base/limits.hpp"
#include "common/base/utf8.hpp"
#include "common/cli/bench/load_codec.hpp"
#include "common/wire/properties.hpp"
#include "edge-server/mqtt/topic.hpp"
#include "tests/fuzz/mqtt_packet_maker.hpp"

namespace beeline::fuzz {

class mqtt_codec {
public:
  explicit mqtt_codec(mqtt::protocol_version v) : v_(v) {}

  void run(input& in) {
    switch (in.byte() % 4) {
    case 0: return stream(in.text(in.left()));
    case 1: {
      const std::uint8_t first = in.byte();
      return packet(test::encode_packet(first, in.text(in.left())));
    }
    case 2:
      while (!in.empty()) packet(maker_.of_client(in));
      return;
    default:
      while (!in.empty()) server_writes(in);
    }
  }

private:
  using reason = mqtt::reason;
  using packet_type = mqtt::packet_type;
  using property = mqtt::property;
  static constexpr auto v5 = mqtt::protocol_version::v5;

  // --- bytes -------------------------------------------------------------------------------------
  void stream(std::string_view bytes) {
    const test::exact_bytes memory(bytes);
    for (const_bytes left = memory.view(); !left.empty();) {
      mqtt::packet p;
      const auto r = mqtt::next_packet(left, limits::packet_bytes_max, p);
      as_load_generator(left, r, p);
      if (r != mqtt::parse::done) return;
      packet(as_text(left.first(p.total)));
      left = left.subspan(p.total);
    }
  }

  void packet(std::string_view bytes) {
    const test::framed_packet whole(bytes);
    MUST_HOLD(whole.result == mqtt::parse::done && whole.packet.total == bytes.size());
    cut_frame(bytes);
    cut_body(whole.packet);
    const reason to_server = test::decode_as_server(whole.packet, v_);
    const reason to_client = test::decode_as_client(whole.packet, v_);
    MUST_HOLD(mqtt::name_of(to_server) != "unknown_reason" && mqtt::name_of(to_client) != "unknown_reason");
    if (to_server == reason::success) again_from_client(whole.packet);
    if (to_client == reason::success) again_from_server(whole.packet);
    if (to_client == reason::success && v_ == v5) as_load_generator(whole.packet);
  }

  void cut_frame(std::string_view bytes) {
    for (std::size_t n = 0; n < bytes.size(); ++n) {
      const bool head = n < 6; // there the bytes end with the memory
      const test::exact_bytes cut(head ? bytes.substr(0, n) : std::string_view{});
      mqtt::packet p;
      const auto r =
          mqtt::next_packet(head ? cut.view() : as_bytes(bytes.substr(0, n)), limits::packet_bytes_max, p);
      MUST_HOLD(r == mqtt::parse::need_more && (p.total == 0 || p.total == bytes.size()));
    }
    mqtt::packet p;
    MUST_HOLD(bytes.size() < 3 ||
              mqtt::next_packet(as_bytes(bytes), bytes.size() - 1, p) == mqtt::parse::too_large);
  }

  // A body that ends early is judged and never read beyond; some cuts of a long one.
  void cut_body(const mqtt::packet& p) {
    const std::string_view body = as_text(p.body);
    const std::size_t step = body.size() / (body.size() < 512 ? 64 : 8) + 1;
    for (std::size_t n = 0; n < body.size(); n += step) {
      const test::body_packet cut(p.first, body.substr(0, n));
      test::decode_as_server(cut.packet, v_);
      test::decode_as_client(cut.packet, v_);
    }
  }

  // --- the other readers of the same bytes -------------------------------------------------------
  void as_load_generator(const_bytes left, mqtt::parse r, const mqtt::packet& p) {
    const auto theirs = load::next_packet(as_text(left));
    if (r == mqtt::parse::need_more) MUST_HOLD(!theirs);
    if (r == mqtt::parse::done) MUST_HOLD(theirs && theirs->total == p.total);
  }
  void as_load_generator(const mqtt::packet& p) {
    load::packet q{static_cast<load::packet_type>(p.type()), p.flags(), as_text(p.body), p.total};
    switch (p.type()) {
    case packet_type::connack: {
      test::connack_packet mine;
      MUST_HOLD(test::decode_connack(p, v_, mine) == reason::success);
      const auto code = load::read_connack(q);
      MUST_HOLD(code && *code == mine.code);
      break;
    }
    case packet_type::publish: {
      mqtt::publish_packet mine;
      MUST_HOLD(test::decode_publish(p, v_, mine) == reason::success);
      const auto m = load::read_publish(q);
      MUST_HOLD(m.has_value() == (mine.qos < 2));
      if (m) MUST_HOLD(m->topic == mine.topic && m->payload == as_text(mine.payload));
      if (m) MUST_HOLD(m->qos == mine.qos && m->packet_id == mine.packet_id);
      break;
    }
    case packet_type::puback: {
      mqtt::ack_packet mine;
      MUST_HOLD(test::decode_ack(p, v_, mine) == reason::success);
      const auto a = load::read_puback(q);
      MUST_HOLD(a && a->packet_id == mine.packet_id && a->code == static_cast<std::uint8_t>(mine.code));
      break;
    }
    case packet_type::disconnect: {
      mqtt::disconnect_packet mine;
      MUST_HOLD(test::decode_disconnect(p, v_, mine) == reason::success);
      MUST_HOLD(load::read_disconnect(q) == static_cast<std::uint8_t>(mine.code));
      break;
    }
    default: break;
    }
  }

  // What libbeeline reads of a message's properties is what the edge has found in them, and it writes the
  // same.
  void as_libbeeline(const mqtt::message_properties& p) {
    const std::string block = test::forwarded(p);
    MUST_HOLD(block.size() == p.forward_bytes);
    std::size_t at = 0, users = 0;
    std::string again;
    for (wire::property_record r; wire::next_property(as_bytes(block), at, r);) {
      using id = wire::property_id;
      if (r.id == id::payload_format) wire::put_flag(again, r.id, r.flag);
      else if (r.id == id::message_expiry) again.append(1, '\x02').append(r.text);
      else if (r.id == id::user_property) wire::put_user_property(again, r.text, r.value), ++users;
      else wire::put_text(again, r.id, r.text);
      if (r.id == id::payload_format) MUST_HOLD(p.payload_is_utf8 == (r.flag == 1));
      if (r.id == id::content_type) MUST_HOLD(r.text == p.content_type);
      if (r.id == id::response_topic) MUST_HOLD(r.text == p.response_topic);
      if (r.id == id::correlation_data) MUST_HOLD(r.text == as_text(p.correlation_data));
    }
    MUST_HOLD(at == block.size() && users == p.user_properties && again == block);
  }

  // --- decode(encode(decode(x))) -----------------------------------------------------------------
  template <class Encode> std::string written(Encode encode) {
    output_chain out(pool_);
    const std::size_t n = encode(out);
    MUST_HOLD(n == out.size());
    return test::taken(out);
  }
  static bool same(const mqtt::message_properties& a, const mqtt::message_properties& b) {
    return a.message_expiry == b.message_expiry && a.payload_is_utf8 == b.payload_is_utf8 &&
           a.response_topic == b.response_topic && a.content_type == b.content_type &&
           as_text(a.correlation_data) == as_text(b.correlation_data) &&
           a.user_property_bytes == b.user_property_bytes && test::forwarded(a) == test::forwarded(b);
  }

  void again_from_client(const mqtt::packet& p) {
    switch (p.type()) {
    case packet_type::connect: return connect_again(p);
    case packet_type::publish: return publish_again(p, mqtt::sender::client);
    case packet_type::puback:
    case packet_type::pubrec:
    case packet_type::pubrel:
    case packet_type::pubcomp: return ack_again(p, mqtt::sender::client);
    case packet_type::subscribe: return subscribe_again(p);
    case packet_type::unsubscribe: return unsubscribe_again(p);
    default: return;
    }
  }
  void again_from_server(const mqtt::packet& p) {
    switch (p.type()) {
    case packet_type::connack: return connack_again(p);
    case packet_type::publish: return publish_again(p, mqtt::sender::server);
    case packet_type::puback:
    case packet_type::pubrec:
    case packet_type::pubrel:
    case packet_type::pubcomp: return ack_again(p, mqtt::sender::server);
    case packet_type::suback:
    case packet_type::unsuback: return suback_again(p);
    case packet_type::disconnect: return disconnect_again(p);
    default: return;
    }
  }

  void connect_again(const mqtt::packet& p) {
    mqtt::connect_packet a, b;
    MUST_HOLD(mqtt::decode_connect(p, a) == reason::success);
    test::connect_options o;
    o.version = a.version, o.client_id = a.client_id, o.clean_start = a.clean_start;
    o.keep_alive = a.keep_alive;
    if (a.user_name) o.user_name = *a.user_name;
    if (a.password) o.password = as_text(*a.password);
    test::property_list list;
    list.four_bytes(property::session_expiry_interval, a.session_expiry)
        .two_bytes(property::receive_maximum, a.receive_maximum)
        .two_bytes(property::topic_alias_maximum, a.topic_alias_maximum)
        .byte(property::request_problem_information, a.request_problem_information)
        .byte(property::request_response_information, a.request_response_information);
    if (a.maximum_packet_size) list.four_bytes(property::maximum_packet_size, *a.maximum_packet_size);
    if (a.authentication_method) list.text(property::authentication_method, *a.authentication_method);
    o.properties = list.bytes();
    if (a.will) {
      const auto& w = *a.will;
      test::property_list about;
      about.four_bytes(property::will_delay_interval, w.delay);
      if (w.properties.message_expiry)
        about.four_bytes(property::message_expiry_interval, *w.properties.message_expiry);
      about.raw(test::forwarded(w.properties));
      o.will = test::will_options{std::string(w.topic), std::string(as_text(w.payload)), about.bytes(), w.qos,
                                  w.retain};
    }
    const test::framed_packet q(test::encode_connect(o));
    MUST_HOLD(mqtt::decode_connect(q.packet, b) == reason::success);
    MUST_HOLD(a.version == b.version && a.clean_start == b.clean_start && a.keep_alive == b.keep_alive);
    MUST_HOLD(a.client_id == b.client_id && a.user_name == b.user_name);
    MUST_HOLD(a.password.has_value() == b.password.has_value());
    if (a.password) MUST_HOLD(as_text(*a.password) == as_text(*b.password));
    MUST_HOLD(a.session_expiry == b.session_expiry && a.receive_maximum == b.receive_maximum);
    MUST_HOLD(a.maximum_packet_size == b.maximum_packet_size &&
              a.topic_alias_maximum == b.topic_alias_maximum);
    MUST_HOLD(a.request_problem_information == b.request_problem_information);
    MUST_HOLD(a.authentication_method == b.authentication_method && a.will.has_value() == b.will.has_value());
    if (!a.will) return;
    MUST_HOLD(a.will->topic == b.will->topic && as_text(a.will->payload) == as_text(b.will->payload));
    MUST_HOLD(a.will->qos == b.will->qos && a.will->retain == b.will->retain &&
              a.will->delay == b.will->delay);
    MUST_HOLD(same(a.will->properties, b.will->properties));
  }

  void publish_again(const mqtt::packet& p, mqtt::sender from) {
    mqtt::publish_packet a, b;
    MUST_HOLD(mqtt::decode_publish(p, v_, a, from) == reason::success);
    if (from == mqtt::sender::client) as_libbeeline(a.properties);
    if (a.topic.empty()) return; // an alias alone: a server says none
    mqtt::publish_message m;
    const std::size_t half = a.topic.size() / 2;
    m.topic = {a.topic.substr(0, half), {}, a.topic.substr(half), {}};
    m.packet_id = a.packet_id, m.qos = a.qos, m.dup = a.dup, m.retain = a.retain;
    m.message_expiry = a.properties.message_expiry;
    m.forward_properties = a.properties.forward();
    m.payload = a.payload;
    const test::framed_packet q(written([&](output_chain& o) { return mqtt::encode_publish(o, m, v_); }));
    MUST_HOLD(q.result == mqtt::parse::done && q.packet.total == mqtt::publish_size(m, v_));
    MUST_HOLD(mqtt::decode_publish(q.packet, v_, b, mqtt::sender::server) == reason::success);
    MUST_HOLD(a.topic == b.topic && as_text(a.payload) == as_text(b.payload) && b.topic_alias == 0);
    MUST_HOLD(a.packet_id == b.packet_id && a.qos == b.qos && a.dup == b.dup && a.retain == b.retain);
    MUST_HOLD(same(a.properties, b.properties));
  }

  void ack_again(const mqtt::packet& p, mqtt::sender from) {
    mqtt::ack_packet a, b;
    MUST_HOLD(mqtt::decode_ack(p, v_, a, from) == reason::success);
    const test::framed_packet q(written([&](output_chain& o) {
      return mqtt::encode_ack(o, p.type(), a.packet_id, v_, a.code, a.reason_string);
    }));
    MUST_HOLD(mqtt::decode_ack(q.packet, v_, b, mqtt::sender::server) == reason::success);
    MUST_HOLD(a.packet_id == b.packet_id && a.code == b.code);
    MUST_HOLD(b.reason_string == sendable(a.reason_string));
  }
  static std::string_view sendable(std::string_view text) {
    return text.size() <= limits::reason_bytes_max ? text : std::string_view{};
  }

  void subscribe_again(const mqtt::packet& p) {
    mqtt::subscribe_packet a, b;
    MUST_HOLD(mqtt::decode_subscribe(p, v_, a) == reason::success);
    std::vector<test::subscribe_filter> filters;
    mqtt::subscription s;
    for (mqtt::subscription_walk walk(a); walk.next(s);) {
      MUST_HOLD(s.shared == mqtt::is_shared_filter(s.filter) && s.valid == mqtt::valid_filter(s.filter));
      filters.push_back({std::string(s.filter),
                         static_cast<std::uint8_t>(s.qos | s.no_local << 2 | s.retain_as_published << 3 |
                                                   s.retain_handling << 4)});
    }
    MUST_HOLD(filters.size() == a.count);
    test::property_list list;
    if (a.subscription_identifier) list.varint(property::subscription_identifier, *a.subscription_identifier);
    const test::framed_packet q(test::encode_subscribe(a.packet_id, filters, v_, list.bytes()));
    MUST_HOLD(mqtt::decode_subscribe(q.packet, v_, b) == reason::success);
    MUST_HOLD(a.packet_id == b.packet_id && a.subscription_identifier == b.subscription_identifier);
    MUST_HOLD(a.count == b.count && as_text(a.filters) == as_text(b.filters));
  }

  void unsubscribe_again(const mqtt::packet& p) {
    mqtt::unsubscribe_packet a, b;
    MUST_HOLD(mqtt::decode_unsubscribe(p, v_, a) == reason::success);
    std::vector<std::string> filters;
    std::string_view f;
    for (mqtt::filter_walk walk(a); walk.next(f);) filters.emplace_back(f);
    MUST_HOLD(filters.size() == a.count);
    const test::framed_packet q(test::encode_unsubscribe(a.packet_id, filters, v_));
    MUST_HOLD(mqtt::decode_unsubscribe(q.packet, v_, b) == reason::success);
    MUST_HOLD(a.packet_id == b.packet_id && as_text(a.filters) == as_text(b.filters));
  }

  void connack_again(const mqtt::packet& p) {
    test::connack_packet a, b;
    MUST_HOLD(test::decode_connack(p, v_, a) == reason::success);
    if (a.properties.assigned_client_id.size() > limits::client_id_bytes_max) return;
    if (v_ != v5 && a.code > 5) return; // no such code: the encoder has none for it
    reason code = static_cast<reason>(a.code);
    if (v_ != v5) code = v311_reasons[a.code];
    const test::framed_packet q(written(
        [&](output_chain& o) { return mqtt::encode_connack(o, v_, a.session_present, code, a.properties); }));
    MUST_HOLD(test::decode_connack(q.packet, v_, b) == reason::success);
    MUST_HOLD(a.session_present == b.session_present && a.code == b.code);
    const auto &x = a.properties, &y = b.properties;
    MUST_HOLD(x.session_expiry == y.session_expiry && x.receive_maximum == y.receive_maximum);
    MUST_HOLD(x.maximum_qos == y.maximum_qos && x.retain_available == y.retain_available);
    MUST_HOLD(x.maximum_packet_size == y.maximum_packet_size && x.server_keep_alive == y.server_keep_alive);
    MUST_HOLD(x.assigned_client_id == y.assigned_client_id && x.topic_alias_maximum == y.topic_alias_maximum);
    MUST_HOLD(y.reason_string == sendable(x.reason_string));
  }
  // A reason for each return code of 3.1.1.
  static constexpr reason v311_reasons[] = {reason::success,
                                            reason::unsupported_protocol_version,
                                            reason::client_identifier_not_valid,
                                            reason::server_unavailable,
                                            reason::bad_user_name_or_password,
                                            reason::not_authorized};

  void suback_again(const mqtt::packet& p) {
    test::suback_packet a, b;
    MUST_HOLD(test::decode_suback(p, v_, a) == reason::success);
    const test::framed_packet q(written([&](output_chain& o) {
      return p.type() == packet_type::suback ? mqtt::encode_suback(o, a.packet_id, a.codes, v_)
                                             : mqtt::encode_unsuback(o, a.packet_id, a.codes, v_);
    }));
    MUST_HOLD(test::decode_suback(q.packet, v_, b) == reason::success);
    MUST_HOLD(a.packet_id == b.packet_id && a.codes.size() == b.codes.size());
    for (std::size_t i = 0; i < a.codes.size(); ++i)
      MUST_HOLD(b.codes[i] ==
                (v_ != v5 && mqtt::is_error(a.codes[i]) ? reason::unspecified_error : a.codes[i]));
  }

  void disconnect_again(const mqtt::packet& p) {
    mqtt::disconnect_packet a, b;
    MUST_HOLD(test::decode_disconnect(p, v_, a) == reason::success);
    const test::framed_packet q(
        written([&](output_chain& o) { return mqtt::encode_disconnect(o, v_, a.code, a.reason_string); }));
    MUST_HOLD(test::decode_disconnect(q.packet, v_, b) == reason::success);
    MUST_HOLD(a.code == b.code && b.reason_string == sendable(a.reason_string));
  }

  // Whatever the server's encoders are given, they write whole packets that a client can read, within the
  // recipient's Maximum Packet Size or not at all.
  void server_writes(input& in) {
    output_chain out(pool_);
    const auto [n, bytes_max] = maker_.of_server(in, out);
    const std::string bytes = test::taken(out);
    MUST_HOLD(bytes.size() == n);
    if (n == 0) return;
    MUST_HOLD(n <= bytes_max);
    const test::framed_packet p(bytes);
    MUST_HOLD(p.result == mqtt::parse::done && p.packet.total == n);
    MUST_HOLD(test::decode_as_client(p.packet, v_) == reason::success);
    again_from_server(p.packet);
  }

  mqtt::protocol_version v_;
  mqtt_packet_maker maker_{v_};
  chunk_pool pool_;
};

} // namespace beeline::fuzz
