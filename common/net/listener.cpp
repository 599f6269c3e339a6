#include "common/net/listener.hpp"

#include "common/base/check.hpp"
#include "common/base/token_bucket.hpp"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cerrno>
#include <cstring>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <system_error>

namespace beeline::net {
namespace asio = boost::asio;
using asio::ip::tcp;
namespace {

struct resolved {
  explicit resolved(const std::string& host, std::uint16_t port) {
    addrinfo hints{};
    hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
    hints.ai_socktype = SOCK_STREAM;
    const int e =
        ::getaddrinfo(host.empty() ? nullptr : host.c_str(), std::to_string(port).c_str(), &hints, &first);
    if (e != 0)
      throw std::system_error(std::make_error_code(std::errc::invalid_argument),
                              "cannot listen at " + host + ": " + ::gai_strerror(e));
  }
  resolved(const resolved&) = delete;
  resolved& operator=(const resolved&) = delete;
  ~resolved() { ::freeaddrinfo(first); }
  addrinfo* first = nullptr;
};

std::string display(const std::string& host, std::uint16_t port) {
  const bool v6 = host.find(':') != std::string::npos;
  return (v6 ? '[' + host + ']' : host.empty() ? "*" : host) + ':' + std::to_string(port);
}

[[noreturn]] void fail(int error, const std::string& address) {
  throw std::system_error(error, std::generic_category(), "cannot listen at " + address);
}

std::uint16_t port_of(int fd) {
  sockaddr_storage a{};
  socklen_t size = sizeof a;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&a), &size) != 0) return 0;
  return ntohs(a.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6&>(a).sin6_port
                                       : reinterpret_cast<const sockaddr_in&>(a).sin_port);
}

bound_socket bind_one(const std::string& host, std::uint16_t port, bool shared) {
  const resolved r(host, port);
  const auto address = display(host, port);
  unique_fd fd(::socket(r.first->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) fail(errno, address);
  const int on = 1;
  (void)::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (shared && ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0) fail(errno, address);
  if (::bind(fd.get(), r.first->ai_addr, r.first->ai_addrlen) != 0) fail(errno, address);
  const auto bound = port_of(fd.get());
  return {std::move(fd), display(host, bound), bound};
}

double burst_of(double rate) { return rate * std::chrono::duration<double>(limits::connect_burst).count(); }

bool out_of_resources(int e) { return e == EMFILE || e == ENFILE || e == ENOBUFS || e == ENOMEM; }

// The connection died in the queue: the next one may be well.
bool only_this_one(int e) {
  for (int t :
       {ECONNABORTED, EPROTO, EPERM, ENETDOWN, ENOPROTOOPT, EHOSTDOWN, ENONET, EHOSTUNREACH, ENETUNREACH})
    if (e == t) return true;
  return false;
}

} // namespace

bound_socket bind_tcp(const std::string& host, std::uint16_t port) { return bind_one(host, port, false); }

std::vector<bound_socket> bind_tcp_shared(const std::string& host, std::uint16_t port, std::size_t n) {
  // SO_REUSEPORT would let a second server of the same user take half of the connections in
  // silence; a bind without it finds out.
  port = bind_one(host, port, false).port;
  std::vector<bound_socket> all;
  while (all.size() < n) all.push_back(bind_one(host, port, true));
  return all;
}

void start_listening(const bound_socket& s, int backlog) {
  if (::listen(s.fd.get(), backlog) != 0) fail(errno, s.address);
}

struct listener::impl : std::enable_shared_from_this<impl> {
  impl(event_loop& l, bound_socket s, const admission& limit, io_counters& n, accepted_fn a, log_fn g)
      : loop(l), bound(std::move(s)), budget(limit.budget), limited(limit.rate > 0),
        half_burst(burst_of(limit.rate) / 2),
        share(limit.rate, 2 * half_burst, std::max(2 * half_burst, 1.0), steady_now()), counters(n),
        accepted(std::move(a)), log(std::move(g)), acceptor(l.context()), pause(l.context()) {
    sockaddr_storage a_{};
    socklen_t size = sizeof a_;
    (void)::getsockname(bound.fd.get(), reinterpret_cast<sockaddr*>(&a_), &size);
    acceptor.assign(a_.ss_family == AF_INET6 ? tcp::v6() : tcp::v4(), bound.fd.release());
    fd = acceptor.native_handle();
  }

  event_loop& loop;
  bound_socket bound; // its fd is the acceptor's
  connection_budget* budget;
  const bool limited;
  const double half_burst; // so many are taken together after a pause, with one wake-up
  token_bucket share;      // of connections in time
  io_counters& counters;
  accepted_fn accepted;
  log_fn log;
  tcp::acceptor acceptor;
  asio::steady_timer pause;
  int fd = -1;
  time_point log_after{};
  std::uint64_t unlogged = 0;
  bool stopped = false;

  void await() {
    acceptor.async_wait(tcp::acceptor::wait_read,
                        [self = shared_from_this()](const boost::system::error_code& e) {
                          if (e || self->stopped) return;
                          self->loop.defer([self] { self->accept_batch(); });
                        });
  }

  void accept_batch() {
    for (int i = 0; i < limits::accepts_max && !stopped; ++i) {
      if (limited && !share.has(steady_now())) return hold_back();
      sockaddr_storage from{};
      socklen_t size = sizeof from;
      unique_fd s(::accept4(fd, reinterpret_cast<sockaddr*>(&from), &size, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (s) {
        if (limited) share.spend();
        take(std::move(s), from);
        continue;
      }
      if (errno == EAGAIN) break;
      if (errno == EINTR) continue;
      counters.accept_errors.add();
      if (only_this_one(errno)) continue;
      // Whatever else it is does not go away by trying at once.
      complain(errno);
      return rest();
    }
    if (!stopped) await();
  }

  void take(unique_fd s, const sockaddr_storage& from) {
    counters.accepts.add();
    budget_slot slot;
    if (budget) {
      const auto v = budget->take(source_of(from), slot);
      if (v != connection_budget::verdict::taken) {
        const bool total = v == connection_budget::verdict::full;
        counters.closed_by(total ? close_reason::connection_limit : close_reason::address_limit).add();
        return; // closed here
      }
    }
    accepted(std::move(s), std::move(slot));
  }

  // Its share of time is used up. Who comes waits in the kernel; a pause that nobody waits in costs nothing.
  void hold_back() {
    pollfd waiting{fd, POLLIN, 0};
    if (::poll(&waiting, 1, 0) <= 0) return await();
    counters.accepts_held_back.add();
    const time_point now = steady_now();
    rest(share.time_of(half_burst, now) - now);
  }

  void rest(duration how_long = limits::accept_pause) {
    pause.expires_after(how_long);
    pause.async_wait([self = shared_from_this()](const boost::system::error_code& e) {
      if (!e && !self->stopped) self->await();
    });
  }

  void complain(int e) {
    const auto now = steady_now();
    ++unlogged;
    if (!log || now < log_after) return;
    log("cannot accept at " + bound.address + ": " + std::strerror(e) +
        (out_of_resources(e) ? "; raise the file limit or lower the number of connections" : "") + " (" +
        std::to_string(std::exchange(unlogged, 0)) + " times)");
    log_after = now + limits::log_accept_interval;
  }
};

listener::listener(event_loop& loop, bound_socket s, const admission& limit, io_counters& counters,
                   accepted_fn accepted, log_fn log)
    : impl_(
          std::make_shared<impl>(loop, std::move(s), limit, counters, std::move(accepted), std::move(log))) {
  DCHECK_INVARIANT(loop.in_owner_thread());
  impl_->await();
}

listener::~listener() {
  impl_->stopped = true; // tasks in flight keep the object, and do nothing
  boost::system::error_code ignored;
  impl_->acceptor.close(ignored);
  impl_->pause.cancel();
}

std::uint16_t listener::local_port() const noexcept { return impl_->bound.port; }

} // namespace beeline::net
