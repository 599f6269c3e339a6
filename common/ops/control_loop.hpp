// The main thread of a program once it has started: signals, slow timers, and work that must not be
// done by a shard or lane, such as bringing together what several were asked.
//
//   SIGTERM, SIGINT   run() returns, or, when before_end() was given a function, that is called first and
//   stop()
//                     has to follow. The next one makes run() return; from then on one more ends the process
//                     at once. One that comes within limits::signal_repeat_max of the last is the same
//                     (end_wish.hpp)
//   SIGHUP            the log file is opened anew
//   SIGPIPE           ignored
//
// Owner: the thread that calls run(). Only post() and stop() may be called by others, also before
// run() and after it has returned; what is posted then is dropped with the object.
#pragma once
#include <chrono>
#include <functional>
#include <memory>

namespace beeline::ops {

class control_loop {
public:
  control_loop(); // takes the signals
  ~control_loop();
  control_loop(const control_loop&) = delete;
  control_loop& operator=(const control_loop&) = delete;

  void post(std::function<void()> f);
  void every(std::chrono::milliseconds interval, std::function<void()> f); // before run()
  void before_end(std::function<void()> f); // before run(); called once at most, also for ask_to_end()
  void ask_to_end();                        // as SIGTERM does
  void stop();                              // run() returns
  void run();                               // throws what a function throws that runs in it

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace beeline::ops
