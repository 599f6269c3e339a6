#include "common/ops/json_text.hpp"

#include "common/base/check.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace beeline::ops {

void json_text::line() {
  text_ += '\n';
  text_.append(2 * closing_.size(), ' ');
}

void json_text::begin(std::string_view key) {
  if (closing_.empty()) return;
  if (!first_) text_ += ',';
  first_ = false;
  line();
  if (closing_.back() == ']') return;
  text_ += '"';
  text_ += key;
  text_ += "\": ";
}

void json_text::open(std::string_view key, char bracket) {
  begin(key);
  text_ += bracket;
  closing_ += bracket == '{' ? '}' : ']';
  first_ = true;
}

void json_text::end() {
  CHECK_INVARIANT(!closing_.empty());
  const char bracket = closing_.back();
  closing_.pop_back();
  if (!first_) line();
  text_ += bracket;
  first_ = false;
}

void json_text::value(std::string_view key, double v) {
  if (!std::isfinite(v)) return null(key);
  begin(key);
  append_number(text_, v);
}

void json_text::value(std::string_view key, std::string_view v) {
  begin(key);
  const bool plain =
      std::ranges::all_of(v, [](char c) { return c >= ' ' && c <= '~' && c != '"' && c != '\\'; });
  if (plain) text_.append(1, '"').append(v).append(1, '"');
  else text_ += nlohmann::json(v).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string json_text::take() {
  CHECK_INVARIANT(closing_.empty());
  text_ += '\n';
  return std::move(text_);
}

} // namespace beeline::ops
