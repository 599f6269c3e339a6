// A queue from any thread to one, without a lock: a thread that is put off in the middle of a push keeps
// nobody else waiting, which one of SCHED_IDLE may be for as long as others want the processor.
//
//   push: a node in front of a list, by compare-and-swap; then the eventfd is written
//   take: the whole list at once, turned round, so that the oldest comes first
//
// push(): any thread. take(), wait(): the one.
#pragma once
#include "common/net/unique_fd.hpp"

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <poll.h>
#include <sys/eventfd.h>
#include <system_error>
#include <utility>

namespace beeline::ops {

template <class T> class mail_queue {
  struct node {
    T item;
    node* next; // the older one; the newer one in what take() gives
  };

public:
  class mail { // what was taken, the oldest first
  public:
    explicit mail(node* first) noexcept : first_(first) {}
    ~mail() {
      while (!empty()) pop();
    }
    mail(const mail&) = delete;
    mail& operator=(const mail&) = delete;
    bool empty() const noexcept { return !first_; }
    T pop() noexcept {
      const std::unique_ptr<node> taken(std::exchange(first_, first_->next));
      return std::move(taken->item);
    }

  private:
    node* first_;
  };

  mail_queue() : wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) { // throws without descriptors
    if (!wake_) throw std::system_error(errno, std::generic_category(), "eventfd");
  }
  ~mail_queue() { take(); } // drops it
  mail_queue(const mail_queue&) = delete;
  mail_queue& operator=(const mail_queue&) = delete;

  void push(T item) {
    auto* const made = new node{std::move(item), newest_.load(std::memory_order_relaxed)};
    while (!newest_.compare_exchange_weak(made->next, made, std::memory_order_release,
                                          std::memory_order_relaxed)) {
    }
    // Also when there was something: who put that may not have come to write yet.
    ::eventfd_write(wake_.get(), 1);
  }
  mail take() noexcept {
    eventfd_t ignored;
    ::eventfd_read(wake_.get(), &ignored);
    node* oldest = nullptr;
    for (node* n = newest_.exchange(nullptr, std::memory_order_acquire); n;)
      n = std::exchange(n->next, std::exchange(oldest, n));
    return mail(oldest);
  }
  void wait() const { // until there is something, or a signal
    pollfd p{wake_.get(), POLLIN, 0};
    ::poll(&p, 1, -1);
  }
  int descriptor() const noexcept { return wake_.get(); } // readable when there is something

private:
  std::atomic<node*> newest_ = nullptr;
  net::unique_fd wake_;
};

} // namespace beeline::ops
