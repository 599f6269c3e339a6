#include "common/net/stream_table.hpp"

#include "common/base/check.hpp"
#include "common/base/refusable_work.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <new>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <linux/sockios.h>

namespace beeline::net {
namespace {

template <class T> void set_option(int fd, int level, int name, T value) noexcept {
  // Failure is no fault: the option is an improvement, and AF_UNIX sockets in tests have none.
  (void)::setsockopt(fd, level, name, &value, sizeof value);
}

} // namespace

std::string peer_name(int fd) {
  sockaddr_storage a{};
  socklen_t size = sizeof a;
  char text[INET6_ADDRSTRLEN] = "";
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&a), &size) != 0) return "unknown";
  if (a.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(a);
    ::inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
    return std::string(text) + ':' + std::to_string(ntohs(v4.sin_port));
  }
  if (a.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(a);
    ::inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
    return '[' + std::string(text) + "]:" + std::to_string(ntohs(v6.sin6_port));
  }
  return "unknown";
}

stream_table::stream_table(int epoll_fd, stream_options o, dirty_list& d, chunk_pool& pool, io_counters& n)
    : options(std::move(o)), dirty(d), counters(n), epoll_(epoll_fd), pool_(pool),
      scratch_(std::make_unique_for_overwrite<std::byte[]>(limits::read_bytes_max)) {}

stream_table::~stream_table() {
  while (!all.empty()) bury(*all.back());
}

void stream_table::set_options(const stream& s) noexcept {
  const int fd = s.fd.get();
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  if (options.send_buffer) set_option(fd, SOL_SOCKET, SO_SNDBUF, options.send_buffer);
  if (options.receive_buffer) set_option(fd, SOL_SOCKET, SO_RCVBUF, options.receive_buffer);
  if (s.c.kind != conn::kind_t::link) return;
  set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, static_cast<int>(limits::link_notsent_bytes_max));
  set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT,
             static_cast<unsigned>(std::chrono::milliseconds(limits::link_unacknowledged_max).count()));
}

stream* stream_table::open(conn::kind_t kind, unique_fd fd, budget_slot slot) {
  auto s = std::make_unique<stream>(kind, pool_, std::move(fd), std::move(slot));
  set_options(*s);
  epoll_event e{};
  e.events = s->interest = EPOLLIN;
  e.data.ptr = s.get();
  if (all.size() == all.capacity()) all.reserve(2 * all.size() + 8); // what may fail comes first
  timed.reserve(all.capacity());
  const std::size_t to_bury = buried_.size() + all.size() + 1; // in this turn, at most
  if (buried_.capacity() < to_bury) buried_.reserve(2 * to_bury);
  if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, s->fd.get(), &e) != 0) {
    counters.closed_by(close_reason::network_error).add();
    return nullptr;
  }
  s->c.shell = s.get();
  s->index = static_cast<std::uint32_t>(all.size());
  all.push_back(s.get());
  counters.streams.add();
  return s.release();
}

auto stream_table::receive(stream& s) -> received {
  const std::size_t before = s.rest.size();
  const bool in_front = before <= short_rest;
  const std::size_t at = in_front ? before : 0, room = limits::read_bytes_max - at;
  ssize_t n;
  do n = ::recv(s.fd.get(), scratch_.get() + at, room, MSG_DONTWAIT);
  while (n < 0 && errno == EINTR);
  if (n == 0) return {io::ended, false, {}};
  if (n < 0) return {errno == EAGAIN ? io::again : io::failed, false, {}};
  const auto got = static_cast<std::size_t>(n);
  counters.reads.add();
  counters.bytes_in.add(got);
  if (in_front) {
    std::copy_n(s.rest.data(), before, scratch_.get());
    return {io::ok, got == room, {scratch_.get(), before + got}};
  }
  try {
    s.rest.insert(s.rest.end(), scratch_.get(), scratch_.get() + got);
  } catch (const std::bad_alloc&) {
    return {io::no_memory, false, {}};
  }
  counters.rest_bytes.add(got);
  return {io::ok, got == room, s.rest};
}

bool stream_table::keep(stream& s, mutable_bytes in, std::size_t consumed) noexcept {
  const auto left = in.subspan(consumed);
  if (left.empty()) {
    drop_rest(s);
    return true;
  }
  counters.rest_bytes.sub(s.rest.size());
  try {
    if (in.data() != s.rest.data()) s.rest.assign(left.begin(), left.end());
    else s.rest.erase(s.rest.begin(), s.rest.begin() + static_cast<std::ptrdiff_t>(consumed));
  } catch (const std::bad_alloc&) {
    s.rest.clear();
    return false;
  }
  counters.rest_bytes.add(s.rest.size());
  // What a large packet needed is not kept for a small one, as long as there is memory to move.
  if (s.rest.capacity() > 2 * s.rest.size() + short_rest) {
    try {
      const optional_work not_worth_a_client;
      std::vector(s.rest).swap(s.rest);
    } catch (const std::bad_alloc&) {
    }
  }
  return true;
}

void stream_table::drop_rest(stream& s) noexcept {
  if (s.rest.capacity() == 0) return;
  counters.rest_bytes.sub(s.rest.size());
  s.rest.clear();
  // There are few links and each read of a busy one ends in a cut frame: they keep a little.
  if (s.c.kind == conn::kind_t::client || s.rest.capacity() > short_rest)
    std::vector<std::byte>().swap(s.rest);
}

stream_table::io stream_table::discard(stream& s) {
  const auto n = ::recv(s.fd.get(), scratch_.get(), limits::read_bytes_max, MSG_DONTWAIT);
  if (n > 0) {
    counters.reads.add();
    counters.bytes_in.add(static_cast<std::size_t>(n));
    return io::ok;
  }
  if (n == 0) return io::ended;
  return errno == EAGAIN || errno == EINTR ? io::again : io::failed;
}

stream_table::written stream_table::write(stream& s, time_point now) {
  written w{false, false};
  iovec iov[limits::write_pieces_max];
  for (int i = 0; i < limits::stream_writes_max && !s.waiting_out; ++i) {
    msghdr m{};
    m.msg_iov = iov;
    m.msg_iovlen = s.c.gather(iov, limits::write_pieces_max);
    if (m.msg_iovlen == 0) break;
    std::size_t offered = 0;
    for (std::size_t k = 0; k < m.msg_iovlen; ++k) offered += iov[k].iov_len;
    const auto n = ::sendmsg(s.fd.get(), &m, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno != EAGAIN && errno != ENOBUFS && errno != ENOMEM) {
      w.failed = true;
      return w;
    }
    const auto sent = static_cast<std::size_t>(std::max<ssize_t>(n, 0));
    counters.writes.add();
    counters.bytes_out.add(sent);
    s.c.consume(sent);
    w.progress |= sent > 0;
    s.waiting_out = sent < offered;
  }
  const bool left = s.c.output_bytes() > 0;
  if (w.progress || (left && !s.was_partial)) s.progress_at = now;
  if (left) {
    s.waiting_out = true; // also when only this turn's share is used up: others come first
    counters.partial_writes.add();
    set_timed(s);
  }
  return w;
}

void stream_table::watch(stream& s, bool in, bool out) noexcept {
  const std::uint32_t wanted = (in ? EPOLLIN : 0u) | (out ? EPOLLOUT : 0u);
  if (wanted == s.interest) return;
  epoll_event e{};
  e.events = s.interest = wanted;
  e.data.ptr = &s;
  CHECK_INVARIANT(::epoll_ctl(epoll_, EPOLL_CTL_MOD, s.fd.get(), &e) == 0);
}

void stream_table::set_timed(stream& s) {
  if (std::exchange(s.timed, true)) return;
  s.timed_index = static_cast<std::uint32_t>(timed.size());
  timed.push_back(&s);
}

void stream_table::clear_timed(stream& s) noexcept {
  if (!std::exchange(s.timed, false)) return;
  timed[s.timed_index] = timed.back();
  timed[s.timed_index]->timed_index = s.timed_index;
  timed.pop_back();
}

bool stream_table::took_bytes(stream& s) noexcept {
  int queued = 0;
  if (::ioctl(s.fd.get(), SIOCOUTQ, &queued) != 0) return false;
  return queued < std::exchange(s.unacked, queued);
}

void stream_table::count_down(stream& s, close_reason why) {
  counters.closed_by(why).add();
  if (options.closed) options.closed(s.c, why, s.fd.get());
}

void stream_table::linger(stream& s, time_point now) {
  drop_rest(s);
  ::shutdown(s.fd.get(), SHUT_WR);
  s.lingering = true;
  s.waiting_out = false;
  s.close_at = std::min(s.close_at, now + options.close_flush_max);
  watch(s, true, false);
  set_timed(s);
}

unique_fd stream_table::detach(stream& s) noexcept {
  epoll_event unused{};
  (void)::epoll_ctl(epoll_, EPOLL_CTL_DEL, s.fd.get(), &unused);
  return std::move(s.fd);
}

void stream_table::bury(stream& s) {
  dirty.remove(s.c);
  counters.rest_bytes.sub(s.rest.size());
  s.rest.clear();
  // Closing is not enough to make epoll forget it: a child that is being started has a copy of each
  // descriptor until its exec.
  if (s.fd) detach(s).reset();
  s.slot.reset();
  all[s.index] = all.back();
  all[s.index]->index = s.index;
  all.pop_back();
  clear_timed(s);
  counters.streams.sub();
  buried_.emplace_back(&s);
}

} // namespace beeline::net
