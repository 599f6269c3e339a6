// Syntax of topic names, topic filters and client ids. Pure functions.
//
// All take text that has passed valid_utf8 (the decoders see to it); nothing is allocated.
#pragma once
#include <string_view>

namespace beeline::mqtt {

// At least one character, no wildcard, at most 65,535 bytes.
bool valid_topic_name(std::string_view topic) noexcept;

// `+` and `#` only as whole levels, `#` only as the last; after `$share/` a name and a filter.
bool valid_filter(std::string_view filter) noexcept;
bool is_shared_filter(std::string_view filter) noexcept; // begins with `$share/`
bool has_wildcard(std::string_view filter) noexcept;

// Beeline's rule: 1 to limits::client_id_bytes_max bytes without `/ + #` and control characters.
bool valid_client_id(std::string_view id) noexcept;

} // namespace beeline::mqtt
