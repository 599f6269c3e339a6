#include "common/ops/latency_window.hpp"

#include "common/base/check.hpp"

#include <algorithm>

namespace beeline::ops {

void latency_window::sample(const histogram_snapshot& s, time_point now) {
  const instant x{now, s};
  if (fine_.taken % step == 0) coarse_.put(x);
  fine_.put(x);
}

latency_window::ends latency_window::ends_of(duration window) const {
  CHECK_INVARIANT(window <= longest);
  if (fine_.taken == 0) return {};
  const instant& newest = fine_.newest();
  const time_point from =
      newest.at - window + duration(limits::rates_interval) / 2; // samples are not quite punctual
  const instant* before = fine_.until(from);
  if (!before) before = coarse_.until(from);
  if (!before && !coarse_.forgot()) return {newest.values, {}}; // since the start
  return {newest.values, before ? before->values : coarse_.oldest().values};
}

void latency_windows::sample(std::size_t k, const stats_part& part, time_point now) {
  const std::lock_guard lock(mutex_);
  std::vector<named>& windows = parts_[k];
  std::size_t i = 0;
  part.for_each_latency([&](const stats_part::timed& t) {
    if (i == windows.size()) windows.push_back({t.name, {}});
    CHECK_INVARIANT(windows[i].name == t.name);
    windows[i++].window.sample(t.values, now);
  });
}

void latency_windows::tell(std::size_t k, stats_part& part) const {
  static constexpr std::pair<std::string_view, duration> told[] = {{"last_10s", std::chrono::seconds(10)},
                                                                   {"last_60s", std::chrono::seconds(60)}};
  // Copied, so that a reader that gets little of the processor does not hold up the one that samples.
  std::vector<latency_window::ends> copies;
  std::size_t wanted = 0;
  part.for_each_latency([&](const stats_part::timed&) { wanted += std::size(told); });
  copies.reserve(wanted);
  std::unique_lock lock(mutex_);
  for (const named& n : parts_[k])
    for (const auto& [name, length] : told) copies.push_back(n.window.ends_of(length));
  lock.unlock();
  std::size_t i = 0; // beyond the copies before the first sample
  part.for_each_latency([&](stats_part::timed& t) {
    for (const auto& [name, length] : told)
      t.windows.push_back({name, i < copies.size() ? copies[i].difference() : histogram_snapshot{}}), ++i;
  });
}

} // namespace beeline::ops
