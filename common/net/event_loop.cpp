#include "common/net/event_loop.hpp"

#include "common/base/check.hpp"
#include "common/base/limits.hpp"
#include "common/net/unique_fd.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <optional>
#include <sys/eventfd.h>
#include <system_error>
#include <thread>
#include <time.h>
#include <vector>

namespace beeline::net {
namespace asio = boost::asio;
namespace {

constexpr auto wait_max = std::chrono::seconds(10);            // keeps `never` far from the clock's end
constexpr auto poll_interval = std::chrono::microseconds(100); // of Asio, while data sockets stay busy

int checked(int fd, const char* what) {
  if (fd < 0) throw std::system_error(errno, std::generic_category(), what);
  return fd;
}

} // namespace

time_point steady_now() noexcept {
  timespec t;
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return time_point(duration(std::int64_t(t.tv_sec) * 1'000'000 + t.tv_nsec / 1000));
}

struct event_loop::impl : std::enable_shared_from_this<impl> {
  impl() : own(std::in_place, 1), context(*own), work(asio::make_work_guard(context)) {}
  impl(asio::io_context& shared, task w) : context(shared), wanted(std::move(w)) {}

  std::optional<asio::io_context> own;
  asio::io_context& context;
  std::optional<asio::executor_work_guard<asio::io_context::executor_type>> work; // of our own
  task wanted, ready;
  asio::posix::basic_stream_descriptor<asio::io_context::executor_type> set{context}; // owns the epoll set
  unique_fd wake; // eventfd: the only thing that a signal handler may write to
  int epoll = -1;
  std::atomic<bool> stop{false};
  std::atomic<std::thread::id> owner{};
  std::array<epoll_event, limits::loop_events_max> events;
  std::vector<task> deferred, running;
  time_point polled_at{};
  bool armed = false; // Asio awaits the set
  bool hot = false;   // the last look found something: look again before blocking

  int look() noexcept {
    int n;
    do n = ::epoll_wait(epoll, events.data(), limits::loop_events_max, 0);
    while (n < 0 && errno == EINTR);
    for (int i = 0; i < n; ++i) {
      if (events[i].data.ptr != this) continue;
      std::uint64_t sink;
      [[maybe_unused]] const auto r = ::read(wake.get(), &sink, sizeof sink);
      events[i].data.ptr = nullptr;
    }
    return std::max(n, 0);
  }
  void open() {
    epoll = checked(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
    set.assign(epoll);
    wake.reset(checked(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), "eventfd"));
    epoll_event e{};
    e.events = EPOLLIN;
    e.data.ptr = this;
    checked(::epoll_ctl(epoll, EPOLL_CTL_ADD, wake.get(), &e), "epoll_ctl");
  }
  void arm() {
    if (std::exchange(armed, true)) return;
    set.async_wait(decltype(set)::wait_read, [weak = weak_from_this()](const boost::system::error_code& e) {
      const auto self = weak.lock();
      if (!self) return;
      self->armed = false;
      if (!e && self->ready) std::exchange(self->ready, nullptr)();
    });
  }
  void put(task f) {
    deferred.push_back(std::move(f));
    if (wanted) wanted();
  }
  void block(time_point deadline) {
    const auto now = steady_now();
    if (!deferred.empty() || deadline <= now) {
      context.poll();
    } else {
      const auto wait = std::min<duration>(deadline - now, wait_max);
      context.run_one_for(wait);
      if (!deferred.empty()) context.poll(); // control work comes in bursts: take it all in one turn
    }
    polled_at = steady_now();
  }
};

event_loop::event_loop() : impl_(std::make_shared<impl>()) { impl_->open(); }

event_loop::event_loop(asio::io_context& shared, task wanted)
    : impl_(std::make_shared<impl>(shared, std::move(wanted))) {
  impl_->open();
}

event_loop::~event_loop() = default;

void event_loop::own() noexcept { impl_->owner.store(std::this_thread::get_id()); }
bool event_loop::in_owner_thread() const noexcept {
  return impl_->owner.load() == std::this_thread::get_id();
}

void event_loop::post(task f) {
  asio::post(impl_->context, [weak = std::weak_ptr(impl_), f = std::move(f)]() mutable {
    if (const auto i = weak.lock()) i->put(std::move(f));
  });
}

void event_loop::request_stop() noexcept {
  const int saved = errno; // a signal handler must leave it as it was
  impl_->stop.store(true);
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto r = ::write(impl_->wake.get(), &one, sizeof one);
  errno = saved;
}

bool event_loop::stop_requested() const noexcept { return impl_->stop.load(std::memory_order_relaxed); }

void event_loop::defer(task f) {
  DCHECK_INVARIANT(in_owner_thread());
  impl_->put(std::move(f));
}

std::span<const epoll_event> event_loop::wait(time_point deadline) {
  auto& i = *impl_;
  DCHECK_INVARIANT(in_owner_thread());
  int n = i.hot ? i.look() : 0;
  if (n == 0) {
    i.arm();
    i.block(deadline);
    n = i.look();
  }
  i.hot = n > 0;
  return {i.events.data(), static_cast<std::size_t>(n)};
}

void event_loop::run_tasks(time_point now) {
  auto& i = *impl_;
  if (i.own && now - i.polled_at >= poll_interval) {
    i.context.poll();
    i.polled_at = now;
  }
  i.running.swap(i.deferred); // what these tasks defer waits for the next turn
  for (auto& f : i.running) f();
  i.running.clear();
}

std::span<const epoll_event> event_loop::look() noexcept {
  return {impl_->events.data(), static_cast<std::size_t>(impl_->look())};
}

void event_loop::await(task ready) {
  impl_->ready = std::move(ready);
  impl_->arm();
}

void event_loop::cancel_await() noexcept {
  impl_->ready = nullptr;
  boost::system::error_code ignored;
  impl_->set.cancel(ignored);
}

int event_loop::epoll_fd() const noexcept { return impl_->epoll; }
asio::io_context& event_loop::context() noexcept { return impl_->context; }

} // namespace beeline::net
