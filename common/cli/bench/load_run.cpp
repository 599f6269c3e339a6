#include "common/cli/bench/load_run.hpp"

#include "common/cli/mqtt_words.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <poll.h>
#include <stdexcept>
#include <sys/epoll.h>
#include <unistd.h>

namespace beeline::load {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t connecting_max = 64; // TCP connects at a time: fewer than any listener's backlog
constexpr std::size_t backlog_bytes_max =
    64 * 1024; // not taken by the socket: then its client publishes no more
constexpr std::uint16_t keep_alive_seconds = 300;
constexpr duration ping_interval = 100s; // so that a client with little to send is not taken for dead
constexpr duration turn_max = 20ms;
// After an interrupt, what is owed is waited for that long; and so long nothing may move at the end of a run
// of QoS 0 that lost messages with a server: nobody tells that they will not come.
constexpr duration settle_time = 2s;

time_point steady_now() {
  return time_point(
      std::chrono::duration_cast<duration>(std::chrono::steady_clock::now().time_since_epoch()));
}

// Every CONNACK has four bytes and more; its first is its type alone, its second its length.
bool is_no_connack(std::string_view in) noexcept { return in.size() >= 4 && (in[0] != '\x20' || in[1] == 0); }

std::vector<std::string> topics_of(const settings& s) {
  std::vector<std::string> out;
  for (std::uint32_t i = 0; i < s.clients; ++i) out.push_back("@/" + s.prefix + "-" + std::to_string(i));
  return out;
}

} // namespace

run::run(settings s, std::vector<edge_target> edges, const volatile std::sig_atomic_t& interrupts)
    : s_(std::move(s)), interrupts_(interrupts), random_(s_.seed), edges_(std::move(edges)),
      topics_(topics_of(s_)), clients_(s_.clients), judge_(s_, topics_),
      payload_(std::max<std::size_t>(s_.payload, sizeof(stamp)), 'x'),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  for (std::uint32_t i = 0; i < s_.clients; ++i) {
    client& c = clients_[i];
    c.number = i;
    c.next = i;
    c.edge = i % static_cast<std::uint32_t>(edges_.size());
    c.id = topics_[i].substr(2);
    c.in_flight.assign(s_.window, none);
    for (std::uint32_t k = s_.window; k > 0; --k) c.free_ids.push_back(static_cast<std::uint16_t>(k));
  }
}

run::~run() {
  for (client& c : clients_)
    if (c.fd >= 0) ::close(c.fd);
  ::close(epoll_);
}

std::uint64_t run::now_us() const { return to_us(steady_now() - start_); }

// Message k is sent by client k % clients.
std::uint64_t run::left_of(const client& c) const noexcept {
  return c.next < s_.messages ? (s_.messages - c.next + s_.clients - 1) / s_.clients : 0;
}

// ---- Connections ----

void run::connect_all() {
  start_ = last_progress_ = steady_now();
  next_ping_ = start_ + ping_interval;
  std::uint32_t begun = 0;
  while (up_ < s_.clients) {
    while (begun < s_.clients && connecting_ < connecting_max && gone_ == 0) begin(clients_[begun++]);
    if (gone_) throw std::runtime_error(seen_.first_disconnect);
    if (!turn(turn_max)) no_connack();
    if (interrupts_) throw std::runtime_error("interrupted before all clients were connected");
  }
  seen_.connect_seconds = static_cast<double>(now_us()) / 1e6;
}

void run::no_connack() const {
  const auto missing = [&](std::size_t edge) {
    return std::count_if(clients_.begin(), clients_.end(), [&](const client& c) {
      return c.edge == edge && (c.at == stage::connecting || c.at == stage::greeting);
    });
  };
  std::string text;
  for (std::size_t e = 0; e < edges_.size(); ++e)
    if (const auto n = missing(e); n > 0)
      text += (text.empty() ? "" : ", ") + edges_[e].name + " gave " + std::to_string(n) +
              (n == 1 ? " client" : " clients") + " no CONNACK";
  throw std::runtime_error(text + " in " + ops::duration_text(s_.timeout));
}

void run::begin(client& c) {
  edge_target& e = edges_[c.edge];
  for (; c.tried < e.addresses.size(); ++c.tried) {
    c.fd = begin_connect(e.addresses[(e.good + c.tried) % e.addresses.size()]);
    if (c.fd < 0) continue;
    c.at = stage::connecting;
    ++connecting_;
    c.want_out = true;
    return watch(c, EPOLL_CTL_ADD);
  }
  lost(c, std::string("cannot connect: ") + std::strerror(errno));
}

void run::on_connecting(client& c) {
  edge_target& e = edges_[c.edge];
  --connecting_;
  if (const int error = connect_error(c.fd)) {
    ::close(c.fd);
    ++c.tried;
    errno = error;
    return begin(c);
  }
  e.good = (e.good + c.tried) % e.addresses.size();
  c.at = stage::greeting;
  append_connect(c.out, c.id, keep_alive_seconds);
  flush(c);
}

void run::lost(client& c, const std::string& why) {
  const std::string& edge = edges_[c.edge].name;
  if (seen_.disconnects++ == 0) seen_.first_disconnect = "client '" + c.id + "' at " + edge + ": " + why;
  ++seen_.disconnect_reasons[edge + ": " + why];
  if (c.fd >= 0) ::close(c.fd);
  c.fd = -1;
  c.at = stage::gone;
  ++gone_;
  seen_.never_published += left_of(c);
  unpublished_ -= std::min(unpublished_, left_of(c));
  judge_.gone(c.number);
}

void run::ping_all() {
  for (client& c : clients_)
    if (c.at == stage::up) append_pingreq(c.out), flush(c);
}

// ---- The run ----

result run::go() {
  connect_all();
  start_ = last_progress_ = steady_now();
  unpublished_ = s_.messages;
  while (!over()) {
    if (turn(publish_round())) continue;
    seen_.gave_up = true;
    break;
  }
  result r = judge_.finish();
  r.disconnects = seen_.disconnects;
  r.disconnect_reasons = seen_.disconnect_reasons;
  r.first_disconnect = seen_.first_disconnect;
  r.never_published = seen_.never_published;
  r.interrupted = seen_.interrupted;
  r.gave_up = seen_.gave_up;
  r.connect_seconds = seen_.connect_seconds;
  r.last_publish_us = seen_.last_publish_us;
  r.last_due_us = seen_.last_due_us;
  r.behind_max_us = seen_.behind_max_us;
  return r;
}

bool run::over() {
  if (interrupts_ && !seen_.interrupted) stop_publishing();
  if (gone_ == s_.clients || interrupts_ > 1) return true;
  if (seen_.interrupted && steady_now() - interrupted_at_ > settle_time) return true;
  if (unpublished_) return false;
  if (judge_.owed() == 0) return true;
  return s_.qos == 0 && (s_.faults || gone_) && steady_now() - last_progress_ > settle_time;
}

void run::stop_publishing() {
  seen_.interrupted = true;
  interrupted_at_ = steady_now();
  unpublished_ = 0;
}

bool run::can_publish(const client& c) const noexcept {
  return c.at == stage::up && !c.send_error && c.next < s_.messages && (s_.qos == 0 || !c.free_ids.empty()) &&
         c.backlog() < backlog_bytes_max;
}

// Publishes what is due, in bursts of a window so that answers are read in between; returns how long there is
// nothing to publish.
duration run::publish_round() {
  duration wait = turn_max;
  if (unpublished_ == 0) return wait;
  for (client& c : clients_) {
    if (!can_publish(c)) continue;
    bool any = false;
    for (std::uint32_t k = 0; k < s_.window && can_publish(c); ++k, any = true) {
      const std::uint64_t now = now_us();
      if (due_us(c.next, s_.rate) > now) break;
      publish(c, now);
    }
    if (any) flush(c);
    if (!can_publish(c)) continue;
    const auto due = static_cast<std::int64_t>(due_us(c.next, s_.rate));
    wait = std::clamp(duration(due) - (steady_now() - start_), duration::zero(), wait);
  }
  return wait;
}

void run::publish(client& c, std::uint64_t now) {
  const auto number = static_cast<std::uint32_t>(c.next);
  const std::uint32_t peer = pick_peer(c);
  const std::uint64_t since = s_.rate ? due_us(number, s_.rate) : now;
  const stamp st = judge_.published(number, peer, since);
  c.next += s_.clients;
  --unpublished_;
  moved_ = true;
  seen_.last_publish_us = now;
  seen_.last_due_us = std::max(seen_.last_due_us, since);
  seen_.behind_max_us = std::max(seen_.behind_max_us, now - since);
  std::memcpy(payload_.data(), &st, sizeof st);
  message m{topics_[peer], payload_, s_.qos, 0};
  if (s_.qos) {
    m.packet_id = c.free_ids.back();
    c.free_ids.pop_back();
    c.in_flight[m.packet_id - 1u] = number;
  }
  append_publish(c.out, m);
}

std::uint32_t run::pick_peer(const client& c) {
  for (;;) {
    const auto p = static_cast<std::uint32_t>(random_.below(s_.clients));
    if (p != c.number && (!s_.other_edges_only || clients_[p].edge != c.edge)) return p;
  }
}

// ---- Events ----

// One round of events. False: nothing has moved for too long, and something should have.
bool run::turn(duration wait) {
  epoll_event events[256];
  int n = ::epoll_wait(epoll_, events, 256, 0);
  if (n == 0 && wait > 0us && wait_for_events(wait) > 0) n = ::epoll_wait(epoll_, events, 256, 0);
  const time_point now = steady_now();
  for (int i = 0; i < n; ++i) {
    client& c = *static_cast<client*>(events[i].data.ptr);
    if (c.at == stage::connecting) {
      on_connecting(c);
      continue;
    }
    if (c.fd >= 0 && events[i].events & EPOLLOUT) flush(c);
    if (c.fd >= 0 && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) on_readable(c);
  }
  if (now >= next_ping_) next_ping_ = now + ping_interval, ping_all();
  // With all answered and delivered, the run only waits until the next message is due.
  if (moved_ || (up_ == s_.clients && judge_.owed() == 0)) last_progress_ = now;
  moved_ = false;
  return now - last_progress_ < s_.timeout;
}

// epoll_wait knows milliseconds only, and at a rate messages are due more often than that.
int run::wait_for_events(duration wait) {
  pollfd p{epoll_, POLLIN, 0};
  timespec t{};
  t.tv_sec = static_cast<std::time_t>(wait / 1s);
  t.tv_nsec = static_cast<long>((wait % 1s).count() * 1000);
  return ::ppoll(&p, 1, &t, nullptr); // a signal ends it
}

void run::watch(client& c, int operation) {
  epoll_event e{};
  e.events = EPOLLIN | (c.want_out ? EPOLLOUT : 0u);
  e.data.ptr = &c;
  ::epoll_ctl(epoll_, operation, c.fd, &e);
}

void run::flush(client& c) {
  while (c.out_at < c.out.size() && !c.send_error) {
    const ssize_t n = ::send(c.fd, c.out.data() + c.out_at, c.backlog(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) break;
    if (n < 0) c.send_error = errno; // why stands in what came in, if anywhere
    else c.out_at += static_cast<std::size_t>(n);
  }
  const bool more = c.out_at < c.out.size() && !c.send_error;
  if (!more) c.out.clear(), c.out_at = 0;
  if (more == c.want_out) return;
  c.want_out = more;
  watch(c, EPOLL_CTL_MOD);
}

void run::on_readable(client& c) {
  static char buffer[256 * 1024];
  const ssize_t n = ::recv(c.fd, buffer, sizeof buffer, 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) {
    const int error = c.send_error ? c.send_error : n < 0 ? errno : 0;
    if (c.at == stage::greeting && !error) return lost(c, "it " + cli::stranger_words(c.in));
    return lost(c, error ? std::strerror(error) : "the edge closed the connection");
  }
  c.in.append(buffer, static_cast<std::size_t>(n));
  if (c.at == stage::greeting && is_no_connack(c.in)) return lost(c, "it " + cli::stranger_words(c.in));
  std::size_t at = 0;
  while (c.fd >= 0) {
    const auto p = next_packet(std::string_view(c.in).substr(at));
    if (!p) break;
    if (p->total == 0) return lost(c, "it sent what is no MQTT packet");
    on_packet(c, *p);
    at += p->total;
  }
  c.in.erase(0, at);
  if (c.fd >= 0 && !c.out.empty()) flush(c);
}

void run::on_packet(client& c, const packet& p) {
  moved_ |= p.type != packet_type::pingresp;
  switch (p.type) {
  case packet_type::connack: {
    const auto code = read_connack(p);
    if (!code) return lost(c, "it sent a malformed CONNACK");
    if (*code) return lost(c, "the edge " + cli::connect_words(*code, 5));
    c.at = stage::up;
    ++up_;
    return;
  }
  case packet_type::publish: return on_message(c, p);
  case packet_type::puback: return on_answer(c, p);
  case packet_type::disconnect:
    return lost(c, "the edge ended it: " + cli::disconnect_words(read_disconnect(p)));
  default: return;
  }
}

void run::on_message(client& c, const packet& p) {
  const auto m = read_publish(p);
  if (!m) return judge_.damaged();
  if (m->qos) append_puback(c.out, m->packet_id);
  judge_.delivered(c.number, m->topic, m->payload, now_us());
}

void run::on_answer(client& c, const packet& p) {
  const auto a = read_puback(p);
  if (!a || a->packet_id == 0 || a->packet_id > c.in_flight.size() || c.in_flight[a->packet_id - 1u] == none)
    return judge_.damaged();
  std::uint32_t& number = c.in_flight[a->packet_id - 1u];
  judge_.answered(number, a->code, now_us());
  number = none;
  c.free_ids.push_back(a->packet_id);
}

} // namespace beeline::load
