#include "tests/chaos/proxy.hpp"

#include "tests/chaos/frame_cursor.hpp"

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <future>
#include <optional>
#include <set>
#include <utility>

namespace beeline::chaos {
namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using namespace std::chrono_literals;

namespace {
constexpr std::size_t buffer_bytes = 64 * 1024;
constexpr std::size_t trickle_bytes = 16;
constexpr auto trickle_interval = 10ms;
// Of the link protocol (docs/link-protocol.md).
constexpr std::uint8_t proof_frame = 0x03, message_qos1_frame = 0x41;
} // namespace

struct proxy_route {
  proxy_route(asio::io_context& io, const route& r) : what(r), listener(io) { open(); }
  void open() {
    listener.open(what.listen.protocol());
    listener.set_option(tcp::acceptor::reuse_address(true));
    listener.bind(what.listen);
    listener.listen();
  }
  void accept(rng& random, unsigned& damaged);
  route what;
  tcp::acceptor listener;
  std::set<std::shared_ptr<proxy_connection>> connections;
  bool hangs = false, frozen = false;
};

struct proxy_connection : std::enable_shared_from_this<proxy_connection> {
  struct pipe {
    std::vector<char> bytes = std::vector<char>(buffer_bytes);
    std::size_t at = 0, size = 0;
    bool stalled = false, swallows = false, trickles = false;
    std::optional<proxy::harm> harm; // to be done
    frame_cursor frames;             // of a link
    bool busy = false;               // an operation is on its way
    bool ended = false;              // the stream's end was read
  };

  proxy_connection(proxy_route& r, tcp::socket from, rng& random, unsigned& damaged)
      : route_(r), ends{std::move(from), tcp::socket(r.listener.get_executor())},
        timers{asio::steady_timer(r.listener.get_executor()), asio::steady_timer(r.listener.get_executor())},
        random_(random), damaged_(damaged) {
    for (pipe& p : pipes) p.stalled = r.frozen;
  }

  void connect() {
    ends[1].async_connect(route_.what.target, [self = shared_from_this()](const error_code& e) {
      if (e || self->closed) return self->close(true);
      error_code ignored;
      for (auto& s : self->ends) s.set_option(tcp::no_delay(true), ignored);
      self->connected = true;
      self->pump(0);
      self->pump(1);
    });
  }

  // Takes the next step of a pipe; called whenever something may have changed.
  void pump(unsigned way) {
    pipe& p = pipes[way];
    if (closed || !connected || p.busy) return;
    if (p.swallows) p.at = p.size;
    if (p.at == p.size) return p.ended ? end_of(way) : read(way);
    if (p.stalled) return;
    write(way);
  }
  void read(unsigned way) {
    pipe& p = pipes[way];
    p.busy = true;
    ends[way].async_read_some(asio::buffer(p.bytes),
                              [self = shared_from_this(), way](const error_code& e, std::size_t n) {
                                pipe& q = self->pipes[way];
                                q.busy = false;
                                q.at = 0, q.size = n;
                                if (e == asio::error::eof) q.ended = true;
                                else if (e) return self->broken();
                                self->look_at(q);
                                self->pump(way);
                              });
  }
  void write(unsigned way) {
    pipe& p = pipes[way];
    p.busy = true;
    const std::size_t most = p.trickles ? trickle_bytes : p.size;
    ends[1 - way].async_write_some(asio::buffer(p.bytes.data() + p.at, std::min(most, p.size - p.at)),
                                   [self = shared_from_this(), way](const error_code& e, std::size_t n) {
                                     pipe& q = self->pipes[way];
                                     q.busy = false;
                                     if (e) return self->broken();
                                     q.at += n;
                                     if (q.trickles) self->pump_later(way);
                                     else self->pump(way);
                                   });
  }
  void pump_later(unsigned way) {
    pipes[way].busy = true;
    timers[way].expires_after(trickle_interval);
    timers[way].async_wait([self = shared_from_this(), way](const error_code&) {
      self->pipes[way].busy = false;
      self->pump(way);
    });
  }
  // Follows the frames of a link, and does the harm that was asked for as soon as there is something to harm.
  void look_at(pipe& p) {
    if (p.size == 0) return;
    const bool link = route_.what.shard >= 0;
    const std::vector<frame_place> whole =
        link ? p.frames.take({p.bytes.data(), p.size}) : std::vector<frame_place>{};
    for (const frame_place& f : whole)
      if (f.type == proof_frame) proof.assign(p.bytes.data() + f.at, f.size);
    if (p.harm && do_harm(p, *p.harm, whole)) p.harm.reset(), ++damaged_;
  }
  bool do_harm(pipe& p, proxy::harm how, const std::vector<frame_place>& whole) {
    if (how == proxy::harm::flip) {
      p.bytes[random_.below(p.size)] ^= static_cast<char>(1u << random_.below(8));
      return true;
    }
    if (whole.empty()) return false;
    const frame_place& any = whole[random_.below(whole.size())];
    switch (how) {
    case proxy::harm::lose: { // not all of it: a whole frame less is another fault
      const auto first = any.at + random_.below(any.size);
      const auto n = 1 + random_.below(std::min(any.size - 1, any.at + any.size - first));
      p.bytes.erase(place_in(p, first), place_in(p, first + n));
      p.size -= n;
      return true;
    }
    case proxy::harm::replay: {
      const auto m = std::find_if(whole.begin(), whole.end(),
                                  [](const frame_place& f) { return f.type == message_qos1_frame; });
      if (m == whole.end()) return false;
      insert(p, m->at + m->size, std::string(p.bytes.data() + m->at, m->size));
      return true;
    }
    default:
      if (proof.empty() || &p != &pipes[0]) return false;
      insert(p, any.at + any.size, proof);
      return true;
    }
  }
  static std::vector<char>::iterator place_in(pipe& p, std::size_t at) {
    return p.bytes.begin() + static_cast<std::ptrdiff_t>(at);
  }
  static void insert(pipe& p, std::size_t at, const std::string& bytes) {
    p.bytes.insert(place_in(p, at), bytes.begin(), bytes.end());
    p.size += bytes.size();
  }
  void end_of(unsigned way) { // both ends close at once, as processes that end do
    if (pipes[way].stalled) return;
    error_code ignored;
    ends[1 - way].shutdown(tcp::socket::shutdown_send, ignored);
    if (pipes[1 - way].ended) close(false);
  }
  // The one end is gone; the other learns of it unless nothing goes that way.
  void broken() {
    if (pipes[0].stalled || pipes[1].stalled || pipes[0].swallows || pipes[1].swallows) {
      was_broken = true;
      return;
    }
    close(true);
  }
  void close(bool reset) {
    if (std::exchange(closed, true)) return;
    error_code ignored;
    for (auto& s : ends) {
      if (reset) s.set_option(asio::socket_base::linger(true, 0), ignored);
      s.close(ignored);
    }
    for (auto& t : timers) t.cancel();
    route_.connections.erase(shared_from_this());
  }
  void resume() {
    if (was_broken && !pipes[0].stalled && !pipes[1].stalled) return close(true);
    for (unsigned way : {0u, 1u}) pump(way);
  }

  proxy_route& route_;
  std::array<tcp::socket, 2> ends;
  std::array<asio::steady_timer, 2> timers;
  std::array<pipe, 2> pipes;
  std::string proof; // of a link's handshake, as it went by
  rng& random_;
  unsigned& damaged_;
  bool connected = false, closed = false, was_broken = false;
};

void proxy_route::accept(rng& random, unsigned& damaged) {
  listener.async_accept([this, &random, &damaged](const error_code& e, tcp::socket s) {
    if (e == asio::error::operation_aborted || !listener.is_open()) return;
    if (!e) {
      auto c = std::make_shared<proxy_connection>(*this, std::move(s), random, damaged);
      connections.insert(c);
      if (!hangs) c->connect();
    }
    accept(random, damaged);
  });
}

proxy::proxy(const std::vector<route>& routes, std::uint64_t seed)
    : work_(asio::make_work_guard(io_)), random_(seed) {
  for (const route& r : routes) {
    routes_.push_back(std::make_unique<proxy_route>(io_, r));
    routes_.back()->accept(random_, damaged_);
  }
  thread_ = std::thread([this] { io_.run(); });
}

proxy::~proxy() {
  asio::post(io_, [this] {
    for (auto& r : routes_) {
      error_code ignored;
      r->listener.close(ignored);
      for (const auto& c : std::set(r->connections)) c->close(true);
    }
    work_.reset();
  });
  thread_.join();
}

template <class F> unsigned proxy::ask(F f) {
  std::promise<unsigned> told;
  asio::post(io_, [&] { told.set_value(f()); });
  return told.get_future().get();
}

template <class F> unsigned proxy::each_route(route_filter f, F do_it) {
  return ask([&] {
    unsigned hit = 0;
    for (auto& r : routes_) {
      const bool clients = r->what.shard < 0;
      if (clients != f.clients || (f.edge >= 0 && f.edge != r->what.edge) ||
          (f.shard >= 0 && f.shard != r->what.shard))
        continue;
      hit += do_it(*r);
    }
    return hit;
  });
}

template <class F> unsigned proxy::each(route_filter f, F do_it) {
  return each_route(f, [&](proxy_route& r) {
    unsigned hit = 0;
    for (const auto& c : std::set(r.connections)) // which shrinks when one closes
      if (c->connected || r.hangs) do_it(*c), ++hit;
    return hit;
  });
}

unsigned proxy::cut(route_filter f) {
  return each(f, [](proxy_connection& c) { c.close(false); });
}
unsigned proxy::reset(route_filter f) {
  return each(f, [](proxy_connection& c) { c.close(true); });
}
unsigned proxy::stall(route_filter f, way w, bool on) {
  return each(f, [w, on](proxy_connection& c) {
    if (w != way::down) c.pipes[0].stalled = on;
    if (w != way::up) c.pipes[1].stalled = on;
    if (!on) c.resume();
  });
}
unsigned proxy::swallow(route_filter f, bool on) {
  return each(f, [on](proxy_connection& c) {
    if (!on && c.pipes[0].swallows) return c.close(true);
    for (auto& p : c.pipes) p.swallows = on;
    c.resume();
  });
}
unsigned proxy::trickle(route_filter f, bool on) {
  return each(f, [on](proxy_connection& c) {
    for (auto& p : c.pipes) p.trickles = on;
  });
}
unsigned proxy::damage(route_filter f, harm how) {
  return ask([&] {
    std::vector<proxy_connection*> all;
    for (auto& r : routes_)
      if ((r->what.shard < 0) == f.clients && (f.edge < 0 || f.edge == r->what.edge) &&
          (f.shard < 0 || f.shard == r->what.shard))
        for (const auto& c : r->connections)
          if (c->connected) all.push_back(c.get());
    if (all.empty()) return 0u;
    const std::size_t side = how == harm::replay_proof ? 0 : random_.below(2);
    all[random_.below(all.size())]->pipes[side].harm = how;
    return 1u;
  });
}
unsigned proxy::damaged() {
  return ask([&] { return damaged_; });
}
unsigned proxy::refuse(route_filter f, bool on) {
  const unsigned hit = each_route(f, [this, on](proxy_route& r) {
    if (on == !r.listener.is_open()) return 0u;
    if (on) r.listener.close();
    else r.open(), r.accept(random_, damaged_);
    return 1u;
  });
  if (on) reset(f);
  return hit;
}
unsigned proxy::hang(route_filter f, bool on) {
  const unsigned hit = each_route(f, [on](proxy_route& r) {
    r.hangs = on;
    for (const auto& c : std::set(r.connections)) c->close(true);
    return 1u;
  });
  return hit;
}
unsigned proxy::freeze(route_filter f, bool on) {
  each_route(f, [on](proxy_route& r) { return r.frozen = on, 0u; });
  return stall(f, way::both, on);
}

} // namespace beeline::chaos
