#include "common/link/inbox.hpp"

#include <algorithm>
#include <utility>

namespace beeline::link {

std::uint32_t inbox::acquire(lane_id origin) {
  auto [it, fresh] = by_id_.try_emplace(static_cast<std::uint64_t>(origin), none);
  if (fresh) {
    it->second = records_.take();
    records_[it->second] = record{};
    records_[it->second].id = origin;
    counters.origins.add();
  }
  record& r = records_[it->second];
  ++r.links;
  ++r.released;
  return it->second;
}

bool inbox::release(std::uint32_t i) {
  record& r = records_[i];
  if (--r.links) return false;
  released_.emplace_back(i, r.released);
  if (released_.size() > 2 * records_.used() + 64) // lanes that came back since are not in question any more
    std::erase_if(released_, [&](const auto& x) {
      return records_[x.first].links || records_[x.first].released != x.second;
    });
  bool forgot = false;
  while (records_.used() > limits::origins_remembered_max && !released_.empty()) forgot |= forget_oldest();
  return forgot;
}

bool inbox::forget_oldest() {
  const auto [i, which] = released_.front();
  released_.pop_front();
  record& r = records_[i];
  if (r.links || r.released != which) return false; // it came back meanwhile
  by_id_.erase(static_cast<std::uint64_t>(r.id));
  counters.memory_bytes.sub(r.memory_bytes());
  r = record{};
  records_.give(i);
  counters.origins.sub();
  counters.origins_forgotten.add();
  return true;
}

void inbox::raise_floor(std::uint32_t i, std::uint64_t floor) {
  record& r = records_[i];
  const std::size_t before = r.window.memory_bytes();
  r.window.raise_floor(floor);
  counters.memory_bytes.set(counters.memory_bytes.get() + r.window.memory_bytes() - before);
  if (!r.any_refused) return;
  for (accepted_window& w : r.refused) {
    const std::size_t had = w.memory_bytes();
    w.raise_floor(floor);
    counters.memory_bytes.set(counters.memory_bytes.get() + w.memory_bytes() - had);
  }
}

inbox::verdict inbox::judge(std::uint32_t i, const wire::message_view& m, bool here, std::uint64_t since) {
  accepted_window& w = records_[i].window;
  const std::uint64_t n = m.number();
  raise_floor(i, n - std::min<std::uint64_t>(n, m.floor_back()));
  if (w.contains(n) && !plant.no_dedup) {
    counters.duplicates.add();
    return plant.duplicate_not_answered ? verdict::drop : verdict::answer_accepted;
  }
  if (const int how = records_[i].refusal_of(n); how >= 0) {
    counters.duplicates.add();
    return refusals[how].again;
  }
  if (w.below_floor(n)) {
    counters.late_copies.add();
    return verdict::drop;
  }
  if (!here) {
    counters.not_here.add();
    return verdict::answer_not_here;
  }
  if (m.again() && !plant.again_accepted && (m.first_sent() <= since || plant.again_unknown)) {
    counters.unknown.add();
    return verdict::answer_unknown;
  }
  // A predecessor below the floor is settled: it will not be accepted after this one any more.
  const std::uint64_t before = n - std::min<std::uint64_t>(n, m.prev());
  if (m.prev() && !plant.prev_not_checked && !w.below_floor(before) && !w.contains(before) &&
      records_[i].refusal_of(before) < 0) {
    counters.retries.add();
    return verdict::answer_retry;
  }
  if (w.beyond(n)) return verdict::answer_busy;
  return verdict::take;
}

void inbox::accepted(std::uint32_t i, std::uint64_t number) { insert(i, records_[i].window, number); }
void inbox::refused(std::uint32_t i, std::uint64_t number, answer final_answer) {
  std::size_t how = 0; // another one counts as `full`
  for (std::size_t k = 0; k < std::size(refusals); ++k)
    if (refusals[k].said == final_answer) how = k;
  record& r = records_[i];
  if (!std::exchange(r.any_refused, true))
    for (accepted_window& w : r.refused) w.raise_floor(r.window.floor()); // not kept up so far
  insert(i, r.refused[how], number);
}

void inbox::insert(std::uint32_t i, accepted_window& w, std::uint64_t number) {
  const std::size_t before = records_[i].memory_bytes();
  if (!w.contains(number)) w.insert(number);
  counters.memory_bytes.set(counters.memory_bytes.get() + records_[i].memory_bytes() - before);
}

} // namespace beeline::link
