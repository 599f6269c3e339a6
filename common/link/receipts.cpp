#include "common/link/receipts.hpp"

namespace beeline::link {

// --- awaited ----------------------------------------------------------------------------------------

bool receipts_awaited::add(const entry& e) noexcept try {
  const std::uint32_t i = entries_.take();
  try {
    by_number_.insert_or_assign(e.number, i);
  } catch (const std::bad_alloc&) {
    entries_.give(i);
    return false;
  }
  entries_[i] = e;
  by_age_.push_back(entries_, i);
  return true;
} catch (const std::bad_alloc&) {
  return false;
}

void receipts_awaited::remove(std::uint32_t i, entry& out) {
  out = entries_[i];
  by_age_.remove(entries_, i);
  by_number_.erase(out.number);
  entries_.give(i);
}

bool receipts_awaited::take(std::uint32_t number, entry& out) {
  const auto it = by_number_.find(number);
  if (it == by_number_.end()) return false;
  remove(it->second, out);
  return true;
}

bool receipts_awaited::take_late(time_point now, entry& out) {
  if (next_deadline() > now) return false;
  remove(by_age_.head, out);
  return true;
}

// --- owed -------------------------------------------------------------------------------------------

std::uint32_t receipts_owed::open(lane_id origin, std::uint32_t number, std::uint16_t link) noexcept try {
  if (entries_.used() >= most_ || has(origin, number))
    return none; // no number comes again while anybody waits
  const std::uint32_t i = entries_.take();
  try {
    by_number_.emplace(name{origin, number}, i);
  } catch (const std::bad_alloc&) {
    entries_.give(i);
    return none;
  }
  entry& e = entries_[i];
  e = entry{};
  e.origin = origin;
  e.number = number;
  e.link = link;
  e.used = true;
  return i;
} catch (const std::bad_alloc&) {
  return none;
}

void receipts_owed::remove(std::uint32_t i) {
  entry& e = entries_[i];
  if (e.said) said_.remove(entries_, i);
  by_number_.erase({e.origin, e.number});
  e = entry{};
  entries_.give(i);
}

void receipts_owed::close(std::uint32_t i) { remove(i); }

const receipts_owed::entry& receipts_owed::settle(std::uint32_t i, wire::receipt what, time_point now) {
  entry& e = entries_[i];
  CHECK_INVARIANT(e.used && !e.said);
  e.said = true;
  e.what = what;
  e.said_at = now;
  said_.push_back(entries_, i);
  return e;
}

void receipts_owed::heard(lane_id origin, std::uint32_t number) {
  if (const auto it = by_number_.find({origin, number}); it != by_number_.end() && entries_[it->second].said)
    remove(it->second);
}

std::size_t receipts_owed::forget_late(time_point said_before) {
  std::size_t n = 0;
  for (; !said_.empty() && entries_[said_.head].said_at <= said_before; ++n) remove(said_.head);
  return n;
}

} // namespace beeline::link
