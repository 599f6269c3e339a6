// Asks every core thread one question and brings the answers together in the control loop, so that
// neither the asker waits nor a shard or lane makes pages. The page of the answers is made by the thread that
// gives way (idle_worker.hpp).
//
//   asker --question--> shards or lanes --answers--> control loop --copies--> pages --page--> admin thread
//
// Any thread may ask. If one of the threads has ended, `done` is not called.
#pragma once
#include "common/base/time.hpp"
#include "common/ops/control_loop.hpp"
#include "common/ops/idle_worker.hpp"

#include <atomic>
#include <memory>
#include <utility>
#include <vector>

namespace beeline::ops {

// `threads`: pointers to core_threads. `question`: (core, now) -> R, called in each one's thread.
// `done`: (std::vector<R>&), in the order of the threads.
template <class Thread, class Question, class Done>
void gather(control_loop& control, const std::vector<Thread*>& threads, Question question, Done done) {
  using R = decltype(question(std::declval<typename Thread::core_type&>(), time_point{}));
  struct state {
    std::vector<R> answers;
    std::atomic<std::size_t> missing;
    Done done;
  };
  auto s = std::make_shared<state>(std::vector<R>(threads.size()), threads.size(), std::move(done));
  for (std::size_t i = 0; i < threads.size(); ++i)
    threads[i]->call([&control, s, i, question](typename Thread::core_type& core, time_point now) mutable {
      s->answers[i] = question(core, now);
      if (s->missing.fetch_sub(1, std::memory_order_acq_rel) == 1) control.post([s] { s->done(s->answers); });
    });
}

// Answers a request with make(answers), an http_response: 500 when it throws.
template <class Thread, class Question, class Make>
void respond_gathered(control_loop& control, idle_worker& pages, const std::vector<Thread*>& threads,
                      http_responder respond, Question question, Make make) {
  gather(control, threads, std::move(question),
         [&pages, respond = std::move(respond), make = std::move(make)](const auto& answers) {
           // A copy: were a shard's memory freed there, the shard could meet the lock of its heap in the
           // hands of a thread that has been put off.
           respond_later(pages, respond, [make, answers] { return make(answers); });
         });
}

} // namespace beeline::ops
