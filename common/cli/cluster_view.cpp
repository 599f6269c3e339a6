#include "common/cli/cluster_view.hpp"

#include <algorithm>
#include <future>

namespace beeline::cli {
namespace {

constexpr std::uint32_t slots = 4096;

// Slots that none of the routers says it serves, as "0-2047"; nothing when no router was reached.
std::vector<std::string> slots_missing(const std::vector<server_view>& views) {
  std::vector<bool> served(slots);
  bool any = false;
  for (const server_view& v : views) {
    const std::string range = v.is_router() ? text(v.stats.body, {"slots"}) : std::string();
    const auto dash = range.find('-');
    if (dash == range.npos) continue;
    const auto first = ops::to_integer(std::string_view(range).substr(0, dash), 0, slots - 1);
    const auto last = ops::to_integer(std::string_view(range).substr(dash + 1), 0, slots - 1);
    for (auto s = first.value_or(0); last && s <= *last; ++s) served[static_cast<std::size_t>(s)] = true;
    any = true;
  }
  std::vector<std::string> out;
  for (std::uint32_t from = 0; any && from < slots;) {
    std::uint32_t to = from;
    while (to < slots && served[to] == served[from]) ++to;
    if (!served[from]) out.push_back(std::to_string(from) + "-" + std::to_string(to - 1));
    from = to;
  }
  return out;
}

} // namespace

std::string server_view::name() const {
  if (!reachable()) return "?";
  if (is_router()) return "router " + text(stats.body, {"slots"});
  const std::string program = text(stats.body, {"program"});
  return (program == "beeline-edge" ? "edge" : program) + " " + text(stats.body, {"name"});
}

maybe answer_time(const server_view& v, const char* quantile) {
  const json& last = at(v.stats.body, {"totals", "latency", "publish_to_answer", "last_10s"});
  if (number(last, {"count"}) == 0.0) return {};
  return number(last, {quantile});
}

server_view look(const admin_server& server) {
  server_view v{server.name(), server.get("/stats"), {}, {}, std::chrono::steady_clock::now()};
  if (!v.reachable()) {
    v.why_not_ready = v.stats.problem;
    return v;
  }
  v.why_not_ready = server.get("/readyz").problem;
  if (v.is_router()) v.edges = server.get("/edges");
  return v;
}

std::vector<server_view> look(const std::vector<admin_server>& servers) {
  // All at once: one that does not answer keeps nobody waiting longer than its own time.
  std::vector<std::future<server_view>> asked;
  for (const admin_server& s : servers)
    asked.push_back(std::async(std::launch::async, [&s] { return look(s); }));
  std::vector<server_view> all;
  for (auto& a : asked) all.push_back(a.get());
  return all;
}

bool all_ready(const std::vector<server_view>& views) {
  return std::all_of(views.begin(), views.end(), [](const server_view& v) { return v.ready(); });
}

json to_json(const server_view& v) {
  json j{{"admin", v.admin}, {"reachable", v.reachable()}, {"ready", v.ready()}};
  if (!v.why_not_ready.empty()) j["why"] = v.why_not_ready;
  if (v.reachable()) j["stats"] = v.stats.body;
  if (v.edges.ok()) j["edges"] = list(v.edges.body, "edges");
  return j;
}

std::vector<std::string> remarks(const std::vector<server_view>& views) {
  std::vector<std::string> out;
  for (const server_view& v : views) {
    if (!v.reachable()) out.push_back(v.admin + " is not reachable: " + v.why_not_ready);
    else if (!v.ready()) out.push_back(v.name() + " at " + v.admin + " is not ready: " + v.why_not_ready);
  }
  for (const std::string& range : slots_missing(views))
    out.push_back("slots " + range + " are served by none of the routers asked");
  return out;
}

} // namespace beeline::cli
