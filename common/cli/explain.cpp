// beeline explain: all that is known of one client id, at the router and at the edges, as a paragraph.
#include "common/cli/explain_text.hpp"

namespace beeline::cli {
namespace {

// An older router has no /explain, but says where a client is.
page ask(const admin_server& s, const std::string& id) {
  page p = s.get("/explain/" + percent_encode(id));
  if (p.status != 404) return p;
  page older = s.get("/clients/" + percent_encode(id));
  return older.ok() && older.body.contains("online") ? older : p;
}

findings gather(const arguments& a) {
  findings f{a.words[0], {}, {}, {}};
  for (const admin_server& s : admin_servers(a.options)) {
    page p = ask(s, f.id);
    if (p.status == 400) throw ops::start_error("explain: " + p.problem, ops::exit_usage);
    const page stats = s.get("/stats");
    const bool edge = text(stats.body, {"program"}) == "beeline-edge";
    p.body["admin"] = s.name();
    if (!p.ok()) {
      f.silent.push_back(s.name() + ": " + p.problem);
    } else if (edge) {
      p.body["edge"] = text(stats.body, {"name"});
      f.edges.push_back(std::move(p.body));
    } else {
      f.routers.push_back(std::move(p.body));
    }
  }
  return f;
}

int run(const arguments& a) {
  const findings f = gather(a);
  if (f.routers.empty() && f.edges.empty()) {
    std::string why;
    for (const auto& s : f.silent) why += (why.empty() ? "" : "; ") + s;
    throw ops::start_error(
        "explain: no server asked knows; give those of a router and the edges with --admin (" + why + ")",
        ops::exit_fault);
  }
  if (a.options.flag("json"))
    print_pretty_json({{"id", f.id},
                       {"online", f.online()},
                       {"routers", f.routers},
                       {"edges", f.edges},
                       {"silent", f.silent},
                       {"text", explain_text(f)}});
  else print(printable(explain_text(f)));
  return f.online() ? exit_ok : exit_no;
}

} // namespace

const command explain_command{"explain",
                              "ID",
                              1,
                              1,
                              "why messages to a client arrive or not: router and edges together",
                              "Asks every admin address given what it knows of the id, and joins the "
                              "answers: the slot and its shard, the edge\n"
                              "that has the client, what waits for it there, the links on the way, what was "
                              "dropped or refused lately, and\n"
                              "where router and edges disagree. Give the addresses of all routers and edges.",
                              "  beeline explain C2 --admin 127.0.0.1:7480,127.0.0.1:7481,127.0.0.1:7482\n"
                              "  beeline explain C2 --json | jq .edges\n",
                              declare_admin,
                              run};

} // namespace beeline::cli
