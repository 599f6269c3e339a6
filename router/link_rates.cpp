#include "router/link_rates.hpp"

#include <algorithm>

namespace beeline::router {
namespace {

const shard::link_total* find(const link_sample& s, member_index link) {
  const auto at = std::ranges::lower_bound(s.links, link, {}, &shard::link_total::link);
  return at != s.links.end() && at->link == link ? &*at : nullptr;
}

// Too old, of one shard at least: it did not turn meanwhile.
bool beyond_window(const std::vector<link_sample>& old, const std::vector<link_sample>& newest) {
  for (std::size_t k = 0; k < newest.size(); ++k)
    if (newest[k].at - old[k].at > limits::link_rates_window + limits::rates_interval) return true;
  return false;
}

} // namespace

traffic_rates& traffic_rates::operator+=(const traffic_rates& other) {
  messages_in += other.messages_in, messages_out += other.messages_out;
  bytes_in += other.bytes_in, bytes_out += other.bytes_out;
  return *this;
}

traffic_rates link_window::of(std::size_t shard, member_index link) const {
  if (!newest_ || shard >= newest_->size()) return {};
  const link_sample &from = (*before_)[shard], &to = (*newest_)[shard];
  const double passed = std::chrono::duration<double>(to.at - from.at).count();
  const shard::link_total* now = find(to, link);
  if (!now || passed <= 0) return {};
  const shard::link_total* before = find(from, link);
  const auto rate = [&](std::uint64_t shard::traffic::*total) {
    const std::uint64_t since = before ? before->*total : 0;
    // Less than it had: the index names another link by now, which began at 0.
    return static_cast<double>(now->*total >= since ? now->*total - since : now->*total) / passed;
  };
  return {rate(&shard::traffic::messages_in), rate(&shard::traffic::messages_out),
          rate(&shard::traffic::bytes_in), rate(&shard::traffic::bytes_out)};
}

void link_rate_meter::put(std::vector<link_sample> shards) {
  for (link_sample& s : shards) std::ranges::sort(s.links, {}, &shard::link_total::link);
  auto newest = std::make_shared<const std::vector<link_sample>>(std::move(shards));
  std::deque<link_window::instant> gone; // freed when the lock is not held any more
  const std::lock_guard lock(mutex_);
  kept_.push_back(std::move(newest));
  while (kept_.size() > limits::link_rates_window / limits::rates_interval + 1 ||
         beyond_window(*kept_.front(), *kept_.back())) {
    gone.push_back(std::move(kept_.front()));
    kept_.pop_front();
  }
}

link_window link_rate_meter::window() const {
  const std::lock_guard lock(mutex_);
  return kept_.empty() ? link_window() : link_window(kept_.front(), kept_.back());
}

} // namespace beeline::router
