// The lanes that a shard's earlier lives knew of, as one lane was told: it says them to the next life, which
// waits for them. In the order in which they were told; above `most` the one that was told longest ago is
// forgotten. One more or less takes constant time on average. Owner: the endpoint, in its thread.
#pragma once
#include "common/base/ids.hpp"

#include <boost/unordered/unordered_flat_map.hpp>
#include <list>
#include <string>

namespace beeline::link {

struct known_lane {
  member_index index; // of the life that told it; without meaning for the next one
  lane_id lane;
  std::uint16_t lane_number;
  std::string edge_name;
};

class known_lanes {
public:
  known_lanes() = default;
  known_lanes(known_lanes&&) = default;
  known_lanes(const known_lanes&) = delete; // the places are of one list
  known_lanes& operator=(const known_lanes&) = delete;

  // False: another one was forgotten for it. Throws std::bad_alloc, and nothing has changed.
  bool remember(known_lane l, std::size_t most) {
    if (const auto it = at_.find(l.lane); it != at_.end()) {
      *it->second = std::move(l);
      all_.splice(all_.end(), all_, it->second);
      return true;
    }
    std::list<known_lane> one;
    one.push_back(std::move(l));
    at_.emplace(one.front().lane, one.begin());
    all_.splice(all_.end(), one);
    if (all_.size() <= most) return true;
    forget(all_.front().lane);
    return false;
  }
  void forget(lane_id lane) {
    const auto it = at_.find(lane);
    if (it == at_.end()) return;
    all_.erase(it->second);
    at_.erase(it);
  }
  void clear() {
    if (all_.empty()) return;
    all_.clear();
    at_.clear();
  }
  std::size_t size() const noexcept { return all_.size(); }
  auto begin() const noexcept { return all_.begin(); }
  auto end() const noexcept { return all_.end(); }

private:
  std::list<known_lane> all_;
  boost::unordered_flat_map<lane_id, std::list<known_lane>::iterator> at_;
};

} // namespace beeline::link
