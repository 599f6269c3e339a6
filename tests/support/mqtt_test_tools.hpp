// Shared by the tests of the MQTT codec: packets in memory of exactly their size, so that a sanitizer
// sees every read beyond the end; one call that decodes whatever a packet is; sample packets.
#pragma once
#include "tests/support/mqtt_client_codec.hpp"

#include <memory>

namespace beeline::test {

class exact_bytes {
public:
  explicit exact_bytes(std::string_view s) : bytes_(new std::byte[s.size()]), size_(s.size()) {
    if (!s.empty()) std::memcpy(bytes_.get(), s.data(), s.size());
  }
  const_bytes view() const noexcept { return {bytes_.get(), size_}; }

private:
  std::unique_ptr<std::byte[]> bytes_;
  std::size_t size_;
};

// A framed packet and the bytes that its views point into.
struct framed_packet {
  explicit framed_packet(std::string_view bytes) : memory(bytes) {
    result = mqtt::next_packet(memory.view(), SIZE_MAX, packet);
  }
  exact_bytes memory;
  mqtt::packet packet;
  mqtt::parse result;
};

// A body without a header of its own: for bodies that end too early.
struct body_packet {
  body_packet(std::uint8_t first, std::string_view body) : memory(body) {
    packet.first = first;
    packet.body = memory.view();
  }
  exact_bytes memory;
  mqtt::packet packet;
};

// What a server makes of a client's packet; every view that it gets is read.
reason decode_as_server(const mqtt::packet& p, protocol_version v);
// What a client makes of a server's packet.
reason decode_as_client(const mqtt::packet& p, protocol_version v);

struct sample {
  std::string name, bytes;
  protocol_version version;
};
std::vector<sample> client_samples();
std::vector<sample> server_samples();

inline std::string taken(const output_chain& chain) {
  std::string s(chain.size(), '\0');
  chain.peek(0, s.data(), s.size());
  return s;
}

} // namespace beeline::test
