// The barest event loop for the programs that Beeline is compared with: level-triggered epoll, reads into one
// scratch buffer, one write for all that a turn appended to a connection. No limits, no rules, no memory that
// is given back.
//
//   struct handler { void on_accept(connection&); std::size_t on_bytes(connection&, const_bytes); void
//   on_close(connection&); };
//
// One thread.
#pragma once
#include "common/base/bytes.hpp"
#include "common/net/unique_fd.hpp"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdexcept>
#include <string>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <system_error>
#include <vector>

namespace beeline::bench {

inline int checked(int r, const char* what) {
  if (r < 0) throw std::system_error(errno, std::generic_category(), what);
  return r;
}
inline sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_port = htons(port);
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return a;
}
inline std::uint16_t port_of(const std::string& text) { // "7001" or "127.0.0.1:7001"
  return static_cast<std::uint16_t>(std::stoul(text.substr(text.rfind(':') + 1)));
}

struct connection {
  net::unique_fd fd;
  std::uint32_t index = 0;
  std::uint32_t tag = 0; // the handler's
  std::vector<std::byte> rest;
  std::string out;
  std::size_t out_at = 0;
  bool is_dirty = false, waits = false;
  connection* partner = nullptr; // of relays
};

template <class Handler> class bare_loop {
public:
  explicit bare_loop(Handler& h)
      : handler_(h), epoll_(checked(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL); // of whoever measures
    rlimit files{};
    ::getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
  }
  std::uint16_t listen() { // at any free port of loopback
    listener_ =
        net::unique_fd(checked(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket"));
    sockaddr_in at = loopback(0);
    socklen_t size = sizeof at;
    checked(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&at), size), "bind");
    checked(::listen(listener_.get(), 4096), "listen");
    checked(::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&at), &size), "getsockname");
    epoll_event e{};
    e.events = EPOLLIN;
    e.data.ptr = nullptr;
    checked(::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, listener_.get(), &e), "epoll_ctl");
    return ntohs(at.sin_port);
  }
  connection& dial(std::uint16_t port) {
    net::unique_fd fd(checked(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
    const sockaddr_in to = loopback(port);
    checked(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to), "connect");
    return add(std::move(fd));
  }
  connection& at(std::uint32_t index) { return *all_[index]; }

  void mark(connection& c) {
    if (std::exchange(c.is_dirty, true)) return;
    dirty_.push_back(&c);
  }
  void append(connection& c, const void* p, std::size_t n) {
    c.out.append(static_cast<const char*>(p), n);
    mark(c);
  }

  [[noreturn]] void run() {
    std::vector<epoll_event> events(1024);
    for (;;) {
      const int n = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), -1);
      for (int i = 0; i < n; ++i) {
        auto* const c = static_cast<connection*>(events[i].data.ptr);
        if (!c) {
          accept();
          continue;
        }
        if ((events[i].events & EPOLLOUT) && c->fd) write(*c);
        if ((events[i].events & ~EPOLLOUT) && c->fd) read(*c);
      }
      for (std::size_t i = 0; i < dirty_.size(); ++i) {
        dirty_[i]->is_dirty = false;
        if (dirty_[i]->fd && !dirty_[i]->waits) write(*dirty_[i]);
      }
      dirty_.clear();
    }
  }
  void close(connection& c) {
    handler_.on_close(c);
    c.fd = {};
    c.out.clear();
    c.out_at = 0;
  }

private:
  connection& add(net::unique_fd fd) {
    const int on = 1;
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    checked(::fcntl(fd.get(), F_SETFL, O_NONBLOCK), "fcntl");
    all_.push_back(std::make_unique<connection>());
    connection& c = *all_.back();
    c.index = static_cast<std::uint32_t>(all_.size() - 1);
    c.fd = std::move(fd);
    watch(c, EPOLL_CTL_ADD, false);
    return c;
  }
  void watch(connection& c, int what, bool out) {
    epoll_event e{};
    e.events = EPOLLIN | (out ? EPOLLOUT : 0u);
    e.data.ptr = &c;
    checked(::epoll_ctl(epoll_.get(), what, c.fd.get(), &e), "epoll_ctl");
    c.waits = out;
  }
  void accept() {
    for (;;) {
      net::unique_fd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!fd) return;
      handler_.on_accept(add(std::move(fd)));
    }
  }
  void read(connection& c) {
    const std::size_t kept = c.rest.size();
    if (kept) std::memcpy(scratch_.data(), c.rest.data(), kept);
    const ssize_t n = ::recv(c.fd.get(), scratch_.data() + kept, scratch_.size() - kept, 0);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) return close(c);
    const const_bytes in(scratch_.data(), kept + static_cast<std::size_t>(n));
    const std::size_t used = handler_.on_bytes(c, in);
    c.rest.assign(in.begin() + static_cast<std::ptrdiff_t>(used), in.end());
    if (c.rest.size() == scratch_.size()) close(c);
  }
  void write(connection& c) {
    const ssize_t n = ::send(c.fd.get(), c.out.data() + c.out_at, c.out.size() - c.out_at, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN) return close(c);
    if (n > 0) c.out_at += static_cast<std::size_t>(n);
    const bool left = c.out_at < c.out.size();
    if (!left) c.out.clear(), c.out_at = 0;
    if (left != c.waits) watch(c, EPOLL_CTL_MOD, left);
  }

  Handler& handler_;
  net::unique_fd epoll_, listener_;
  std::vector<std::byte> scratch_ = std::vector<std::byte>(256 * 1024);
  std::vector<std::unique_ptr<connection>> all_;
  std::vector<connection*> dirty_;
};

} // namespace beeline::bench
