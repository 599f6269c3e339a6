// The edge server's counters as pages: /stats and /metrics, and the rates that the control loop samples.
//
// Reads what lanes count where it stands. Any thread; it outlives neither edge server nor control loop.
#pragma once
#include "common/ops/latency_window.hpp"
#include "common/ops/rates.hpp"
#include "edge-server/edge.hpp"

namespace beeline::edge {

std::string why_not_ready(const edge_server& e); // empty: ready

class edge_stats {
public:
  explicit edge_stats(const edge_server& e);
  void sample(); // control loop, every limits::rates_interval
  // `admin`: the admin server's counters; may be null.
  ops::http_response page(const ops::admin_counters* admin) const;
  ops::http_response metrics(const ops::admin_counters* admin) const;

private:
  void tell_lane(ops::json_text& out, std::size_t k, const ops::stats_part& part) const;
  const edge_server& edge_;
  ops::rate_meters rates_;
  ops::latency_windows windows_;
};

} // namespace beeline::edge
