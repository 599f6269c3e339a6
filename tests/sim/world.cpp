#include "tests/sim/world.hpp"

#include <algorithm>
#include <cstdio>

namespace beeline::sim {

void world::plan(time_point at, actor& who, std::uint32_t what, std::uint64_t argument) {
  if (at == never) return;
  heap_.push_back({std::max(at, now), ++sequence_, &who, argument, what});
  std::push_heap(heap_.begin(), heap_.end());
}

bool world::step(time_point end) {
  if (heap_.empty() || heap_.front().at > end || !violation.empty()) return false;
  const event e = heap_.front();
  std::pop_heap(heap_.begin(), heap_.end());
  heap_.pop_back();
  now = e.at;
  note(to_us(now), e.what);
  e.who->on_event(e.what, e.argument);
  return true;
}

void world::run_until(time_point end) {
  while (step(end)) {
  }
  if (violation.empty()) now = std::max(now, end);
}

void world::say(const char* format, ...) const {
  if (!tracing) return;
  std::printf("%10.6f  ", static_cast<double>(now.time_since_epoch().count()) / 1e6);
  va_list args;
  va_start(args, format);
  std::vprintf(format, args);
  va_end(args);
  std::putchar('\n');
}

void world::broken(const char* promise, const char* format, ...) {
  if (!violation.empty()) return;
  char text[700];
  va_list args;
  va_start(args, format);
  std::vsnprintf(text, sizeof text, format, args);
  va_end(args);
  char when[40];
  std::snprintf(when, sizeof when, " (at %.6f s)", static_cast<double>(now.time_since_epoch().count()) / 1e6);
  violation = std::string(promise) + ": " + text + when;
  say("BROKEN %s", violation.c_str());
}

} // namespace beeline::sim
