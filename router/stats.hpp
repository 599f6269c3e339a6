// The router's counters as pages: /stats and /metrics, and the rates that the control loop samples.
//
// Reads what shards count where it stands; for the rates of links it asks them once a second. Any thread; it
// outlives neither router nor control loop.
#pragma once
#include "common/ops/latency_window.hpp"
#include "common/ops/rates.hpp"
#include "router/link_rates.hpp"
#include "router/router.hpp"

namespace beeline::router {

std::string why_not_ready(const router& r); // empty: ready

class router_stats {
public:
  explicit router_stats(const router& r);
  void sample(); // control loop, every limits::rates_interval
  // `admin`: the admin server's counters; may be null.
  ops::http_response page(const ops::admin_counters* admin) const;
  ops::http_response metrics(const ops::admin_counters* admin) const;
  link_window link_rates() const { return link_rates_.window(); }

private:
  void sample_links();
  void tell_shard(ops::json_text& out, std::size_t k, const ops::stats_part& part) const;
  const router& router_;
  ops::rate_meters rates_;
  ops::latency_windows windows_;
  link_rate_meter link_rates_;
  bool asking_ = false; // control loop
};

} // namespace beeline::router
