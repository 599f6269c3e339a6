// Statistics of a program and its parts (shards, lanes), named once and told twice: as JSON for
// /stats and as Prometheus text for /metrics.
//
//   sample: name, help, value, and for a family a label with its value
//     JSON         "drops": {"nobody": 3, ...}          in the part, and summed in "totals"
//     Prometheus   beeline_router_drops_total{shard="0",reason="nobody"} 3
//
// Names end in their unit (_bytes); those in _us are told to Prometheus as _seconds, and latencies as
// histograms named _duration_seconds. Reading the counters is a relaxed load: it never stops the thread
// that counts. Built for each request.
#pragma once
#include "common/base/counters.hpp"
#include "common/base/histogram.hpp"
#include "common/net/io_counters.hpp"
#include "common/ops/admin_http.hpp"
#include "common/ops/json_text.hpp"
#include "common/ops/metrics.hpp"

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace beeline::ops {

enum class stat_kind : std::uint8_t {
  counter,
  gauge,
  greatest
}; // greatest: a gauge; totals take the highest

// One row of a table of counters: what a struct's counter is called on the pages.
template <class Counters> struct stat {
  std::string_view name, help;
  beeline::counter Counters::*value;
  stat_kind kind = stat_kind::counter;
};

class stats_part {
public:
  stats_part() { samples_.reserve(samples_expected); }

  struct sample {
    stat_kind kind;
    std::string_view name, help;
    std::string_view label, label_value; // empty: no family
    std::string_view key;                // in JSON, inside the family
    std::uint64_t value;
  };

  void counter(std::string_view name, std::string_view help, const beeline::counter& c) {
    samples_.push_back({stat_kind::counter, name, help, {}, {}, {}, c.get()});
  }
  void gauge(std::string_view name, std::string_view help, const beeline::counter& c) {
    samples_.push_back({stat_kind::gauge, name, help, {}, {}, {}, c.get()});
  }
  void greatest(std::string_view name, std::string_view help, const beeline::counter& c) {
    samples_.push_back({stat_kind::greatest, name, help, {}, {}, {}, c.get()});
  }
  template <class Counters, std::size_t N> void table(const Counters& c, const stat<Counters> (&rows)[N]) {
    for (const stat<Counters>& r : rows)
      samples_.push_back({r.kind, r.name, r.help, {}, {}, {}, (c.*r.value).get()});
  }
  // Durations: quantiles in JSON, under "latency"; a histogram for Prometheus.
  void latency(std::string_view name, std::string_view help, const histogram& h) {
    latencies_.push_back({name, help, h.snapshot()});
  }
  // One counter for each of `keys`, e.g. for each close_reason. Samples of one name and key add up.
  void family(std::string_view name, std::string_view help, std::string_view label,
              std::span<const std::string_view> keys, std::span<const beeline::counter> values);
  void by_qos(std::string_view name, std::string_view help, std::span<const beeline::counter> values);

  struct window { // of the last seconds, see latency_window.hpp
    std::string_view name;
    histogram_snapshot values;
  };
  struct timed {
    std::string_view name, help;
    histogram_snapshot values; // since the start
    std::vector<window> windows = {};
  };
  template <class F> void for_each_latency(F&& f) {
    for (timed& t : latencies_) f(t);
  }
  template <class F> void for_each_latency(F&& f) const {
    for (const timed& t : latencies_) f(t);
  }

  void add(const stats_part& other);                 // sums, for totals and for families told in two places
  std::uint64_t sum_of(std::string_view name) const; // of a family, or the one of that name; must be there
  std::uint64_t value_of(std::string_view name, std::string_view key = {}) const; // must be there
  void tell(json_text& out) const; // into the object that is open

private:
  friend struct labelled_part;
  static constexpr std::size_t samples_expected = 256;
  void put(const sample& s);
  std::vector<sample> samples_;
  std::vector<timed> latencies_;
};

// What is told to Prometheus side by side: parts with the same samples, each with labels of its own.
struct labelled_part {
  metric_labels labels;
  stats_part part;
  static void tell(metrics_page& page, std::span<const labelled_part> parts);

private:
  static void tell_family(metrics_page& page, std::span<const labelled_part> parts, std::size_t first,
                          std::size_t end);
};

// What every program has in common.
// Bytes and messages that went out with one write: how well batching does. Null before the first write.
void tell_mean(json_text& out, std::string_view name, std::uint64_t sum, std::uint64_t of); // null: of none
void tell_per_write(json_text& out, const stats_part& part, std::uint64_t messages_written);
void add_io(stats_part& part, const net::io_counters& io);
void tell_program(json_text& out, std::string_view program); // program, version, build, uptime, process
void tell_program(metrics_page& page);
void tell_ready(json_text& out, const std::string& why_not);  // "ready" and "why_not_ready"; empty: ready
void tell_admin(json_text& out, const admin_counters* admin); // null: nothing
void tell_admin(metrics_page& page, const admin_counters* admin);
std::string utc_text(std::chrono::system_clock::time_point t); // "2024-05-01T09:30:00.123Z"

http_response json_page(const nlohmann::json& page, unsigned status = 200);
http_response json_page(json_text&& page);
http_response metrics_response(metrics_page&& page);
http_response ready_page(const std::string& why_not); // empty: 200, else 503 with the reason
// 200, or 503 when one of the threads has not answered for a second.
http_response health_page(const std::vector<std::string>& stalled);
// /drain: GET says whether the program is to end, POST asks for it. Both functions are called in the admin
// thread.
http_route drain_route(std::function<void()> ask, std::function<bool()> draining);

} // namespace beeline::ops
