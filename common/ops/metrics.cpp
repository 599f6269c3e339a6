#include "common/ops/metrics.hpp"

#include "common/base/check.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/core.h>

namespace beeline::ops {
namespace {

bool name_ok(std::string_view name) {
  const auto good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  };
  return !name.empty() && !(name[0] >= '0' && name[0] <= '9') && std::all_of(name.begin(), name.end(), good);
}

// Backslash and newline are escaped in help and label values, the quote in label values only.
void append_escaped(std::string& out, std::string_view text, bool quote) {
  for (char c : text) {
    if (c == '\\') out += "\\\\";
    else if (c == '\n') out += "\\n";
    else if (c == '"' && quote) out += "\\\"";
    else out += c;
  }
}

std::string number(double v) {
  if (std::isnan(v)) return "NaN";
  if (std::isinf(v)) return v > 0 ? "+Inf" : "-Inf";
  return fmt::format("{}", v); // shortest text that reads back as v, whatever the locale
}

std::string total(std::string_view name) {
  return name.ends_with("_total") ? std::string(name) : std::string(name) + "_total";
}

} // namespace

void metrics_page::counter(std::string_view name, std::string_view help, const metric_labels& labels,
                           std::uint64_t value) {
  add(total(name), help, "counter", labels, fmt::format("{}", value));
}
void metrics_page::counter(std::string_view name, std::string_view help, const metric_labels& labels,
                           double value) {
  add(total(name), help, "counter", labels, number(value));
}
void metrics_page::gauge(std::string_view name, std::string_view help, const metric_labels& labels,
                         double value) {
  add(std::string(name), help, "gauge", labels, number(value));
}

void metrics_page::histogram(std::string_view name, std::string_view help, const metric_labels& labels,
                             std::span<const bucket> buckets, std::uint64_t count, double sum) {
  const std::string n(name);
  metric_labels all = labels;
  all.emplace_back("le", "");
  for (const bucket& b : buckets) {
    all.back().second = number(b.not_above);
    add(n, help, "histogram", all, fmt::format("{}", b.count), "_bucket");
  }
  all.back().second = "+Inf";
  add(n, help, "histogram", all, fmt::format("{}", count), "_bucket");
  add(n, help, "histogram", labels, number(sum), "_sum");
  add(n, help, "histogram", labels, fmt::format("{}", count), "_count");
}

void metrics_page::add(std::string name, std::string_view help, std::string_view type,
                       const metric_labels& labels, std::string_view value, std::string_view suffix) {
  CHECK_INVARIANT(name_ok(name));
  const auto [at, is_new] = index_.try_emplace(name, families_.size());
  if (is_new) families_.push_back({name, std::string(help), std::string(type), {}});
  metric_family& family = families_[at->second];
  CHECK_INVARIANT(family.type == type);
  std::string& out = family.samples;
  out.append(name).append(suffix);
  char before = '{';
  for (const auto& [key, text] : labels) {
    CHECK_INVARIANT(name_ok(key));
    out += before;
    out.append(key).append("=\"");
    append_escaped(out, text, true);
    out += '"';
    before = ',';
  }
  if (!labels.empty()) out += '}';
  out.append(" ").append(value).append("\n");
}

std::string metrics_page::prometheus() const {
  std::string out;
  for (const auto& f : families_) {
    out.append("# HELP ").append(f.name).append(" ");
    append_escaped(out, f.help, false);
    out.append("\n# TYPE ").append(f.name).append(" ").append(f.type).append("\n").append(f.samples);
  }
  return out;
}

} // namespace beeline::ops
