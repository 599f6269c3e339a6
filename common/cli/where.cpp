// beeline where: at which edge a client is connected, as its router says.
#include "common/cli/admin.hpp"

namespace beeline::cli {
namespace {

std::string sentence(const json& c) {
  const std::string id = ops::quoted(text(c, {"id"}));
  if (!truth(c, {"online"})) return id + " is not online\n";
  return id + " is online at edge " + text_or(c, {"edge"}) + ", lane " + count_text(number(c, {"lane"})) +
         ", for " + span_text(number(c, {"connected_for_seconds"})) + " (since " + text_or(c, {"since"}) +
         ")" +
         (truth(c, {"lingering"}) ? "; the link to that edge is lost, and the router waits a moment for it"
                                  : "") +
         "\n";
}

page ask(const admin_server& s, const std::string& id) {
  page p = s.get("/clients/" + percent_encode(id));
  if (p.ok() && (!yes_or_no(p.body, "online") || text(p.body, {"id"}) != id))
    return {0, nullptr, "its answer does not say whether the client is online"};
  return p;
}

std::string name_of(const std::vector<admin_server>& servers, std::size_t i) {
  return (servers.size() == 1 ? "the router at " : "the server at ") +
         servers[i].name(); // of several: which?
}

// `silent`: did not answer at all; `others`: another router's slot, an edge, or no Beeline server.
[[noreturn]] void nobody_knows(const std::vector<std::string>& silent,
                               const std::vector<std::string>& others) {
  std::string text = "where: " + joined(silent);
  if (silent.empty()) text += "no server asked knows; give the router's address with --admin";
  if (!others.empty()) text += " (" + joined(others) + ")";
  throw ops::start_error(text, ops::exit_fault);
}

int run(const arguments& a) {
  const std::string& id = a.words[0];
  const auto servers = admin_servers(a.options);
  auto answers = ask_all(servers, [&](const admin_server& s) { return ask(s, id); });
  std::vector<std::string> silent, others;
  for (std::size_t i = 0; i < servers.size(); ++i) {
    page& p = answers[i];
    if (!p.ok()) {
      if (p.silent) silent.push_back(name_of(servers, i) + " did not answer: " + p.problem);
      else others.push_back(servers[i].name() + ": " + p.problem);
      continue;
    }
    p.body["admin"] = servers[i].name();
    if (a.options.flag("json")) print_pretty_json(p.body);
    else print(printable(sentence(p.body)));
    return truth(p.body, {"online"}) ? exit_ok : exit_no;
  }
  for (const page& p : answers)
    if (p.status == 400) throw ops::start_error("where: " + p.problem, ops::exit_usage);
  nobody_knows(silent, others);
}

} // namespace

const command where_command{"where",
                            "ID",
                            1,
                            1,
                            "at which edge a client is; exit code 3 when it is not online",
                            "Asks the given routers; the one that serves the slot of the id answers.",
                            "  beeline where C2\n"
                            "  beeline where C2 --admin 10.0.0.1:7480,10.0.0.2:7480\n"
                            "  beeline where C2 > /dev/null && echo online\n",
                            declare_admin,
                            run};

} // namespace beeline::cli
