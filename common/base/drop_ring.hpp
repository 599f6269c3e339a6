// The newest drops and refusals of one core: what an operator asks when a message did not arrive.
//
// A ring of fixed records, allocated once; writing one copies two ids of at most 128 bytes and
// nothing else: about 100 instructions (20 ns), so a flood of drops is no danger.
// Reasons are literals (the names in reasons.hpp and their like).
//
// Owner: the core's thread, for reading too: others ask it.
#pragma once
#include "common/base/limits.hpp"
#include "common/base/time.hpp"

#include <algorithm>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

namespace beeline {

enum class drop_kind : std::uint8_t { drop, refusal, connect };
inline constexpr std::string_view drop_kind_names[] = {"drop", "refusal", "connect"};

struct drop_record { // trivial: the memory of a ring is touched only as it fills
  static constexpr std::uint8_t no_qos = 0xff;
  std::uint64_t at_us; // of the core's clock
  const char* reason;
  drop_kind kind;
  std::uint8_t qos, from_bytes, to_bytes;
  char ids[2 * limits::client_id_bytes_max]; // from, then to

  std::string_view from() const noexcept { return {ids, from_bytes}; }
  std::string_view to() const noexcept { return {ids + from_bytes, to_bytes}; }
  bool about(std::string_view id) const noexcept { return from() == id || to() == id; }
};

class drop_ring {
public:
  explicit drop_ring(std::size_t capacity = limits::drops_kept)
      : capacity_(capacity), records_(std::make_unique_for_overwrite<drop_record[]>(capacity)) {}

  // Longer texts are cut. Never inlined: it stands beside hot paths.
  [[gnu::noinline]] void put(drop_kind kind, std::string_view reason, std::string_view from,
                             std::string_view to, std::uint8_t qos, time_point now) noexcept {
    drop_record& r = records_[next_];
    if (++next_ == capacity_) next_ = 0;
    ++recorded_;
    r.at_us = to_us(now);
    r.reason = reason.data();
    r.kind = kind;
    r.qos = qos;
    r.from_bytes = static_cast<std::uint8_t>(std::min(from.size(), limits::client_id_bytes_max));
    r.to_bytes = static_cast<std::uint8_t>(std::min(to.size(), limits::client_id_bytes_max));
    if (r.from_bytes) std::memcpy(r.ids, from.data(), r.from_bytes);
    if (r.to_bytes) std::memcpy(r.ids + r.from_bytes, to.data(), r.to_bytes);
  }

  std::uint64_t recorded() const noexcept { return recorded_; } // ever
  // Newest first, at most `most`; only those about `id` unless it is empty.
  std::vector<drop_record> newest(std::size_t most, std::string_view id = {}) const {
    std::vector<drop_record> all;
    const auto kept = static_cast<std::size_t>(std::min<std::uint64_t>(recorded_, capacity_));
    if (id.empty()) all.reserve(std::min(most, kept));
    for (std::size_t k = 1; k <= kept && all.size() < most; ++k)
      if (const drop_record& r = records_[(next_ + capacity_ - k) % capacity_]; id.empty() || r.about(id))
        all.push_back(r);
    return all;
  }

private:
  const std::size_t capacity_;
  const std::unique_ptr<drop_record[]> records_;
  std::size_t next_ = 0;
  std::uint64_t recorded_ = 0;
};

// What the newest records of a core are, asked in its thread.
struct drops_told {
  std::vector<drop_record> newest;
  std::uint64_t recorded = 0;
};

} // namespace beeline
