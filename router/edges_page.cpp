#include "router/edges_page.hpp"

#include "common/base/utf8.hpp"
#include "common/ops/stats_page.hpp"

#include <algorithm>
#include <cmath>
#include <span>
#include <tuple>

namespace beeline::router {
namespace {

using ops::json_text;
using info = shard::lane_info;

struct told_lane {
  const info* lane;
  std::size_t shard;
  auto place() const { return std::tie(lane->edge, lane->lane, shard); }
};
using lanes_of_edge = std::span<const told_lane>;

struct number {
  std::string_view name;
  std::uint64_t info::*value;
};
constexpr number sums[] = {
    {"clients", &info::clients},   {"messages_in", &info::messages_in}, {"messages_out", &info::messages_out},
    {"bytes_in", &info::bytes_in}, {"bytes_out", &info::bytes_out},     {"queue_bytes", &info::output_bytes},
    {"resends", &info::resent_in}, {"answers_in", &info::answers_in},   {"writes", &info::writes}};
constexpr number greatest[] = {{"queue_bytes_high_water", &info::queue_high_water},
                               {"round_trip_us", &info::round_trip_us}};

void tell_numbers(json_text& out, const info& x, const traffic_rates& r) {
  for (const number& n : sums) out.value(n.name, x.*n.value);
  for (const number& n : greatest) out.value(n.name, x.*n.value);
  ops::tell_mean(out, "bytes_per_write", x.written_bytes, x.writes);
  const auto tenths = [&](std::string_view name, double v) { out.value(name, std::round(v * 10) / 10); };
  out.object("rates");
  out.object("10s");
  tenths("messages_in", r.messages_in);
  tenths("messages_out", r.messages_out);
  tenths("bytes_in", r.bytes_in);
  tenths("bytes_out", r.bytes_out);
  out.end();
  out.end();
}

void tell_link(json_text& out, const told_lane& l, const link_window& rates) {
  out.object();
  out.value("shard", l.shard);
  out.value("lane", l.lane->lane);
  out.value("state", l.lane->state);
  tell_numbers(out, *l.lane, rates.of(l.shard, l.lane->link));
  out.end();
}

void tell_edge(json_text& out, lanes_of_edge lanes, const link_window& rates) {
  info all;
  traffic_rates all_rates;
  for (const told_lane& l : lanes) {
    for (const number& n : sums) all.*n.value += l.lane->*n.value;
    for (const number& n : greatest) all.*n.value = std::max(all.*n.value, l.lane->*n.value);
    all.written_bytes += l.lane->written_bytes;
    all_rates += rates.of(l.shard, l.lane->link);
  }
  out.object();
  out.value("edge", lanes.front().lane->edge);
  tell_numbers(out, all, all_rates);
  out.array("links");
  for (const told_lane& l : lanes) tell_link(out, l, rates);
  out.end();
  out.end();
}

// What is told of edges of which every shard has said all, by name.
std::vector<told_lane> merge(const std::vector<shard::lanes_told>& shards) {
  const std::string* end = nullptr; // the last edge up to which every shard has told
  for (const shard::lanes_told& s : shards)
    if (s.more && (!end || s.lanes.back().edge < *end)) end = &s.lanes.back().edge;
  std::vector<told_lane> all;
  for (std::size_t k = 0; k < shards.size(); ++k)
    for (const info& l : shards[k].lanes)
      if (!end || l.edge <= *end) all.push_back({&l, k});
  std::ranges::sort(all, {}, &told_lane::place);
  return all;
}

} // namespace

edges_query read_edges_query(const ops::query_map& query) {
  edges_query out;
  out.limit = static_cast<std::size_t>(
      ops::query_number(query, "limit", limits::edges_page, 1, limits::edges_page_max));
  const auto at = query.find("after");
  if (at == query.end()) return out;
  out.after = at->second;
  if (out.after.empty() || out.after.size() > limits::edge_name_bytes_max || !valid_utf8(out.after))
    throw ops::http_error(400, "'after' must be the name of an edge, as 'next' of an earlier answer says it: "
                               "1 to 64 bytes of UTF-8");
  return out;
}

ops::http_response edges_page(const std::vector<shard::lanes_told>& shards, const edges_query& query,
                              const link_window& rates) {
  const std::vector<told_lane> all = merge(shards);
  const bool more = std::ranges::any_of(shards, &shard::lanes_told::more);
  json_text out;
  out.object();
  out.array("edges");
  lanes_of_edge rest(all);
  const std::string* last = nullptr; // edge on this page
  std::size_t links = 0;
  for (std::size_t edges = 0; edges < query.limit && !rest.empty(); ++edges) {
    const std::string& name = rest.front().lane->edge;
    const auto end = std::ranges::find_if(rest, [&](const told_lane& l) { return l.lane->edge != name; });
    const lanes_of_edge lanes(rest.begin(), end);
    links += lanes.size();
    if (last && links > limits::edges_page_links) break;
    tell_edge(out, lanes, rates);
    last = &name;
    rest = rest.subspan(lanes.size());
  }
  out.end();
  if (rest.empty() && !more) out.null("next");
  else out.value("next", *last);
  out.end();
  return ops::json_page(std::move(out));
}

} // namespace beeline::router
