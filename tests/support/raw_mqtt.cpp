#include "tests/support/raw_mqtt.hpp"

#include <arpa/inet.h>
#include <cerrno>
#include <netinet/in.h>
#include <stdexcept>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

namespace beeline::test {
namespace {
sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_port = htons(port);
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return a;
}
bool is_free(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in a = loopback(port);
  const bool ok = ::bind(fd, reinterpret_cast<const sockaddr*>(&a), sizeof a) == 0;
  ::close(fd);
  return ok;
}
} // namespace

raw_mqtt::raw_mqtt(std::uint16_t port, const std::string& id, protocol_version v)
    : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), v_(v) {
  const timeval patience{20, 0};
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  const sockaddr_in a = loopback(port);
  if (::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&a), sizeof a) != 0)
    throw std::runtime_error("cannot connect");
  connect_options o;
  o.version = v;
  o.client_id = id;
  send(encode_connect(o));
  connack_packet c;
  if (decode_connack(next(), v_, c) != reason::success) throw std::runtime_error("no CONNACK");
  if (c.code != 0) throw std::runtime_error("CONNACK with code " + std::to_string(c.code));
}

void raw_mqtt::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) throw std::runtime_error("the server takes no bytes");
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
}

mqtt::packet raw_mqtt::next() {
  in_.erase(0, taken_);
  taken_ = 0;
  mqtt::packet p;
  while (mqtt::next_packet(as_bytes(in_), SIZE_MAX, p) != mqtt::parse::done) {
    char buffer[4096];
    const ssize_t n = ::recv(fd_.get(), buffer, sizeof buffer, 0);
    if (n < 0 && errno != ECONNRESET) throw std::runtime_error("the server says nothing");
    if (n <= 0) return {};
    in_.append(buffer, static_cast<std::size_t>(n));
  }
  taken_ = p.total;
  return p;
}

unsigned raw_mqtt::publish(std::string_view topic, std::string_view payload) {
  publish_options o;
  o.version = v_;
  o.topic = topic;
  o.payload = payload;
  o.qos = 1;
  o.packet_id = 1;
  send(encode_publish(o));
  for (;;) {
    const mqtt::packet p = next();
    mqtt::ack_packet a;
    if (p.type() == packet_type::reserved) throw std::runtime_error("the server closed instead of a PUBACK");
    if (p.type() == packet_type::puback && test::decode_ack(p, v_, a) == reason::success) {
      said_ = std::string(a.reason_string);
      return static_cast<unsigned>(a.code);
    }
  }
}

std::uint16_t free_ports(unsigned count) {
  for (unsigned tries = 0, first = 20'000 + static_cast<unsigned>(::getpid()) * 61 % 8'000; tries < 200;
       ++tries, first += count) {
    unsigned ok = 0;
    while (ok < count && is_free(static_cast<std::uint16_t>(first + ok))) ++ok;
    if (ok == count) return static_cast<std::uint16_t>(first);
  }
  throw std::runtime_error("no free ports");
}

} // namespace beeline::test
