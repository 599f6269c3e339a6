// Syntax of client ids. Pure function.
#pragma once
#include <string_view>

namespace beeline {

// 1 to limits::client_id_bytes_max bytes without `/ + #` and control characters. The text has passed
// valid_utf8.
bool valid_client_id(std::string_view id) noexcept;

} // namespace beeline
