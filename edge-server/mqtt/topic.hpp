// Syntax of topic names and topic filters. Pure functions.
//
// All take text that has passed valid_utf8 (the decoders see to it); nothing is allocated.
#pragma once
#include "common/base/client_id.hpp"

#include <string_view>

namespace beeline::mqtt {

// At least one character, no wildcard, at most 65,535 bytes.
bool valid_topic_name(std::string_view topic) noexcept;

// `+` and `#` only as whole levels, `#` only as the last; after `$share/` a name and a filter.
bool valid_filter(std::string_view filter) noexcept;
bool is_shared_filter(std::string_view filter) noexcept; // begins with `$share/`
bool has_wildcard(std::string_view filter) noexcept;

using beeline::valid_client_id; // Beeline's rule

} // namespace beeline::mqtt
