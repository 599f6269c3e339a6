// The newest drops of a core: order, what is forgotten, what is cut, and the search for one id.
#include "common/base/drop_ring.hpp"
#include "common/base/reasons.hpp"
#include "common/ops/drops_page.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using namespace beeline;

namespace {
time_point at(int us) { return time_point(duration(1'000'000 + us)); }
void put(drop_ring& r, int k) {
  r.put(drop_kind::refusal, "nobody", "C" + std::to_string(k), "to", 1, at(k));
}
} // namespace

TEST_CASE("drops: newest first, the oldest are forgotten, all are counted") {
  drop_ring r(4);
  CHECK(r.newest(10).empty());
  for (int k = 1; k <= 3; ++k) put(r, k);
  REQUIRE(r.newest(10).size() == 3);
  CHECK(r.newest(10)[0].from() == "C3");
  CHECK(r.newest(10)[2].from() == "C1");
  for (int k = 4; k <= 9; ++k) put(r, k);
  const auto all = r.newest(10);
  REQUIRE(all.size() == 4);
  CHECK(all[0].from() == "C9");
  CHECK(all[3].from() == "C6");
  CHECK(r.newest(2).size() == 2);
  CHECK(r.recorded() == 9);
}

TEST_CASE("drops: a record says who, to whom, why and how") {
  drop_ring r(4);
  r.put(drop_kind::drop, name_of(drop_reason::recipient_slow), "ann", "bob", 0, at(5));
  const auto d = r.newest(1).at(0);
  CHECK(d.from() == "ann");
  CHECK(d.to() == "bob");
  CHECK(std::string(d.reason) == "recipient_slow");
  CHECK(d.kind == drop_kind::drop);
  CHECK(d.qos == 0);
  CHECK(d.at_us == to_us(at(5)));
}

TEST_CASE("drops: ids of full length fit side by side, what is longer is cut") {
  drop_ring r(2);
  const std::string a(128, 'a'), b(300, 'b');
  r.put(drop_kind::drop, "nobody", a, b, 0, at(1));
  const auto d = r.newest(1).at(0);
  CHECK(d.from() == a);
  CHECK(d.to() == std::string(128, 'b'));
}

TEST_CASE("drops: those about one client, as sender or as recipient") {
  drop_ring r(8);
  r.put(drop_kind::drop, "nobody", "ann", "bob", 0, at(1));
  r.put(drop_kind::drop, "nobody", "eve", "joe", 0, at(2));
  r.put(drop_kind::refusal, "full", "bob", "eve", 1, at(3));
  const auto about = r.newest(10, "bob");
  REQUIRE(about.size() == 2);
  CHECK(about[0].to() == "eve");
  CHECK(about[1].from() == "ann");
  CHECK(r.newest(1, "bob").size() == 1);
  CHECK(r.newest(10, "bo").empty());
}

TEST_CASE("drops: the page merges cores by time and says where; a refused CONNECT has no QoS") {
  drop_ring a(4), b(4);
  a.put(drop_kind::drop, "nobody", "ann", "bob", 0, at(1));
  b.put(drop_kind::connect, "taken_over", "eve", {}, drop_record::no_qos, at(2));
  a.put(drop_kind::refusal, "full", "x\xff", "joe", 1, at(3));
  const std::vector<drops_told> cores{{a.newest(9), a.recorded()}, {b.newest(9), b.recorded()}};
  const auto page = ops::drops_page(cores, "lane", 9);
  CHECK(page["recorded"] == 3);
  REQUIRE(page["drops"].size() == 3);
  CHECK(page["drops"][0]["where"] == "lane 0");
  CHECK(page["drops"][0]["what"] == "refusal");
  CHECK(page["drops"][1]["where"] == "lane 1");
  CHECK(page["drops"][1]["qos"].is_null());
  CHECK(page["drops"][1]["what"] == "connect");
  CHECK(page["drops"][2]["reason"] == "nobody");
  CHECK(page["drops"][2]["qos"] == 0);
  CHECK(ops::drops_page(cores, "lane", 1)["drops"].size() == 1);
}
