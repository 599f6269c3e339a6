// Acknowledgements, SUBSCRIBE, UNSUBSCRIBE, PINGREQ, DISCONNECT, AUTH from a client.
#include "tests/support/mqtt_test_tools.hpp"

#include <catch2/catch.hpp>

using namespace beeline;
using namespace beeline::test;
using namespace std::string_literals;

namespace {
reason body(std::uint8_t first, std::string_view bytes, protocol_version v = v5) {
  return decode_as_server(body_packet(first, bytes).packet, v);
}
} // namespace

TEST_CASE("an acknowledgement may be short, with a reason, with properties", "[mqtt]") {
  for (int first : {0x40, 0x50, 0x62, 0x70}) {
    mqtt::ack_packet a;
    CHECK(mqtt::decode_ack(body_packet(static_cast<std::uint8_t>(first), "\x12\x34").packet, v311, a) ==
          reason::success);
    CHECK(a.packet_id == 0x1234);
    const auto f = static_cast<std::uint8_t>(first);
    CHECK(body(f, "\0\1"s) == reason::success);
    CHECK(body(f, "\0\1\0"s) == reason::success);
    CHECK(body(f, "\0\1\0\0"s) == reason::success);
    CHECK(body(f, "\0\1\0\0\0"s) == reason::malformed_packet);
    CHECK(body(f, "\0\1\0"s, v311) == reason::malformed_packet);
    CHECK(body(f, "\0"s) == reason::malformed_packet);
    CHECK(body(f, "") == reason::malformed_packet);
    CHECK(body(f, "\0\0"s) == reason::protocol_error);
    CHECK(body(f, "\0\1\xff"s) == reason::protocol_error);
  }
  const body_packet full(0x40, "\0\7\x97\x07\x1f\0\4full"s);
  mqtt::ack_packet a;
  REQUIRE(mqtt::decode_ack(full.packet, v5, a) == reason::success);
  CHECK(a.code == reason::quota_exceeded);
  CHECK(a.reason_string == "full");
  CHECK(body(0x62, "\0\1\x92"s) == reason::success);
  CHECK(body(0x62, "\0\1\x97"s) == reason::protocol_error);
  CHECK(body(0x40, "\0\1\0\x0e\x1f\0\4full\x1f\0\4full"s) == reason::protocol_error);
}

TEST_CASE("SUBSCRIBE gives its filters and options one by one", "[mqtt][subscribe]") {
  const framed_packet f(
      encode_subscribe(9, {{"@/#", 1}, {"$share/g/t", 0x2a}, {"a#", 2}, {"", 0}}, v5,
                       property_list().varint(property::subscription_identifier, 77).bytes()));
  mqtt::subscribe_packet s;
  REQUIRE(mqtt::decode_subscribe(f.packet, v5, s) == reason::success);
  CHECK(s.packet_id == 9);
  CHECK(s.subscription_identifier == 77);
  REQUIRE(s.count == 4);
  mqtt::subscription_walk walk(s);
  mqtt::subscription one;
  REQUIRE(walk.next(one));
  CHECK((one.filter == "@/#" && one.qos == 1 && one.valid && !one.shared && !one.no_local));
  REQUIRE(walk.next(one));
  CHECK((one.filter == "$share/g/t" && one.qos == 2 && one.valid && one.shared && one.retain_as_published));
  CHECK(one.retain_handling == 2);
  REQUIRE(walk.next(one));
  CHECK((one.filter == "a#" && !one.valid));
  REQUIRE(walk.next(one));
  CHECK((one.filter.empty() && !one.valid));
  CHECK_FALSE(walk.next(one));
}

TEST_CASE("SUBSCRIBE that breaks the rules is refused", "[mqtt][subscribe]") {
  const auto options = [](std::uint8_t o, protocol_version v, const char* filter = "t") {
    return decode_as_server(framed_packet(encode_subscribe(1, {{filter, o}}, v)).packet, v);
  };
  CHECK(options(2, v311) == reason::success);
  CHECK(options(3, v311) == reason::malformed_packet);
  CHECK(options(4, v311) == reason::malformed_packet);
  CHECK(options(0x2e, v5) == reason::success);
  CHECK(options(3, v5) == reason::protocol_error);
  CHECK(options(0x30, v5) == reason::protocol_error);
  CHECK(options(0x40, v5) == reason::malformed_packet);
  CHECK(options(0x80, v5) == reason::malformed_packet);
  CHECK(options(4, v5, "$share/g/t") == reason::protocol_error);
  CHECK(options(0, v5, "\xff") == reason::malformed_packet);
  CHECK(body(0x82, "\0\1"s, v311) == reason::protocol_error); // no filter
  CHECK(body(0x82, "\0\1\0"s) == reason::protocol_error);
  CHECK(body(0x82, "\0\0\0\0\1t\0"s) == reason::protocol_error);       // id 0
  CHECK(body(0x80, "\0\1\0\0\1t\0"s) == reason::malformed_packet);     // flags
  CHECK(body(0x82, "\0\1\2\x0b\0\0\1t\0"s) == reason::protocol_error); // identifier 0
  CHECK(body(0x82, "\0\1\4\x0b\1\x0b\1\0\1t\0"s) == reason::protocol_error);
  CHECK(body(0x82, "\0\1\0\0\1t"s) == reason::malformed_packet); // no options
}

TEST_CASE("UNSUBSCRIBE gives its filters", "[mqtt][subscribe]") {
  for (protocol_version v : {v311, v5}) {
    const framed_packet f(encode_unsubscribe(4, {"@/#", "a/b"}, v));
    mqtt::unsubscribe_packet u;
    REQUIRE(mqtt::decode_unsubscribe(f.packet, v, u) == reason::success);
    CHECK(u.packet_id == 4);
    CHECK(u.count == 2);
    mqtt::filter_walk walk(u);
    std::string_view filter;
    REQUIRE((walk.next(filter) && filter == "@/#"));
    REQUIRE((walk.next(filter) && filter == "a/b"));
    CHECK_FALSE(walk.next(filter));
  }
  CHECK(body(0xa2, "\0\1"s, v311) == reason::protocol_error);
  CHECK(body(0xa2, "\0\1\0"s) == reason::protocol_error);
  CHECK(body(0xa2, "\0\1\0\0\2a"s) == reason::malformed_packet);
  CHECK(body(0xa0, "\0\1\0\0\1a"s) == reason::malformed_packet);
  CHECK(body(0xa2, "\0\1\2\x0b\1\0\1a"s) == reason::malformed_packet); // identifiers are SUBSCRIBE's
}

TEST_CASE("PINGREQ has no body", "[mqtt]") {
  CHECK(body(0xc0, "") == reason::success);
  CHECK(body(0xc0, "x") == reason::malformed_packet);
  CHECK(body(0xc1, "") == reason::malformed_packet);
}

TEST_CASE("DISCONNECT gives reason, expiry and text", "[mqtt]") {
  CHECK(body(0xe0, "", v311) == reason::success);
  CHECK(body(0xe0, "\0"s, v311) == reason::malformed_packet);
  CHECK(body(0xe0, "") == reason::success);
  CHECK(body(0xe0, "\x04") == reason::success);
  CHECK(body(0xe0, "\x8e") == reason::protocol_error); // a server's
  CHECK(body(0xe0, "\x01") == reason::protocol_error);
  CHECK(body(0xe0, "\0\0x"s) == reason::malformed_packet);
  CHECK(body(0xe0, "\0\4\x1c\0\1s"s) == reason::protocol_error); // server reference
  const framed_packet f(encode_disconnect(v5, reason::disconnect_with_will_message,
                                          property_list()
                                              .four_bytes(property::session_expiry_interval, 8)
                                              .text(property::reason_string, "bye")
                                              .bytes()));
  mqtt::disconnect_packet d;
  REQUIRE(mqtt::decode_disconnect(f.packet, v5, d) == reason::success);
  CHECK(d.code == reason::disconnect_with_will_message);
  CHECK(d.session_expiry == 8);
  CHECK(d.reason_string == "bye");
}

TEST_CASE("AUTH needs a method, and is no packet of 3.1.1", "[mqtt]") {
  CHECK(body(0xf0, "\x18\4\x15\0\1m"s) == reason::success);
  CHECK(body(0xf0, "\x19\4\x15\0\1m"s) == reason::success);
  CHECK(body(0xf0, "\x18\4\x15\0\1m"s, v311) == reason::malformed_packet);
  CHECK(body(0xf0, "\x18\0"s) == reason::protocol_error);
  CHECK(body(0xf0, "") == reason::protocol_error); // success is the server's to say
  CHECK(body(0xf0, "\x18") == reason::malformed_packet);
}

TEST_CASE("reasons have the specification's names", "[mqtt]") {
  CHECK(name_of(reason::success) == "success");
  CHECK(name_of(reason::no_matching_subscribers) == "no_matching_subscribers");
  CHECK(name_of(static_cast<reason>(0x8e)) == "session_taken_over");
  CHECK(name_of(static_cast<reason>(0xff)) == "unknown_reason");
}
