// Which link serves a slot: made of the slot maps that the routers announce.
//
// Several routers each announce their own part; together they have to cover every slot exactly
// once. `problem()` says in words what does not fit, and the edge is not ready while it says
// anything. No I/O. Owner: one lane's thread.
#pragma once
#include "common/base/ids.hpp"

#include <array>
#include <optional>
#include <string>
#include <vector>

namespace beeline::link {

struct shard_address {
  std::uint16_t first = 0, last = 0; // slots
  std::string host;
  std::uint16_t port = 0;
  friend bool operator==(const shard_address&, const shard_address&) = default;
};
using router_map = std::vector<shard_address>; // of one router, in order of its shards

class slot_table {
public:
  static constexpr std::uint16_t no_link = 0xffff;
  struct part {
    std::string router; // as configured, for messages
    const router_map* map;
    const std::vector<std::uint16_t>* links; // of its shards, in the map's order
  };
  // Builds the table anew. Slots in doubt are served by no link.
  void build(const std::vector<part>& parts);
  std::uint16_t link_of(id_hash h) const noexcept { return links_[slot_of(h)]; }
  const std::string& problem() const noexcept { return problem_; } // empty: all slots covered once

private:
  std::array<std::uint16_t, slot_count> links_{};
  std::string problem_ = "no router has announced its slots yet";
};

} // namespace beeline::link
