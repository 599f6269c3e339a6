#include "tests/idle/idle_client.hpp"

#include "tests/support/mqtt_client_codec.hpp"

#include <cerrno>
#include <cstring>
#include <netinet/tcp.h>
#include <stdexcept>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace beeline::idle {
namespace {
constexpr std::uint16_t keep_alive_seconds = 300;
}

void client::connect(int epoll, std::uint32_t number, const sockaddr_in& from, const sockaddr_in& to,
                     tally& t) {
  fd_.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd_) throw std::runtime_error(std::string("no more sockets: ") + std::strerror(errno));
  const int on = 1;
  ::setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  // The port is chosen at connect, for this destination: many destinations share the ports.
  ::setsockopt(fd_.get(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  if (::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&from), sizeof from) != 0)
    throw std::runtime_error(std::string("cannot bind: ") + std::strerror(errno));
  in_.clear();
  ++t.connects;
  state_ = state::connecting;
  if (::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0 && errno != EINPROGRESS)
    return lost(t, std::strerror(errno));
  epoll_event e{};
  e.events = EPOLLIN | EPOLLOUT | EPOLLET;
  e.data.u32 = number;
  ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd_.get(), &e);
}

void client::on_event(std::uint32_t events, tally& t) {
  if (state_ == state::away) return;
  if (state_ == state::connecting && events & EPOLLOUT) {
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return lost(t, std::strerror(error));
    state_ = state::waiting;
    test::connect_options o;
    o.client_id = id_;
    o.keep_alive = keep_alive_seconds;
    send(encode_connect(o));
  }
  if (events & (EPOLLIN | EPOLLHUP | EPOLLERR) && !(slow && state_ == state::live)) read(t);
}

// Small packets to a socket that takes them: what does not fit is an error of the test.
void client::send(const std::string& bytes) {
  if (::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(bytes.size()) &&
      errno == EAGAIN)
    throw std::runtime_error("a socket takes nothing");
}

void client::ping() {
  if (state_ == state::live) send(test::encode_pingreq());
}

void client::publish(const std::string& to, tally& t) {
  if (state_ != state::live) return;
  const std::string topic = "@/" + to;
  test::publish_options o;
  o.topic = topic;
  o.payload = "a few words, now and then";
  o.qos = 1;
  o.packet_id = packet_ = static_cast<std::uint16_t>(packet_ % 1000 + 1);
  ++t.published;
  send(encode_publish(o));
}

void client::leave(bool politely, tally& t) {
  if (state_ == state::away) return;
  ++t.left;
  if (politely && state_ == state::live) send(test::encode_disconnect(test::v5));
  else {
    const linger reset{1, 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  }
  state_ = state::away;
  fd_.reset();
}

void client::lost(tally& t, const char* why) {
  if (t.why.empty()) t.why = id_ + ": " + why;
  ++(state_ == state::live ? t.lost : t.refused);
  state_ = state::away;
  fd_.reset();
}

void client::read(tally& t) {
  static thread_local char buffer[64 * 1024];
  while (state_ != state::away) {
    const ssize_t n = ::recv(fd_.get(), buffer, sizeof buffer, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n < 0) return lost(t, std::strerror(errno));
    if (n == 0) return lost(t, "the server closed the connection");
    in_.append(buffer, static_cast<std::size_t>(n));
    take(t);
    if (in_.empty()) in_ = {}; // its memory too
  }
}

void client::take(tally& t) {
  std::size_t at = 0;
  mqtt::packet p;
  while (state_ != state::away &&
         mqtt::next_packet(as_bytes(std::string_view(in_).substr(at)), SIZE_MAX, p) == mqtt::parse::done) {
    at += p.total;
    switch (p.type()) {
    case mqtt::packet_type::connack: {
      test::connack_packet c;
      if (test::decode_connack(p, test::v5, c) != mqtt::reason::success || c.code != 0)
        return lost(t, ("CONNACK with " + std::to_string(c.code)).c_str());
      state_ = state::live;
      break;
    }
    case mqtt::packet_type::publish: {
      mqtt::publish_packet m;
      ++t.received;
      if (test::decode_publish(p, test::v5, m) == mqtt::reason::success && m.qos)
        send(test::encode_ack(mqtt::packet_type::puback, m.packet_id, test::v5));
      break;
    }
    case mqtt::packet_type::puback: {
      mqtt::ack_packet a;
      ++t.answered;
      t.not_accepted +=
          test::decode_ack(p, test::v5, a) != mqtt::reason::success || a.code != mqtt::reason::success;
      break;
    }
    case mqtt::packet_type::disconnect: return lost(t, "DISCONNECT from the server");
    default: break;
    }
  }
  in_.erase(0, at);
}

} // namespace beeline::idle
