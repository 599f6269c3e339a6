// Tries all that can happen in the small world, within stated bounds, depth first.
//
// A core cannot be copied, so a path is run again from its beginning for each choice that is left open on it.
// A state that was there before, with no less left to spend, is not gone into again.
//
// What may be spent on a path: faults; deviations (anything but the oldest frame next; ~0: all orders); and
// moments at which time passes while frames are on their way.
#pragma once
#include "tests/sim/search/small_world.hpp"

#include <chrono>
#include <unordered_map>

namespace beeline::search {

struct bounds {
  unsigned faults = 1, deviations = ~0u, late = 0;
  unsigned seconds = 20;
};

struct found {
  std::uint64_t runs = 0, steps = 0, states = 0;
  std::size_t longest = 0;
  bool complete = false;
  std::string violation;
  std::vector<std::size_t> choices; // of the run that broke it
};

class explorer {
public:
  explorer(std::string plant, const bounds& b) : plant_(std::move(plant)), bounds_(b) {}
  found go();
  // One run by its choices, with each step said.
  static std::string replay(const std::string& plant, const std::vector<std::size_t>& choices);

private:
  struct left_t {
    unsigned faults, deviations, late;
    bool covers(const left_t& o) const noexcept {
      return faults >= o.faults && deviations >= o.deviations && late >= o.late;
    }
  };
  struct branch {
    std::size_t choice;              // the one taken
    std::vector<std::size_t> others; // not tried yet
  };
  bool affordable(const action& a, std::size_t at, bool frames, const left_t& l) const;
  void spend(const action& a, std::size_t at, bool frames, left_t& l) const;
  bool seen(std::uint64_t state, const left_t& l);
  void run();
  bool out_of_time() const { return std::chrono::steady_clock::now() >= end_; }

  const std::string plant_;
  const bounds bounds_;
  std::chrono::steady_clock::time_point end_;
  std::vector<branch> path_;
  std::unordered_map<std::uint64_t, std::vector<left_t>> seen_;
  std::vector<action> actions_;
  found found_;
};

} // namespace beeline::search
