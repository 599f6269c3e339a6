#include "common/base/limits.hpp"
#include "common/link/known_lanes.hpp"

#include <catch2/catch.hpp>

using namespace beeline;
using link::known_lane;
using link::known_lanes;

namespace {
known_lane lane(std::uint64_t id, member_index index = 0) { return {index, lane_id{id}, 0, "edge"}; }

std::vector<std::uint64_t> ids(const known_lanes& all) {
  std::vector<std::uint64_t> out;
  for (const known_lane& l : all) out.push_back(static_cast<std::uint64_t>(l.lane));
  return out;
}
} // namespace

TEST_CASE("known_lanes: each lane once, in the order in which they were told last") {
  known_lanes all;
  for (const std::uint64_t id : {1, 2, 3}) CHECK(all.remember(lane(id), 10));
  CHECK(all.remember(lane(1, 7), 10));
  CHECK(ids(all) == std::vector<std::uint64_t>{2, 3, 1});
  CHECK(std::prev(all.end())->index == 7);
  all.forget(lane_id{3});
  all.forget(lane_id{3});
  CHECK(ids(all) == std::vector<std::uint64_t>{2, 1});
  all.clear();
  CHECK(all.size() == 0);
  CHECK(all.remember(lane(2), 10));
  CHECK(ids(all) == std::vector<std::uint64_t>{2});
}

TEST_CASE("known_lanes: above the limit the one that was told longest ago is forgotten [P6]") {
  known_lanes all;
  for (const std::uint64_t id : {1, 2, 3}) CHECK(all.remember(lane(id), 3));
  CHECK(all.remember(lane(1), 3)); // it is among them
  CHECK_FALSE(all.remember(lane(4), 3));
  CHECK(ids(all) == std::vector<std::uint64_t>{3, 1, 4});
  all.forget(lane_id{2}); // forgotten before
  CHECK(all.remember(lane(1), 3));
  CHECK_FALSE(all.remember(lane(5), 3));
  CHECK(ids(all) == std::vector<std::uint64_t>{4, 1, 5});
}

TEST_CASE("known_lanes: as many as a shard may have, three times over") {
  known_lanes all;
  constexpr std::uint64_t most = limits::members_max;
  std::size_t forgotten = 0;
  for (std::uint64_t id = 0; id < 3 * most; ++id) forgotten += !all.remember(lane(id), most);
  CHECK(forgotten == 2 * most);
  CHECK(all.size() == most);
}
