// A thread for work that may wait: it runs when no other thread wants the processor (SCHED_IDLE), and
// gives way at once when one does. Admin pages are made here: /stats takes some 40 µs (docs/performance.md),
// and sixty of them a second are enough to move the p99 of messages when lanes and shards have to wait for
// their end.
//
// On a machine that is full the work comes late, the later the more processor time it takes. When it has
// waited for limits::page_patience, the control loop does it instead, which asks for that four times a
// second: so whoever watches is mostly answered also when every processor is busy. Work comes and answers go
// without a lock (mail_queue.hpp), as the thread can be put off with one in its hands. (Mostly: to make a
// page it takes those of malloc and of samples, for moments.) What must answer at once then (/healthz,
// /readyz) does not come here.
//
// post(): any thread. Work may be run twice then, by both threads at once: it must change nothing that others
// see but what bears it, as a responder does. What is posted after the end began is dropped. Work that throws
// is dropped too.
#pragma once
#include "common/base/time.hpp"
#include "common/ops/admin_http.hpp"

#include <functional>
#include <memory>

namespace beeline::ops {

class idle_worker {
public:
  idle_worker();
  ~idle_worker(); // as stop()
  idle_worker(const idle_worker&) = delete;
  idle_worker& operator=(const idle_worker&) = delete;

  void post(std::function<void(bool late)> work); // `late`: it is run by run_overdue
  void run_overdue(time_point now); // what has waited too long, in this thread: one, the control loop's
  void stop();                      // ends the work under way first; what waits is dropped

private:
  struct job;
  struct impl;
  std::unique_ptr<impl> impl_;
};

// Answers with what `make` gives, from that thread; an http_error as it says, with 500 when it throws
// anything else.
void respond_later(idle_worker& pages, http_responder respond, std::function<http_response()> make);

} // namespace beeline::ops
