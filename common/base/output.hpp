// Output of a connection: a chain of pooled chunks.
//
//   head                                    tail
//   [....sent|to send......]->[..........]->[....to send..|free]
//
// The core appends, the shell gathers into an iovec and consumes what the kernel took. Small
// chunks serve clients, which mostly have one packet to send; the second and later chunks of a
// chain are large, for links.
//
// Owner: the thread that owns the pool; chains never move between pools. A pool outlives its chains.
#pragma once
#include "common/base/bytes.hpp"

#include <sys/uio.h>
#include <utility>
#include <vector>

namespace beeline {

struct chunk {
  chunk* next;
  std::uint32_t capacity, begin, end; // bytes [begin, end) of data are to be sent
  std::byte* data() noexcept { return reinterpret_cast<std::byte*>(this + 1); }
  std::uint32_t size() const noexcept { return end - begin; }
  std::uint32_t room() const noexcept { return capacity - end; }
};

class chunk_pool {
public:
  static constexpr std::size_t small_bytes = 512, large_bytes = 16 * 1024; // with the chunk's header
  static constexpr std::size_t contiguous_max = large_bytes - sizeof(chunk);

  chunk_pool() = default;
  chunk_pool(const chunk_pool&) = delete;
  chunk_pool& operator=(const chunk_pool&) = delete;
  ~chunk_pool();

  chunk* take(bool large);
  void prepare(std::size_t bytes) { // so that chunks for so many bytes are free
    const std::size_t large = bytes / contiguous_max + 1;
    if (free_count_[0] == 0 || free_count_[1] < large) fill(large);
  }
  void give(chunk* c) noexcept;
  std::size_t bytes_in_use() const noexcept { return in_use_; } // chunks in chains, their whole size

private:
  static chunk* make(bool large);
  void keep(chunk* c, bool large) noexcept;
  void fill(std::size_t large);
  chunk* free_[2] = {nullptr, nullptr};
  std::size_t free_count_[2] = {0, 0};
  std::size_t in_use_ = 0;
};

class output_chain {
public:
  explicit output_chain(chunk_pool& pool) noexcept : pool_(&pool) {}
  output_chain(const output_chain&) = delete;
  output_chain& operator=(const output_chain&) = delete;
  ~output_chain() { clear(); }

  void append(const_bytes b); // all of it, or nothing when there is no memory (std::bad_alloc)
  // Contiguous room of n <= chunk_pool::contiguous_max bytes at the end, to be filled before
  // anything else is called; the bytes count as appended.
  std::byte* extend(std::size_t n);

  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  std::uint64_t appends() const noexcept { return appends_; } // calls of append and extend, ever
  void cut(std::size_t size) noexcept; // takes the end away: the first `size` bytes stay
  void clear() noexcept;
  // Takes from the heap now what an append or extend of n bytes may need: that then finds memory.
  void prepare(std::size_t n) {
    if (!tail_ || tail_->room() < n) pool_->prepare(n);
  }

  // Fills at most `max` entries with bytes [skip, skip + limit) of the chain; returns how many.
  std::size_t gather(iovec* iov, std::size_t max, std::size_t skip = 0,
                     std::size_t limit = SIZE_MAX) const noexcept;
  void consume(std::size_t n) noexcept; // the first n bytes have been sent

  // Copies n bytes at `offset` without consuming them; they must be there.
  void peek(std::size_t offset, void* to, std::size_t n) const noexcept;

private:
  std::byte* room(std::size_t n);
  chunk* head_ = nullptr;
  chunk* tail_ = nullptr;
  chunk_pool* pool_;
  std::size_t size_ = 0;
  std::uint64_t appends_ = 0;
};

// Output of a link: urgent frames (answers, heartbeats, registrations) go ahead of data frames, but
// never into the middle of one. A frame begins with its length in 24 bits.
class link_output {
public:
  explicit link_output(chunk_pool& pool) noexcept : urgent(pool), data(pool) {}
  output_chain urgent, data;
  std::size_t size() const noexcept { return urgent.size() + data.size(); }
  std::uint64_t frames() const noexcept {
    return urgent.appends() + data.appends();
  } // if appended whole each
  // Positions in the stream of data, ever: what was appended last ends at data_end(), and has left when
  // data_sent() is there.
  std::uint64_t data_sent() const noexcept { return data_sent_; }
  std::uint64_t data_end() const noexcept { return data_sent_ + data.size(); }
  std::size_t gather(iovec* iov, std::size_t max) const noexcept;
  void consume(std::size_t n) noexcept;
  void clear() noexcept { data_sent_ += data.size(), urgent.clear(), data.clear(), frame_left_ = 0; }

private:
  std::uint64_t data_sent_ = 0;
  std::size_t frame_left_ = 0; // bytes of a partly sent data frame at the head of `data`
};

} // namespace beeline
