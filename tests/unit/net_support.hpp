// For the net tests: a scripted core, and blocking sockets that play the peer.
#pragma once
#include "common/net/core_thread.hpp"
#include "tests/support/process.hpp"

#include <arpa/inet.h>
#include <catch2/catch.hpp>
#include <dirent.h>
#include <map>
#include <netinet/in.h>
#include <set>
#include <sys/socket.h>

namespace net_test {
using namespace beeline;
using namespace std::chrono_literals;
using bytes = std::vector<std::byte>;
using beeline::test::eventually;

inline bytes bytes_of(std::string_view s) { return {as_bytes(s).begin(), as_bytes(s).end()}; }

// The peer.
class socket_end {
public:
  explicit socket_end(std::uint16_t port, int receive_buffer = 0)
      : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const timeval t{10, 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &t, sizeof t);
    if (receive_buffer)
      ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    sockaddr_in a{};
    a.sin_family = AF_INET;
    a.sin_port = htons(port);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected = ::connect(fd_.get(), reinterpret_cast<sockaddr*>(&a), sizeof a) == 0;
  }
  bool send(const_bytes b) {
    while (!b.empty()) {
      const auto n = ::send(fd_.get(), b.data(), b.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      b = b.subspan(static_cast<std::size_t>(n));
    }
    return true;
  }
  bytes receive(std::size_t n) { // fewer: the connection ended
    bytes all(n);
    std::size_t at = 0;
    while (at < n) {
      const auto k = ::recv(fd_.get(), all.data() + at, n - at, 0);
      if (k <= 0) {
        reset = k < 0;
        break;
      }
      at += static_cast<std::size_t>(k);
    }
    all.resize(at);
    return all;
  }
  bool ended() { return receive(1).empty() && !reset; } // by an orderly end
  void abort() {
    const linger l{1, 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &l, sizeof l);
    fd_.reset();
  }
  void close() { fd_.reset(); }
  int get() const { return fd_.get(); }
  bool connected = false, reset = false;

private:
  net::unique_fd fd_;
};

// Frames are a length in four bytes and as many bytes; whole ones are echoed unless a hook says
// otherwise. Keeps the book of calls: each connection comes up once, goes down once, and is not heard
// of before and after.
struct scripted_core {
  using frame_fn = std::function<void(scripted_core&, conn&, const_bytes)>;
  using conn_fn = std::function<void(scripted_core&, conn&)>;

  frame_fn on_frame = [](scripted_core& self, conn& c, const_bytes f) { self.say(c, f); };
  conn_fn up, drained;
  std::function<void()> ticked = [] {};
  std::function<bool(const conn&)> hold = [](const conn&) { return false; }; // leave whole frames unconsumed
  bool raw = false; // no frames: on_frame gets what came

  std::set<conn*> open;
  std::map<close_reason, int> downs;
  std::vector<std::pair<std::uint32_t, std::string>> failures;
  std::vector<connect_request> wanted;
  int ups = 0, bad_calls = 0, drains = 0, ticks = 0;
  time_point turn{}, tick_at = never;

  void say(conn& c, const_bytes b) {
    if (c.link) c.link->data.append(b);
    else c.out.append(b);
    dirty_.mark(c);
  }
  void end(conn& c, close_reason why) {
    c.why = why;
    c.close_after_flush = true;
    dirty_.mark(c);
  }

  void begin_turn(time_point now) { turn = now; }
  void on_up(conn& c, time_point now) {
    note(open.insert(&c).second && now == turn);
    ++ups;
    if (up) up(*this, c);
  }
  std::size_t on_bytes(conn& c, mutable_bytes in, time_point now) {
    note(open.contains(&c) && now == turn && !in.empty() && !c.closing());
    if (raw) return on_frame(*this, c, in), in.size();
    std::size_t at = 0;
    while (in.size() - at >= 4 && !hold(c) && c.want_read && !c.closing() && c.move_to < 0) {
      const std::size_t n = 4 + std::size_t(load_le<std::uint32_t>(in.data() + at));
      if (in.size() - at < n) break;
      on_frame(*this, c, in.subspan(at, n));
      at += n;
    }
    return at;
  }
  void on_drained(conn& c, time_point now) {
    note(open.contains(&c) && now == turn);
    ++drains;
    if (drained) drained(*this, c);
  }
  void on_down(conn& c, close_reason why, time_point) {
    note(open.erase(&c) == 1);
    ++downs[why];
  }
  void on_time(time_point now) {
    note(now == turn && tick_at <= now);
    ++ticks;
    tick_at = never;
    ticked();
  }
  time_point next_deadline() const { return tick_at; }
  bool take_connect(connect_request& out) {
    if (wanted.empty()) return false;
    out = wanted.back();
    wanted.pop_back();
    return true;
  }
  void on_connect_failed(std::uint32_t link, std::string_view why, time_point now) {
    note(now == turn);
    failures.emplace_back(link, why);
  }
  void shutdown(time_point) {
    for (conn* c : open) end(*c, close_reason::shutdown);
  }
  dirty_list& dirty() { return dirty_; }
  chunk_pool& pool() { return pool_; }

private:
  void note(bool good) { bad_calls += !good; }
  chunk_pool pool_;
  dirty_list dirty_;
};

using core_thread = net::core_thread<scripted_core>;

// A core in its thread, listening at a free port of the loopback.
struct server {
  explicit server(std::function<void(scripted_core&)> script = {}, net::core_loop_options options = {},
                  net::admission limit = {}) {
    auto core = std::make_unique<scripted_core>();
    if (script) script(*core);
    thread = std::make_unique<core_thread>("test", std::move(core), std::move(options));
    auto s = net::bind_tcp("127.0.0.1", 0);
    port = s.port;
    thread->accept_from(std::move(s), limit);
    thread->start();
  }
  template <class F> auto ask(F f) { return thread->ask(std::move(f)).get(); }
  // Turns that the loop had made when a timer of so long from now came.
  std::uint64_t turns_at_tick(duration d) {
    std::promise<std::uint64_t> turns;
    auto answer = turns.get_future();
    ask([&](scripted_core& c) {
      c.ticked = [&] { turns.set_value(counters().turns.get()); };
      c.tick_at = c.turn + d;
      return 0;
    });
    if (answer.wait_for(10s) != std::future_status::ready) throw std::runtime_error("no tick");
    return answer.get();
  }
  int bad_calls() {
    return ask([](scripted_core& c) { return c.bad_calls; });
  }
  int downs(close_reason why) {
    return ask([why](scripted_core& c) { return c.downs[why]; });
  }
  bool goes_down(close_reason why, int times = 1) {
    return eventually([&] { return downs(why) == times; });
  }
  const net::io_counters& counters() const { return thread->counters(); }

  std::unique_ptr<core_thread> thread;
  std::uint16_t port = 0;
};

inline bytes frame_of(std::size_t n, unsigned seed) {
  bytes f(4 + n);
  store_le(f.data(), static_cast<std::uint32_t>(n));
  std::uint32_t x = seed * 2654435761u + 1;
  for (std::size_t i = 0; i < n; ++i) {
    x = x * 1664525u + 1013904223u;
    f[4 + i] = static_cast<std::byte>(x >> 24);
  }
  return f;
}

inline int open_descriptors() {
  int n = 0;
  DIR* d = ::opendir("/proc/self/fd");
  while (::readdir(d)) ++n;
  ::closedir(d);
  return n - 3; // ".", ".." and the directory itself
}

} // namespace net_test
