// The router's /edges: pages of edges, their sums and rates; and the rates of links that stand there.
#include "router/edges_page.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using namespace beeline;
using namespace beeline::router;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

shard::lane_info lane_of(const std::string& edge, std::uint16_t lane, member_index link) {
  shard::lane_info l;
  l.edge = edge;
  l.state = "in sync";
  l.lane = lane;
  l.link = link;
  l.clients = 1;
  l.messages_in = 10;
  l.round_trip_us = 100u + link;
  return l;
}

using cluster = std::vector<std::vector<shard::lane_info>>;

// So many edges, each with a link of each lane to each shard.
cluster edges(int count, std::uint16_t lanes, std::size_t shards) {
  cluster all(shards);
  for (auto& told : all)
    for (int e = 0; e < count; ++e)
      for (std::uint16_t k = 0; k < lanes; ++k)
        told.push_back(
            lane_of("edge" + std::to_string(100'000 + e), k, static_cast<member_index>(e * lanes + k)));
  return all;
}

// As the shards would: what stands behind `after`.
json page_of(const cluster& all, const edges_query& q, const link_window& rates = {}) {
  cluster told(all.size());
  for (std::size_t k = 0; k < all.size(); ++k)
    for (const auto& l : all[k])
      if (l.edge > q.after) told[k].push_back(l);
  return json::parse(edges_page(told, q, rates).body);
}

struct pages_told {
  std::vector<std::string> names;
  std::vector<std::size_t> sizes, links; // of each page
};
pages_told turn_pages(const cluster& all, std::size_t limit) {
  pages_told out;
  edges_query q{limit, ""};
  for (;;) {
    const json page = page_of(all, q);
    out.sizes.push_back(page["edges"].size());
    out.links.push_back(0);
    for (const json& e : page["edges"]) {
      out.names.push_back(e["edge"]);
      out.links.back() += e["links"].size();
    }
    if (page["next"].is_null()) return out;
    REQUIRE(page["next"].get<std::string>() > q.after);
    q.after = page["next"];
  }
}

shard::link_total total(member_index link, std::uint64_t messages, std::uint64_t bytes) {
  shard::link_total t;
  t.link = link;
  t.messages_in = messages, t.bytes_out = bytes;
  return t;
}

} // namespace

TEST_CASE("edges page: more edges than a page holds are told by name, each once, and the last page says so") {
  cluster all = edges(5, 2, 3);
  std::swap(all[1].front(), all[1].back()); // shards tell in no order
  const pages_told told = turn_pages(all, 2);
  CHECK(told.sizes == std::vector<std::size_t>{2, 2, 1});
  CHECK(told.links == std::vector<std::size_t>{12, 12, 6});
  CHECK(told.names.size() == 5);
  CHECK(std::ranges::is_sorted(told.names));
  CHECK(turn_pages(all, 5).sizes == std::vector<std::size_t>{5}); // and no empty page behind
  CHECK(page_of({{}, {}}, {}) == json{{"edges", json::array()}, {"next", nullptr}});
}

TEST_CASE("edges page: it ends before it has too many links; an edge with more than that is told whole") {
  const pages_told told = turn_pages(edges(3, 100, 30), 1'000); // 3,000 links each
  CHECK(told.sizes == std::vector<std::size_t>{1, 1, 1});
  const pages_told small = turn_pages(edges(2'000, 2, 2), 1'000);
  CHECK(small.names.size() == 2'000);
  CHECK(*std::ranges::max_element(small.links) <= limits::edges_page_links);
  CHECK(turn_pages(edges(1, 200, 30), 1'000).links == std::vector<std::size_t>{6'000});
}

TEST_CASE("edges page: an edge is the sum of its links, or the worst of them, and lanes stand in order") {
  const json page = page_of(edges(1, 2, 2), {});
  const json& e = page["edges"][0];
  CHECK(e["clients"] == 4);
  CHECK(e["messages_in"] == 40);
  CHECK(e["round_trip_us"] == 101);
  std::string places;
  for (const json& l : e["links"])
    places += std::to_string(l["lane"].get<int>()) + std::to_string(l["shard"].get<int>()) + " ";
  CHECK(places == "00 01 10 11 ");
  CHECK(e["rates"]["10s"]["messages_in"] == 0.0); // nothing was sampled yet
}

TEST_CASE("edges page: the query is refused in words when it says nothing that can be") {
  CHECK(read_edges_query({}).limit == limits::edges_page);
  CHECK(read_edges_query({{"limit", "1000"}, {"after", "e1"}}).after == "e1");
  for (const ops::query_map& wrong :
       std::vector<ops::query_map>{{{"limit", "0"}},
                                   {{"limit", "1001"}},
                                   {{"limit", "x"}},
                                   {{"after", ""}},
                                   {{"after", "\xff"}},
                                   {{"after", std::string(limits::edge_name_bytes_max + 1, 'x')}}})
    CHECK_THROWS_AS(read_edges_query(wrong), ops::http_error);
}

TEST_CASE("link rates: the newest totals less those of ten seconds ago, told of links and of their edge") {
  link_rate_meter meter;
  CHECK(meter.window().of(0, 1).messages_in == 0);
  time_point now(1h);
  const auto second = [&](std::vector<shard::link_total> links) {
    now += 1s;
    meter.put({{now, std::move(links)}});
  };
  second({total(2, 500, 0), total(1, 100, 7'000)}); // in no order
  CHECK(meter.window().of(0, 1).messages_in == 0);  // one moment is no time
  second({total(1, 130, 7'000), total(2, 500, 0)});
  CHECK(meter.window().of(0, 1).messages_in == 30); // of the second that there was
  for (int k = 0; k < 9; ++k) second({total(1, 200, 8'000), total(2, 500, 0)});
  const link_window ten = meter.window();
  CHECK(ten.of(0, 1).messages_in == 10);
  CHECK(ten.of(0, 1).bytes_out == 100);
  CHECK(ten.of(0, 2).messages_in == 0);
  CHECK(ten.of(1, 1).messages_in == 0); // no such shard
  second({total(1, 200, 8'000), total(2, 500, 0)});
  CHECK(meter.window().of(0, 1).messages_in == 7); // the oldest second is forgotten
  CHECK(ten.of(0, 1).messages_in == 10);           // and who holds a window has it still

  shard::lane_info away = lane_of("e1", 2, no_member); // lingers
  const json page = page_of({{lane_of("e1", 0, 1), lane_of("e1", 1, 2), away}}, {}, ten);
  CHECK(page["edges"][0]["rates"]["10s"] ==
        json{{"messages_in", 10.0}, {"messages_out", 0.0}, {"bytes_in", 0.0}, {"bytes_out", 100.0}});
  CHECK(page["edges"][0]["links"][0]["rates"]["10s"]["messages_in"] == 10.0);
  CHECK(page["edges"][0]["links"][1]["rates"]["10s"]["messages_in"] == 0.0);
  CHECK(page["edges"][0]["links"][2]["rates"]["10s"]["messages_in"] == 0.0);
}

TEST_CASE("link rates: a new link counts from 0, a lost one is gone, late samples count by their time") {
  link_rate_meter meter;
  meter.put({{time_point(1h), {total(1, 100, 0)}}});
  meter.put({{time_point(1h) + 4s, {total(1, 140, 0), total(9, 80, 0)}}});
  CHECK(meter.window().of(0, 1).messages_in == 10);
  CHECK(meter.window().of(0, 9).messages_in == 20);
  meter.put({{time_point(1h) + 5s, {total(9, 80, 0)}}});
  CHECK(meter.window().of(0, 1).messages_in == 0);
}
