// beeline clients: who is connected, as the edges say.
#include "common/base/limits.hpp"
#include "common/cli/admin.hpp"

#include <algorithm>

namespace beeline::cli {
namespace {

// Prints clients as they come, a page at a time: a list may be longer than memory.
class printer {
public:
  explicit printer(bool as_json) : as_json_(as_json) {
    if (as_json_) print("{\"clients\": [");
  }
  void add(const json& c) {
    ++count_;
    if (as_json_) {
      print(count_ == 1 ? "\n" : ",\n");
      return print(line_of(c));
    }
    table_.row({text_or(c, {"id"}), text_or(c, {"edge"}), count_text(number(c, {"lane"})),
                text_or(c, {"state"}), text_or(c, {"protocol"}),
                span_text(number(c, {"connected_for_seconds"})), count_text(number(c, {"in_flight"})),
                count_text(number(c, {"pending_messages"})), bytes_text(number(c, {"output_bytes"}))});
    if (count_ % limits::clients_page_max == 0) print(table_.take());
  }
  void end(bool more, const std::vector<std::string>& silent) {
    if (as_json_)
      return print("\n], \"more\": " + line_of(more) + ", \"silent\": " + line_of(silent) + "}\n");
    print(table_.take() + "\n" + of_several(static_cast<double>(count_), "client", "clients") +
          (more ? ", and more: see --limit" : "") + "\n");
  }
  std::uint64_t count() const noexcept { return count_; }

private:
  static std::string line_of(const json& x) { return x.dump(-1, ' ', false, json::error_handler_t::replace); }

  bool as_json_;
  std::uint64_t count_ = 0;
  table table_{
      {"ID", "EDGE", ">LANE", "STATE", "MQTT", ">CONNECTED FOR", ">IN FLIGHT", ">PENDING", ">UNSENT"}};
};

struct listing {
  printer& out;
  std::uint64_t most;
  bool more = false; // there are more than asked for
  bool full() const { return out.count() == most; }

  // Pages from one edge until there are `most`, or no more. What went wrong, or "".
  std::string add(const admin_server& edge, const std::string& name) {
    std::string after;
    while (!full() && written()) {
      const std::uint64_t wanted = std::min<std::uint64_t>(limits::clients_page_max, most - out.count());
      page p = edge.get("/clients?limit=" + std::to_string(wanted) +
                        (after.empty() ? "" : "&after=" + percent_encode(after)));
      if (p.status == 404) return "has no list of clients (an older server)";
      if (!p.ok()) return p.problem;
      if (!at(p.body, {"clients"}).is_array()) return "its answer has no list of clients";
      if (!add_page(p.body["clients"], name)) return "its list of clients has something else in it";
      const std::string next = text(p.body, {"next"});
      if (next.empty() || next == after) return {}; // a page may be empty and not the last
      after = next;
    }
    more = true;
    return {};
  }

private:
  bool add_page(json& clients, const std::string& name) {
    for (json& c : clients) {
      if (!c.is_object()) return false;
      if (full()) return true;
      c["edge"] = name;
      out.add(c);
    }
    return true;
  }
};

int run(const arguments& a) {
  const std::uint64_t most = a.options.count("limit", 1, 100'000'000);
  const auto servers = admin_servers(a.options);
  const auto stats = ask_all(servers, [](const admin_server& s) { return s.get("/stats"); });
  // Routers store no ids.
  if (std::all_of(stats.begin(), stats.end(),
                  [](const page& p) { return kind_of(p) == server_kind::router; }))
    throw ops::start_error("clients: only edges list their clients; give --admin HOST:PORT of an edge",
                           ops::exit_usage);
  printer out(a.options.flag("json"));
  listing l{out, most};
  std::vector<std::string> silent;
  for (std::size_t i = 0; i < servers.size(); ++i) {
    const server_kind kind = kind_of(stats[i]);
    if (kind == server_kind::router) continue;
    l.more = l.more || (kind == server_kind::edge && l.full());
    std::string problem = stats[i].ok() ? no_server : stats[i].problem;
    if (kind == server_kind::edge) problem = l.full() ? "" : l.add(servers[i], text(stats[i].body, {"name"}));
    if (problem.empty()) continue;
    silent.push_back(servers[i].name() + ": " + problem);
    complain("clients: " + silent.back());
  }
  out.end(l.more, silent);
  return silent.empty() ? exit_ok : ops::exit_fault;
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
