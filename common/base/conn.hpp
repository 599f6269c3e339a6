// A connection as the core sees it: the seam between the sans-I/O core and whoever moves the bytes
// (the Asio shell, or the simulator).
//
// The shell owns the object and calls the core's on_up / on_bytes / on_drained / on_down for it, in
// the core's thread; on_down is the last call and comes exactly once for each on_up. The core
// appends to the output, sets the wishes below, and marks the connection dirty; at the end of its
// turn the shell walks the dirty list, writes, and acts on the wishes. on_drained follows every write that
// took bytes.
#pragma once
#include "common/base/output.hpp"
#include "common/base/reasons.hpp"

#include <memory>

namespace beeline {

struct conn {
  enum class kind_t : std::uint8_t { client, link };

  conn(kind_t k, chunk_pool& pool) : out(pool), kind(k) {
    if (k == kind_t::link) link = std::make_unique<link_output>(pool);
  }
  conn(const conn&) = delete;
  conn& operator=(const conn&) = delete;

  output_chain out;                  // a client's output
  std::unique_ptr<link_output> link; // a link's output, instead
  void* shell = nullptr;             // the shell's own
  conn* prev_dirty = nullptr;
  conn* next_dirty = nullptr;
  std::uint64_t sent = 0;           // bytes the network took, ever ...
  std::uint64_t writes = 0;         // ... in so many writes
  std::uint32_t owner = 0xffffffff; // the core's own: index of a session or link
  std::int32_t move_to = -1;        // hand the socket, with what on_bytes did not consume, to this lane
  kind_t kind;
  close_reason why = close_reason::none; // set by the core together with a close wish, for log and counter
  bool dirty = false;
  bool want_read = true;          // false: back pressure, read nothing more for now
  bool close_after_flush = false; // say the last words, then close (within limits::close_flush_max)
  bool close_now = false;         // close without a further byte

  std::size_t output_bytes() const noexcept { return link ? link->size() : out.size(); }
  bool closing() const noexcept { return close_after_flush || close_now; }
  std::size_t gather(iovec* iov, std::size_t max) const noexcept {
    return link ? link->gather(iov, max) : out.gather(iov, max);
  }
  void consume(std::size_t n) noexcept {
    link ? link->consume(n) : out.consume(n);
    sent += n;
    writes += n > 0;
  }
};

// Intrusive list of connections that need the shell's attention. First in, first out.
class dirty_list {
public:
  void mark(conn& c) noexcept {
    if (c.dirty) return;
    c.dirty = true;
    c.prev_dirty = tail_;
    c.next_dirty = nullptr;
    (tail_ ? tail_->next_dirty : head_) = &c;
    tail_ = &c;
  }
  void remove(conn& c) noexcept {
    if (!c.dirty) return;
    (c.prev_dirty ? c.prev_dirty->next_dirty : head_) = c.next_dirty;
    (c.next_dirty ? c.next_dirty->prev_dirty : tail_) = c.prev_dirty;
    c.dirty = false;
  }
  conn* pop() noexcept {
    conn* c = head_;
    if (c) remove(*c);
    return c;
  }
  bool empty() const noexcept { return head_ == nullptr; }

private:
  conn* head_ = nullptr;
  conn* tail_ = nullptr;
};

} // namespace beeline
