#include "common/link/slot_table.hpp"

namespace beeline::link {
namespace {
std::string range_text(std::uint32_t first, std::uint32_t last) {
  return (first == last ? "slot " : "slots ") + std::to_string(first) +
         (first == last ? "" : "-" + std::to_string(last));
}
} // namespace

void slot_table::build(const std::vector<part>& parts) {
  links_.fill(no_link);
  problem_.clear();
  std::array<std::uint16_t, slot_count> owner;
  owner.fill(no_link);
  for (std::size_t p = 0; p < parts.size(); ++p) {
    for (std::size_t k = 0; k < parts[p].map->size(); ++k) {
      const shard_address& s = (*parts[p].map)[k];
      for (std::uint32_t slot = s.first; slot <= s.last; ++slot) {
        if (owner[slot] == no_link) {
          owner[slot] = static_cast<std::uint16_t>(p);
          links_[slot] = (*parts[p].links)[k];
          continue;
        }
        links_[slot] = no_link;
        if (!problem_.empty()) continue;
        std::uint32_t last = slot;
        while (last < s.last && owner[last + 1] == owner[slot]) ++last;
        problem_ = range_text(slot, last) + " served by both router " + parts[owner[slot]].router +
                   " and router " + parts[p].router + ": give each router its own --slots";
      }
    }
  }
  for (std::uint32_t slot = 0; slot < slot_count && problem_.empty(); ++slot) {
    if (owner[slot] != no_link) continue;
    std::uint32_t last = slot;
    while (last + 1 < slot_count && owner[last + 1] == no_link) ++last;
    problem_ = range_text(slot, last) +
               " served by no router: check --slots of each router and --router of this edge";
  }
}

} // namespace beeline::link
