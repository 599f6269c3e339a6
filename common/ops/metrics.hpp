// One page of metrics in the Prometheus text format (version 0.0.4).
//
//   page.family("messages_in", "Messages", metric_type::counter);  # HELP x_messages_in_total Messages
//                                                                  # TYPE x_messages_in_total counter
//   page.sample(shard0, std::uint64_t{7});                         x_messages_in_total{shard="0"} 7
//
// Built anew for each request, by the thread that makes pages, from counters that other threads write, and
// straight into the text: the format wants the samples of a family together, and so does the caller
// tell them. A family is told once. Names and label names are ours: a wrong one is a CHECK. Values of
// metric_labels may hold anything and are escaped.
#pragma once
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace beeline::ops {

// Labels as text, made once for all samples that have them.
class metric_labels {
public:
  metric_labels() = default;
  metric_labels(std::initializer_list<std::pair<std::string_view, std::string_view>> labels);
  std::string_view text() const noexcept { return text_; }

private:
  std::string text_; // shard="0",qos="1"
};

enum class metric_type : std::uint8_t { counter, gauge, histogram };

class metrics_page {
public:
  static constexpr std::string_view content_type = "text/plain; version=0.0.4; charset=utf-8";

  // `prefix` begins every name.
  explicit metrics_page(std::string_view prefix, std::size_t bytes_expected = 0) : prefix_(prefix) {
    text_.reserve(bytes_expected);
  }

  // The name of a counter gets "_total" unless it ends so.
  void family(std::string_view name, std::string_view help, metric_type type);
  void family_as_is(std::string_view whole_name, std::string_view help, metric_type type);
  // Of the newest family.
  void sample(const metric_labels& labels, auto value) { sample(labels, label{}, value); }
  // One more label, whose value is plain text of ours.
  struct label {
    std::string_view name, value;
  };
  void sample(const metric_labels& labels, label more, std::uint64_t value);
  void sample(const metric_labels& labels, label more, double value);
  // `buckets`: (upper bound, how many are not above it), rising; "+Inf" is added.
  struct bucket {
    std::string_view not_above;
    std::uint64_t count;
  };
  void histogram(const metric_labels& labels, std::span<const bucket> buckets, std::uint64_t count,
                 double sum);
  // A family of one sample without labels.
  void gauge(std::string_view name, std::string_view help, double value) {
    family(name, help, metric_type::gauge);
    sample({}, value);
  }

  std::string take() { return std::move(text_); }

private:
  void begin(std::string_view suffix, const metric_labels& labels, label more);
  void end(std::uint64_t value);
  void end(double value);

  const std::string prefix_;
  std::string name_; // of the newest family, whole
  std::string text_;
};

} // namespace beeline::ops
