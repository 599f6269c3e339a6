#include "common/cli/bench/load_codec.hpp"

namespace beeline::load {
namespace {

// Reads from the front; a read beyond the end gives 0 and makes `ok` false.
struct reader {
  std::string_view rest;
  bool ok = true;

  std::string_view bytes(std::size_t n) noexcept {
    if (n > rest.size()) {
      ok = false;
      return {};
    }
    const auto out = rest.substr(0, n);
    rest.remove_prefix(n);
    return out;
  }
  std::uint8_t byte() noexcept {
    const auto b = bytes(1);
    return b.empty() ? std::uint8_t{0} : static_cast<std::uint8_t>(b[0]);
  }
  std::uint16_t two() noexcept {
    const std::uint16_t high = byte();
    return static_cast<std::uint16_t>(high << 8 | byte());
  }
  std::uint32_t varint() noexcept {
    std::uint32_t v = 0;
    for (unsigned shift = 0; shift < 28; shift += 7) {
      const std::uint8_t b = byte();
      v |= (b & 0x7fu) << shift;
      if (!(b & 0x80)) return v;
    }
    ok = false;
    return 0;
  }
};

void two(std::string& out, std::size_t v) {
  out += static_cast<char>(v >> 8 & 0xff);
  out += static_cast<char>(v & 0xff);
}
void varint(std::string& out, std::size_t v) {
  for (; v > 0x7f; v >>= 7) out += static_cast<char>(0x80 | (v & 0x7f));
  out += static_cast<char>(v);
}
void text(std::string& out, std::string_view s) {
  two(out, s.size());
  out += s;
}

} // namespace

std::optional<packet> next_packet(std::string_view in) noexcept {
  if (in.size() < 2) return {};
  reader r{in};
  packet p;
  const std::uint8_t first = r.byte();
  const std::uint32_t length = r.varint();
  if (!r.ok) return in.size() < 5 ? std::nullopt : std::optional(p);
  if (r.rest.size() < length) return {};
  p.type = static_cast<packet_type>(first >> 4);
  p.flags = first & 0x0f;
  p.total = in.size() - r.rest.size() + length;
  p.body = r.bytes(length);
  return p;
}

std::optional<std::uint8_t> read_connack(const packet& p) noexcept {
  reader r{p.body};
  r.byte(); // session present
  const std::uint8_t code = r.byte();
  r.bytes(r.varint());
  return r.ok && r.rest.empty() ? std::optional(code) : std::nullopt;
}

std::uint8_t read_disconnect(const packet& p) noexcept { return reader{p.body}.byte(); }

std::optional<message> read_publish(const packet& p) noexcept {
  reader r{p.body};
  message m;
  m.qos = p.flags >> 1 & 3;
  m.topic = r.bytes(r.two());
  if (m.qos) m.packet_id = r.two();
  r.bytes(r.varint());
  m.payload = r.rest;
  return r.ok && m.qos < 2 ? std::optional(m) : std::nullopt;
}

std::optional<answer> read_puback(const packet& p) noexcept {
  reader r{p.body};
  answer a{r.two(), 0};
  if (!r.rest.empty()) a.code = r.byte();
  if (!r.rest.empty()) r.bytes(r.varint());
  return r.ok && r.rest.empty() ? std::optional(a) : std::nullopt;
}

void append_connect(std::string& out, std::string_view id, std::uint16_t keep_alive_seconds) {
  constexpr std::string_view protocol = "MQTT\5"; // and its version
  constexpr std::size_t clean_start = 2;
  out += static_cast<char>(0x10);
  varint(out, 2 + protocol.size() + 1 + 2 + 1 + 2 + id.size());
  two(out, protocol.size() - 1);
  out += protocol;
  out += static_cast<char>(clean_start);
  two(out, keep_alive_seconds);
  varint(out, 0); // properties
  text(out, id);
}

void append_publish(std::string& out, const message& m) {
  out += static_cast<char>(0x30 | m.qos << 1);
  varint(out, 2 + m.topic.size() + (m.qos ? 2 : 0) + 1 + m.payload.size());
  text(out, m.topic);
  if (m.qos) two(out, m.packet_id);
  varint(out, 0); // properties
  out += m.payload;
}

void append_puback(std::string& out, std::uint16_t packet_id) {
  out += static_cast<char>(0x40);
  varint(out, 2);
  two(out, packet_id);
}

void append_pingreq(std::string& out) {
  out += static_cast<char>(0xc0);
  varint(out, 0);
}

} // namespace beeline::load
