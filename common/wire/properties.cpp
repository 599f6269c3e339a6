#include "common/wire/properties.hpp"

namespace beeline::wire {
namespace {

void put_string(std::string& to, std::string_view s) {
  to += static_cast<char>(s.size() >> 8);
  to += static_cast<char>(s.size());
  to += s;
}

bool take_string(const_bytes block, std::size_t& at, std::string_view& out) noexcept {
  if (block.size() - at < 2) return false;
  const auto n = static_cast<std::size_t>(block[at]) << 8 | static_cast<std::size_t>(block[at + 1]);
  if (block.size() - at - 2 < n) return false;
  out = as_text(block.subspan(at + 2, n));
  at += 2 + n;
  return true;
}

} // namespace

void put_flag(std::string& to, property_id id, bool value) {
  to += static_cast<char>(id);
  to += static_cast<char>(value);
}
void put_text(std::string& to, property_id id, std::string_view value) {
  to += static_cast<char>(id);
  put_string(to, value);
}
void put_user_property(std::string& to, std::string_view name, std::string_view value) {
  put_text(to, property_id::user_property, name);
  put_string(to, value);
}

bool next_property(const_bytes block, std::size_t& at, property_record& out) noexcept {
  if (at >= block.size()) return false;
  out = {};
  out.id = static_cast<property_id>(block[at++]);
  switch (out.id) {
  case property_id::payload_format:
    if (at == block.size()) return false;
    out.flag = static_cast<std::uint8_t>(block[at++]);
    return true;
  case property_id::message_expiry:
    if (block.size() - at < 4) return false;
    out.text = as_text(block.subspan(at, 4)); // big-endian
    at += 4;
    return true;
  case property_id::content_type:
  case property_id::response_topic:
  case property_id::correlation_data: return take_string(block, at, out.text);
  case property_id::user_property:
    return take_string(block, at, out.text) && take_string(block, at, out.value);
  }
  return false;
}

} // namespace beeline::wire
