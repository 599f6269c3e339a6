// One look at every admin server given: /stats, /readyz, and of routers /edges. For status and top.
#pragma once
#include "common/cli/admin.hpp"

#include <chrono>

namespace beeline::cli {

struct server_view {
  std::string admin; // its address
  page stats, edges; // edges: only of routers
  std::string why_not_ready;
  std::chrono::steady_clock::time_point when; // it was asked

  bool reachable() const noexcept { return stats.ok(); }
  bool is_router() const { return text(stats.body, {"program"}) == "beeline-router"; }
  bool ready() const noexcept { return reachable() && why_not_ready.empty(); }
  std::string state() const { return !reachable() ? "unreachable" : ready() ? "ready" : "not ready"; }
  std::string name() const; // "router 0-2047", "edge e1"
};

// Of the time from a QoS 1 publish to its answer over the last 10 s: "p50_us", "p99_us". At an edge of its
// own clients, at a router of all edges'. Nothing when there was no such message.
maybe answer_time(const server_view& v, const char* quantile);

server_view look(const admin_server& server);
std::vector<server_view> look(const std::vector<admin_server>& servers);
bool all_ready(const std::vector<server_view>& views);
json to_json(const server_view& v);

// What is wrong, a line each: who is not reachable or not ready, and slots that no given router serves.
std::vector<std::string> remarks(const std::vector<server_view>& views);

} // namespace beeline::cli
