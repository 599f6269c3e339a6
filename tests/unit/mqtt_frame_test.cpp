// Framing: where packets end, judged by the header alone; which types may come from which side.
#include "tests/support/mqtt_test_tools.hpp"

#include <catch2/catch.hpp>

using namespace beeline;
using namespace beeline::test;
using mqtt::next_packet;
using mqtt::parse;

namespace {
parse frame(std::string_view bytes, std::size_t packet_max, mqtt::packet& p) {
  return next_packet(exact_bytes(bytes).view(), packet_max, p);
}
parse frame(std::string_view bytes, std::size_t packet_max = SIZE_MAX) {
  mqtt::packet p;
  return frame(bytes, packet_max, p);
}
} // namespace

TEST_CASE("remaining lengths of one to four bytes are read, in shortest form only", "[mqtt][CAT-12]") {
  mqtt::packet p;
  for (std::size_t body :
       {0ul, 1ul, 127ul, 128ul, 16'383ul, 16'384ul, 2'097'151ul, 2'097'152ul, 268'435'455ul}) {
    std::string header = "\x30";
    header += encode_varint(body);
    CHECK(frame(header, SIZE_MAX, p) == (body ? parse::need_more : parse::done));
    CHECK(p.total == header.size() + body);
    CHECK(p.type() == packet_type::publish);
  }
  CHECK(frame(std::string("\xC0\x80\x00", 3)) == parse::malformed);
  CHECK(frame(std::string("\xC0\x81\x80\x00", 4)) == parse::malformed);
  CHECK(frame(std::string("\xC0\xff\xff\xff\x00", 5)) == parse::malformed);
}

TEST_CASE("a remaining length of five bytes is malformed at its fourth byte", "[mqtt][CAT-12]") {
  CHECK(frame("\x10\xff\xff\xff") == parse::need_more);
  CHECK(frame("\x10\xff\xff\xff\xff") == parse::malformed);
  CHECK(frame("\x10\xff\xff\xff\xff\x01") == parse::malformed);
  CHECK(frame("\x10\x80\x80\x80\x80\x01") == parse::malformed);
}

TEST_CASE("a huge claimed length is refused by the header alone", "[mqtt][CAT-1]") {
  mqtt::packet p;
  CHECK(frame("\x10\xff\xff\xff\x7f", 64 * 1024, p) == parse::too_large);
  CHECK(p.total == 268'435'460);
  CHECK(p.body.empty());
  CHECK(frame("\x30\x08", 10) == parse::need_more);
  CHECK(frame("\x30\x09", 10) == parse::too_large);
}

TEST_CASE("only the first packet's bytes are taken, and it may be cut anywhere", "[mqtt]") {
  const std::string two = encode_publish({v5, "@/c2", "hello", 1, 1}) + encode_pingreq();
  mqtt::packet p;
  for (std::size_t cut = 0; cut < two.size() - 2; ++cut)
    CHECK(frame(two.substr(0, cut), SIZE_MAX, p) == parse::need_more);
  CHECK(frame(two, SIZE_MAX, p) == parse::done);
  CHECK(p.total == two.size() - 2);
}

TEST_CASE("every type of packet in both directions and versions", "[mqtt][CAT-14]") {
  struct row {
    int type;
    reason client311, client5, server311, server5; // verdict on the first byte with the right flags
  };
  constexpr auto ok = reason::success, no = reason::protocol_error, bad = reason::malformed_packet;
  const row rows[] = {
      {0, bad, bad, bad, bad}, {1, ok, ok, no, no},  {2, no, no, ok, ok},  {3, ok, ok, ok, ok},
      {4, ok, ok, ok, ok},     {5, ok, ok, ok, ok},  {6, ok, ok, ok, ok},  {7, ok, ok, ok, ok},
      {8, ok, ok, no, no},     {9, no, no, ok, ok},  {10, ok, ok, no, no}, {11, no, no, ok, ok},
      {12, ok, ok, no, no},    {13, no, no, ok, ok}, {14, ok, ok, no, ok}, {15, bad, ok, bad, ok},
  };
  for (const row& r : rows) {
    INFO("type " << r.type);
    const unsigned right = r.type == 6 || r.type == 8 || r.type == 10 ? 2 : 0;
    for (unsigned flags = 0; flags < 16; ++flags) {
      const auto first = static_cast<std::uint8_t>(r.type << 4 | static_cast<int>(flags));
      const auto expected = [&](reason verdict) {
        const bool good = r.type == 3 ? (flags & 6) != 6 && !((flags & 8) && !(flags & 6)) : flags == right;
        return verdict == ok && !good ? bad : verdict;
      };
      CHECK(mqtt::check_header(first, v311, mqtt::sender::client) == expected(r.client311));
      CHECK(mqtt::check_header(first, v5, mqtt::sender::client) == expected(r.client5));
      CHECK(mqtt::check_header(first, v311, mqtt::sender::server) == expected(r.server311));
      CHECK(mqtt::check_header(first, v5, mqtt::sender::server) == expected(r.server5));
    }
  }
}

TEST_CASE("a decoder refuses a packet of another type", "[mqtt][CAT-14]") {
  for (int first = 0; first < 256; ++first) {
    const body_packet b(static_cast<std::uint8_t>(first), std::string_view("\0\1", 2));
    mqtt::connect_packet c;
    mqtt::publish_packet m;
    mqtt::ack_packet a;
    mqtt::subscribe_packet s;
    mqtt::unsubscribe_packet u;
    mqtt::disconnect_packet d;
    mqtt::auth_packet h;
    const packet_type t = b.packet.type();
    if (t != packet_type::connect) CHECK(is_error(mqtt::decode_connect(b.packet, c)));
    if (t != packet_type::publish) CHECK(is_error(mqtt::decode_publish(b.packet, v5, m)));
    if (t < packet_type::puback || t > packet_type::pubcomp)
      CHECK(is_error(mqtt::decode_ack(b.packet, v5, a)));
    if (t != packet_type::subscribe) CHECK(is_error(mqtt::decode_subscribe(b.packet, v5, s)));
    if (t != packet_type::unsubscribe) CHECK(is_error(mqtt::decode_unsubscribe(b.packet, v5, u)));
    CHECK(is_error(mqtt::decode_pingreq(b.packet, v5)));
    if (t != packet_type::disconnect) CHECK(is_error(mqtt::decode_disconnect(b.packet, v5, d)));
    if (t != packet_type::auth) CHECK(is_error(mqtt::decode_auth(b.packet, v5, h)));
  }
}

TEST_CASE("the first byte tells the type, so that a first packet other than CONNECT is known at once",
          "[mqtt][CAT-2]") {
  for (int first = 0; first < 256; ++first) {
    const auto t = mqtt::type_of(static_cast<std::uint8_t>(first));
    CHECK((t == packet_type::connect) == (first >= 0x10 && first <= 0x1f));
  }
  CHECK(name_of(packet_type::auth) == "auth");
}
