// beeline clients: who is connected, as the edges say.
#include "common/base/limits.hpp"
#include "common/cli/admin.hpp"

#include <algorithm>

namespace beeline::cli {
namespace {

struct listing {
  json clients = json::array();
  bool more = false; // there were more than asked for
  std::string problem;
};

// Pages from one edge until there are `most`, or no more.
void add_clients_of(const admin_server& edge, const std::string& name, std::uint64_t most, listing& out) {
  std::string after;
  while (out.clients.size() < most) {
    const std::uint64_t wanted = std::min<std::uint64_t>(limits::clients_page_max, most - out.clients.size());
    const page p = edge.get("/clients?limit=" + std::to_string(wanted) +
                            (after.empty() ? "" : "&after=" + percent_encode(after)));
    if (p.status == 404) out.problem = "has no list of clients (an older server)";
    else if (!p.ok()) out.problem = p.problem;
    if (!p.ok()) return;
    for (json c : list(p.body, "clients")) {
      if (out.clients.size() == most) break;
      c["edge"] = name;
      out.clients.push_back(std::move(c));
    }
    const std::string next = text(p.body, {"next"});
    if (next.empty() || next == after) return; // a page may be empty and not the last
    after = next;
  }
  out.more = true;
}

void print_table(const listing& l) {
  table t({"ID", "EDGE", ">LANE", "STATE", "MQTT", ">CONNECTED FOR", ">IN FLIGHT", ">PENDING", ">UNSENT"});
  for (const json& c : l.clients)
    t.row({text_or(c, {"id"}), text_or(c, {"edge"}), count_text(number(c, {"lane"})), text_or(c, {"state"}),
           text_or(c, {"protocol"}), span_text(number(c, {"connected_for_seconds"})),
           count_text(number(c, {"in_flight"})), count_text(number(c, {"pending_messages"})),
           bytes_text(number(c, {"output_bytes"}))});
  print(t.text());
  const auto n = static_cast<double>(l.clients.size());
  print("\n" + of_several(n, "client", "clients") + (l.more ? ", and more: see --limit" : "") + "\n");
}

int run(const arguments& a) {
  const std::uint64_t most = a.options.count("limit", 1, 100'000'000);
  listing l;
  bool any = false, failed = false;
  for (const admin_server& s : admin_servers(a.options)) {
    const page stats = s.get("/stats");
    if (stats.ok() && text(stats.body, {"program"}) != "beeline-edge") continue; // routers store no ids
    any = true;
    if (l.clients.size() == most) {
      l.more = true;
      break;
    }
    l.problem = stats.problem;
    if (stats.ok()) add_clients_of(s, text(stats.body, {"name"}), most, l);
    if (!l.problem.empty()) complain("clients: " + s.name() + ": " + l.problem);
    failed = failed || !l.problem.empty();
  }
  if (!any)
    throw ops::start_error("clients: only edges list their clients; give --admin HOST:PORT of an edge",
                           ops::exit_usage);
  if (a.options.flag("json")) print_pretty_json({{"clients", l.clients}, {"more", l.more}});
  else print_table(l);
  return failed ? ops::exit_fault : exit_ok;
}

void declare(po::options_description& o) {
  o.add_options()("limit", ops::value("N", "100"), "at most so many");
  declare_admin(o);
}

} // namespace

const command clients_command{
    "clients",
    "",
    0,
    0,
    "who is connected, as the edges say",
    "Lists the clients of each edge asked: state, MQTT version, since when, QoS 1 messages in flight to it, "
    "messages\n"
    "that wait for it and bytes that its socket has not taken. Routers store no ids and are left out.",
    "  beeline clients --admin 127.0.0.1:7481,127.0.0.1:7482\n"
    "  beeline clients --admin 127.0.0.1:7481 --limit 100000 --json | jq -r '.clients[].id'\n",
    declare,
    run};

} // namespace beeline::cli
