// CONNECT: versions, flags, properties, will, credentials.
#include "tests/support/mqtt_test_tools.hpp"

#include <catch2/catch.hpp>

using namespace beeline;
using namespace beeline::test;
using namespace std::string_literals;

namespace {

struct decoded {
  explicit decoded(const std::string& bytes)
      : frame(bytes), result(mqtt::decode_connect(frame.packet, connect)) {}
  framed_packet frame;
  mqtt::connect_packet connect;
  reason result;
};

connect_options basic(protocol_version v) {
  connect_options o;
  o.version = v;
  o.client_id = "c1";
  return o;
}
reason with_properties(const property_list& p) {
  connect_options o = basic(v5);
  o.properties = p.bytes();
  return decoded(encode_connect(o)).result;
}
reason with_will_properties(const property_list& p) {
  connect_options o = basic(v5);
  o.will.emplace();
  o.will->topic = "@/c2";
  o.will->properties = p.bytes();
  return decoded(encode_connect(o)).result;
}
reason with_flags(unsigned flags, protocol_version v, std::string_view rest) {
  std::string body = "\0\4MQTT"s + static_cast<char>(v) + static_cast<char>(flags) + "\0\0"s;
  if (v == v5) body += '\0';
  body += "\0\1c"s;
  body += rest;
  return decoded(encode_packet(0x10, body)).result;
}

} // namespace

TEST_CASE("CONNECT gives all that the client said", "[mqtt][connect]") {
  for (protocol_version v : {v311, v5}) {
    connect_options o = basic(v);
    o.clean_start = false;
    o.keep_alive = 300;
    o.user_name = "u";
    o.password = "p\0q"s;
    const decoded d(encode_connect(o));
    REQUIRE(d.result == reason::success);
    CHECK(d.connect.version == v);
    CHECK_FALSE(d.connect.clean_start);
    CHECK(d.connect.keep_alive == 300);
    CHECK(d.connect.client_id == "c1");
    CHECK(d.connect.user_name == "u");
    CHECK(as_text(*d.connect.password) == "p\0q"s);
    CHECK_FALSE(d.connect.will);
    CHECK(d.connect.receive_maximum == 65'535);
    CHECK_FALSE(d.connect.maximum_packet_size);
    CHECK(d.connect.request_problem_information);
  }
}

TEST_CASE("CONNECT's properties of MQTT 5 are given", "[mqtt][connect]") {
  connect_options o = basic(v5);
  o.properties = property_list()
                     .four_bytes(property::session_expiry_interval, 0xffffffff)
                     .two_bytes(property::receive_maximum, 20)
                     .four_bytes(property::maximum_packet_size, 4096)
                     .two_bytes(property::topic_alias_maximum, 3)
                     .byte(property::request_problem_information, 0)
                     .byte(property::request_response_information, 1)
                     .text(property::authentication_method, "SCRAM")
                     .user("a", "b")
                     .user("a", "b")
                     .bytes();
  const decoded d(encode_connect(o));
  REQUIRE(d.result == reason::success);
  CHECK(d.connect.session_expiry == 0xffffffff);
  CHECK(d.connect.receive_maximum == 20);
  CHECK(d.connect.maximum_packet_size == 4096);
  CHECK(d.connect.topic_alias_maximum == 3);
  CHECK_FALSE(d.connect.request_problem_information);
  CHECK(d.connect.request_response_information);
  CHECK(d.connect.authentication_method == "SCRAM");
  CHECK(d.connect.user_property_bytes == 14);
}

TEST_CASE("a will comes with its properties, of which its delay is not forwarded", "[mqtt][connect]") {
  const std::string type = property_list().text(property::content_type, "x").bytes();
  const std::string user = property_list().user("k", "v").bytes();
  connect_options o = basic(v5);
  o.will = will_options{"@/c2/bye", "gone", {}, 1, true};
  o.will->properties = type + property_list().four_bytes(property::will_delay_interval, 5).bytes() + user +
                       property_list().four_bytes(property::message_expiry_interval, 9).bytes();
  const decoded d(encode_connect(o));
  REQUIRE(d.result == reason::success);
  REQUIRE(d.connect.will);
  CHECK(d.connect.will->topic == "@/c2/bye");
  CHECK(as_text(d.connect.will->payload) == "gone");
  CHECK(d.connect.will->qos == 1);
  CHECK(d.connect.will->retain);
  CHECK(d.connect.will->delay == 5);
  CHECK(d.connect.will->properties.message_expiry == 9);
  CHECK(forwarded(d.connect.will->properties) == type + user);
}

TEST_CASE("versions other than 3.1.1 and 5 are refused in a form that the client reads", "[mqtt][connect]") {
  struct row {
    std::string start;
    protocol_version answer;
  };
  for (const row& r : {row{"\0\6MQIsdp\3"s, v311}, row{"\0\4MQTT\3"s, v311}, row{"\0\4MQTT\6"s, v5},
                       row{"\0\4MQTT\x84"s, v311}, row{"\0\4mqtt\5"s, v311}, row{"\0\0\5"s, v311},
                       row{"\0\4MQTT\0"s, v311}}) {
    const decoded d(encode_packet(0x10, r.start + "\2\0\0\0\1c"s));
    CHECK(d.result == reason::unsupported_protocol_version);
    CHECK(d.connect.version == r.answer);
  }
  const decoded cut(encode_packet(0x10, "\0\4MQ"s));
  CHECK(cut.result == reason::malformed_packet);
  CHECK(cut.connect.version == protocol_version::none);
}

TEST_CASE("CONNECT's flags must be consistent", "[mqtt][connect]") {
  for (protocol_version v : {v311, v5}) {
    CHECK(with_flags(0x02, v, "") == reason::success);
    CHECK(with_flags(0x03, v, "") == reason::malformed_packet); // reserved
    CHECK(with_flags(0x0a, v, "") == reason::malformed_packet); // will QoS without will
    CHECK(with_flags(0x22, v, "") == reason::malformed_packet); // will retain without will
    const std::string will = (v == v5 ? "\0"s : ""s) + "\0\1t\0\0"s;
    CHECK(with_flags(0x06, v, will) == reason::success);
    CHECK(with_flags(0x16, v, will) == reason::success);          // QoS 2: the session's to refuse
    CHECK(with_flags(0x1e, v, will) == reason::malformed_packet); // QoS 3
  }
  CHECK(with_flags(0x42, v311, "\0\1p"s) == reason::malformed_packet); // password without user name
  CHECK(with_flags(0x42, v5, "\0\1p"s) == reason::success);
  CHECK(with_flags(0x82, v5, "") == reason::malformed_packet);
  CHECK(with_flags(0x02, v5, "x") == reason::malformed_packet); // trailing byte
}

TEST_CASE("an empty client id needs a clean session in 3.1.1 only", "[mqtt][connect]") {
  connect_options o;
  o.client_id.clear();
  for (protocol_version v : {v311, v5}) {
    o.version = v;
    o.clean_start = true;
    CHECK(decoded(encode_connect(o)).result == reason::success);
    o.clean_start = false;
    CHECK(decoded(encode_connect(o)).result ==
          (v == v5 ? reason::success : reason::client_identifier_not_valid));
  }
}

TEST_CASE("texts in CONNECT must be UTF-8", "[mqtt][connect][utf8]") {
  connect_options o = basic(v5);
  o.client_id = "a\0b"s;
  CHECK(decoded(encode_connect(o)).result == reason::malformed_packet);
  o = basic(v5);
  o.user_name = "\xff";
  CHECK(decoded(encode_connect(o)).result == reason::malformed_packet);
  o = basic(v5);
  o.will = will_options{"\xc0\x80", "", {}, 0, false};
  CHECK(decoded(encode_connect(o)).result == reason::malformed_packet);
  o.will = will_options{"a/#", "", {}, 0, false};
  CHECK(decoded(encode_connect(o)).result == reason::topic_name_invalid);
  CHECK(with_properties(property_list().user("\xff", "x")) == reason::malformed_packet);
  CHECK(with_properties(property_list().user("x", "a\0"s)) == reason::malformed_packet);
}

TEST_CASE("CONNECT's properties must be known, allowed here, in range and single", "[mqtt][connect]") {
  using P = property_list;
  CHECK(with_properties(P().raw("\x7f")) == reason::malformed_packet);
  CHECK(with_properties(P().raw("\0"s)) == reason::malformed_packet);
  CHECK(with_properties(P().raw("\x80\x01")) == reason::malformed_packet);          // id 128
  CHECK(with_properties(P().raw("\xa6\x00\0\0\0\0"s)) == reason::malformed_packet); // overlong id
  CHECK(with_properties(P().raw("\xff\xff\xff\xff\x7f")) == reason::malformed_packet);
  CHECK(with_properties(P().two_bytes(property::topic_alias, 1)) == reason::malformed_packet);
  CHECK(with_properties(P().two_bytes(property::receive_maximum, 0)) == reason::protocol_error);
  CHECK(with_properties(P().four_bytes(property::maximum_packet_size, 0)) == reason::protocol_error);
  CHECK(with_properties(P().byte(property::request_problem_information, 2)) == reason::protocol_error);
  CHECK(with_properties(P().byte(property::request_response_information, 2)) == reason::protocol_error);
  CHECK(with_properties(P().text(property::authentication_data, "x")) == reason::protocol_error);
  CHECK(with_will_properties(P().byte(property::payload_format_indicator, 2)) == reason::protocol_error);
  CHECK(with_will_properties(P().two_bytes(property::receive_maximum, 2)) == reason::malformed_packet);
  const P once[] = {P().four_bytes(property::session_expiry_interval, 1),
                    P().two_bytes(property::receive_maximum, 1),
                    P().four_bytes(property::maximum_packet_size, 99),
                    P().two_bytes(property::topic_alias_maximum, 1),
                    P().byte(property::request_problem_information, 1),
                    P().byte(property::request_response_information, 1),
                    P().text(property::authentication_method, "m")};
  for (const P& p : once) {
    CHECK(with_properties(p) == reason::success);
    CHECK(with_properties(P().raw(p.bytes()).raw(p.bytes())) == reason::protocol_error);
  }
}
