// MQTT's codes in words, as docs/mqtt.md explains them. Pure functions.
#pragma once
#include <string>
#include <string_view>

namespace beeline::cli {

std::string code_text(int code);                  // "0x10"
std::string_view outcome_name(int code) noexcept; // of a PUBACK: "accepted", "nobody", "full", ... for JSON
std::string receipt_words(int code, int version); // "accepted: it is in the recipient's session"
std::string connect_words(int code, int version); // "refused the client id (0x85)"
// Of a peer that answers a CONNECT with these bytes, and with no CONNACK: "speaks HTTP, ...".
std::string stranger_words(std::string_view first_bytes);
std::string disconnect_words(int code); // "the same id connected elsewhere (0x8E)"

} // namespace beeline::cli
