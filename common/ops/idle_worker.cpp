#include "common/ops/idle_worker.hpp"

#include "common/base/limits.hpp"
#include "common/base/time.hpp"
#include "common/net/event_loop.hpp"
#include "common/ops/logging.hpp"

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <deque>
#include <mutex>
#include <pthread.h>
#include <sched.h>
#include <thread>

namespace beeline::ops {
namespace asio = boost::asio;

struct idle_worker::job {
  std::function<void()> work;
  time_point posted;
  std::atomic<bool> done = false;

  void run() {
    try {
      work();
    } catch (const std::exception& e) {
      static log_site site("idle worker");
      log_limited(site, log_level::error, "work that may wait failed: {}", e.what());
    } catch (...) {
      static log_site site("idle worker");
      log_limited(site, log_level::error, "work that may wait failed with an unknown exception");
    }
    done = true;
  }
};

struct idle_worker::impl {
  asio::io_context io{1};
  asio::executor_work_guard<asio::io_context::executor_type> guard{io.get_executor()};
  std::thread thread;
  std::mutex mutex; // the thread does not take it: it may be put off with it in its hands
  std::deque<std::shared_ptr<job>> posted;

  void run() {
    ::pthread_setname_np(::pthread_self(), "pages");
    const sched_param none{};
    if (const int e = ::pthread_setschedparam(::pthread_self(), SCHED_IDLE, &none))
      log_info("admin pages are made with the priority of messages: SCHED_IDLE is refused (error {})", e);
    io.run();
  }
  // The first that was posted before `then` and is not done; no other job is left before it.
  std::shared_ptr<job> take_overdue(time_point then) {
    const std::lock_guard lock(mutex);
    while (!posted.empty() && posted.front()->done) posted.pop_front();
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
  impl_->io.stop();
  if (impl_->thread.joinable()) impl_->thread.join();
  const std::lock_guard lock(impl_->mutex);
  impl_->posted.clear();
}

void idle_worker::post(std::function<void()> work) {
  auto j = std::make_shared<job>();
  j->work = std::move(work);
  j->posted = net::steady_now();
  {
    const std::lock_guard lock(impl_->mutex);
    if (impl_->io.stopped()) return;
    impl_->posted.push_back(j);
  }
  asio::post(impl_->io, [j] {
    if (!j->done) j->run();
  });
}

void idle_worker::run_overdue() {
  const time_point then = net::steady_now() - limits::page_patience;
  while (const auto j = impl_->take_overdue(then)) j->run();
}

void respond_later(idle_worker& pages, http_responder respond, std::function<http_response()> make) {
  pages.post([respond = std::move(respond), make = std::move(make)] {
    try {
      respond(make());
    } catch (const http_error& e) {
      respond(json_failure(e.status(), e.what()));
    } catch (...) {
      respond(json_failure(500, "internal error, see the log"));
      throw; // to the log
    }
  });
}

} // namespace beeline::ops
