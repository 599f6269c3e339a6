// A blocking MQTT client of a few lines, for what client libraries hide: bytes and time.
// Owner: one thread. Throws std::runtime_error when the server does not answer within 20 s.
#pragma once
#include "common/net/unique_fd.hpp"
#include "tests/support/mqtt_client_codec.hpp"

#include <string>

namespace beeline::test {

class raw_mqtt {
public:
  raw_mqtt(std::uint16_t port, const std::string& id, protocol_version v = protocol_version::v5);
  raw_mqtt(const raw_mqtt&) = delete;
  raw_mqtt& operator=(const raw_mqtt&) = delete;

  void send(std::string_view bytes);
  mqtt::packet next(); // the next packet; a view until the next call. type reserved: the server closed
  unsigned publish(std::string_view topic, std::string_view payload); // QoS 1: the reason of its PUBACK
  const std::string& said() const noexcept { return said_; }          // and in words

private:
  net::unique_fd fd_;
  protocol_version v_;
  std::string in_, said_;
  std::size_t taken_ = 0;
};

// The first of `count` ports in a row on loopback that nobody listens at, below the ephemeral ones.
std::uint16_t free_ports(unsigned count);

} // namespace beeline::test
