#include "common/ops/rates.hpp"

#include "common/base/check.hpp"

#include <cmath>

namespace beeline::ops {

std::uint64_t rate_source::term::of(const stats_part& part) const {
  if (name.empty()) return 0;
  return key.empty() ? part.sum_of(name) : part.value_of(name, key);
}

rate_meter::rate_meter(std::span<const rate_source> sources) : sources_(sources) {
  CHECK_INVARIANT(sources.size() <= rate_sources_max);
}

void rate_meter::sample(const stats_part& part, time_point now) {
  instant x;
  x.at = now;
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    for (const rate_source::term& t : sources_[i].terms) x.values[i] += t.of(part);
    x.values[i] -= sources_[i].less.of(part);
  }
  const std::lock_guard lock(mutex_);
  ring_[taken_++ % ring_.size()] = x;
}

const rate_meter::instant& rate_meter::ago(std::size_t samples) const {
  const std::size_t back = std::min({samples, taken_ ? taken_ - 1 : 0, ring_.size() - 1});
  return ring_[(taken_ + ring_.size() - 1 - back) % ring_.size()];
}

void rate_meter::tell(json_text& out, std::string_view window, const instant& before,
                      const instant& newest) const {
  const double passed = std::chrono::duration<double>(newest.at - before.at).count();
  out.object(window);
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    const auto n = static_cast<double>(newest.values[i] - before.values[i]);
    out.value(sources_[i].name, passed > 0 ? std::round(n / passed * 10) / 10 : 0.0);
  }
  out.end();
}

void rate_meter::tell(json_text& out) const {
  // Copied, so that a reader that gets little of the processor does not hold up the one that samples.
  std::unique_lock lock(mutex_);
  const instant newest = ago(0), second = ago(1), ten = ago(10), sixty = ago(60);
  lock.unlock();
  out.object("rates");
  tell(out, "1s", second, newest);
  tell(out, "10s", ten, newest);
  tell(out, "60s", sixty, newest);
  out.end();
}

rate_meters::rate_meters(std::span<const rate_source> sources, std::size_t parts) : totals_(sources) {
  for (std::size_t k = 0; k < parts; ++k) parts_.push_back(std::make_unique<rate_meter>(sources));
}

} // namespace beeline::ops
