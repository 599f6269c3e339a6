// Sets the switch of a core that breaks the rule of that name; nothing if no switch of its kind has it.
#pragma once
#include "edge-server/lane.hpp"
#include "router/shard.hpp"

namespace beeline::sim {

void plant_in_lane(edge::lane& l, std::string_view name);
void plant_in_shard(router::shard& s, std::string_view name);

} // namespace beeline::sim
