// One look at every admin server given: /stats, of routers /edges, of older servers /readyz. For status and
// top.
#pragma once
#include "common/cli/admin.hpp"

#include <chrono>

namespace beeline::cli {

struct server_view {
  std::string admin; // its address
  page stats, edges; // edges: only of routers
  std::string why_not_ready;
  bool stranger = false;                      // it answers, and is no Beeline server
  std::chrono::steady_clock::time_point when; // it was asked

  bool reachable() const noexcept { return stats.ok(); }
  bool is_router() const { return kind_of(stats) == server_kind::router; }
  bool ready() const noexcept { return reachable() && why_not_ready.empty(); }
  bool tells_edges() const noexcept { return edges.problem.empty(); } // or need not
  std::string state() const {
    return stranger ? "unknown" : !reachable() ? "unreachable" : ready() ? "ready" : "not ready";
  }
  std::string name() const; // "router 0-2047", "edge e1"
};

// Of the time from a QoS 1 publish to its answer over the last 10 s: "p50_us", "p99_us". At an edge of its
// own clients, at a router of all edges'. Nothing when there was no such message.
maybe answer_time(const server_view& v, const char* quantile);

// Which share of these took at most a second.
maybe answered_in_time(const server_view& v);

// QoS 1 messages answered with anything but accepted, since the start: at an edge what its clients were told,
// at a router what it answered or passed on, put-offs too.
maybe refused(const server_view& v);

server_view look(const admin_server& server);
std::vector<server_view> look(const std::vector<admin_server>& servers);
bool all_ready(const std::vector<server_view>& views);
json to_json(const server_view& v);

// Slots that none of the routers says it serves, as "0-2047"; nothing when no router was reached.
std::vector<std::string> slots_missing(const std::vector<server_view>& views);
// Nothing is wrong: all are ready and tell what they are asked, and all slots are served: by the routers
// asked, or by others, as an edge that is ready shows.
bool all_well(const std::vector<server_view>& views);

// What is wrong or about to be, a line each: who is not reachable or not ready, slots that no given router
// serves, edges that are lost.
std::vector<std::string> remarks(const std::vector<server_view>& views);

} // namespace beeline::cli
