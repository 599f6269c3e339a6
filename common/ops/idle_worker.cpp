#include "common/ops/idle_worker.hpp"

#include "common/base/limits.hpp"
#include "common/net/event_loop.hpp"
#include "common/net/memory_reserve.hpp"
#include "common/ops/logging.hpp"
#include "common/ops/mail_queue.hpp"

#include <atomic>
#include <deque>
#include <mutex>
#include <pthread.h>
#include <sched.h>
#include <thread>

namespace beeline::ops {

struct idle_worker::job {
  std::function<void(bool late)> work;
  time_point posted;
  enum { waiting, begun, done }; // begun: by the thread
  std::atomic<int> state = waiting;

  bool take(int next) {
    int expected = waiting;
    return state.compare_exchange_strong(expected, next);
  }
  void run_in_thread() {
    if (!take(begun)) return;
    run(false);
    state = done;
  }
  // What the thread has begun is run again beside it; what it has not is nobody else's any more.
  void run_instead() {
    const bool ours = take(done);
    run(true);
    if (ours) work = nullptr; // what a page was made of; the thread may take long to drop it
  }
  void run(bool late) {
    try {
      work(late);
    } catch (const std::exception& e) {
      static log_site site("idle worker");
      log_limited(site, log_level::error, "work that may wait failed: {}", e.what());
    } catch (...) {
      static log_site site("idle worker");
      log_limited(site, log_level::error, "work that may wait failed with an unknown exception");
    }
  }
};

struct idle_worker::impl {
  mail_queue<std::shared_ptr<job>> to_thread; // null: only wakes it
  std::atomic<bool> stopped = false;
  std::thread thread;
  std::mutex mutex; // of `posted`; the thread does not take it: it may be put off with it in its hands
  std::deque<std::shared_ptr<job>> posted;

  void run() {
    ::pthread_setname_np(::pthread_self(), "pages");
    const sched_param none{};
    if (const int e = ::pthread_setschedparam(::pthread_self(), SCHED_IDLE, &none))
      log_info("admin pages are made with the priority of messages: SCHED_IDLE is refused (error {})", e);
    const net::memory_reserve reserve;
    while (!stopped) {
      to_thread.wait();
      for (auto mail = to_thread.take(); !mail.empty(); net::memory_reserve::top_up())
        if (const auto j = mail.pop(); j && !stopped) j->run_in_thread();
    }
  }
  void forget_done() { // with the mutex: what a page was made of is not kept
    while (!posted.empty() && posted.front()->state == job::done) posted.pop_front();
  }
  // The first that was posted by `then` and is not done.
  std::shared_ptr<job> take_overdue(time_point then) {
    const std::lock_guard lock(mutex);
    forget_done();
    if (posted.empty() || posted.front()->posted > then) return nullptr;
    auto first = std::move(posted.front());
    posted.pop_front();
    return first;
  }
};

idle_worker::idle_worker() : impl_(std::make_unique<impl>()) {
  impl_->thread = std::thread([i = impl_.get()] { i->run(); });
}
idle_worker::~idle_worker() { stop(); }

void idle_worker::stop() {
  impl_->stopped = true;
  impl_->to_thread.push(nullptr);
  if (impl_->thread.joinable()) impl_->thread.join();
  const std::lock_guard lock(impl_->mutex);
  impl_->posted.clear();
}

void idle_worker::post(std::function<void(bool late)> work) {
  auto j = std::make_shared<job>();
  j->work = std::move(work);
  j->posted = net::steady_now();
  {
    const std::lock_guard lock(impl_->mutex);
    if (impl_->stopped) return;
    impl_->forget_done();
    impl_->posted.push_back(j);
  }
  impl_->to_thread.push(std::move(j));
}

void idle_worker::run_overdue(time_point now) {
  const time_point then = now - limits::page_patience;
  while (const auto j = impl_->take_overdue(then)) j->run_instead();
}

void respond_later(idle_worker& pages, http_responder respond, std::function<http_response()> make) {
  pages.post([respond = std::move(respond), make = std::move(make)](bool late) {
    try {
      respond(make(), late);
    } catch (const http_error& e) {
      respond(json_failure(e.status(), e.what()), late);
    } catch (...) {
      respond(json_failure(500, "internal error, see the log"), late);
      throw; // to the log
    }
  });
}

} // namespace beeline::ops
