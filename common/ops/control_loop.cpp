#include "common/ops/control_loop.hpp"

#include "common/net/event_loop.hpp"
#include "common/net/memory_reserve.hpp"
#include "common/ops/end_wish.hpp"
#include "common/ops/logging.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <list>

namespace beeline::ops {
namespace asio = boost::asio;
using boost::system::error_code;

namespace {
end_wish asked_to_end; // of the process, as its signals are

// A signal handler. The one that is no repeat ends the process, as if it had never been handled.
void end_at_once(int which) {
  if (asked_to_end.is_repeat(net::steady_now())) return;
  std::signal(which, SIG_DFL);
  std::raise(which);
}
} // namespace

struct control_loop::impl {
  struct ticker {
    asio::steady_timer timer;
    std::chrono::milliseconds interval;
    std::function<void()> f;
  };

  asio::io_context io{1};
  asio::executor_work_guard<asio::io_context::executor_type> work{io.get_executor()};
  asio::signal_set endings{io, SIGTERM, SIGINT};
  asio::signal_set reopen{io, SIGHUP};
  std::list<ticker> tickers;
  std::function<void()> before_end;
  bool ending = false;

  void await_end() {
    endings.async_wait([this](const error_code& e, int which) {
      if (e) return;
      if (ending && asked_to_end.is_repeat(net::steady_now())) return await_end();
      log_info("ends on {}", which == SIGTERM ? "SIGTERM" : "SIGINT");
      ask();
    });
  }
  void ask() {
    if (std::exchange(ending, true) || !before_end) return end();
    asked_to_end.begin(net::steady_now());
    await_end();
    before_end();
  }
  void end() {
    error_code ignored;
    endings.cancel(ignored);
    asked_to_end.begin(net::steady_now());
    for (const int which : {SIGTERM, SIGINT}) std::signal(which, end_at_once); // until `endings` has gone
    io.stop();
  }
  void await_reopen() {
    reopen.async_wait([this](const error_code& e, int) {
      if (e) return;
      reopen_log();
      await_reopen();
    });
  }
  void tick(ticker& t) {
    t.timer.expires_after(t.interval);
    t.timer.async_wait([this, &t](const error_code& e) {
      if (e) return;
      t.f();
      net::memory_reserve::top_up();
      tick(t);
    });
  }
};

control_loop::control_loop() : impl_(std::make_unique<impl>()) {
  std::signal(SIGPIPE, SIG_IGN);
  impl_->await_end();
  impl_->await_reopen();
}
control_loop::~control_loop() = default;

void control_loop::post(std::function<void()> f) { asio::post(impl_->io, std::move(f)); }
void control_loop::every(std::chrono::milliseconds interval, std::function<void()> f) {
  impl_->tickers.push_back({asio::steady_timer(impl_->io), interval, std::move(f)});
  impl_->tick(impl_->tickers.back());
}
void control_loop::before_end(std::function<void()> f) { impl_->before_end = std::move(f); }
void control_loop::ask_to_end() {
  post([i = impl_.get()] { i->ask(); });
}
void control_loop::stop() {
  post([i = impl_.get()] { i->end(); });
}
void control_loop::run() { impl_->io.run(); }

} // namespace beeline::ops
