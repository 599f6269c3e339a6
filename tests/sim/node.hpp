// One core in its simulated thread: what common/net's core_loop and stream_set are to it, with the
// network and the clock of the world. The calls come in the same order and under the same
// conditions; what differs is who decides how many bytes a read or a write moves.
//
//   turn: begin_turn -> what was left unread -> ready sockets -> accepts, connects, moved sockets
//         -> on_time if due -> end_turn -> walk the dirty list -> take connect requests
//
// A node is one thread of a process. Killing it drops core and sockets without a word to the core.
// Owner: the thread that runs the seed; nodes live as long as the world.
#pragma once
#include "common/link/connect_request.hpp"
#include "tests/sim/network.hpp"

#include "common/base/check.hpp"
#include "common/base/conn.hpp"
#include "common/base/limits.hpp"

#include <algorithm>
#include <functional>

namespace beeline::sim {

// A program on its machine: nodes share its fate and its clock.
struct process {
  int number = 0;
  std::string name;
  bool up = false;
  bool machine_gone = false; // down without a word: dials hang
  bool ending = false;       // cleanly, and not down yet
  unsigned life = 0;
  duration clock{};           // its steady clock minus the world's
  time_point paused_until{};  // stopped, as by SIGSTOP
  time_point refuses_until{}; // dials are refused ...
  time_point hangs_until{};   // ... or get no answer
  duration turn_cost = 20us;  // slow machines take longer
  duration clock_jump{};      // of the next life's clock, against the last one's
};

class node_base : public actor {
public:
  node_base(world& w, process& p) : in(w), home(p) {}
  virtual void accept(socket_end& e) = 0;
  virtual void dialled(std::uint32_t link, socket_end* e) = 0; // null: it failed
  virtual void adopt_moved(socket_end& e, std::vector<std::byte> rest) = 0;
  virtual void kill() = 0;
  virtual bool alive() const = 0;

  world& in;
  process& home;
  // What the cluster does for its nodes.
  std::function<void(const connect_request&)> dial;
  std::function<void(int lane, socket_end& e, std::vector<std::byte> rest)> move;
  std::function<void(connection& c, close_reason why)> stream_ended; // wished for, done, or killed
  std::function<void(connection& c)> stopped_reading;                // the core did, in on_bytes
  std::function<void()> after_turn;
};

template <class Core> class node final : public node_base, private endpoint_user {
public:
  using node_base::node_base;
  ~node() override { kill(); }

  // `make(pool, local time)` makes the core of the next life.
  template <class Make> void start(Make make) {
    pool_ = std::make_unique<chunk_pool>();
    core_ = make(*pool_, local());
    busy_until_ = in.now;
    shutdown_asked_ = drain_asked_ = false;
    next_turn_ = never;
    wake(in.now);
  }
  void kill() override {
    if (!core_) return;
    core_.reset();
    for (auto& s : streams_) drop(*s);
    for (auto& s : buried_) drop(*s);
    streams_.clear(), buried_.clear(), ready_.clear(), replay_.clear(), mail_.clear();
    pool_.reset();
  }
  bool alive() const override { return core_ != nullptr; }
  Core* core() noexcept { return core_.get(); }
  chunk_pool& pool() noexcept { return *pool_; }
  time_point local() const noexcept { return in.now + home.clock; }
  void shut_down() { shutdown_asked_ = true, wake(in.now); }
  void drain() { drain_asked_ = true, wake(in.now); } // a lane
  std::uint64_t turns() const noexcept { return turns_; }
  template <class F> void for_each_stream(F&& f) {
    for (auto& s : streams_) f(s->c, *s->end);
  }

  void accept(socket_end& e) override { post({&e, {}, 0, job::incoming}); }
  void dialled(std::uint32_t link, socket_end* e) override { post({e, {}, link, job::outgoing}); }
  void adopt_moved(socket_end& e, std::vector<std::byte> rest) override {
    post({&e, std::move(rest), 0, job::incoming});
  }
  void on_event(std::uint32_t, std::uint64_t) override {
    if (!core_ || in.now < next_turn_) return; // planned and overtaken
    if (home.paused_until > in.now) {
      next_turn_ = home.paused_until;
      return in.plan(next_turn_, *this, 0);
    }
    next_turn_ = never;
    turn();
  }

private:
  struct stream {
    stream(conn::kind_t kind, chunk_pool& pool, socket_end& e) : c(kind, pool), end(&e) {}
    conn c;
    socket_end* end; // null: buried
    std::vector<std::byte> rest;
    time_point close_at = never, progress_at{};
    bool waiting_out = false, was_partial = false, eof = false, held_back = false, replay = false;
    bool ready = false, can_write = false;
  };
  struct job {
    enum kind_t { incoming, outgoing };
    socket_end* e;
    std::vector<std::byte> rest;
    std::uint32_t link;
    kind_t what;
  };

  // --- the loop ---
  void wake(time_point at) {
    at = std::max({at, busy_until_, in.now});
    if (at >= next_turn_) return;
    next_turn_ = at;
    in.plan(at, *this, 0);
  }
  void post(job j) {
    if (j.e) j.e->user = this, j.e->tag = 0;
    mail_.push_back(std::move(j));
    wake(in.now);
  }
  void on_readable(socket_end& e) override {
    if (stream* s = of(e)) make_ready(*s);
  }
  void on_writable(socket_end& e) override {
    stream* s = of(e);
    if (!s) return;
    s->can_write = true;
    make_ready(*s);
  }
  static stream* of(socket_end& e) { return reinterpret_cast<stream*>(static_cast<std::uintptr_t>(e.tag)); }
  void make_ready(stream& s) {
    if (!s.ready) s.ready = true, ready_.push_back(&s);
    wake(in.now + duration(static_cast<duration::rep>(in.random.below(30))));
  }

  void turn() {
    ++turns_;
    busy_until_ = in.now + home.turn_cost;
    const time_point now = local();
    core_->begin_turn(now);
    replay(now);
    auto ready = std::exchange(ready_, {});
    for (std::size_t i = ready.size(); i > 1; --i) std::swap(ready[i - 1], ready[in.random.below(i)]);
    for (stream* s : ready) s->ready = false;
    for (stream* s : ready)
      if (s->end) handle(*s, now);
    for (job& j : std::exchange(mail_, {})) do_job(j, now);
    if (shutdown_asked_) {
      shutdown_asked_ = false;
      core_->shutdown(now);
    }
    if constexpr (requires { core_->drain(now); })
      if (std::exchange(drain_asked_, false)) core_->drain(now);
    if (core_->next_deadline() <= now) core_->on_time(now);
    sweep(now);
    if constexpr (requires { core_->end_turn(now); }) core_->end_turn(now);
    while (conn* c = core_->dirty().pop()) settle(*static_cast<stream*>(c->shell), now);
    buried_.clear();
    if constexpr (requires(connect_request & r) { core_->take_connect(r); }) {
      connect_request r;
      while (core_->take_connect(r)) dial(r);
    }
    if (after_turn) after_turn();
    plan_next(now);
  }
  void plan_next(time_point now) {
    if (!replay_.empty() || !ready_.empty() || !mail_.empty()) wake(in.now);
    time_point t = core_->next_deadline();
    for (const auto& s : streams_) t = std::min(t, s->close_at);
    if (t != never) wake(in.now + (t - now));
  }
  void do_job(job& j, time_point now) {
    if (j.what == job::outgoing && !j.e) {
      if constexpr (requires { core_->on_connect_failed(0u, std::string_view(), now); })
        core_->on_connect_failed(j.link, "refused", now);
      return;
    }
    const bool link = j.e->of->is_link;
    auto& s = *streams_.emplace_back(
        std::make_unique<stream>(link ? conn::kind_t::link : conn::kind_t::client, *pool_, *j.e));
    s.c.shell = &s;
    j.e->tag = static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(&s));
    if (j.what == job::outgoing) s.c.owner = j.link;
    core_->on_up(s.c, now);
    s.rest = std::move(j.rest);
    if (!s.rest.empty() && wants(s)) present(s, now);
    else if (!s.rest.empty()) s.held_back = true, core_->dirty().mark(s.c);
    if (s.end && (s.end->readable() || s.end->at_end() || s.end->failed)) make_ready(s);
  }

  // --- reading (stream_set.hpp) ---
  static bool wants(const stream& s) noexcept { return s.c.want_read && !s.c.closing() && s.c.move_to < 0; }
  void handle(stream& s, time_point now) {
    if (std::exchange(s.can_write, false)) {
      s.waiting_out = false;
      if (s.c.output_bytes() > 0) core_->dirty().mark(s.c);
    }
    socket_end& e = *s.end;
    if (s.c.closing()) {
      std::byte thrown[4096];
      while (e.read(thrown, sizeof thrown)) {
      }
      if (e.failed) return finish(s, s.c.why, now);
      if (e.at_end() && !std::exchange(s.eof, true)) core_->dirty().mark(s.c);
    } else if (wants(s)) {
      read(s, now);
    } else if (e.failed) {
      finish(s, close_reason::network_error, now);
    }
  }
  void read(stream& s, time_point now) {
    socket_end& e = *s.end;
    for (int i = 0; i < 4; ++i) {
      std::size_t n = e.readable();
      if (n == 0) break;
      if (n > 1 && in.chance(read_cut_percent)) n = in.between(1, n - 1);
      const std::size_t before = s.rest.size();
      s.rest.resize(before + n);
      e.read(s.rest.data() + before, n);
      present(s, now);
      if (!s.end || !wants(s)) return;
    }
    if (e.readable()) return make_ready(s);
    if (e.failed) return finish(s, close_reason::network_error, now);
    if (e.at_end()) finish(s, close_reason::peer_closed, now);
  }
  void present(stream& s, time_point now) {
    const std::size_t consumed = core_->on_bytes(s.c, s.rest, now);
    CHECK_INVARIANT(consumed <= s.rest.size());
    if (s.c.closing()) s.rest.clear();
    else s.rest.erase(s.rest.begin(), s.rest.begin() + static_cast<std::ptrdiff_t>(consumed));
    if (wants(s)) return;
    if (!s.c.closing() && s.c.move_to < 0 && stopped_reading) stopped_reading(*s.end->of);
    s.held_back = !s.rest.empty();
    core_->dirty().mark(s.c);
  }
  void replay(time_point now) {
    for (stream* s : std::exchange(replay_, {})) {
      s->replay = false;
      if (!s->end || !wants(*s) || s->rest.empty()) continue;
      s->held_back = false;
      present(*s, now);
    }
  }

  // --- the dirty walk (stream_set.hpp) ---
  void settle(stream& s, time_point now) {
    if (s.c.closing() && stream_ended) stream_ended(*s.end->of, s.c.why);
    if (s.c.close_now) return finish(s, s.c.why, now);
    if (!s.waiting_out && s.c.output_bytes() > 0 && !write(s, now)) return;
    const bool empty = s.c.output_bytes() == 0;
    if (s.c.close_after_flush) {
      if (empty) return finish(s, s.c.why, now);
      if (s.close_at == never) s.close_at = now + limits::close_flush_max;
    } else if (s.c.move_to >= 0 && empty) {
      return move_away(s, now);
    } else if (s.held_back && wants(s) && !std::exchange(s.replay, true)) {
      replay_.push_back(&s);
    }
    if ((wants(s) || s.c.closing()) && (s.end->readable() || s.end->at_end() || s.end->failed)) make_ready(s);
  }
  bool write(stream& s, time_point now) {
    if (s.end->failed) {
      finish(s, s.c.closing() ? s.c.why : close_reason::network_error, now);
      return false;
    }
    bool progress = false;
    iovec iov[64];
    for (int i = 0; i < 8 && !s.waiting_out; ++i) {
      const std::size_t count = s.c.gather(iov, i == 0 && in.chance(10) ? 1 : 64);
      if (count == 0) break;
      std::size_t offered = 0;
      for (std::size_t k = 0; k < count; ++k) offered += iov[k].iov_len;
      const std::size_t sent = s.end->write(iov, count);
      s.c.consume(sent);
      progress |= sent > 0;
      s.waiting_out = sent < offered;
      if (partly_written_forgotten && s.waiting_out && sent && s.c.link)
        s.c.consume(std::min<std::size_t>(s.c.output_bytes(), 20));
    }
    if (s.c.output_bytes() > 0 && !s.waiting_out) s.can_write = true, make_ready(s);
    if (progress || !s.was_partial) s.progress_at = now;
    s.was_partial = s.c.output_bytes() > 0;
    if (progress) core_->on_drained(s.c, now);
    return true;
  }
  void sweep(time_point now) {
    for (std::size_t i = streams_.size(); i-- > 0;) {
      stream& s = *streams_[i];
      if (s.close_at <= now) finish(s, s.c.why, now);
      else if (s.waiting_out && s.c.kind == conn::kind_t::client &&
               now - s.progress_at >= limits::client_stall_max)
        finish(s, close_reason::client_write_stall, now);
    }
  }
  void finish(stream& s, close_reason why, time_point now) {
    connection& n = *s.end->of;
    down(s, why, now);
    s.end->close();
    bury(s);
    if (stream_ended) stream_ended(n, why);
  }
  void move_away(stream& s, time_point now) {
    const int lane = s.c.move_to;
    down(s, close_reason::moved_lane, now);
    s.end->user = nullptr;
    move(lane, *s.end, std::exchange(s.rest, {}));
    bury(s);
  }
  void down(stream& s, close_reason why, time_point now) {
    core_->dirty().remove(s.c);
    core_->on_down(s.c, why, now);
    core_->dirty().remove(s.c);
  }
  void bury(stream& s) {
    std::erase(replay_, &s);
    std::erase(ready_, &s);
    s.end = nullptr;
    const auto it = std::find_if(streams_.begin(), streams_.end(), [&](auto& x) { return x.get() == &s; });
    buried_.push_back(std::move(*it));
    streams_.erase(it);
  }
  void drop(stream& s) { // the process died: what its machine then says is the cluster's business
    if (!s.end) return;
    s.end->user = nullptr;
    if (stream_ended) stream_ended(*s.end->of, close_reason::none);
  }

  std::unique_ptr<chunk_pool> pool_;
  std::unique_ptr<Core> core_;
  std::vector<std::unique_ptr<stream>> streams_, buried_;
  std::vector<stream*> ready_, replay_;
  std::vector<job> mail_;
  time_point next_turn_ = never, busy_until_{};
  std::uint64_t turns_ = 0;
  bool shutdown_asked_ = false, drain_asked_ = false;

public:
  unsigned read_cut_percent = 0;
  bool partly_written_forgotten = false; // planted
};

} // namespace beeline::sim
