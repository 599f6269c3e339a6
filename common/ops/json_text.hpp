// JSON written straight into a string, for pages that are asked for often: /stats is made ten times
// a second on the machine that carries the messages, and a tree of it costs five times as much.
//
//   json_text out;                      {
//   out.object();                         "ready": true,
//     out.value("ready", true);           "shards": [
//     out.array("shards");                  7
//       out.value({}, 7u);                ]
//     out.end();                        }
//   out.end();
//
// Keys are names of ours, told once in an object: neither is checked in release. Texts may hold any
// byte: what is not UTF-8 is replaced. Pages that are seldom asked for are nlohmann::json (json_page).
#pragma once
#include "common/ops/number_text.hpp"

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

namespace beeline::ops {

class json_text {
public:
  explicit json_text(std::size_t bytes_expected = 0) { text_.reserve(bytes_expected); }

  // The key is empty for the outermost and inside arrays.
  void object(std::string_view key = {}) { open(key, '{'); }
  void array(std::string_view key = {}) { open(key, '['); }
  void end(); // of the innermost object or array

  void value(std::string_view key, std::unsigned_integral auto v) {
    begin(key);
    append_number(text_, std::uint64_t{v});
  }
  void value(std::string_view key, double v); // null unless finite
  void value(std::string_view key, bool v) {
    begin(key);
    text_ += v ? "true" : "false";
  }
  void value(std::string_view key, std::string_view v);
  void value(std::string_view key, const char* v) { value(key, std::string_view(v)); }
  void null(std::string_view key) {
    begin(key);
    text_ += "null";
  }

  std::string take(); // once everything has ended

private:
  void begin(std::string_view key); // comma, line, key
  void open(std::string_view key, char bracket);
  void line();

  std::string text_;
  std::string closing_; // the brackets to come
  bool first_ = true;   // in the innermost
};

} // namespace beeline::ops
