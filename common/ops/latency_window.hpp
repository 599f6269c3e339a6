// What a latency was over the last seconds: a histogram that counts since the start, sampled once a second.
//
//   kept:  [-66 s] .. each 6th .. [-12 s][-10 s][-9 s] .. each .. [-1 s][newest]
//   told:  the newest less the youngest that is old enough; less nothing while the program is younger than
//   that
//
// A window is as long as asked, to half a second; that of 60 s up to 6 s longer; and longer by as much as
// samples were late. Memory is fixed: 23 snapshots, 37 KB for each latency of each part.
//
// latency_window is plain data. latency_windows is sampled by the control loop and asked by the thread that
// makes pages.
#pragma once
#include "common/base/limits.hpp"
#include "common/base/time.hpp"
#include "common/ops/stats_page.hpp"

#include <array>
#include <mutex>

namespace beeline::ops {

class latency_window {
public:
  static constexpr duration longest = std::chrono::seconds(60);

  struct ends {
    histogram_snapshot newest, before;
    histogram_snapshot difference() const { return newest.since(before); }
  };

  void sample(const histogram_snapshot& s, time_point now);
  ends ends_of(duration window) const; // up to the newest sample; window <= longest
  histogram_snapshot last(duration window) const { return ends_of(window).difference(); }

private:
  struct instant {
    time_point at{};
    histogram_snapshot values;
  };
  template <std::size_t N> struct ring {
    std::array<instant, N> kept;
    std::size_t taken = 0; // ever
    void put(const instant& x) { kept[taken++ % N] = x; }
    bool forgot() const noexcept { return taken > N; }
    // The youngest that is not younger than `at`; else null.
    const instant* until(time_point at) const noexcept {
      for (std::size_t back = 0; back < std::min(taken, N); ++back)
        if (const instant& x = kept[(taken - 1 - back) % N]; x.at <= at) return &x;
      return nullptr;
    }
    const instant& newest() const noexcept { return kept[(taken - 1) % N]; }
    const instant& oldest() const noexcept { return kept[forgot() ? taken % N : 0]; }
  };

  static constexpr std::size_t step = 6; // of the coarse samples, in fine ones
  ring<11> fine_;
  ring<longest / limits::rates_interval / step + 2> coarse_;
};

// Those of all latencies of a program's parts.
class latency_windows {
public:
  explicit latency_windows(std::size_t parts) : parts_(parts) {}
  void sample(std::size_t k, const stats_part& part, time_point now);
  // Gives the latencies of part k their windows "last_10s" and "last_60s"; those of totals add up from there.
  void tell(std::size_t k, stats_part& part) const;

private:
  struct named {
    std::string_view name;
    latency_window window;
  };
  mutable std::mutex mutex_;
  std::vector<std::vector<named>> parts_; // in the order of the part's latencies
};

} // namespace beeline::ops
