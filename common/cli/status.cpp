// beeline status: the cluster at a glance.
#include "common/cli/cluster_view.hpp"

#include <algorithm>
#include <tuple>

namespace beeline::cli {
namespace {

maybe rate(const server_view& v) {
  // What comes in: at a router from lanes, at an edge from its clients.
  const json& second = at(v.stats.body, {"totals", "rates", "1s"});
  const maybe clients = number(second, {"publishes"});
  return clients && !v.is_router() ? clients : number(second, {"messages_in"});
}

std::string servers_table(const std::vector<server_view>& views) {
  table t({"SERVER", "ADMIN", "STATE", ">UP", "VERSION", ">CLIENTS", ">MESSAGES/S", ">P50", ">P99", ">IN 1 S",
           ">COPIES", ">REFUSED", ">DROPS"});
  for (const server_view& v : views) {
    const json& s = v.stats.body;
    t.row({v.name(), v.admin, v.state(), span_text(number(s, {"uptime_seconds"})), text_or(s, {"version"}),
           count_text(number(s, {"totals", "clients"})), rate_text(rate(v)),
           microseconds_text(answer_time(v, "p50_us")), microseconds_text(answer_time(v, "p99_us")),
           share_text(answered_in_time(v)), ratio_text(number(s, {"copies_per_message"})),
           count_text(refused(v)), count_text(number(s, {"totals", "drops"}))});
  }
  return t.text();
}

struct link_row {
  std::string edge, router;
  json link;
  std::tuple<std::string, double, std::string, double> place() const {
    return {edge, number(link, {"lane"}).value_or(0), router, number(link, {"shard"}).value_or(0)};
  }
};

std::vector<link_row> links(const std::vector<server_view>& views) {
  std::vector<link_row> rows;
  for (const server_view& v : views)
    for (const json& e : list(v.edges.body, "edges"))
      for (const json& l : list(e, "links")) rows.push_back({text_or(e, {"edge"}), v.admin, l});
  std::sort(rows.begin(), rows.end(),
            [](const link_row& a, const link_row& b) { return a.place() < b.place(); });
  return rows;
}

// Of a link that is not up long enough to have heard an echo, servers tell 0.
maybe round_trip(const json& link) {
  const maybe us = number(link, {"round_trip_us"});
  return us == 0.0 ? maybe() : us;
}

std::string lanes_table(const std::vector<server_view>& views) {
  table t({"EDGE", ">LANE", "ROUTER", ">SHARD", "STATE", ">CLIENTS", ">FROM IT", ">TO IT", ">QUEUE",
           ">ROUND TRIP"});
  for (const auto& [edge, router, l] : links(views))
    t.row({edge, count_text(number(l, {"lane"})), router, count_text(number(l, {"shard"})),
           text_or(l, {"state"}), count_text(number(l, {"clients"})), count_text(number(l, {"messages_in"})),
           count_text(number(l, {"messages_out"})), bytes_text(number(l, {"queue_bytes"})),
           microseconds_text(round_trip(l))});
  return t.empty() ? std::string() : "\n" + t.text();
}

int run(const arguments& a) {
  const auto views = look(admin_servers(a.options));
  const bool well = all_well(views);
  if (a.options.flag("json")) {
    json all{{"ready", well}, {"remarks", remarks(views)}, {"servers", json::array()}};
    for (const server_view& v : views) all["servers"].push_back(to_json(v));
    print_pretty_json(all);
  } else {
    print(servers_table(views) + lanes_table(views));
    for (const std::string& r : remarks(views)) print("\n" + printable(r) + "\n");
  }
  return well ? exit_ok : ops::exit_fault;
}

} // namespace

const command status_command{
    "status",
    "",
    0,
    0,
    "the cluster at a glance; exit code 1 when something is not ready or not told",
    "Asks each admin address for its state, and routers for their edges and lanes. P50 and P99 are of\n"
    "the time from a QoS 1 publish to its answer over the last 10 s, IN 1 S is the share that took at most\n"
    "a second, \"-\" without such messages: at an edge of its own clients, at a router of all edges'. "
    "Messages in the lanes' lines are since the link\n"
    "came up: FROM IT into the cluster, TO IT to its clients. COPIES is how often a message was written\n"
    "to owner edges, 1.00 at rest. REFUSED are QoS 1 messages since the start that were answered with\n"
    "anything but accepted: at an edge what its clients were told (nobody, full, unknown, ...), at a\n"
    "router every such answer, those too that only put off (busy, later, retry, ...) and after which the\n"
    "edge sends again. DROPS are messages since the start that went no further: at a router of QoS 0\n"
    "alone, at an edge also QoS 1 ones that it could not take or had to give up. A number that a server\n"
    "does not tell is \"-\".",
    "  beeline status\n"
    "  beeline status --admin 10.0.0.1:7480 --admin 10.0.0.2:7480 --admin 10.0.0.11:7480\n"
    "  beeline status --json | jq '.servers[] | {admin, ready}'\n"
    "  until beeline status > /dev/null 2>&1; do sleep 1; done\n",
    declare_admin,
    run};

} // namespace beeline::cli
