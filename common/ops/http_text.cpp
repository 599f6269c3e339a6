#include "common/ops/http_text.hpp"

#include "common/base/limits.hpp"
#include "common/ops/parse.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace beeline::ops {
namespace {

int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string decoded_or_400(std::string_view text) {
  auto out = percent_decode(text, plus_sign::is_blank);
  if (!out) throw http_error(400, "a '%' in the query is not followed by two hex digits");
  return *std::move(out);
}

} // namespace

std::optional<std::string> percent_decode(std::string_view text, plus_sign plus) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && plus == plus_sign::is_blank) {
      out += ' ';
    } else if (text[i] != '%') {
      out += text[i];
    } else {
      const int high = i + 1 < text.size() ? hex_digit(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
      if (high < 0 || low < 0) return std::nullopt;
      out += static_cast<char>(high * 16 + low);
      i += 2;
    }
  }
  return out;
}

query_map parse_query(std::string_view query) {
  query_map out;
  while (!query.empty()) {
    const auto part = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(part.size() + 1, query.size()));
    if (part.empty()) continue; // "a=1&&b=2" is common and harmless
    const auto equals = std::min(part.find('='), part.size());
    auto name = decoded_or_400(part.substr(0, equals));
    if (name.empty()) throw http_error(400, "a query parameter has no name");
    auto text = decoded_or_400(part.substr(std::min(equals + 1, part.size())));
    if (out.size() == limits::admin_query_parameters_max) throw http_error(400, "too many query parameters");
    if (!out.emplace(std::move(name), std::move(text)).second)
      throw http_error(400, "a query parameter is given twice");
  }
  return out;
}

std::int64_t query_number(const query_map& query, std::string_view name, std::int64_t preset,
                          std::int64_t min, std::int64_t max) {
  const auto at = query.find(name);
  if (at == query.end()) return preset;
  if (const auto n = to_integer(at->second, min, max)) return *n;
  throw http_error(400, "'" + std::string(name) + "' must be a whole number from " + std::to_string(min) +
                            " to " + std::to_string(max));
}

std::string json_error(std::string_view message) {
  const nlohmann::json page = {{"error", message}};
  return page.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

} // namespace beeline::ops
