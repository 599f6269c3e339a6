// Drives one core in one thread: the turn.
//
//   wait -> read the clock -> core.begin_turn -> ready sockets -> tasks (accepts, connects, mail)
//        -> core.on_time if due -> core.end_turn (if it has one)
//        -> walk the dirty list: write, act on wishes -> take connect requests
//
// Stopping: listeners go, core.shutdown(now) (if it has one) marks its connections
// close_after_flush, turns go on until no stream is left or stop_max has passed, then all is closed.
//
// Owner: the thread that calls run(). Only loop().post, loop().request_stop and the counters are for
// others. The core outlives it.
#pragma once
#include "common/link/connect_request.hpp"
#include "common/net/connector.hpp"
#include "common/net/listener.hpp"
#include "common/net/stream_set.hpp"

namespace beeline::net {

struct core_loop_options {
  conn::kind_t accepted = conn::kind_t::client; // what accepted and adopted sockets are
  stream_options streams;
  duration connect_max = limits::link_connect_max;
  duration stop_max = limits::stop_max;
  std::function<void(std::string_view)> log;        // few and rate-limited lines
  std::function<void(int lane, moved_stream)> move; // must be set if the core sets conn.move_to
};

template <class Core>
concept dials = requires(Core& core, connect_request& r, time_point now) {
  { core.take_connect(r) } -> std::same_as<bool>;
  core.on_connect_failed(r.link, std::string_view(), now);
};

// One core with its sockets: the turn above without the waiting, for whoever has waited.
//
//   core_driver on an own loop       wait() -> turn(ready), in core_loop::run below
//   core_driver on a shared loop     look() -> turn(ready), when the io_context calls (common/embed)
//
// Owner: the loop's thread. The core outlives it.
template <class Core> class core_driver {
public:
  template <class... Loop>
  core_driver(Core& core, core_loop_options options, Loop&&... loop)
      : core_(core), options_(std::move(options)), loop_(std::forward<Loop>(loop)...), connector_(loop_),
        streams_(core, loop_, options_.streams, options_.move, counters_) {}

  event_loop& loop() noexcept { return loop_; }
  const event_loop& loop() const noexcept { return loop_; }
  const core_loop_options& options() const noexcept { return options_; }
  const io_counters& counters() const noexcept { return counters_; }
  time_point now() const noexcept { return now_; } // of the turn
  time_point next_deadline() const noexcept {
    return std::min(core_.next_deadline(), streams_.next_deadline());
  }

  // The socket listens already.
  void accept_from(bound_socket s, const admission& limit) {
    if (stopping_) return;
    listeners_.push_back(std::make_unique<listener>(
        loop_, std::move(s), limit, counters_,
        [this](unique_fd fd, budget_slot slot) {
          adopt({std::move(fd), std::move(slot), {}});
        },
        options_.log));
  }
  void stop_accepting() { listeners_.clear(); }
  // Inside a turn.
  void adopt(moved_stream m) {
    if (stopping_) counters_.closed_by(close_reason::shutdown).add();
    else streams_.adopt(options_.accepted, std::move(m), now_);
  }

  void turn(std::span<const epoll_event> ready) {
    now_ = steady_now();
    counters_.turns.add();
    core_.begin_turn(now_);
    streams_.refill_reserve(now_);
    streams_.handle(ready, now_);
    loop_.run_tasks(now_);
    if (core_.next_deadline() <= now_) core_.on_time(now_);
    streams_.on_time(now_);
    finish_turn();
    if constexpr (dials<Core>) dial();
  }

  // The core says good-bye; turns go on until stopped(), then close_all().
  void stop() {
    stopping_ = true;
    listeners_.clear();
    now_ = steady_now();
    core_.begin_turn(now_);
    if constexpr (requires { core_.shutdown(now_); }) core_.shutdown(now_);
    finish_turn();
  }
  bool stopped() const noexcept { return stopping_ && streams_.empty(); }
  void close_all() {
    connector_.give_up();
    streams_.close_all(close_reason::shutdown, steady_now());
  }

private:
  // The core closes what it batched over the turn, then everything dirty is written.
  void finish_turn() {
    if constexpr (requires { core_.end_turn(now_); }) core_.end_turn(now_);
    streams_.flush(now_);
  }

  void dial() requires dials<Core> {
    connect_request r;
    while (!stopping_ && core_.take_connect(r))
      connector_.dial(
          r.host, r.port,
          [this, link = r.link](unique_fd fd, std::string_view why) { dialled(link, std::move(fd), why); },
          options_.connect_max);
  }

  void dialled(std::uint32_t link, unique_fd fd, std::string_view why) requires dials<Core> {
    if (stopping_) return;
    if (!fd) return connect_failed(link, why);
    // A link may fail in on_up already; only a socket that cannot be watched was never up.
    if (!streams_.adopt(conn::kind_t::link, {std::move(fd), {}, {}}, now_, &link))
      return connect_failed(link, "the kernel cannot watch another socket");
    counters_.connects_ok.add();
  }

  void connect_failed(std::uint32_t link, std::string_view why) requires dials<Core> {
    counters_.connects_failed.add();
    core_.on_connect_failed(link, why, now_);
  }

  Core& core_;
  const core_loop_options options_;
  io_counters counters_;
  event_loop loop_;
  connector connector_;
  stream_set<Core> streams_;
  std::vector<std::unique_ptr<listener>> listeners_;
  time_point now_{};
  bool stopping_ = false;
};

// A core on a loop of its own, which a thread runs.
template <class Core> class core_loop : public core_driver<Core> {
public:
  core_loop(Core& core, core_loop_options options)
      : core_driver<Core>(core, std::move(options)), stop_max_(this->options().stop_max) {}

  void run() {
    this->loop().own();
    wait_and_turn(time_point{}); // at once: the core may have links to dial
    while (!this->loop().stop_requested()) wait_and_turn(never);
    this->stop();
    const auto end = this->now() + stop_max_;
    while (!this->stopped() && steady_now() < end) wait_and_turn(end);
    this->close_all();
  }

private:
  void wait_and_turn(time_point at_latest) {
    this->turn(this->loop().wait(std::min(at_latest, this->next_deadline())));
  }
  const duration stop_max_;
};

} // namespace beeline::net
