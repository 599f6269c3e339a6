#include "common/ops/metrics.hpp"

#include "common/base/check.hpp"
#include "common/ops/number_text.hpp"

#include <algorithm>
#include <cmath>

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
  if (std::ranges::none_of(text, [](char c) { return c == '\\' || c == '\n' || c == '"'; })) {
    out += text;
    return;
  }
  for (char c : text) {
    if (c == '\\') out += "\\\\";
    else if (c == '\n') out += "\\n";
    else if (c == '"' && quote) out += "\\\"";
    else out += c;
  }
}

constexpr std::string_view type_names[] = {"counter", "gauge", "histogram"};

} // namespace

metric_labels::metric_labels(std::initializer_list<std::pair<std::string_view, std::string_view>> labels) {
  for (const auto& [name, value] : labels) {
    CHECK_INVARIANT(name_ok(name));
    if (!text_.empty()) text_ += ',';
    text_.append(name).append("=\"");
    append_escaped(text_, value, true);
    text_ += '"';
  }
}

void metrics_page::family(std::string_view name, std::string_view help, metric_type type) {
  std::string whole = prefix_;
  whole += name;
  if (type == metric_type::counter && !name.ends_with("_total")) whole += "_total";
  family_as_is(whole, help, type);
}

void metrics_page::family_as_is(std::string_view whole_name, std::string_view help, metric_type type) {
  CHECK_INVARIANT(name_ok(whole_name));
  name_ = whole_name;
  text_.append("# HELP ").append(name_).append(1, ' ');
  append_escaped(text_, help, false);
  text_.append("\n# TYPE ").append(name_).append(1, ' ');
  text_.append(type_names[static_cast<std::size_t>(type)]).append(1, '\n');
}

void metrics_page::begin(std::string_view suffix, const metric_labels& labels, label more) {
  CHECK_INVARIANT(!name_.empty());
  text_.append(name_).append(suffix);
  if (labels.text().empty() && more.name.empty()) {
    text_ += ' ';
    return;
  }
  text_.append(1, '{').append(labels.text());
  if (!more.name.empty()) {
    if (!labels.text().empty()) text_ += ',';
    text_.append(more.name).append("=\"").append(more.value).append(1, '"');
  }
  text_ += "} ";
}

void metrics_page::end(std::uint64_t value) {
  append_number(text_, value);
  text_ += '\n';
}
void metrics_page::end(double value) {
  if (std::isnan(value)) text_ += "NaN";
  else if (std::isinf(value)) text_ += value > 0 ? "+Inf" : "-Inf";
  else append_number(text_, value);
  text_ += '\n';
}

void metrics_page::sample(const metric_labels& labels, label more, std::uint64_t value) {
  begin({}, labels, more);
  end(value);
}
void metrics_page::sample(const metric_labels& labels, label more, double value) {
  begin({}, labels, more);
  end(value);
}

void metrics_page::histogram(const metric_labels& labels, std::span<const bucket> buckets,
                             std::uint64_t count, double sum) {
  for (const bucket& b : buckets) {
    begin("_bucket", labels, {"le", b.not_above});
    end(b.count);
  }
  begin("_bucket", labels, {"le", "+Inf"});
  end(count);
  begin("_sum", labels, {});
  end(sum);
  begin("_count", labels, {});
  end(count);
}

} // namespace beeline::ops
