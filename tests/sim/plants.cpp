#include "tests/sim/plants.hpp"

#include "tests/sim/settings.hpp"

namespace beeline::sim {
namespace {
bool is_plant(std::string_view path, std::string_view name) {
  return path.substr(path.rfind('.') + 1) == name;
}
} // namespace

// Each plant is of one kind of object.
#define BEELINE_PLANT_lane(path)                                                                             \
  if (is_plant(#path, name)) l.endpoint().path = true;
#define BEELINE_PLANT_edge(path)                                                                             \
  if (is_plant(#path, name)) l.path = true;
#define BEELINE_PLANT_shard(path)
#define BEELINE_PLANT_shell(path)
#define X(where, path) BEELINE_PLANT_##where(path)
void plant_in_lane(edge::lane& l, std::string_view name) { BEELINE_SIM_PLANTS(X) }
#undef BEELINE_PLANT_lane
#undef BEELINE_PLANT_edge
#undef BEELINE_PLANT_shard
#define BEELINE_PLANT_lane(path)
#define BEELINE_PLANT_edge(path)
#define BEELINE_PLANT_shard(path)                                                                            \
  if (is_plant(#path, name)) s.path = true;
void plant_in_shard(router::shard& s, std::string_view name) { BEELINE_SIM_PLANTS(X) }
#undef X
#undef BEELINE_PLANT_lane
#undef BEELINE_PLANT_edge
#undef BEELINE_PLANT_shard
#undef BEELINE_PLANT_shell

} // namespace beeline::sim
