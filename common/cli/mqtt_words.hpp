// MQTT's codes in words, as docs/mqtt.md explains them. Pure functions.
#pragma once
#include <string>
#include <string_view>

namespace beeline::cli {

std::string code_text(int code); // "0x10"
// Of a PUBACK with this reason string, for JSON: "accepted", "nobody", "full", "unknown", "taken", ...
std::string_view outcome_name(int code, std::string_view reason) noexcept;
// "accepted: it is in the recipient's session (0x00)", and the reason string
std::string receipt_words(int code, int version, std::string_view reason);
std::string connect_words(int code, int version); // "refused the client id (0x85)"
// Of a peer that answers a CONNECT with these bytes, and with no CONNACK: "speaks HTTP, ...".
std::string stranger_words(std::string_view first_bytes);
std::string disconnect_words(int code); // "the same id connected elsewhere (0x8E)"

} // namespace beeline::cli
