// Packets of MQTT made of the input's fields: a client's, right and wrong, by the encoders of the tests; and
// a server's, by the encoders of the edge server.
#pragma once
#include "common/base/limits.hpp"
#include "tests/fuzz/fuzz_input.hpp"
#include "tests/support/mqtt_test_tools.hpp"

namespace beeline::fuzz {

class mqtt_packet_maker {
public:
  explicit mqtt_packet_maker(mqtt::protocol_version v) : v_(v) {}

  std::string of_client(input& in) {
    const unsigned what = in.byte() % 8;
    switch (what) {
    case 0: {
      test::connect_options o;
      const unsigned how = in.byte();
      o.version = how & 1 ? mqtt::protocol_version::v311 : v_;
      o.clean_start = how & 2;
      o.keep_alive = in.two();
      o.client_id = in.text(in.byte() % 32);
      o.properties = some_properties(in);
      if (how & 4) o.user_name = in.text(in.byte() % 8);
      if (how & 8) o.password = in.text(in.byte() % 8);
      if (how & 16)
        o.will = test::will_options{std::string(in.text(in.byte() % 16)),
                                    std::string(in.text(in.byte() % 16)), some_properties(in),
                                    static_cast<std::uint8_t>(how >> 5 & 3), (how & 128) != 0};
      return test::encode_connect(o);
    }
    case 1:
    case 2: {
      test::publish_options o;
      const unsigned how = in.byte();
      const std::string properties = some_properties(in);
      o.version = v_;
      o.qos = how & 3, o.dup = how & 4, o.retain = how & 8;
      o.packet_id = in.two();
      o.topic = in.text(in.byte() % 32);
      o.properties = properties;
      const std::string payload(how & 16 ? in.two() % 3'000u : in.byte() % 64u, 'p');
      o.payload = payload;
      return test::encode_publish(o);
    }
    case 3: {
      const auto t = static_cast<packet_type>(4 + in.byte() % 4);
      const std::uint16_t id = in.two();
      const auto code = static_cast<reason>(in.byte());
      return test::encode_ack(t, id, v_, code, some_properties(in));
    }
    case 4: {
      std::vector<test::subscribe_filter> filters;
      const std::uint16_t id = in.two();
      for (unsigned n = in.byte() % 4; n; --n) {
        const std::uint8_t options = in.byte();
        filters.push_back({std::string(in.text(in.byte() % 16)), options});
      }
      return test::encode_subscribe(id, filters, v_, some_properties(in));
    }
    case 5: {
      std::vector<std::string> filters;
      const std::uint16_t id = in.two();
      for (unsigned n = in.byte() % 4; n; --n) filters.emplace_back(in.text(in.byte() % 16));
      return test::encode_unsubscribe(id, filters, v_, some_properties(in));
    }
    case 6: {
      const auto code = static_cast<reason>(in.byte());
      return test::encode_disconnect(v_, code, some_properties(in));
    }
    default: { // AUTH and what nobody knows
      const std::uint8_t first = in.byte();
      std::string body(1, static_cast<char>(in.byte()));
      const std::string properties = some_properties(in);
      return test::encode_packet(first, body + test::encode_varint(properties.size()) + properties);
    }
    }
  }

  // Appends one packet, or nothing where it would be larger than the recipient's Maximum Packet Size. PUBLISH
  // and PINGRESP are not asked for that.
  struct server_packet {
    std::size_t bytes;
    std::size_t bytes_max;
  };
  server_packet of_server(input& in, output_chain& out) {
    const unsigned what = in.byte() % 6;
    const std::size_t packet_max = in.byte() & 1 ? in.two() : mqtt::no_packet_max;
    const std::string text(in.byte() & 1 ? in.two() % 1024 : 0, 't');
    std::size_t n = 0;
    switch (what) {
    case 0: {
      mqtt::connack_properties p;
      const unsigned set = in.two();
      const std::string id(in.byte() % (limits::client_id_bytes_max + 1), 'i');
      if (set & 1) p.session_expiry = static_cast<std::uint32_t>(in.number());
      if (set & 2) p.receive_maximum = static_cast<std::uint16_t>(in.two() | 1);
      if (set & 4) p.maximum_qos = in.byte() & 1;
      if (set & 8) p.retain_available = in.byte() & 1;
      if (set & 16) p.maximum_packet_size = static_cast<std::uint32_t>(in.number() | 1);
      if (set & 32) p.topic_alias_maximum = in.two();
      if (set & 64) p.wildcard_subscription_available = in.byte() & 1;
      if (set & 128) p.subscription_identifier_available = in.byte() & 1;
      if (set & 256) p.shared_subscription_available = in.byte() & 1;
      if (set & 512) p.server_keep_alive = in.two();
      if (set & 1024) p.assigned_client_id = id;
      p.reason_string = text;
      const auto code = static_cast<reason>(in.byte());
      n = mqtt::encode_connack(out, v_, set & 2048, code, p, packet_max);
      break;
    }
    case 1: { // more codes than are written in one piece
      const auto code = static_cast<reason>(in.byte());
      const std::vector<reason> codes(1 + in.two() % 3'000, code);
      const std::uint16_t id = in.two();
      n = in.byte() & 1 ? mqtt::encode_suback(out, id, codes, v_, packet_max)
                        : mqtt::encode_unsuback(out, id, codes, v_, packet_max);
      break;
    }
    case 2: {
      static constexpr reason codes[] = {reason::success, reason::no_matching_subscribers,
                                         reason::quota_exceeded, reason::topic_name_invalid};
      const reason code = codes[in.byte() % 4];
      n = mqtt::encode_ack(out, packet_type::puback, in.two() | 1, v_, code, text, packet_max);
      break;
    }
    case 3: {
      const reason code = in.byte() & 1 ? reason::session_taken_over : reason::success;
      n = mqtt::encode_disconnect(out, v_, code, text, packet_max);
      break;
    }
    case 4: n = mqtt::encode_pingresp(out); break;
    default: {
      mqtt::publish_message m;
      const std::string payload(in.two() % 3'000, 'p');
      m.topic = {"@/", "a", "/", text};
      m.qos = in.byte() % 3, m.packet_id = in.two() | 1;
      if (in.byte() & 1) m.message_expiry = static_cast<std::uint32_t>(in.number());
      m.payload = as_bytes(payload);
      n = mqtt::encode_publish(out, m, v_);
    }
    }
    return {n, what < 4 ? packet_max : mqtt::no_packet_max};
  }

private:
  using reason = mqtt::reason;
  using packet_type = mqtt::packet_type;
  using property = mqtt::property;
  static constexpr auto v5 = mqtt::protocol_version::v5;

  std::string some_properties(input& in) {
    if (v_ != v5) return {};
    test::property_list list;
    for (unsigned n = in.byte() % 8; n; --n) {
      const std::uint8_t id = in.byte() % mqtt::property_id_end;
      switch (static_cast<property>(id)) {
      case property::content_type:
      case property::response_topic:
      case property::correlation_data:
      case property::authentication_method:
      case property::authentication_data:
      case property::reason_string: list.text(static_cast<property>(id), in.text(in.byte() % 32)); break;
      case property::user_property: {
        const std::string_view name = in.text(in.byte() % 8);
        list.user(name, in.text(in.byte() % 8));
        break;
      }
      case property::message_expiry_interval:
      case property::session_expiry_interval:
      case property::will_delay_interval:
      case property::maximum_packet_size:
        list.four_bytes(static_cast<property>(id), static_cast<std::uint32_t>(in.number()));
        break;
      case property::receive_maximum:
      case property::topic_alias_maximum:
      case property::topic_alias: list.two_bytes(static_cast<property>(id), in.two()); break;
      case property::subscription_identifier:
        list.varint(property::subscription_identifier,
                    static_cast<std::uint32_t>(in.number()) & mqtt::varint_max);
        break;
      default: list.byte(static_cast<property>(id), in.byte() % 3);
      }
    }
    return list.bytes();
  }

  mqtt::protocol_version v_;
};

} // namespace beeline::fuzz
