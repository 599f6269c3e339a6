#include "tests/sim/search/explorer.hpp"

#include <algorithm>

namespace beeline::search {
namespace {
constexpr std::size_t steps_max = 3'000; // of one run; what is not at rest by then never will be
constexpr const char* no_rest = "liveness: no rest after so many steps";
constexpr unsigned all_orders = ~0u;
} // namespace

// The first of the list is free. So is any order of frames, if all orders are wanted; time that passes
// while frames are on their way never is.
bool explorer::affordable(const action& a, std::size_t at, bool frames, const left_t& l) const {
  if (a.is_fault()) return l.faults > 0;
  if (at == 0) return true;
  if (a.kind == action::time) return frames && l.late > 0;
  return l.deviations > 0;
}
void explorer::spend(const action& a, std::size_t at, bool frames, left_t& l) const {
  if (a.is_fault()) --l.faults;
  else if (at == 0) return;
  else if (a.kind == action::time && frames) --l.late;
  else if (l.deviations != all_orders) --l.deviations;
}

// Been here with as much left to spend? If not, remembers it.
bool explorer::seen(std::uint64_t state, const left_t& l) {
  auto& all = seen_[state];
  if (std::any_of(all.begin(), all.end(), [&](const left_t& o) { return o.covers(l); })) return true;
  std::erase_if(all, [&](const left_t& o) { return l.covers(o); });
  all.push_back(l);
  return false;
}

// Follows the path as far as it is known, then on to rest or to where somebody has been before.
void explorer::run() {
  ++found_.runs;
  small_world world(plant_);
  left_t left{bounds_.faults, bounds_.deviations, bounds_.late};
  for (std::size_t depth = 0;; ++depth) {
    found_.longest = std::max(found_.longest, depth);
    if (!world.w.violation.empty()) return;
    if (world.settled()) return world.judge(), void(found_.violation = world.w.violation);
    if (depth == steps_max) return void(found_.violation = no_rest);
    world.actions(actions_);
    if (world.all_answered()) // faults have nothing to hit any more
      std::erase_if(actions_, [](const action& a) { return a.is_fault(); });
    const bool frames = actions_.front().kind == action::deliver;
    if (depth == path_.size()) {
      if (seen(world.state(), left)) return;
      branch b{0, {}};
      for (std::size_t i = actions_.size(); --i;)
        if (affordable(actions_[i], i, frames, left)) b.others.push_back(i);
      path_.push_back(std::move(b));
    }
    const std::size_t choice = path_[depth].choice;
    spend(actions_[choice], choice, frames, left);
    world.take(actions_[choice]);
    ++found_.steps;
    if (!world.w.violation.empty()) found_.violation = world.w.violation;
  }
}

found explorer::go() {
  end_ = std::chrono::steady_clock::now() + std::chrono::seconds(bounds_.seconds);
  for (;;) {
    run();
    if (!found_.violation.empty()) {
      for (const branch& b : path_) found_.choices.push_back(b.choice);
      break;
    }
    while (!path_.empty() && path_.back().others.empty()) path_.pop_back();
    if (path_.empty()) {
      found_.complete = true;
      break;
    }
    path_.back().choice = path_.back().others.back();
    path_.back().others.pop_back();
    if (out_of_time()) break;
  }
  found_.states = seen_.size();
  return found_;
}

std::string explorer::replay(const std::string& plant, const std::vector<std::size_t>& choices) {
  small_world world(plant, true);
  std::vector<action> all;
  for (std::size_t depth = 0; depth < steps_max && world.w.violation.empty() && !world.settled(); ++depth) {
    world.actions(all);
    if (world.all_answered()) std::erase_if(all, [](const action& a) { return a.is_fault(); });
    const std::size_t choice = depth < choices.size() ? choices[depth] : 0;
    if (choice >= all.size()) return "no such choice at step " + std::to_string(depth);
    world.take(all[choice]);
  }
  if (world.settled()) world.judge();
  else if (world.w.violation.empty()) return no_rest;
  return world.w.violation;
}

} // namespace beeline::search
