// Every sample packet cut at every byte and changed in every byte: a verdict, never a read outside.
#include "tests/support/mqtt_test_tools.hpp"

#include <catch2/catch.hpp>
#include <random>

using namespace beeline;
using namespace beeline::test;

namespace {

using decoder = reason (*)(const mqtt::packet&, protocol_version);

// Bodies that end early are malformed, but for packets whose end is open by their nature.
bool may_end_early(const mqtt::packet& whole, std::size_t cut, protocol_version v) {
  const std::size_t left = whole.body.size() - cut;
  switch (whole.type()) {
  case packet_type::publish: {
    mqtt::publish_packet m;
    mqtt::decode_publish(whole, v, m, mqtt::sender::server);
    return left <= m.payload.size();
  }
  case packet_type::puback:
  case packet_type::pubrec:
  case packet_type::pubrel:
  case packet_type::pubcomp: return v == v5 && (cut == 2 || cut == 3);
  case packet_type::disconnect: return v == v5 && cut <= 1;
  case packet_type::subscribe:
  case packet_type::unsubscribe:
  case packet_type::suback:
  case packet_type::unsuback: return true; // a list of any length; a cut inside an entry is tested elsewhere
  default: return false;
  }
}

void cut_everywhere(const std::vector<sample>& samples, decoder decode) {
  for (const sample& s : samples) {
    INFO(s.name << ", version " << static_cast<int>(s.version));
    const framed_packet whole(s.bytes);
    REQUIRE(whole.result == mqtt::parse::done);
    REQUIRE(decode(whole.packet, s.version) == reason::success);
    for (std::size_t n = 0; n < s.bytes.size(); ++n)
      CHECK(framed_packet(s.bytes.substr(0, n)).result == mqtt::parse::need_more);
    const std::string_view body = as_text(whole.packet.body);
    for (std::size_t n = 0; n < body.size(); ++n) {
      INFO("body cut to " << n);
      const reason r = decode(body_packet(whole.packet.first, body.substr(0, n)).packet, s.version);
      if (!may_end_early(whole.packet, n, s.version))
        CHECK((r == reason::malformed_packet || (n == 0 && r == reason::protocol_error)));
    }
    CHECK(framed_packet(s.bytes + "x").packet.total == s.bytes.size());
  }
}

void change_every_byte(const std::vector<sample>& samples, decoder decode) {
  std::size_t refused = 0, taken = 0;
  for (const sample& s : samples) {
    const exact_bytes memory(s.bytes);
    const mutable_bytes bytes{const_cast<std::byte*>(memory.view().data()), s.bytes.size()};
    for (std::byte& b : bytes) {
      const std::byte before = b;
      for (int value = 0; value < 256; ++value) {
        b = static_cast<std::byte>(value);
        mqtt::packet p;
        if (mqtt::next_packet(bytes, SIZE_MAX, p) != mqtt::parse::done) continue;
        for (protocol_version v : {v311, v5}) ++(decode(p, v) == reason::success ? taken : refused);
      }
      b = before;
    }
  }
  CHECK(refused > 0);
  CHECK(taken > 0);
}

} // namespace

TEST_CASE("a client's packet may be cut at every byte", "[mqtt][CAT-12]") {
  cut_everywhere(client_samples(), decode_as_server);
}
TEST_CASE("a server's packet may be cut at every byte", "[mqtt][CAT-12]") {
  cut_everywhere(server_samples(), decode_as_client);
}
TEST_CASE("any byte of a client's packet may be changed", "[mqtt][CAT-16]") {
  change_every_byte(client_samples(), decode_as_server);
}
TEST_CASE("any byte of a server's packet may be changed", "[mqtt][CAT-16]") {
  change_every_byte(server_samples(), decode_as_client);
}

TEST_CASE("each side's decoders survive the other side's packets", "[mqtt][CAT-14]") {
  for (const sample& s : server_samples()) decode_as_server(framed_packet(s.bytes).packet, s.version);
  for (const sample& s : client_samples()) decode_as_client(framed_packet(s.bytes).packet, s.version);
  for (const sample& s : server_samples()) {
    const packet_type t = framed_packet(s.bytes).packet.type();
    const bool servers_only = t == packet_type::connack || t == packet_type::suback ||
                              t == packet_type::unsuback || t == packet_type::pingresp;
    if (servers_only)
      CHECK(decode_as_server(framed_packet(s.bytes).packet, s.version) == reason::protocol_error);
  }
}

TEST_CASE("random bodies of every type get a verdict", "[mqtt][CAT-16]") {
  std::mt19937 random(20260101); // fixed: a failure repeats
  for (int i = 0; i < 20'000; ++i) {
    std::string body(random() % 40, '\0');
    for (char& c : body) c = static_cast<char>(random() % 4 ? random() % 48 : random());
    const body_packet b(static_cast<std::uint8_t>(random()), body);
    for (protocol_version v : {v311, v5}) {
      decode_as_server(b.packet, v);
      decode_as_client(b.packet, v);
    }
  }
  SUCCEED();
}
