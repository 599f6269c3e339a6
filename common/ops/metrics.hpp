// One page of metrics in the Prometheus text format (version 0.0.4).
//
// Built anew for each request, on the admin thread, from counters that other threads write. Samples
// of one family come out together, families in the order of their first sample, however the calls
// were interleaved. Names and label names are ours: a wrong one is a CHECK. Label values may hold
// anything and are escaped.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace beeline::ops {

using metric_labels = std::vector<std::pair<std::string_view, std::string>>;

class metrics_page {
public:
  static constexpr std::string_view content_type = "text/plain; version=0.0.4; charset=utf-8";

  // The name gets "_total" unless it ends so.
  void counter(std::string_view name, std::string_view help, const metric_labels& labels,
               std::uint64_t value);
  void counter(std::string_view name, std::string_view help, const metric_labels& labels, double value);
  void gauge(std::string_view name, std::string_view help, const metric_labels& labels, double value);
  // `buckets`: (upper bound, how many are not above it), rising; "+Inf" is added.
  struct bucket {
    double not_above;
    std::uint64_t count;
  };
  void histogram(std::string_view name, std::string_view help, const metric_labels& labels,
                 std::span<const bucket> buckets, std::uint64_t count, double sum);
  template <class V> void counter(std::string_view name, std::string_view help, V value) {
    counter(name, help, metric_labels{}, value);
  }
  void gauge(std::string_view name, std::string_view help, double value) { gauge(name, help, {}, value); }

  std::string prometheus() const;

private:
  struct metric_family {
    std::string name, help, type;
    std::string samples; // lines, ready
  };
  void add(std::string name, std::string_view help, std::string_view type, const metric_labels& labels,
           std::string_view value, std::string_view suffix = {});
  std::vector<metric_family> families_;
  std::unordered_map<std::string, std::size_t> index_;
};

} // namespace beeline::ops
