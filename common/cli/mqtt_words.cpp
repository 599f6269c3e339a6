#include "common/cli/mqtt_words.hpp"

#include "common/base/peer_guess.hpp"

#include <fmt/format.h>
#include <span>

namespace beeline::cli {
namespace {

struct row {
  int code;
  std::string_view name, words;
};

std::string_view find(std::span<const row> rows, int code, std::string_view row::*what) noexcept {
  for (const row& r : rows)
    if (r.code == code) return r.*what;
  return {};
}

constexpr row receipts[] = {
    {0x00, "accepted", "accepted: it is in the recipient's session"},
    {0x10, "nobody", "nobody there: no client of that id is online, and nobody kept the message"},
    {0x80, "failed", "failed"},
    {0x83, "unknown", "outcome unknown"}, // if the reason string does not say more
    {0x87, "not_authorized", "not allowed"},
    {0x90, "no_address", "not an address: the id is not valid, or the topic is too long"},
    {0x93, "too_many", "too many messages at once"},
    {0x95, "too_large", "the message is too large for the edge"},
    {0x97, "full", "queue full: the recipient does not take its messages as fast as they come"},
};
// 0x83 is MQTT's code for what it has none for: an edge's reason string begins so (docs/mqtt.md, Receipts).
constexpr struct {
  std::string_view begins, name;
} told_by_reason[] = {
    {"outcome unknown", "unknown"},
    {"the message expired", "expired"},
    {"refused", "refused"},
    {"given up", "gave_up"},
    {"taken", "taken"},
};
constexpr row connects[] = {
    {0x81, "", "found the CONNECT malformed"},
    {0x84, "", "does not speak this version of MQTT"},
    {0x85, "", "refused the client id"},
    {0x87, "", "does not allow this client"},
    {0x88, "", "cannot take clients now: no router shard answers"},
    {0x89, "", "cannot take this client now: its router is busy with ids that are claimed twice"},
    {0x97, "", "cannot take one client more: its router is full"},
};
constexpr row connects_311[] = {
    {1, "", "does not speak this version of MQTT"},
    {2, "", "refused the client id"},
    {3, "",
     "cannot take this client now: no router shard answers, its router is full or busy, or it was asked for "
     "what it does not offer"},
    {5, "", "does not allow this client"},
};
constexpr row disconnects[] = {
    {0x00, "", "without a reason"},
    {0x89, "", "the router is busy with ids that are claimed twice"},
    {0x8b, "", "it shuts down"},
    {0x8d, "", "nothing was heard from us in time"},
    {0x8e, "", "the same id connected elsewhere"},
    {0x93, "", "too many messages at once"},
    {0x95, "", "the message is too large"},
    {0x97, "", "the router has as many clients as it may"},
};

std::string with_code(std::string_view words, int code) {
  return words.empty() ? "reason code " + code_text(code) : std::string(words) + " (" + code_text(code) + ")";
}

} // namespace

std::string code_text(int code) { return fmt::format("0x{:02X}", code); }

std::string_view outcome_name(int code, std::string_view reason) noexcept {
  if (code == 0x83)
    for (const auto& told : told_by_reason)
      if (reason.starts_with(told.begins)) return told.name;
  const auto name = find(receipts, code, &row::name);
  return name.empty() ? "refused" : name;
}

std::string receipt_words(int code, int version, std::string_view reason) {
  if (version != 5) return "settled (MQTT 3.1.1 is not told how)";
  if (code == 0x83 && !reason.empty()) return with_code(reason, code);
  std::string words = with_code(find(receipts, code, &row::words), code);
  return reason.empty() ? words : words + ": " + std::string(reason);
}

std::string connect_words(int code, int version) {
  const std::span<const row> rows = version == 5 ? std::span<const row>(connects) : connects_311;
  const auto words = find(rows, code, &row::words);
  return words.empty() ? "refused the connection, " + with_code(words, code) : with_code(words, code);
}

std::string stranger_words(std::string_view first_bytes) {
  if (const std::string_view guess = guess_peer(first_bytes); !guess.empty())
    return std::string(guess) + "; give the MQTT address of an edge with --edge";
  const std::string what =
      first_bytes.empty() ? "gave no CONNACK and closed the connection" : "does not speak MQTT";
  return what + "; is it the --mqtt address of an edge?";
}

std::string disconnect_words(int code) { return with_code(find(disconnects, code, &row::words), code); }

} // namespace beeline::cli
