#include "tests/bench/swarm.hpp"

#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdexcept>
#include <sys/socket.h>
#include <system_error>

namespace beeline::bench {
namespace {

constexpr std::size_t scratch_bytes = 256 * 1024, events_max = 1024;
constexpr std::uint32_t listener_tag = ~std::uint32_t{0};
// Of loopback, so that more clients than a host has ports for one address can connect to it.
constexpr std::uint32_t clients_a_source = 20'000;

int checked(int r, const char* what) {
  if (r < 0) throw std::system_error(errno, std::generic_category(), what);
  return r;
}

void set_option(int fd, int level, int name, int value) {
  checked(::setsockopt(fd, level, name, &value, sizeof value), "setsockopt");
}

bool is_loopback(const address& a) {
  return a.where.ss_family == AF_INET &&
         ntohl(reinterpret_cast<const sockaddr_in&>(a.where).sin_addr.s_addr) >> 24 == 127;
}

void bind_source(int fd, std::uint32_t client) {
  set_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
  sockaddr_in from{};
  from.sin_family = AF_INET;
  from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + client / clients_a_source);
  checked(::bind(fd, reinterpret_cast<const sockaddr*>(&from), sizeof from), "bind");
}

net::unique_fd listen_on_loopback(std::uint16_t port) {
  net::unique_fd fd(checked(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket"));
  set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(port);
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  checked(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at), "bind");
  checked(::listen(fd.get(), 4096), "listen");
  return fd;
}

} // namespace

address resolve(const std::string& host, std::uint16_t port) {
  addrinfo wish{}, *found = nullptr;
  wish.ai_socktype = SOCK_STREAM;
  if (const int e = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &wish, &found); e != 0)
    throw std::runtime_error("cannot resolve " + host + ": " + ::gai_strerror(e));
  address a;
  std::memcpy(&a.where, found->ai_addr, found->ai_addrlen);
  a.size = found->ai_addrlen;
  ::freeaddrinfo(found);
  return a;
}

std::int64_t now_ns() noexcept {
  timespec t{};
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

swarm::swarm(const dialect& d, swarm_options o, std::vector<client> clients)
    : dialect_(d), options_(std::move(o)), clients_(std::move(clients)),
      ledger_(options_.senders, options_.first_receiver,
              options_.senders ? static_cast<std::uint32_t>(clients_.size()) : options_.first_receiver),
      epoll_(checked(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")), scratch_(scratch_bytes),
      events_(events_max) {
  if (options_.senders)
    for (const client& to : clients_)
      templates_.push_back(dialect_.message(clients_[0].me, to.me, options_.payload, options_.qos));
  if (!dialect_.is_called_back()) return;
  listener_ = listen_on_loopback(options_.callback_port);
  epoll_event e{};
  e.events = EPOLLIN;
  e.data.u32 = listener_tag;
  checked(::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, listener_.get(), &e), "epoll_ctl");
}

swarm::~swarm() { close_all(); }

void swarm::close_all() noexcept {
  for (client& c : clients_) {
    if (!c.fd) continue;
    const linger at_once{1, 0};
    ::setsockopt(c.fd.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    c.fd = {};
    c.up = false;
  }
  up_ = 0;
}

void swarm::connect_some() {
  const std::size_t dialling = dialect_.is_called_back() ? options_.far_end : clients_.size();
  while (connecting_ < options_.connecting_max && next_connect_ < dialling)
    connect(clients_[next_connect_++]);
}

void swarm::connect(client& c) {
  const address& to = options_.targets[c.target];
  c.fd = net::unique_fd(
      checked(::socket(to.where.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket"));
  set_option(c.fd.get(), IPPROTO_TCP, TCP_NODELAY, 1);
  if (is_loopback(to) && clients_.size() > clients_a_source) bind_source(c.fd.get(), c.me.index);
  ++connecting_;
  if (::connect(c.fd.get(), reinterpret_cast<const sockaddr*>(&to.where), to.size) != 0 &&
      errno != EINPROGRESS)
    return broken(c, std::string("connect: ") + std::strerror(errno));
  c.out = dialect_.opening(0, c.me);
  unwritten_ += c.out.size();
  watch(c, true, true);
  c.waits_to_write = true;
}

void swarm::accept_far_end() {
  for (;;) {
    net::unique_fd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!fd) return;
    set_option(fd.get(), IPPROTO_TCP, TCP_NODELAY, 1);
    const timeval patience{5, 0};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    std::uint32_t hello[2] = {}; // 4, and the sender's index
    if (::recv(fd.get(), hello, sizeof hello, MSG_WAITALL) != sizeof hello || hello[1] >= options_.far_end ||
        clients_[hello[1] + options_.far_end].fd) {
      fault_ = "a connection came back that says no client's index";
      return;
    }
    client& near = clients_[hello[1]];
    client& far = clients_[hello[1] + options_.far_end];
    far.fd = net::unique_fd(::dup(fd.get()));
    checked(::fcntl(far.fd.get(), F_SETFL, O_NONBLOCK), "fcntl");
    watch(far, false, true);
    far.up = true;
    ++up_;
    on_ready(near);
  }
}

void swarm::watch(client& c, bool out, bool is_new) {
  epoll_event e{};
  e.events = EPOLLIN | (out ? EPOLLOUT : 0u);
  e.data.u32 = c.me.index;
  checked(::epoll_ctl(epoll_.get(), is_new ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, c.fd.get(), &e), "epoll_ctl");
}

void swarm::broken(const client& c, const std::string& why) {
  if (fault_.empty()) fault_ = c.me.id + ": " + why;
}

void swarm::turn(std::int64_t until_ns) {
  const std::int64_t wait = std::max<std::int64_t>(0, until_ns - now_ns());
  const timespec t{wait / 1'000'000'000, wait % 1'000'000'000};
  const int n = ::epoll_pwait2(epoll_.get(), events_.data(), static_cast<int>(events_.size()), &t, nullptr);
  if (n < 0 && errno != EINTR) throw std::system_error(errno, std::generic_category(), "epoll_pwait2");
  for (int i = 0; i < n; ++i) on_event(events_[i].data.u32, events_[i].events);
}

void swarm::on_event(std::uint32_t tag, std::uint32_t events) {
  if (tag == listener_tag) return accept_far_end();
  client& c = clients_[tag];
  if (events & EPOLLOUT) {
    c.waits_to_write = false;
    write(c);
    if (!c.waits_to_write && c.fd) watch(c, false, false);
  }
  if (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) read(c);
}

void swarm::read(client& c) {
  const std::size_t kept = c.rest.size();
  if (kept) std::memcpy(scratch_.data(), c.rest.data(), kept);
  const ssize_t n = ::recv(c.fd.get(), scratch_.data() + kept, scratch_.size() - kept, 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) return broken(c, n == 0 ? "the server closed the connection" : std::strerror(errno));
  take(c, {scratch_.data(), kept + static_cast<std::size_t>(n)}, now_ns());
}

void swarm::take(client& c, const_bytes in, std::int64_t now) {
  found_.clear();
  const std::size_t consumed = dialect_.scan(in, found_);
  if (!found_.fault.empty()) return broken(c, found_.fault);
  c.rest.assign(in.begin() + static_cast<std::ptrdiff_t>(consumed), in.end());
  if (c.rest.size() == scratch_.size()) return broken(c, "a frame that is too large");
  for (std::uint32_t i = 0; i < found_.ready; ++i) on_ready(c);
  for (const arrival& a : found_.messages) book_message(c, a, now);
  c.settled += found_.accepted + found_.refused;
  settled_ += found_.accepted + found_.refused;
  refused_ += found_.refused;
  if (!found_.reply.empty()) {
    c.out += found_.reply;
    unwritten_ += found_.reply.size();
    mark(c);
  }
}

void swarm::on_ready(client& c) {
  if (c.up) return;
  ++c.answers;
  const std::string more = dialect_.opening(c.answers, c.me);
  if (!more.empty()) {
    c.out += more;
    unwritten_ += more.size();
    mark(c);
  }
  if (c.answers < dialect_.steps(c.me)) return;
  c.up = true;
  --connecting_;
  ++up_;
}

void swarm::book_message(client& c, const arrival& a, std::int64_t now) {
  if (a.packet_id) {
    const std::size_t before = c.out.size();
    dialect_.append_ack(c.out, a.packet_id);
    unwritten_ += c.out.size() - before;
    mark(c);
  }
  if (a.size != options_.payload) return ledger_.is_damaged();
  const stamp s = stamp::read(a.payload);
  if (!ledger_.arrived(s, c.me.index)) return;
  ++clients_[s.sender].arrived;
  if (latencies_) latencies_->record(now - s.due_ns);
}

void swarm::send(std::uint32_t from, std::uint32_t to, std::int64_t due_ns) {
  client& c = clients_[from];
  const message_template& t = templates_[to];
  const std::size_t at = c.out.size();
  c.out += t.bytes;
  auto* const m = reinterpret_cast<std::byte*>(c.out.data() + at);
  stamp{from, to, ledger_.next(), due_ns}.write(m + t.payload_at);
  if (t.packet_id_at != t.none) {
    const std::uint16_t id = c.next_packet_id();
    m[t.packet_id_at] = std::byte(id >> 8);
    m[t.packet_id_at + 1] = std::byte(id & 0xff);
  }
  ++c.sent;
  unwritten_ += t.bytes.size();
  mark(c);
}

void swarm::mark(client& c) {
  if (c.is_dirty) return;
  c.is_dirty = true;
  dirty_.push_back(c.me.index);
}

void swarm::flush() {
  for (const std::uint32_t i : dirty_) {
    clients_[i].is_dirty = false;
    if (!clients_[i].waits_to_write) write(clients_[i]);
  }
  dirty_.clear();
}

void swarm::write(client& c) {
  if (c.unwritten() == 0) return;
  const ssize_t n = ::send(c.fd.get(), c.out.data() + c.out_at, c.unwritten(), MSG_NOSIGNAL);
  if (n < 0 && errno != EAGAIN) return broken(c, std::strerror(errno));
  if (n > 0) {
    c.out_at += static_cast<std::size_t>(n);
    unwritten_ -= static_cast<std::size_t>(n);
  }
  if (c.unwritten() == 0) {
    c.out.clear();
    c.out_at = 0;
    return;
  }
  if (c.out_at >= scratch_bytes) { // what was written makes room
    c.out.erase(0, c.out_at);
    c.out_at = 0;
  }
  c.waits_to_write = true;
  watch(c, true, false);
}

} // namespace beeline::bench
