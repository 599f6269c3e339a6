// beeline explain: all that is known of one client id, at the router and at the edges, as a paragraph.
#include "common/cli/explain_text.hpp"

namespace beeline::cli {
namespace {

struct answer {
  page told;
  server_kind kind = server_kind::unknown; // by the keys of the page
  std::string edge;                        // its name, if it is one
};

// A router's 404 for an id of another router's slot, as it words it; every other 404 is of a page not known.
bool is_elsewhere(const page& p) {
  return p.status == 404 && p.problem.ends_with("served by another router");
}

// An older router has no /explain, but says where a client is.
page look_up(const admin_server& s, const std::string& id) {
  page p = s.get("/explain/" + percent_encode(id));
  if (p.status != 404 || is_elsewhere(p)) return p;
  page older = s.get("/clients/" + percent_encode(id));
  return older.ok() || is_elsewhere(older) ? older : p;
}

answer ask(const admin_server& s, const std::string& id) {
  answer a{look_up(s, id), server_kind::unknown, {}};
  if (!a.told.ok()) return a;
  if (text(a.told.body, {"id"}) == id) {
    if (yes_or_no(a.told.body, "here")) a.kind = server_kind::edge;
    else if (yes_or_no(a.told.body, "online")) a.kind = server_kind::router;
  }
  if (a.kind == server_kind::unknown)
    a.told = {0, nullptr, "its answer tells neither \"online\" nor \"here\" of the id"};
  if (a.kind == server_kind::edge) a.edge = text(s.get("/stats").body, {"name"});
  return a;
}

findings gather(const arguments& a) {
  findings f{a.words[0], {}, {}, {}, {}};
  const auto servers = admin_servers(a.options);
  auto answers = ask_all(servers, [&](const admin_server& s) { return ask(s, f.id); });
  for (std::size_t i = 0; i < servers.size(); ++i) {
    auto& [told, kind, edge] = answers[i];
    const std::string name = servers[i].name();
    if (is_elsewhere(told)) f.elsewhere.push_back(name);
    else if (!told.ok()) f.silent.push_back(name + ": " + told.problem);
    if (!told.ok()) continue;
    told.body["admin"] = name;
    if (kind == server_kind::edge) told.body["edge"] = edge;
    (kind == server_kind::edge ? f.edges : f.routers).push_back(std::move(told.body));
  }
  for (const answer& x : answers)
    if (x.told.status == 400 && f.routers.empty() && f.edges.empty()) // no id of a client
      throw ops::start_error("explain: " + x.told.problem, ops::exit_usage);
  return f;
}

int exit_code(const std::optional<bool>& online) {
  return !online ? ops::exit_fault : *online ? exit_ok : exit_no;
}

int run(const arguments& a) {
  const findings f = gather(a);
  const auto online = f.online();
  if (f.routers.empty() && f.edges.empty())
    throw ops::start_error("explain: " + unknown_text(f) +
                               "; give the addresses of all routers and edges with --admin" +
                               (f.silent.empty() ? "" : " (" + joined(f.silent) + ")"),
                           ops::exit_fault);
  if (a.options.flag("json"))
    print_pretty_json({{"id", f.id},
                       {"online", online ? json(*online) : json(nullptr)},
                       {"routers", f.routers},
                       {"edges", f.edges},
                       {"other_routers", f.elsewhere},
                       {"silent", f.silent},
                       {"text", explain_text(f)}});
  else print(printable(explain_text(f)));
  return exit_code(online);
}

} // namespace

const command explain_command{
    "explain",
    "ID",
    1,
    1,
    "why messages to a client arrive or not: router and edges together",
    "Asks every admin address given what it knows of the id, and joins the "
    "answers: the slot and its shard, the edge\n"
    "that has the client, what waits for it there, the links on the way, what was "
    "dropped or refused lately, and\n"
    "where router and edges disagree. Give the addresses of all routers and edges. Exit code 1 when nobody "
    "who knows\nwhether the client is online was reached.",
    "  beeline explain C2 --admin 127.0.0.1:7480,127.0.0.1:7481,127.0.0.1:7482\n"
    "  beeline explain C2 --json | jq .edges\n",
    declare_admin,
    run};

} // namespace beeline::cli
