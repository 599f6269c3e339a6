#include "common/cli/bench/load_run.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace beeline::load {
namespace {
constexpr std::uint32_t magic = 0x4c4f4144; // "LOAD"
struct stamp {                              // the head of each payload
  std::uint32_t magic, sender, recipient, sequence, number;
};

time_point steady_now() {
  return time_point(
      std::chrono::duration_cast<duration>(std::chrono::steady_clock::now().time_since_epoch()));
}
} // namespace

run::run(settings s) : s_(std::move(s)), random_(s_.seed), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  s_.payload = std::max<std::uint32_t>(s_.payload, sizeof(stamp));
  clients_.resize(s_.clients);
  messages_.resize(s_.messages);
  sent_seq_.resize(std::size_t{s_.clients} * s_.clients);
  seen_seq_.resize(std::size_t{s_.clients} * s_.clients);
}

run::~run() {
  for (client& c : clients_)
    if (c.fd >= 0) ::close(c.fd);
  ::close(epoll_);
}

std::uint32_t run::now_us() const { return static_cast<std::uint32_t>((steady_now() - start_).count()); }

void run::connect_all() {
  start_ = last_progress_ = steady_now();
  for (std::uint32_t i = 0; i < s_.clients; ++i) {
    client& c = clients_[i];
    c.number = i;
    c.edge = i % static_cast<std::uint32_t>(s_.edges.size());
    c.id = s_.prefix + "-" + std::to_string(i);
    c.fd = connect_to(s_.edges[c.edge].host, s_.edges[c.edge].port);
    c.quota = s_.messages / s_.clients + (i < s_.messages % s_.clients);
    c.in_flight.assign(s_.window, none);
    for (std::uint32_t k = s_.window; k > 0; --k) c.free_ids.push_back(static_cast<std::uint16_t>(k));
    epoll_event e{};
    e.events = EPOLLIN;
    e.data.ptr = &c;
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, c.fd, &e);
    append_connect(c.out, c.id, 300);
    flush(c);
    if (i % 64 == 63) turn(0);
  }
  while (connected_ < s_.clients) {
    if (!turn(100))
      throw std::runtime_error(std::to_string(s_.clients - connected_) + " clients got no CONNACK in time");
    if (r_.disconnects) throw std::runtime_error("an edge refused or dropped a client");
  }
  r_.connect_seconds = now_us() / 1e6;
}

result run::go() {
  connect_all();
  start_ = last_progress_ = steady_now();
  const std::uint64_t settled_when = s_.messages;
  while (true) {
    for (client& c : clients_)
      if (c.quota && c.out.size() - c.out_at < 64 * 1024) publish_some(c);
    const bool waiting_for_rate = s_.rate && r_.published < s_.messages;
    if (!turn(waiting_for_rate ? 1 : 20)) break;
    if (r_.published == s_.messages && settled_ == settled_when) {
      // Everything is answered; what was accepted is on its way to its reader.
      std::uint64_t open = 0;
      for (const fate& m : messages_) open += !m.delivered && (s_.qos == 0 || m.code == 0);
      if (open == 0) break;
    }
  }
  r_.seconds = now_us() / 1e6;
  for (const fate& m : messages_) {
    if (m.code == 0 && !m.delivered) ++r_.accepted_not_delivered;
    if (m.code == 0x10 && m.delivered) ++r_.nobody_but_delivered;
  }
  r_.unanswered = s_.qos ? r_.published - r_.answered : 0;
  std::sort(r_.latency_us.begin(), r_.latency_us.end());
  std::sort(r_.answer_us.begin(), r_.answer_us.end());
  return r_;
}

// One round of events. False: nothing has moved for too long.
bool run::turn(int timeout_ms) {
  epoll_event events[256];
  const int n = ::epoll_wait(epoll_, events, 256, timeout_ms);
  const time_point now = steady_now();
  for (int i = 0; i < n; ++i) {
    client& c = *static_cast<client*>(events[i].data.ptr);
    if (c.fd < 0) continue;
    if (events[i].events & EPOLLOUT) flush(c);
    if (c.fd >= 0 && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) on_readable(c);
  }
  if (n > 0) last_progress_ = now;
  return static_cast<double>((now - last_progress_).count()) < s_.timeout * 1e6;
}

void run::lost(client& c) {
  ++r_.disconnects;
  ::close(c.fd);
  c.fd = -1;
  c.quota = 0;
}

std::uint32_t run::pick_peer(const client& c) {
  for (;;) {
    const auto p = static_cast<std::uint32_t>(random_.below(s_.clients));
    if (p != c.number && (!s_.other_edges_only || clients_[p].edge != c.edge)) return p;
  }
}

void run::publish_some(client& c) {
  const auto allowed = [&] { // open loop: as many as the rate says until now
    return s_.rate == 0 || r_.published < std::uint64_t{now_us()} * s_.rate / 1'000'000;
  };
  bool any = false;
  for (std::uint32_t k = 0; k < s_.window && c.quota && (s_.qos == 0 || !c.free_ids.empty()) && allowed();
       ++k) {
    publish(c);
    any = true;
  }
  if (any) flush(c);
}

void run::publish(client& c) {
  const std::uint32_t peer = pick_peer(c);
  const auto number = static_cast<std::uint32_t>(r_.published++);
  --c.quota;
  std::string payload(s_.payload, 'x');
  const stamp st{magic, c.number, peer, ++sent_seq_[std::size_t{c.number} * s_.clients + peer], number};
  std::memcpy(payload.data(), &st, sizeof st);
  messages_[number].sent_us = now_us();
  const std::string topic = "@/" + clients_[peer].id;
  message m{topic, payload, s_.qos, 0};
  if (s_.qos) {
    m.packet_id = c.free_ids.back();
    c.free_ids.pop_back();
    c.in_flight[m.packet_id - 1u] = number;
  } else {
    ++settled_;
  }
  append_publish(c.out, m);
}

void run::flush(client& c) {
  while (c.out_at < c.out.size()) {
    const ssize_t n = ::send(c.fd, c.out.data() + c.out_at, c.out.size() - c.out_at, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN) return lost(c);
    if (n < 0) break;
    c.out_at += static_cast<std::size_t>(n);
  }
  const bool more = c.out_at < c.out.size();
  if (!more) c.out.clear(), c.out_at = 0;
  if (more == c.want_out) return;
  c.want_out = more;
  epoll_event e{};
  e.events = EPOLLIN | (more ? EPOLLOUT : 0u);
  e.data.ptr = &c;
  ::epoll_ctl(epoll_, EPOLL_CTL_MOD, c.fd, &e);
}

void run::on_readable(client& c) {
  static char buffer[256 * 1024];
  const ssize_t n = ::recv(c.fd, buffer, sizeof buffer, 0);
  if (n == 0 || (n < 0 && errno != EAGAIN)) return lost(c);
  if (n < 0) return;
  c.in.append(buffer, static_cast<std::size_t>(n));
  std::size_t at = 0;
  while (c.fd >= 0) {
    const auto p = next_packet(std::string_view(c.in).substr(at));
    if (!p) break;
    if (p->total == 0) return lost(c);
    on_packet(c, *p);
    at += p->total;
  }
  c.in.erase(0, at);
  if (c.fd >= 0 && !c.out.empty()) flush(c);
}

void run::on_packet(client& c, const packet& p) {
  switch (p.type) {
  case packet_type::connack:
    if (read_connack(p) != std::uint8_t{0}) return lost(c);
    c.connected = true;
    ++connected_;
    return;
  case packet_type::publish: return on_message(c, p);
  case packet_type::puback: return on_answer(c, p);
  case packet_type::disconnect: return lost(c);
  default: return;
  }
}

void run::on_message(client& c, const packet& p) {
  const auto m = read_publish(p);
  stamp st{};
  if (!m || m->payload.size() < sizeof st) {
    ++r_.damaged;
    return;
  }
  std::memcpy(&st, m->payload.data(), sizeof st);
  if (m->qos) append_puback(c.out, m->packet_id);
  if (st.magic != magic || st.number >= messages_.size() || st.sender >= s_.clients ||
      m->payload.find_first_not_of('x', sizeof st) != m->payload.npos) {
    ++r_.damaged;
    return;
  }
  if (st.recipient != c.number || m->topic != "@/" + clients_[st.sender].id) {
    ++r_.misdelivered;
    return;
  }
  fate& known = messages_[st.number];
  if (known.delivered) {
    ++r_.duplicates;
    return;
  }
  known.delivered = true;
  ++r_.delivered;
  r_.latency_us.push_back(now_us() - known.sent_us);
  std::uint32_t& seen = seen_seq_[std::size_t{st.sender} * s_.clients + c.number];
  if (st.sequence <= seen) ++r_.reordered;
  seen = std::max(seen, st.sequence);
}

void run::on_answer(client& c, const packet& p) {
  const auto a = read_puback(p);
  if (!a || a->packet_id == 0 || a->packet_id > c.in_flight.size() ||
      c.in_flight[a->packet_id - 1u] == none) {
    ++r_.damaged;
    return;
  }
  std::uint32_t& number = c.in_flight[a->packet_id - 1u];
  messages_[number].code = a->code;
  r_.answer_us.push_back(now_us() - messages_[number].sent_us);
  ++r_.answers[a->code];
  ++r_.answered;
  ++settled_;
  number = none;
  c.free_ids.push_back(a->packet_id);
}

} // namespace beeline::load
