// MQTT's UTF-8: well-formed, no surrogates, no U+0000. Pure function.
//
// Control characters and non-characters such as U+FFFF are allowed: the specification leaves them
// to the receiver, and refusing them would break clients for nothing.
#pragma once
#include <string_view>

namespace beeline {

bool valid_utf8(std::string_view s) noexcept;

} // namespace beeline
