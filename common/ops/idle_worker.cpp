#include "common/ops/idle_worker.hpp"

#include "common/ops/logging.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <pthread.h>
#include <sched.h>
#include <thread>

namespace beeline::ops {
namespace asio = boost::asio;

struct idle_worker::impl {
  asio::io_context io{1};
  asio::executor_work_guard<asio::io_context::executor_type> guard{io.get_executor()};
  std::thread thread;

  void run() {
    ::pthread_setname_np(::pthread_self(), "pages");
    const sched_param none{};
    if (const int e = ::pthread_setschedparam(::pthread_self(), SCHED_IDLE, &none))
      log_info("admin pages are made with the priority of messages: SCHED_IDLE is refused (error {})", e);
    for (;;) {
      try {
        io.run();
        return;
      } catch (const std::exception& e) {
        static log_site site("idle worker");
        log_limited(site, log_level::error, "work that may wait failed: {}", e.what());
      } catch (...) {
        static log_site site("idle worker");
        log_limited(site, log_level::error, "work that may wait failed with an unknown exception");
      }
    }
  }
};

idle_worker::idle_worker() : impl_(std::make_unique<impl>()) {
  impl_->thread = std::thread([i = impl_.get()] { i->run(); });
}
idle_worker::~idle_worker() { stop(); }
void idle_worker::stop() {
  impl_->io.stop();
  if (impl_->thread.joinable()) impl_->thread.join();
}
void idle_worker::post(std::function<void()> work) { asio::post(impl_->io, std::move(work)); }

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
