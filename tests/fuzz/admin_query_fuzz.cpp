// CAT-10: what comes to the admin server in a request's target, and what any bytes become on its pages.
//
// What must hold: a query is read as it was written, or refused with 400; a number is a whole decimal number
// within its bounds, or refused; JSON and metrics stay well-formed whatever stands in them.
#include "common/base/limits.hpp"
#include "common/base/utf8.hpp"
#include "common/ops/drops_page.hpp"
#include "common/ops/json_text.hpp"
#include "common/ops/metrics.hpp"
#include "router/edges_page.hpp"
#include "tests/fuzz/fuzz_input.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

using namespace beeline;
using namespace beeline::ops;

namespace {

// --- references: the same again, by other means --------------------------------------------------

std::string encoded(std::string_view text) {
  std::string out;
  for (const char c : text) {
    char hex[4];
    std::snprintf(hex, sizeof hex, "%%%02x", static_cast<unsigned char>(c));
    out += hex;
  }
  return out;
}

std::optional<std::int64_t> whole_number(std::string_view text, std::int64_t min, std::int64_t max) {
  const bool minus = text.starts_with('-');
  if (minus) text.remove_prefix(1);
  if (text.empty()) return {};
  __extension__ using wide = __int128;
  wide n = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return {};
    n = std::min<wide>(n * 10 + (c - '0'), wide{1} << 100);
  }
  if (minus) n = -n;
  if (n < min || n > max) return {};
  return static_cast<std::int64_t>(n);
}

template <class F> auto or_400(F&& f) -> std::optional<decltype(f())> {
  try {
    return f();
  } catch (const http_error& e) {
    MUST_HOLD(e.status() == 400 && *e.what() != '\0');
    return {};
  }
}

// --- targets -------------------------------------------------------------------------------------

void decode(std::string_view text) {
  MUST_HOLD(percent_decode(encoded(text)) == text);
  MUST_HOLD(percent_decode(encoded(text), plus_sign::is_blank) == text);
  if (const auto d = percent_decode(text)) MUST_HOLD(d->size() <= text.size());
}

void number(const query_map& q, std::string_view name, std::int64_t preset, std::int64_t min,
            std::int64_t max) {
  const auto n = or_400([&] { return query_number(q, name, preset, min, max); });
  const auto at = q.find(name);
  MUST_HOLD(n == (at == q.end() ? std::optional(preset) : whole_number(at->second, min, max)));
}

void pages_that_take(const query_map& q) {
  if (const auto most = or_400([&] { return drops_limit(q); }))
    MUST_HOLD(*most >= 1 && *most <= limits::drops_kept);
  const auto edges = or_400([&] { return router::read_edges_query(q); });
  if (!edges) return;
  MUST_HOLD(edges->limit >= 1 && edges->limit <= limits::edges_page_max);
  MUST_HOLD(edges->after.size() <= limits::edge_name_bytes_max && valid_utf8(edges->after));
}

void query(std::string_view text) {
  const auto q = or_400([&] { return parse_query(text); });
  if (!q) return;
  MUST_HOLD(q->size() <= limits::admin_query_parameters_max);
  std::string again;
  for (const auto& [name, value] : *q) {
    MUST_HOLD(!name.empty());
    again += encoded(name) + "=" + encoded(value) + "&";
    for (const std::int64_t edge :
         {std::int64_t{1}, std::int64_t{1'000}, std::int64_t{0x7fffffff}, INT64_MAX})
      number(*q, name, 1, 1, edge), number(*q, name, 0, -edge - 1, edge);
  }
  MUST_HOLD(parse_query(again) == *q);
  number(*q, "absent", 7, 1, 9);
  pages_that_take(*q);
}

// A query with known names, so that bounds are met.
void known_query(fuzz::input& in) {
  static constexpr std::string_view names[] = {"limit=", "after=", "a=", "&", "%", "+"};
  static constexpr std::string_view values[] = {"2147483647",
                                                "2147483648",
                                                "-2147483649",
                                                "4294967296",
                                                "9223372036854775807",
                                                "9223372036854775808",
                                                "-1",
                                                "0",
                                                "1",
                                                "1000",
                                                "0x10",
                                                "18446744073709551616"};
  std::string text;
  while (!in.empty()) {
    text += names[in.byte() % std::size(names)];
    const unsigned k = in.byte() % 16;
    text += k < std::size(values) ? values[k] : in.text(in.byte() % 24);
    if (in.byte() & 1) text += '&';
  }
  query(text);
}

// --- pages ---------------------------------------------------------------------------------------

void in_json(std::string_view text, double number) {
  json_text out;
  out.object();
  out.value("text", text);
  out.value("number", number);
  out.array("list");
  out.value({}, text);
  out.end();
  out.end();
  const auto page = nlohmann::json::parse(out.take());
  MUST_HOLD(page["list"][0] == page["text"]);
  MUST_HOLD(page["number"].is_null() ? !std::isfinite(number) : page["number"].get<double>() == number);
  if (valid_utf8(text)) MUST_HOLD(page["text"].get<std::string>() == text);
  const auto error = nlohmann::json::parse(json_error(text));
  MUST_HOLD(error["error"] == page["text"]);
}

void in_metrics(std::string_view text, double number) {
  metrics_page page("x_");
  page.family("f", text, metric_type::gauge);
  page.sample(metric_labels{{"name", text}, {"more", "1"}}, number);
  const std::string all = page.take();
  MUST_HOLD(std::ranges::count(all, '\n') == 3); // help, type, one sample
  constexpr std::string_view before = "\nx_f{name=\"";
  const auto value = all.find(before) + before.size();
  std::string again;
  std::size_t i = value;
  for (; all[i] != '"'; ++i) {
    if (all[i] == '\\') again += all[++i] == 'n' ? '\n' : all[i];
    else again += all[i];
  }
  MUST_HOLD(again == text && all.substr(i).starts_with("\",more=\"1\"} "));
}

void numbers(double number, std::uint64_t whole) {
  std::string text;
  append_number(text, number);
  const double back = std::strtod(text.c_str(), nullptr);
  MUST_HOLD(std::isnan(number) ? std::isnan(back) : back == number);
  text.clear();
  append_number(text, whole);
  MUST_HOLD(text == std::to_string(whole));
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::input in(data, size);
  switch (in.byte() % 4) {
  case 0: decode(in.text(in.left())); break;
  case 1: query(in.text(in.left())); break;
  case 2: known_query(in); break;
  default: {
    const std::uint64_t bits = in.number();
    double n;
    std::memcpy(&n, &bits, sizeof n);
    const std::string_view text = in.text(in.left());
    numbers(n, bits), in_json(text, n), in_metrics(text, n);
  }
  }
  return 0;
}
