// A thread with a core, its loop and its sockets: what router and edge-server are composed of.
//
// This is the one handle through which other threads reach a core: every call
// below may be made by any thread, before start() too, and is done in the core's own thread.
// What is asked of a thread that has ended is dropped: a future then holds broken_promise.
#pragma once
#include "common/net/core_loop.hpp"
#include "common/net/memory_reserve.hpp"

#include <future>
#include <pthread.h>
#include <thread>
#include <type_traits>

namespace beeline::net {

template <class Core> class core_thread {
public:
  using core_type = Core;

  // `name`: of the thread, at most 15 characters are shown.
  core_thread(std::string name, std::unique_ptr<Core> core, core_loop_options options)
      : name_(std::move(name)), core_(std::move(core)),
        loop_(std::make_unique<core_loop<Core>>(*core_, std::move(options))) {}
  ~core_thread() {
    stop();
    join();
  }
  core_thread(const core_thread&) = delete;
  core_thread& operator=(const core_thread&) = delete;

  void start() {
    thread_ = std::thread([this] {
      ::pthread_setname_np(::pthread_self(), name_.substr(0, 15).c_str());
      const memory_reserve reserve;
      loop_->run();
    });
  }
  void stop() noexcept { loop_->loop().request_stop(); } // also from a signal handler
  void join() {
    if (thread_.joinable()) thread_.join();
  }

  // f(core, now) or f(core), in a turn: what it makes dirty is flushed at the end of it.
  template <class F> void call(F f) {
    loop_->loop().post([this, f = std::move(f)]() mutable { (void)apply(f); });
  }
  template <class F> auto ask(F f) {
    using result = decltype(apply(f));
    auto task = std::make_shared<std::packaged_task<result()>>(
        [this, f = std::move(f)]() mutable { return apply(f); });
    auto answer = task->get_future();
    loop_->loop().post([task] { (*task)(); });
    return answer;
  }

  // Throws std::system_error here and now if the port turns out to be taken.
  void accept_from(bound_socket s, admission limit = {}) {
    start_listening(s);
    auto kept = std::make_shared<bound_socket>(std::move(s));
    loop_->loop().post([this, kept, limit] { loop_->accept_from(std::move(*kept), limit); });
  }
  // Connections that the kernel has accepted and we have not are reset.
  void stop_accepting() {
    loop_->loop().post([this] { loop_->stop_accepting(); });
  }
  void adopt(moved_stream m) {
    auto kept = std::make_shared<moved_stream>(std::move(m));
    loop_->loop().post([this, kept] { loop_->adopt(std::move(*kept)); });
  }

  const io_counters& counters() const noexcept { return loop_->counters(); }

private:
  template <class F> decltype(auto) apply(F& f) {
    CHECK_INVARIANT(loop_->loop().in_owner_thread());
    if constexpr (std::is_invocable_v<F&, Core&, time_point>) return f(*core_, loop_->now());
    else return f(*core_);
  }

  const std::string name_;
  const std::unique_ptr<Core> core_; // outlives its loop
  const std::unique_ptr<core_loop<Core>> loop_;
  std::thread thread_;
};

} // namespace beeline::net
