// Encoders, read back with the client's decoders.
#include "common/base/limits.hpp"
#include "tests/support/mqtt_test_tools.hpp"

#include <catch2/catch.hpp>

using namespace beeline;
using namespace beeline::test;
using namespace std::string_literals;

namespace {
struct written {
  template <class Encode> explicit written(Encode encode) {
    output_chain out(pool);
    size = encode(out);
    bytes = taken(out);
    out.consume(out.size());
    frame.emplace(bytes);
  }
  const mqtt::packet& packet() const { return frame->packet; }
  chunk_pool pool;
  std::size_t size = 0;
  std::string bytes;
  std::optional<framed_packet> frame;
};
} // namespace

TEST_CASE("CONNACK of MQTT 5 says all that is set", "[mqtt][encode]") {
  mqtt::connack_properties p;
  p.session_expiry = 1;
  p.receive_maximum = 2;
  p.maximum_qos = 1;
  p.retain_available = false;
  p.maximum_packet_size = 1 << 20;
  p.assigned_client_id = "auto-1";
  p.topic_alias_maximum = 16;
  p.reason_string = "welcome";
  p.wildcard_subscription_available = true;
  p.subscription_identifier_available = false;
  p.shared_subscription_available = false;
  p.server_keep_alive = 600;
  const written w([&](output_chain& o) { return mqtt::encode_connack(o, v5, true, reason::success, p); });
  connack_packet c;
  REQUIRE(decode_connack(w.packet(), v5, c) == reason::success);
  CHECK(w.size == w.bytes.size());
  CHECK(c.session_present);
  CHECK(c.code == 0);
  CHECK(c.properties.session_expiry == 1u);
  CHECK(c.properties.receive_maximum == 2);
  CHECK(c.properties.maximum_qos == 1);
  CHECK(c.properties.retain_available == false);
  CHECK(c.properties.maximum_packet_size == 1u << 20);
  CHECK(c.properties.assigned_client_id == "auto-1");
  CHECK(c.properties.topic_alias_maximum == 16);
  CHECK(c.properties.reason_string == "welcome");
  CHECK(c.properties.wildcard_subscription_available == true);
  CHECK(c.properties.subscription_identifier_available == false);
  CHECK(c.properties.shared_subscription_available == false);
  CHECK(c.properties.server_keep_alive == 600);
}

TEST_CASE("CONNACK with nothing set is five bytes, in 3.1.1 four", "[mqtt][encode]") {
  const written five([](output_chain& o) { return mqtt::encode_connack(o, v5, false, reason::success); });
  CHECK(five.bytes == "\x20\x03\0\0\0"s);
  const written four([](output_chain& o) { return mqtt::encode_connack(o, v311, true, reason::success); });
  CHECK(four.bytes == "\x20\x02\1\0"s);
}

TEST_CASE("CONNACK of 3.1.1 has the nearest return code, and no session with a refusal", "[mqtt][encode]") {
  const std::pair<reason, int> codes[] = {
      {reason::unsupported_protocol_version, 1}, {reason::client_identifier_not_valid, 2},
      {reason::server_unavailable, 3},           {reason::server_busy, 3},
      {reason::bad_user_name_or_password, 4},    {reason::not_authorized, 5}};
  for (const auto& [code, expected] : codes) {
    const written w([c = code](output_chain& o) { return mqtt::encode_connack(o, v311, true, c); });
    CHECK(w.bytes == "\x20\x02\0"s + static_cast<char>(expected));
    const written w5([c = code](output_chain& o) { return mqtt::encode_connack(o, v5, true, c); });
    CHECK(w5.bytes == "\x20\x03\0"s + static_cast<char>(code) + "\0"s);
  }
}

TEST_CASE("a PUBLISH reads back as it was, whatever its size", "[mqtt][encode]") {
  const std::string first = property_list().user("k", std::string(300, 'v')).bytes();
  const std::string second = property_list().text(property::content_type, "x").bytes();
  const std::string third =
      property_list().text(property::correlation_data, std::string(40'000, '\xff')).bytes();
  for (std::size_t payload :
       {0ul, 1ul, 100ul, 127ul, 128ul, 480ul, 1'000ul, 1'024ul, 16'370ul, 16'384ul, 100'000ul, 1'000'000ul})
    for (std::size_t parts = 0; parts <= 3; ++parts)
      for (protocol_version v : {v311, v5})
        for (std::uint8_t qos : {0, 1}) {
          const std::array<const_bytes, 3> forward{as_bytes(first), as_bytes(second), as_bytes(third)};
          std::string content(payload, '\0');
          for (std::size_t i = 0; i < payload; ++i) content[i] = static_cast<char>(i * 7);
          mqtt::publish_message m;
          m.topic = {"@/", "c1", "/", "chat"};
          m.packet_id = 0x0102;
          m.qos = qos;
          m.dup = qos == 1;
          m.retain = parts == 1;
          if (parts != 2) m.message_expiry = 77;
          m.forward_properties = std::span(forward).first(parts);
          m.payload = as_bytes(content);
          const written w([&](output_chain& o) { return mqtt::encode_publish(o, m, v); });
          REQUIRE(w.size == w.bytes.size());
          REQUIRE(w.size == mqtt::publish_size(m, v));
          mqtt::publish_packet back;
          REQUIRE(w.frame->result == mqtt::parse::done);
          REQUIRE(test::decode_publish(w.packet(), v, back) == reason::success);
          REQUIRE(back.topic == "@/c1/chat");
          REQUIRE((back.qos == qos && back.dup == m.dup && back.retain == m.retain));
          REQUIRE(back.packet_id == (qos ? 0x0102 : 0));
          REQUIRE(as_text(back.payload) == content);
          REQUIRE(back.properties.message_expiry == (v == v5 ? m.message_expiry : std::nullopt));
          const std::string whole = first + second + third;
          const std::size_t ends[] = {0, first.size(), first.size() + second.size(), whole.size()};
          REQUIRE(forwarded(back.properties) == (v == v5 ? whole.substr(0, ends[parts]) : ""));
        }
}

TEST_CASE("a message's properties pass from publisher to recipient unchanged", "[mqtt][encode]") {
  const std::string user = property_list().user("k", "v").bytes();
  const std::string rest = property_list().byte(property::payload_format_indicator, 1).user("k", "w").bytes();
  const std::string block = user + property_list().two_bytes(property::topic_alias, 1).bytes() + rest +
                            property_list().four_bytes(property::message_expiry_interval, 5).bytes() + user;
  const framed_packet in(encode_publish({v5, "@/c2", "m", 1, 1, false, false, block}));
  mqtt::publish_packet received;
  REQUIRE(mqtt::decode_publish(in.packet, v5, received) == reason::success);
  mqtt::publish_message m;
  m.topic = {"@/", "c1"};
  m.forward_properties = received.properties.forward();
  m.message_expiry = received.properties.message_expiry;
  m.payload = received.payload;
  const written w([&](output_chain& o) { return mqtt::encode_publish(o, m, v5); });
  mqtt::publish_packet back;
  REQUIRE(test::decode_publish(w.packet(), v5, back) == reason::success);
  CHECK(forwarded(back.properties) == user + rest + user);
  CHECK(back.properties.message_expiry == 5);
  CHECK(back.topic_alias == 0);
}

TEST_CASE("a small packet lies in one chunk", "[mqtt][encode]") {
  chunk_pool pool;
  output_chain out(pool);
  mqtt::publish_message m;
  m.topic = {"@/", "c1"};
  const std::string payload(400, 'x');
  m.payload = as_bytes(payload);
  mqtt::encode_publish(out, m, v5);
  iovec iov[4];
  CHECK(out.gather(iov, 4) == 1);
  CHECK(pool.bytes_in_use() == chunk_pool::small_bytes);
}

TEST_CASE("acknowledgements take their shortest form", "[mqtt][encode]") {
  const auto ack = [](packet_type t, protocol_version v, reason r, std::string_view text = {},
                      std::size_t packet_max = mqtt::no_packet_max) {
    return written([&](output_chain& o) { return mqtt::encode_ack(o, t, 0x0203, v, r, text, packet_max); });
  };
  CHECK(ack(packet_type::puback, v311, reason::success).bytes == "\x40\x02\2\3");
  CHECK(ack(packet_type::puback, v311, reason::quota_exceeded, "full").bytes == "\x40\x02\2\3");
  CHECK(ack(packet_type::puback, v5, reason::success).bytes == "\x40\x02\2\3");
  CHECK(ack(packet_type::puback, v5, reason::no_matching_subscribers).bytes == "\x40\x03\2\3\x10");
  CHECK(ack(packet_type::pubrel, v5, reason::success).bytes == "\x62\x02\2\3");
  const written full = ack(packet_type::puback, v5, reason::implementation_specific_error, "outcome unknown");
  mqtt::ack_packet a;
  REQUIRE(test::decode_ack(full.packet(), v5, a) == reason::success);
  CHECK(a.packet_id == 0x0203);
  CHECK(a.code == reason::implementation_specific_error);
  CHECK(a.reason_string == "outcome unknown");
  // What does not fit the client's Maximum Packet Size goes without its text, or not at all.
  CHECK(ack(packet_type::puback, v5, reason::quota_exceeded, "full", 5).bytes == "\x40\x03\2\3\x97");
  CHECK(ack(packet_type::puback, v5, reason::quota_exceeded, "full", 4).size == 0);
  CHECK(ack(packet_type::puback, v5, reason::quota_exceeded, std::string(limits::reason_bytes_max + 1, 'x'))
            .size == 5);
}

TEST_CASE("SUBACK and UNSUBACK have a code for each filter, in 3.1.1 SUBACK alone", "[mqtt][encode]") {
  const std::array codes{reason::success, reason::granted_qos_1, reason::topic_filter_invalid};
  const written s5([&](output_chain& o) { return mqtt::encode_suback(o, 7, codes, v5); });
  const written s4([&](output_chain& o) { return mqtt::encode_suback(o, 7, codes, v311); });
  const written u5([&](output_chain& o) { return mqtt::encode_unsuback(o, 7, codes, v5); });
  const written u4([&](output_chain& o) { return mqtt::encode_unsuback(o, 7, codes, v311); });
  CHECK(s5.bytes == "\x90\x06\0\7\0\0\1\x8f"s);
  CHECK(s4.bytes == "\x90\x05\0\7\0\1\x80"s);
  CHECK(u5.bytes == "\xb0\x06\0\7\0\0\1\x8f"s);
  CHECK(u4.bytes == "\xb0\x02\0\7"s);
  suback_packet back;
  REQUIRE(decode_suback(s5.packet(), v5, back) == reason::success);
  CHECK(back.packet_id == 7);
  CHECK(back.codes == std::vector<reason>(codes.begin(), codes.end()));
  REQUIRE(decode_suback(u4.packet(), v311, back) == reason::success);
  CHECK(back.codes.empty());

  const std::vector<reason> many(50'000, reason::granted_qos_1); // more than a chunk holds
  const written large([&](output_chain& o) { return mqtt::encode_suback(o, 7, many, v5); });
  REQUIRE(decode_suback(large.packet(), v5, back) == reason::success);
  CHECK(back.codes == many);
}

TEST_CASE("PINGRESP and DISCONNECT", "[mqtt][encode]") {
  CHECK(written([](output_chain& o) { return mqtt::encode_pingresp(o); }).bytes == "\xd0\0"s);
  const auto disconnect = [](protocol_version v, reason r, std::string_view text, std::size_t packet_max) {
    return written([&](output_chain& o) { return mqtt::encode_disconnect(o, v, r, text, packet_max); });
  };
  CHECK(disconnect(v311, reason::server_busy, "x", 100).bytes.empty());
  CHECK(disconnect(v5, reason::success, {}, 100).bytes == "\xe0\0"s);
  CHECK(disconnect(v5, reason::session_taken_over, {}, 100).bytes == "\xe0\1\x8e"s);
  CHECK(disconnect(v5, reason::session_taken_over, "elsewhere", 3).bytes == "\xe0\1\x8e"s);
  const written w = disconnect(v5, reason::session_taken_over, "elsewhere", 100);
  mqtt::disconnect_packet d;
  REQUIRE(test::decode_disconnect(w.packet(), v5, d) == reason::success);
  CHECK(d.code == reason::session_taken_over);
  CHECK(d.reason_string == "elsewhere");
}

TEST_CASE("every reason that the server sends in a packet is one that this packet may bear",
          "[mqtt][encode]") {
  mqtt::ack_packet a;
  for (reason r : {reason::success, reason::no_matching_subscribers, reason::quota_exceeded,
                   reason::implementation_specific_error, reason::topic_name_invalid}) {
    const written w([&](output_chain& o) { return mqtt::encode_ack(o, packet_type::puback, 1, v5, r); });
    CHECK(test::decode_ack(w.packet(), v5, a) == reason::success);
    CHECK(a.code == r);
  }
  mqtt::disconnect_packet d;
  for (reason r : {reason::malformed_packet, reason::protocol_error, reason::topic_alias_invalid,
                   reason::packet_too_large, reason::qos_not_supported, reason::receive_maximum_exceeded,
                   reason::retain_not_supported, reason::session_taken_over, reason::keep_alive_timeout,
                   reason::server_shutting_down, reason::quota_exceeded, reason::topic_name_invalid}) {
    const written w([&](output_chain& o) { return mqtt::encode_disconnect(o, v5, r); });
    CHECK(test::decode_disconnect(w.packet(), v5, d) == reason::success);
    CHECK(d.code == r);
  }
}
