#include "tests/support/herd.hpp"

#include <arpa/inet.h>
#include <cerrno>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <system_error>

namespace beeline::test {
namespace {

[[noreturn]] void fail(const char* what) { throw std::system_error(errno, std::generic_category(), what); }

sockaddr_in loopback(std::uint32_t host, std::uint16_t port) {
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_port = htons(port);
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK - 1 + host);
  return a;
}

} // namespace

herd::herd(std::uint16_t port, unsigned from_sources)
    : port_(port), sources_(from_sources), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  if (!epoll_) fail("epoll_create1");
}
herd::~herd() = default;

void herd::connect(std::size_t n, const words& first_words) {
  all_.reserve(all_.size() + n); // events name members by their place
  for (; n; --n) {
    const std::size_t k = all_.size();
    all_.emplace_back();
    begin(k, first_words ? first_words(k) : std::string());
  }
}

void herd::begin(std::size_t k, std::string first_words) {
  member& m = all_[k];
  m = member{};
  m.to_say = std::move(first_words);
  m.fd.reset(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!m.fd) fail("socket");
  const int on = 1;
  (void)::setsockopt(m.fd.get(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  const sockaddr_in from = loopback(1 + static_cast<std::uint32_t>(k % sources_), 0), to = loopback(1, port_);
  if (::bind(m.fd.get(), reinterpret_cast<const sockaddr*>(&from), sizeof from) != 0) fail("bind");
  if (::connect(m.fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0 && errno != EINPROGRESS)
    fail("connect");
  epoll_event e{};
  e.events = EPOLLIN | EPOLLOUT | EPOLLET;
  e.data.u64 = k;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, m.fd.get(), &e) != 0) fail("epoll_ctl");
  ++begun_;
}

void herd::say(const words& what) {
  for (std::size_t k = 0; k < all_.size(); ++k) {
    if (!all_[k].fd || !all_[k].connected) continue;
    all_[k].to_say += what(k);
    speak(all_[k]);
  }
}

void herd::hang_up() {
  for (member& m : all_) m.fd.reset();
  all_.clear();
  open_ = 0;
}

bool herd::until(const std::function<bool()>& done, std::chrono::milliseconds patience) {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (!done()) {
    if (std::chrono::steady_clock::now() >= end) return false;
    step(std::chrono::milliseconds(10));
  }
  return true;
}

bool herd::in_turn(std::size_t n, std::size_t at_once, const words& first_words) {
  std::size_t next = std::min(n, at_once);
  connect(next, first_words);
  const auto over = [](const member& m) { return !m.fd || m.judged; };
  return until([&] {
    std::size_t under_way = 0;
    for (std::size_t k = 0; k < all_.size(); ++k) {
      if (over(all_[k])) {
        if (all_[k].fd) --open_, all_[k].fd.reset();
        if (next == n) continue;
        begin(k, first_words(next++));
      }
      ++under_way;
    }
    return under_way == 0;
  });
}

void herd::step(std::chrono::milliseconds wait) {
  epoll_event events[512];
  const int n = ::epoll_wait(epoll_.get(), events, 512, static_cast<int>(wait.count()));
  for (int i = 0; i < n; ++i)
    if (member& m = all_[events[i].data.u64]; m.fd) on_event(m, events[i].events);
}

void herd::on_event(member& m, unsigned events) {
  if (events & EPOLLOUT) {
    if (!m.connected && !(events & (EPOLLERR | EPOLLHUP))) m.connected = true, ++open_;
    if (m.connected) speak(m);
  }
  if (m.fd && (events & (EPOLLIN | EPOLLERR | EPOLLHUP))) hear(m);
}

void herd::speak(member& m) {
  while (!m.to_say.empty()) {
    const ssize_t n = ::send(m.fd.get(), m.to_say.data(), m.to_say.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return; // what it means is heard
    m.to_say.erase(0, static_cast<std::size_t>(n));
  }
  m.to_say.shrink_to_fit();
}

void herd::hear(member& m) {
  char buffer[16 * 1024];
  for (;;) {
    const ssize_t n = ::recv(m.fd.get(), buffer, sizeof buffer, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) return end(m);
    if (m.judged) continue;
    m.heard.append(buffer, static_cast<std::size_t>(n));
    if (m.heard.size() < 4) continue;
    m.judged = true; // a CONNACK: type, length below 128, flags, code
    ++(m.heard[0] == 0x20 && m.heard[3] == 0 ? accepted_ : refused_);
    m.heard = {};
  }
}

void herd::end(member& m) {
  open_ -= m.connected;
  ++closed_;
  m.fd.reset();
}

} // namespace beeline::test
