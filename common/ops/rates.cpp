#include "common/ops/rates.hpp"

#include "common/base/check.hpp"

#include <cmath>

namespace beeline::ops {

rate_meter::rate_meter(std::span<const rate_source> sources) : sources_(sources) {
  CHECK_INVARIANT(sources.size() <= rate_sources_max);
}

void rate_meter::sample(const stats_part& part, time_point now) {
  instant x;
  x.at = now;
  for (std::size_t i = 0; i < sources_.size(); ++i)
    for (const rate_source::term& t : sources_[i].terms)
      if (!t.name.empty()) x.values[i] += t.key.empty() ? part.sum_of(t.name) : part.value_of(t.name, t.key);
  const std::lock_guard lock(mutex_);
  ring_[taken_++ % ring_.size()] = x;
}

void rate_meter::tell(json_text& out, std::string_view window, std::size_t seconds) const {
  const std::size_t back = std::min({seconds, taken_ ? taken_ - 1 : 0, ring_.size() - 1});
  const instant& newest = ring_[(taken_ + ring_.size() - 1) % ring_.size()];
  const instant& before = ring_[(taken_ + ring_.size() - 1 - back) % ring_.size()];
  const double passed = std::chrono::duration<double>(newest.at - before.at).count();
  out.object(window);
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    const auto n = static_cast<double>(newest.values[i] - before.values[i]);
    out.value(sources_[i].name, passed > 0 ? std::round(n / passed * 10) / 10 : 0.0);
  }
  out.end();
}

void rate_meter::tell(json_text& out) const {
  const std::lock_guard lock(mutex_);
  out.object("rates");
  tell(out, "1s", 1);
  tell(out, "10s", 10);
  tell(out, "60s", 60);
  out.end();
}

rate_meters::rate_meters(std::span<const rate_source> sources, std::size_t parts) : totals_(sources) {
  for (std::size_t k = 0; k < parts; ++k) parts_.push_back(std::make_unique<rate_meter>(sources));
}

} // namespace beeline::ops
