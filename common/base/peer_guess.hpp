// What a peer speaks, guessed by the first bytes that it sent: for messages to people who gave the wrong
// port.
#pragma once
#include <string_view>

namespace beeline {

// "speaks HTTP, as an admin port does", or empty when it cannot be told.
std::string_view guess_peer(std::string_view first_bytes) noexcept;

} // namespace beeline
