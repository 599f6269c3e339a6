// One thread's event loop: an Asio io_context for control (accepts, connects, mail from other
// threads) and an epoll set of the loop's own for data sockets. The io_context is the loop's own, and
// wait() runs it; or it is somebody else's who runs it (a program that embeds a lane), and calls back.
//
//   data sockets --> own epoll set --(one descriptor, awaited when idle)--> io_context --> wait()
//   acceptors, connects, post(), request_stop() ------------------------------^
//
// Asio's async_wait costs an epoll_ctl each time and its sockets are heavier than ours, so Asio
// awaits the set as one descriptor, and only when the set was found empty.
//
// Handlers that Asio runs never enter the core: they `defer` a task, and the turn runs the tasks
// after the core's begin_turn. So the core always learns first how long its thread stood still.
//
// Owner: the thread that called own(); only post() and request_stop() may be called by others.
#pragma once
#include "common/base/time.hpp"

#include <functional>
#include <memory>
#include <span>
#include <sys/epoll.h>

namespace boost::asio {
class io_context;
}

namespace beeline::net {

time_point steady_now() noexcept; // CLOCK_MONOTONIC

class event_loop {
public:
  using task = std::function<void()>;

  event_loop(); // throws std::system_error when the process has no file descriptors left
  // On an io_context that another runs, with one thread: instead of wait(), look() and await(). `wanted`
  // is called when tasks have come that run_tasks should run; it must not run them itself.
  event_loop(boost::asio::io_context& shared, task wanted);
  ~event_loop(); // tasks that have not run are destroyed with all that they own
  event_loop(const event_loop&) = delete;
  event_loop& operator=(const event_loop&) = delete;

  void own() noexcept; // the calling thread is the owner from now on
  bool in_owner_thread() const noexcept;

  void post(task f);            // any thread: f runs in a later turn of the owner
  void request_stop() noexcept; // any thread, or a signal handler
  bool stop_requested() const noexcept;

  void defer(task f); // owner, from a handler of Asio: f runs in this turn, or the next

  // Waits until a data socket is ready, a task is there, or the deadline has come. Returns what is
  // ready, to be handled before the next call; entries whose data.ptr is null are to be skipped.
  std::span<const epoll_event> wait(time_point deadline);
  void run_tasks(time_point now);

  // Of a loop on a shared io_context: what is ready now, as from wait(); and one call of `ready` by the
  // io_context once a socket is. Nothing is called any more when the loop has been destroyed.
  std::span<const epoll_event> look() noexcept;
  void await(task ready);
  void cancel_await() noexcept; // nothing of the loop keeps the io_context running then

  int epoll_fd() const noexcept;
  boost::asio::io_context& context() noexcept;

private:
  struct impl;
  std::shared_ptr<impl> impl_; // handlers of a shared io_context look whether it is still there
};

} // namespace beeline::net
