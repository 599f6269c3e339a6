#include "common/cli/cluster_view.hpp"

#include "common/base/limits.hpp"

#include <algorithm>

namespace beeline::cli {
namespace {
constexpr std::uint32_t slots = 4096;
} // namespace

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

std::string server_view::name() const {
  if (!reachable()) return "?";
  return is_router() ? "router " + text(stats.body, {"slots"}) : "edge " + text(stats.body, {"name"});
}

maybe answer_time(const server_view& v, const char* quantile) {
  const json& last = at(v.stats.body, {"totals", "latency", "publish_to_answer", "last_10s"});
  if (number(last, {"count"}) == 0.0) return {};
  return number(last, {quantile});
}

maybe answered_in_time(const server_view& v) {
  const maybe all = answer_time(v, "count"), in_time = answer_time(v, "count_within_1s");
  if (!all || !in_time) return {};
  return *in_time / *all;
}

maybe refused(const server_view& v) {
  const json& answers = at(v.stats.body, {"totals", v.is_router() ? "answers" : "outcomes"});
  const maybe all = number(answers, {}), accepted = number(answers, {"accepted"});
  if (!all || !accepted) return {};
  return *all - *accepted;
}

namespace {
// All pages of a router's /edges as one.
page edges_of(const admin_server& router) {
  page all{200, {{"edges", json::array()}}, {}};
  const std::string first = "/edges?limit=" + std::to_string(limits::edges_page_max);
  for (std::string after;;) {
    page p = router.get(after.empty() ? first : first + "&after=" + percent_encode(after));
    if (!p.ok()) return p;
    if (!at(p.body, {"edges"}).is_array()) return {0, nullptr, "its answer to /edges has no list of them"};
    for (json& e : p.body["edges"]) all.body["edges"].push_back(std::move(e));
    const std::string next = text(p.body, {"next"}); // older routers tell all at once
    if (next.empty() || next == after) return all;
    after = next;
  }
}

// Older servers say it at /readyz alone.
std::string why_not_ready(const admin_server& server, const json& stats) {
  return stats.contains("why_not_ready") ? text(stats, {"why_not_ready"}) : server.get("/readyz").problem;
}
} // namespace

server_view look(const admin_server& server) {
  server_view v{server.name(), server.get("/stats"), {}, {}, false, std::chrono::steady_clock::now()};
  if (v.reachable() && kind_of(v.stats) == server_kind::unknown) {
    v.stranger = true;
    v.stats = {0, nullptr, no_server};
  }
  if (!v.reachable()) {
    v.why_not_ready = v.stats.problem;
    return v;
  }
  v.why_not_ready = why_not_ready(server, v.stats.body);
  if (!v.is_router()) return v;
  v.edges = edges_of(server);
  return v;
}

std::vector<server_view> look(const std::vector<admin_server>& servers) {
  return ask_all(servers, [](const admin_server& s) { return look(s); });
}

bool all_ready(const std::vector<server_view>& views) {
  return std::all_of(views.begin(), views.end(), [](const server_view& v) { return v.ready(); });
}

json to_json(const server_view& v) {
  json j{{"admin", v.admin}, {"reachable", v.reachable()}, {"ready", v.ready()}};
  if (!v.why_not_ready.empty()) j["why"] = v.why_not_ready;
  if (const maybe n = refused(v)) j["refused"] = static_cast<std::uint64_t>(*n);
  if (v.reachable()) j["stats"] = v.stats.body;
  if (!v.tells_edges()) j["edges_problem"] = v.edges.problem;
  if (v.edges.ok()) j["edges"] = list(v.edges.body, "edges");
  return j;
}

bool all_well(const std::vector<server_view>& views) {
  const bool told = std::all_of(views.begin(), views.end(), [](const auto& v) { return v.tells_edges(); });
  // An edge is not ready while slots have no shard.
  const bool edge_has_all = std::any_of(views.begin(), views.end(),
                                        [](const server_view& v) { return v.ready() && !v.is_router(); });
  return all_ready(views) && told && (edge_has_all || slots_missing(views).empty());
}

namespace {
// Edges whose links a router has lost and still waits for. How long ago, /edges does not tell.
void add_lost_edges(const server_view& router, std::vector<std::string>& out) {
  for (const json& e : list(router.edges.body, "edges")) {
    const json& links = list(e, "links");
    const auto lost = std::count_if(links.begin(), links.end(),
                                    [](const json& l) { return text(l, {"state"}) == "lingering"; });
    if (lost == 0) continue;
    out.push_back("edge " + text_or(e, {"edge"}) + " is lost to the router at " + router.admin +
                  ", which waits a moment for it: " + std::to_string(lost) + " of " +
                  of_several(static_cast<double>(links.size()), "link", "links") + " lingering");
  }
}
} // namespace

std::vector<std::string> remarks(const std::vector<server_view>& views) {
  std::vector<std::string> out;
  for (const server_view& v : views) add_lost_edges(v, out);
  for (const server_view& v : views) {
    if (v.stranger) out.push_back(v.admin + " " + no_server);
    else if (!v.reachable()) out.push_back(v.admin + " is not reachable: " + v.why_not_ready);
    else if (!v.ready()) out.push_back(v.name() + " at " + v.admin + " is not ready: " + v.why_not_ready);
    if (!v.tells_edges())
      out.push_back(v.name() + " at " + v.admin + " does not tell its edges: " + v.edges.problem);
  }
  for (const std::string& range : slots_missing(views))
    out.push_back("slots " + range + " are served by none of the routers asked");
  return out;
}

} // namespace beeline::cli
