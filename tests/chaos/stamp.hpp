// What every payload begins with: who sent it, for whom, and which one it is; the rest is filler that follows
// from it, so that a byte that changed on the way is noticed. Pure functions.
#pragma once
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

namespace beeline::chaos {

inline constexpr std::uint8_t mark_last = 1, mark_acknowledge = 2; // the sender wants to know of its PUBACK

struct stamp {
  std::uint64_t run = 0;
  std::uint32_t session = 0; // the sender's
  std::uint32_t count = 0;
  std::uint16_t from = 0, to = 0; // clients
  std::uint8_t qos = 0, marks = 0;
  std::uint16_t bytes = 0; // of the whole payload
};
static_assert(sizeof(stamp) == 24);

inline void append_filler(std::string& out, const stamp& s) {
  while (out.size() < s.bytes) out += static_cast<char>(s.count * 31 + s.session * 7 + out.size() * 13);
}

inline void write_payload(std::string& out, const stamp& s) {
  out.assign(reinterpret_cast<const char*>(&s), sizeof s);
  append_filler(out, s);
}

// Nothing: not a payload of this run, or damaged.
inline std::optional<stamp> read_payload(std::string_view payload, std::uint64_t run) {
  stamp s;
  if (payload.size() < sizeof s) return {};
  std::memcpy(&s, payload.data(), sizeof s);
  if (s.run != run || s.bytes != payload.size()) return {};
  std::string expected;
  write_payload(expected, s);
  return expected == payload ? std::optional(s) : std::nullopt;
}

} // namespace beeline::chaos
