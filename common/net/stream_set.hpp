// Calls the core for each stream, and does what the core wishes: the seam of docs/architecture.md, core and
// shell.
//
// For each connection: on_up, then on_bytes and on_drained, then on_down exactly once. The core's
// wishes (conn.hpp) are acted on when the turn walks the dirty list, never inside a call of the core,
// so no call of the core can pull away a connection that another call is working on.
//
// A connection with want_read == false is not read and its end is not looked for, but a reset is.
// What the core left unconsumed when it stopped reading is presented again, perhaps with nothing
// new behind it, when it sets want_read and marks the connection dirty.
//
// Owner: the loop's thread. The core outlives the set. A stream that is left when the set is
// destroyed is closed without a word to the core: call close_all before.
#pragma once
#include "common/base/check.hpp"
#include "common/net/event_loop.hpp"
#include "common/net/memory_reserve.hpp"
#include "common/net/stream_table.hpp"

#include <algorithm>
#include <new>

namespace beeline::net {

template <class Core> class stream_set {
public:
  using move_fn = std::function<void(int lane, moved_stream)>;

  stream_set(Core& core, event_loop& loop, stream_options options, move_fn move, io_counters& counters)
      : core_(core), table_(loop.epoll_fd(), std::move(options), core.dirty(), core.pool(), counters),
        move_(std::move(move)) {}

  // `owner` is set for links that were dialled. Null: the kernel cannot watch the socket, or there is no
  // memory for a client; it is closed and the core not told (no on_up, hence no on_down).
  conn* adopt(conn::kind_t kind, moved_stream m, time_point now, const std::uint32_t* owner = nullptr) {
    stream* s = kind == conn::kind_t::client ? open_client(m, now)
                                             : table_.open(kind, std::move(m.fd), std::move(m.slot));
    if (!s) return nullptr;
    if (owner) s->c.owner = *owner;
    if (kind != conn::kind_t::client) core_.on_up(s->c, now);
    if (!m.bytes.empty()) present_or_hold(*s, m.bytes, now);
    return s->fd ? &s->c : nullptr;
  }

  // The thread's reserve of memory has been touched: what came free since is put back, and while it does not
  // suffice, the core is told.
  void refill_reserve(time_point now) {
    memory_reserve* const r = memory_reserve::current();
    if (r && !r->whole() && !r->refill()) memory_short(now);
  }

  void handle(std::span<const epoll_event> ready, time_point now) {
    replay(now);
    for (const auto& e : ready)
      if (auto* s = static_cast<stream*>(e.data.ptr); s && s->fd) handle(*s, e.events, now);
  }

  void flush(time_point now) {
    while (conn* c = table_.dirty.pop()) settle(*static_cast<stream*>(c->shell), now);
    table_.free_buried();
  }

  // Ends what has waited too long: last words, lingering, clients that take nothing.
  void on_time(time_point now) {
    if (now < sweep_at_ || table_.timed.empty()) return;
    sweep_at_ = now + sweep_interval;
    // Backwards: a stream that leaves the list is replaced by the last one, which has been seen.
    for (std::size_t i = table_.timed.size(); i-- > 0;) sweep(*table_.timed[i], now);
  }
  time_point next_deadline() const noexcept {
    if (!replay_.empty()) return time_point{};
    return table_.timed.empty() ? never : sweep_at_;
  }

  void close_all(close_reason why, time_point now) {
    while (!table_.all.empty()) finish(*table_.all.back(), why, now);
    table_.free_buried();
  }
  bool empty() const noexcept { return table_.all.empty(); }

private:
  static constexpr duration sweep_interval = std::chrono::milliseconds(250);

  // A client's place here and in the core: both, or neither.
  stream* open_client(moved_stream& m, time_point now) {
    const memory_reserve* const r = memory_reserve::current();
    stream* s = nullptr;
    try {
      if (r && !r->has_spare()) throw std::bad_alloc();
      const memory_guard guard;
      s = table_.open(conn::kind_t::client, std::move(m.fd), std::move(m.slot));
      if (s) core_.on_up(s->c, now);
      return s;
    } catch (const std::bad_alloc&) {
      table_.counters.closed_by(close_reason::out_of_memory).add();
      if (s) table_.bury(*s);
      memory_short(now);
      return nullptr;
    }
  }

  void memory_short(time_point now) {
    if constexpr (requires { core_.on_memory_short(now); }) core_.on_memory_short(now);
  }

  // What a client has sent or makes room for takes the client's memory: where that is not to be had, this
  // client is closed, and nobody else. What links bring is the process's own. `work` says false when it has
  // found no memory.
  template <class Work> bool in_guard(stream& s, time_point now, Work&& work) {
    bool whole = false;
    if (s.c.kind != conn::kind_t::client) {
      whole = work();
    } else {
      const memory_guard guard;
      try {
        whole = work() && !guard.used_reserve();
      } catch (const std::bad_alloc&) {
      }
    }
    if (whole) return true;
    memory_short(now);
    finish(s, s.c.closing() ? s.c.why : close_reason::out_of_memory, now);
    return false;
  }

  static bool wants(const stream& s) noexcept { return s.c.want_read && !s.c.closing() && s.c.move_to < 0; }

  void handle(stream& s, std::uint32_t events, time_point now) {
    const bool broken = events & (EPOLLERR | EPOLLHUP);
    if (events & EPOLLOUT) {
      s.waiting_out = false;
      if (s.c.output_bytes() > 0) table_.dirty.mark(s.c);
      else table_.watch(s, s.interest & EPOLLIN, false); // lazily: a busy link keeps it
    }
    if (s.lingering || s.c.closing()) {
      if (s.eof && broken) end(s, close_reason::network_error, now);
      else if ((events & EPOLLIN) || broken) drain(s, now);
    } else if (wants(s)) {
      if ((events & EPOLLIN) || broken) read(s, now);
    } else if (broken) {
      finish(s, close_reason::network_error, now);
    } else if (events & EPOLLIN) {
      table_.watch(s, false, s.interest & EPOLLOUT);
    }
  }

  void read(stream& s, time_point now) {
    for (int i = 0; i < limits::stream_reads_max; ++i) {
      stream_table::received r{};
      const auto receive_and_hand_over = [&] {
        r = table_.receive(s);
        return r.state == stream_table::io::ok ? hand_over(s, r.in, now)
                                               : r.state != stream_table::io::no_memory;
      };
      if (!in_guard(s, now, receive_and_hand_over)) return;
      if (r.state == stream_table::io::again) return;
      if (r.state == stream_table::io::ended) return finish(s, close_reason::peer_closed, now);
      if (r.state == stream_table::io::failed) return finish(s, close_reason::network_error, now);
      if (!goes_on(s) || !r.more) return;
    }
  }

  // False: there is no memory for what the core did not consume.
  bool hand_over(stream& s, mutable_bytes in, time_point now) {
    const std::size_t consumed = core_.on_bytes(s.c, in, now);
    CHECK_INVARIANT(consumed <= in.size());
    if (!s.c.closing()) return table_.keep(s, in, consumed);
    table_.drop_rest(s);
    return true;
  }

  void present(stream& s, mutable_bytes in, time_point now) {
    if (in_guard(s, now, [&] { return hand_over(s, in, now); })) (void)goes_on(s);
  }

  // True: the stream may be read further.
  bool goes_on(stream& s) {
    if (wants(s)) return true;
    s.held_back = !s.rest.empty();
    table_.dirty.mark(s.c);
    return false;
  }

  void present_or_hold(stream& s, mutable_bytes in, time_point now) {
    if (wants(s)) {
      present(s, in, now);
    } else if (!s.c.closing()) {
      if (!in_guard(s, now, [&] { return table_.keep(s, in, 0); })) return;
      s.held_back = true;
      table_.dirty.mark(s.c);
    }
  }

  void replay(time_point now) {
    auto list = std::exchange(replay_, {});
    for (std::size_t i = 0; i < list.size(); ++i) {
      stream& s = *list[i];
      s.replay = false;
      if (!wants(s) || s.rest.empty()) continue;
      s.held_back = false;
      present(s, s.rest, now);
    }
  }

  void settle(stream& s, time_point now) {
    if (s.lingering) return;
    if (s.c.close_now) return finish(s, s.c.why, now);
    if (!s.waiting_out && s.c.output_bytes() > 0 && !write(s, now)) return;
    const bool empty = s.c.output_bytes() == 0;
    if (s.c.close_after_flush) {
      table_.drop_rest(s); // nobody reads it any more
      if (empty) return last_words_said(s, now);
      if (s.close_at == never) s.close_at = now + table_.options.close_flush_max;
      table_.set_timed(s);
    } else if (s.c.move_to >= 0 && empty) {
      return move(s, now);
    } else if (s.held_back && wants(s) && !std::exchange(s.replay, true)) {
      replay_.push_back(&s);
    }
    const bool in = s.c.closing() ? !s.eof : wants(s); // a closing stream is drained
    table_.watch(s, in, s.waiting_out || (s.interest & EPOLLOUT));
  }

  bool write(stream& s, time_point now) {
    const auto w = table_.write(s, now);
    if (w.failed) {
      finish(s, s.c.closing() ? s.c.why : close_reason::network_error, now);
      return false;
    }
    s.was_partial = s.c.output_bytes() > 0;
    if (!w.progress) return true;
    return in_guard(s, now, [&] {
      core_.on_drained(s.c, now); // also when all went at once: somebody may wait
      return true;
    });
  }

  // While closing or lingering: what still comes is thrown away.
  void drain(stream& s, time_point now) {
    for (int i = 0; i < limits::stream_reads_max; ++i) {
      const auto state = table_.discard(s);
      if (state == stream_table::io::ok) continue;
      if (state == stream_table::io::failed) return end(s, close_reason::network_error, now);
      if (state == stream_table::io::ended && s.lingering) return table_.bury(s);
      if (state == stream_table::io::ended) {
        s.eof = true;
        table_.dirty.mark(s.c);
      }
      return;
    }
  }

  void sweep(stream& s, time_point now) {
    if (s.close_at <= now) return end(s, s.c.why, now);
    if (s.close_at != never) return;
    if (!s.waiting_out || s.c.kind != conn::kind_t::client) return table_.clear_timed(s);
    const auto stalled = now - s.progress_at;
    if (stalled < table_.options.client_stall_max / 4) return;
    if (table_.took_bytes(s)) s.progress_at = now; // into the kernel's buffer of a slow reader
    else if (stalled >= table_.options.client_stall_max) finish(s, close_reason::client_write_stall, now);
  }

  void end(stream& s, close_reason otherwise, time_point now) {
    if (s.lingering) return table_.bury(s);
    finish(s, s.c.why != close_reason::none ? s.c.why : otherwise, now);
  }

  void down(stream& s, close_reason why, time_point now) {
    table_.dirty.remove(s.c);
    if (s.replay) std::erase(replay_, &s);
    s.replay = false;
    core_.on_down(s.c, why, now);
    table_.dirty.remove(s.c); // in case the core marked it once more
    table_.count_down(s, why);
  }

  void finish(stream& s, close_reason why, time_point now) {
    if (!s.lingering) down(s, why, now);
    table_.bury(s);
  }

  void last_words_said(stream& s, time_point now) {
    down(s, s.c.why, now);
    if (s.eof) table_.bury(s);
    else table_.linger(s, now);
  }

  void move(stream& s, time_point now) {
    const int lane = s.c.move_to;
    down(s, close_reason::moved_lane, now);
    table_.counters.rest_bytes.sub(s.rest.size());
    moved_stream m{table_.detach(s), std::move(s.slot), std::exchange(s.rest, {})};
    table_.bury(s);
    move_(lane, std::move(m));
  }

  Core& core_;
  stream_table table_;
  move_fn move_;
  std::vector<stream*> replay_; // open streams only
  time_point sweep_at_{};
};

} // namespace beeline::net
