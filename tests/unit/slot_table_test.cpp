// Slot maps of routers put together: every slot once, or words that say what is wrong.
#include "common/link/slot_table.hpp"

#include <catch2/catch.hpp>

using namespace beeline;
using link::router_map;
using link::slot_table;

namespace {

id_hash hash_in_slot(std::uint32_t slot) { return (id_hash{slot} << 52) | 12345; }

struct two_routers {
  router_map a, b;
  std::vector<std::uint16_t> links_a{0, 1}, links_b{2, 3};
  slot_table table;
  void build() { table.build({{"one:1", &a, &links_a}, {"two:2", &b, &links_b}}); }
};

} // namespace

TEST_CASE("slot_table: nothing is served before a map is known") {
  slot_table t;
  CHECK(t.problem() == "no router has announced its slots yet");
}

TEST_CASE("slot_table: two routers with two shards each serve every slot once") {
  two_routers r;
  r.a = {{0, 1023, "one", 1}, {1024, 2047, "one", 2}};
  r.b = {{2048, 3071, "two", 1}, {3072, 4095, "two", 2}};
  r.build();
  CHECK(r.table.problem().empty());
  for (std::uint32_t slot = 0; slot < slot_count; ++slot)
    REQUIRE(r.table.link_of(hash_in_slot(slot)) == slot / 1024);
}

TEST_CASE("slot_table: a gap is named, with what to check") {
  two_routers r;
  r.a = {{0, 1023, "one", 1}};
  r.b = {{2048, 4095, "two", 1}};
  r.build();
  CHECK(r.table.problem() ==
        "slots 1024-2047 served by no router: check --slots of each router and --router of this edge");
  CHECK(r.table.link_of(hash_in_slot(1024)) == slot_table::no_link);
  CHECK(r.table.link_of(hash_in_slot(1023)) == 0);
  r.b = {{1025, 4095, "two", 1}};
  r.a = {{0, 1023, "one", 1}};
  r.build();
  CHECK(r.table.problem().rfind("slot 1024 served by no router", 0) == 0);
}

TEST_CASE("slot_table: an overlap is named, with both routers") {
  two_routers r;
  r.a = {{0, 2047, "one", 1}};
  r.b = {{2000, 4095, "two", 1}};
  r.build();
  CHECK(r.table.problem().find("served by both router one:1 and router two:2") != std::string::npos);
  CHECK(r.table.problem().find("slots 2000-2047 ") != std::string::npos);
  CHECK(r.table.link_of(hash_in_slot(1999)) == 0); // what is in doubt is served by nobody
  CHECK(r.table.link_of(hash_in_slot(2000)) == slot_table::no_link);
  CHECK(r.table.link_of(hash_in_slot(2047)) == slot_table::no_link);
  CHECK(r.table.link_of(hash_in_slot(2048)) == 2);
  CHECK(r.table.problem().find("--slots") != std::string::npos);
}

TEST_CASE("slot_table: a problem is gone when the maps fit again") {
  two_routers r;
  r.a = {{0, 2047, "one", 1}};
  r.build();
  CHECK_FALSE(r.table.problem().empty());
  r.b = {{2048, 4095, "two", 1}};
  r.build();
  CHECK(r.table.problem().empty());
}
