#include "common/base/output.hpp"

#include "common/base/check.hpp"
#include "common/base/limits.hpp"

#include <algorithm>
#include <new>

namespace beeline {
namespace {
constexpr std::size_t free_kept[2] = {limits::small_chunks_kept, limits::large_chunks_kept};
}

chunk_pool::~chunk_pool() {
  for (chunk* c : free_)
    while (c) ::operator delete(std::exchange(c, c->next));
}

chunk* chunk_pool::make(bool large) {
  const std::size_t bytes = large ? large_bytes : small_bytes;
  auto* c = static_cast<chunk*>(::operator new(bytes)); // may have a reserve, which malloc has not
  c->capacity = static_cast<std::uint32_t>(bytes - sizeof(chunk));
  return c;
}

void chunk_pool::keep(chunk* c, bool large) noexcept {
  c->next = free_[large];
  free_[large] = c;
  ++free_count_[large];
}

void chunk_pool::fill(std::size_t large) {
  if (free_count_[0] == 0) keep(make(false), false);
  while (free_count_[1] < large) keep(make(true), true);
}

chunk* chunk_pool::take(bool large) {
  const std::size_t bytes = large ? large_bytes : small_bytes;
  chunk* c = free_[large];
  if (c) {
    free_[large] = c->next;
    --free_count_[large];
  } else {
    c = make(large);
  }
  c->next = nullptr;
  c->begin = c->end = 0;
  in_use_ += bytes;
  return c;
}

void chunk_pool::give(chunk* c) noexcept {
  const std::size_t bytes = c->capacity + sizeof(chunk);
  const bool large = bytes == large_bytes;
  in_use_ -= bytes;
  if (free_count_[large] >= free_kept[large]) return ::operator delete(c);
  keep(c, large);
}

std::byte* output_chain::extend(std::size_t n) {
  std::byte* at = room(n);
  ++appends_;
  return at;
}

std::byte* output_chain::room(std::size_t n) {
  DCHECK_INVARIANT(n <= chunk_pool::contiguous_max);
  if (!tail_ || tail_->room() < n) {
    chunk* c = pool_->take(tail_ != nullptr || n > chunk_pool::small_bytes - sizeof(chunk));
    (tail_ ? tail_->next : head_) = c;
    tail_ = c;
  }
  std::byte* at = tail_->data() + tail_->end;
  tail_->end += static_cast<std::uint32_t>(n);
  size_ += n;
  return at;
}

void output_chain::append(const_bytes b) {
  if (b.empty()) return;
  const std::size_t before = size_;
  try {
    while (!b.empty()) {
      std::size_t n = tail_ ? std::min<std::size_t>(tail_->room(), b.size()) : 0;
      if (n == 0) n = std::min(b.size(), chunk_pool::contiguous_max);
      std::memcpy(room(n), b.data(), n);
      b = b.subspan(n);
    }
  } catch (const std::bad_alloc&) {
    cut(before); // half a frame would make the rest of the stream nonsense
    throw;
  }
  ++appends_;
}

void output_chain::cut(std::size_t size) noexcept {
  if (size == 0) return clear();
  chunk* last = head_;
  for (std::size_t left = size; left > last->size(); last = last->next) left -= last->size();
  std::size_t kept = 0;
  for (chunk* c = head_; c != last; c = c->next) kept += c->size();
  last->end = last->begin + static_cast<std::uint32_t>(size - kept);
  for (chunk* c = std::exchange(last->next, nullptr); c;) pool_->give(std::exchange(c, c->next));
  tail_ = last;
  size_ = size;
}

void output_chain::clear() noexcept {
  while (head_) pool_->give(std::exchange(head_, head_->next));
  tail_ = nullptr;
  size_ = 0;
}

std::size_t output_chain::gather(iovec* iov, std::size_t max, std::size_t skip,
                                 std::size_t limit) const noexcept {
  std::size_t n = 0;
  for (chunk* c = head_; c && n < max && limit; c = c->next) {
    if (skip >= c->size()) {
      skip -= c->size();
      continue;
    }
    const std::size_t bytes = std::min<std::size_t>(c->size() - skip, limit);
    iov[n++] = {c->data() + c->begin + skip, bytes};
    limit -= bytes;
    skip = 0;
  }
  return n;
}

void output_chain::consume(std::size_t n) noexcept {
  DCHECK_INVARIANT(n <= size_);
  size_ -= n;
  while (head_ && n >= head_->size()) {
    n -= head_->size();
    pool_->give(std::exchange(head_, head_->next));
  }
  if (!head_) tail_ = nullptr;
  else head_->begin += static_cast<std::uint32_t>(n);
}

void output_chain::peek(std::size_t offset, void* to, std::size_t n) const noexcept {
  auto out = static_cast<std::byte*>(to);
  for (chunk* c = head_; n; c = c->next) {
    DCHECK_INVARIANT(c);
    if (offset >= c->size()) {
      offset -= c->size();
      continue;
    }
    const std::size_t k = std::min<std::size_t>(c->size() - offset, n);
    std::memcpy(out, c->data() + c->begin + offset, k);
    out += k, n -= k, offset = 0;
  }
}

std::size_t link_output::gather(iovec* iov, std::size_t max) const noexcept {
  std::size_t n = frame_left_ ? data.gather(iov, max, 0, frame_left_) : 0;
  n += urgent.gather(iov + n, max - n);
  n += data.gather(iov + n, max - n, frame_left_);
  return n;
}

void link_output::consume(std::size_t n) noexcept {
  if (n == size()) return clear();
  const std::size_t first = std::min(n, frame_left_);
  data.consume(first);
  data_sent_ += first;
  frame_left_ -= first;
  n -= first;
  const std::size_t second = std::min(n, urgent.size());
  urgent.consume(second);
  n -= second;
  if (n == 0) return;
  data_sent_ += n;
  // The kernel took part of the data: frame by frame from the head, to see where in one it stopped.
  while (n) {
    unsigned char length[3];
    data.peek(0, length, 3);
    const std::size_t frame = load_u24(length);
    CHECK_INVARIANT(frame >= 3 && frame <= data.size());
    const std::size_t taken = std::min(n, frame);
    data.consume(taken);
    frame_left_ = frame - taken;
    n -= taken;
  }
}

} // namespace beeline
