// How many a second: the counters of one part of a program, sampled once a second over a minute.
//
//   samples:  [-60 s] ... [-10 s] ... [-1 s][newest]      rates: the newest less the one before, by the
//                                                         time that was really between them
//
// Sampled by the control loop, told by the thread that makes pages; never by a shard or lane, whose counters
// are only read. Windows that are longer than the program has run take what there is.
#pragma once
#include "common/base/limits.hpp"
#include "common/base/time.hpp"
#include "common/ops/stats_page.hpp"

#include <array>
#include <mutex>

namespace beeline::ops {

// A rate: the sum of some samples of a stats_part, less one that is among them. An empty key means all of a
// family; `terms` may have an empty second, `less` an empty name.
struct rate_source {
  struct term {
    std::string_view name, key = {};
    std::uint64_t of(const stats_part& part) const;
  };
  std::string_view name;
  std::array<term, 2> terms{};
  term less{};
};
inline constexpr std::size_t rate_sources_max = 16;

class rate_meter {
public:
  explicit rate_meter(std::span<const rate_source> sources);
  void sample(const stats_part& part, time_point now);
  void tell(json_text& out) const; // "rates": {"1s": {"messages_in": 12, ...}, "10s": ..., "60s": ...}

private:
  struct instant {
    time_point at{};
    std::array<std::uint64_t, rate_sources_max> values{};
  };
  const instant& ago(std::size_t samples) const;
  void tell(json_text& out, std::string_view window, const instant& before, const instant& newest) const;

  const std::span<const rate_source> sources_; // a constant table
  mutable std::mutex mutex_;
  std::array<instant, limits::rates_kept> ring_;
  std::size_t taken_ = 0; // ever
};

// The meters of a program's parts and of all of them together.
class rate_meters {
public:
  rate_meters(std::span<const rate_source> sources, std::size_t parts);
  // tell(k): the stats_part of part k. Control loop.
  template <class Tell> void sample(Tell tell, time_point now) {
    stats_part totals;
    for (std::size_t k = 0; k < parts_.size(); ++k) {
      const stats_part part = tell(k);
      parts_[k]->sample(part, now);
      totals.add(part);
    }
    totals_.sample(totals, now);
  }
  void tell_part(json_text& out, std::size_t k) const { parts_[k]->tell(out); }
  void tell_all(json_text& out) const { totals_.tell(out); }

private:
  std::vector<std::unique_ptr<rate_meter>> parts_;
  rate_meter totals_;
};

} // namespace beeline::ops
