// The router's /edges: pages of edges, their sums and rates; and the rates of links that stand there.
#include "router/edges_page.hpp"
#include "tests/support/link_shard_tools.hpp"

#include <catch2/catch.hpp>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>

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
  l.writes = link, l.written_bytes = 100u * link;
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

// As a shard would: whole edges behind `after`, as many as may be.
shard::lanes_told told_by(const std::vector<shard::lane_info>& all, const edges_query& q) {
  std::map<std::string, std::vector<shard::lane_info>> by_edge;
  for (const auto& l : all)
    if (l.edge > q.after) by_edge[l.edge].push_back(l);
  shard::lanes_told told;
  std::size_t edges = 0;
  for (const auto& [name, lanes] : by_edge) {
    told.more =
        edges == q.limit || (edges > 0 && told.lanes.size() + lanes.size() > limits::edges_page_links);
    if (told.more) break;
    told.lanes.insert(told.lanes.end(), lanes.begin(), lanes.end());
    ++edges;
  }
  return told;
}

json page_of(const cluster& all, const edges_query& q, const link_window& rates = {}) {
  std::vector<shard::lanes_told> told;
  for (const auto& s : all) told.push_back(told_by(s, q));
  return json::parse(edges_page(told, q, rates).body);
}

struct pages_told {
  std::vector<std::string> names;
  std::vector<std::size_t> sizes, links; // of each page
};
template <class Page> pages_told turn_pages_of(Page&& page_behind, std::size_t limit) {
  pages_told out;
  edges_query q{limit, ""};
  for (;;) {
    const json page = page_behind(q);
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

pages_told turn_pages(const cluster& all, std::size_t limit) {
  return turn_pages_of([&](const edges_query& q) { return page_of(all, q); }, limit);
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
  constexpr std::size_t most = limits::edges_page_links;
  const pages_told full = turn_pages(edges(600, 2, 2), 1'000);
  CHECK(full.links == std::vector<std::size_t>{most, most, 600 * 4 - 2 * most}); // exactly the limit
  CHECK(full.names.size() == 600);
  const pages_told five = turn_pages(edges(600, 1, 5), 1'000);
  static_assert(most % 5 == 4); // one more edge would be one link too many
  CHECK(five.links == std::vector<std::size_t>{most - 4, most - 4, 600 * 5 - 2 * (most - 4)});
  CHECK(five.names.size() == 600);
  CHECK(turn_pages(edges(1, 200, 30), 1'000).links == std::vector<std::size_t>{6'000});
}

TEST_CASE("edges page: a shard that stopped for its many links keeps back what others say of later edges") {
  // Of each edge a hundred links to the first shard, which tells ten edges, and one to the second, which
  // tells all.
  const pages_told told = turn_pages({edges(20, 100, 1)[0], edges(20, 1, 1)[0]}, 1'000);
  CHECK(told.links == std::vector<std::size_t>{10 * 101, 10 * 101});
  CHECK(told.sizes == std::vector<std::size_t>{10, 10});
}

TEST_CASE("edges page: where shards have stopped at different edges, pages are full and each edge is told "
          "once, whole") {
  // The first shard has links of all edges, the second of every third, the third of the last alone.
  test::shard_bench shards[3];
  std::vector<std::unique_ptr<test::scripted_lane>> lanes;
  std::size_t links = 0;
  for (std::uint64_t e = 0; e < 40; ++e)
    for (std::size_t k = 0; k < 3; ++k) {
      if ((k == 1 && e % 3 != 0) || (k == 2 && e != 39)) continue;
      const std::string name = "edge" + std::to_string(10 + (e * 17) % 40); // they come in no order
      lanes.push_back(std::make_unique<test::scripted_lane>(shards[k], name, e + 1));
      lanes.back()->joins();
      ++links;
    }
  for (const std::size_t limit : {1u, 4u, 7u, 13u, 39u, 40u, 41u}) {
    CAPTURE(limit);
    std::size_t copied = 0;
    const auto page = [&](const edges_query& q) {
      std::vector<shard::lanes_told> told;
      for (test::shard_bench& s : shards) told.push_back(s.shard.lanes(q.after, q.limit));
      for (const auto& s : told) copied = std::max(copied, s.lanes.size());
      return json::parse(edges_page(told, q, {}).body);
    };
    const pages_told all = turn_pages_of(page, limit);
    CHECK(all.names.size() == 40);
    CHECK(std::ranges::is_sorted(all.names));
    CHECK(std::accumulate(all.links.begin(), all.links.end(), std::size_t{0}) == links);
    CHECK(all.sizes.size() == (40 + limit - 1) / limit); // pages are full, and none is empty
    CHECK(copied == std::min<std::size_t>(limit, 40));   // by a shard, in one turn
  }
}

TEST_CASE("edges page: an edge is the sum of its links, or the worst of them, and lanes stand in order") {
  const json page = page_of(edges(1, 2, 2), {});
  const json& e = page["edges"][0];
  CHECK(e["clients"] == 4);
  CHECK(e["messages_in"] == 40);
  CHECK(e["round_trip_us"] == 101);
  CHECK(e["writes"] == 2); // two links have none yet
  CHECK(e["bytes_per_write"] == 100.0);
  CHECK(e["links"][0]["bytes_per_write"].is_null());
  CHECK(e["links"][2]["bytes_per_write"] == 100.0);
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

TEST_CASE("link rates: after a stall what is older than the window is dropped, and no rate runs below 0") {
  link_rate_meter meter;
  const time_point start(1h);
  // Two shards, one of which does not turn for more than a minute: its index 1 names another link then.
  const auto put = [&](duration first, duration second, std::uint64_t messages) {
    meter.put({{start + first, {total(1, 7, 0)}}, {start + second, {total(1, messages, 0)}}});
  };
  put(0s, 0s, 5'000);
  put(1s, 1s, 5'100);
  CHECK(meter.window().of(1, 1).messages_in == 100);
  put(2s, 72s, 20);
  CHECK(meter.window().of(1, 1).messages_in == 0); // one moment is no time
  put(3s, 73s, 50);
  CHECK(meter.window().of(1, 1).messages_in == 30);

  const auto sample = [](duration at, std::uint64_t messages) {
    return std::make_shared<const std::vector<link_sample>>(
        std::vector<link_sample>{{time_point(1h) + at, {total(1, messages, 0)}}});
  };
  CHECK(link_window(sample(0s, 5'000), sample(10s, 20)).of(0, 1).messages_in == 2);
}
