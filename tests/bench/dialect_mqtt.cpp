// MQTT 3.1.1 and 5.0: CONNECT, SUBSCRIBE, PUBLISH, PUBACK out; CONNACK, SUBACK, PUBLISH, PUBACK, DISCONNECT
// in.
#include "tests/bench/dialect.hpp"

#include <fmt/format.h>

namespace beeline::bench {
namespace {

void append_u16(std::string& out, std::size_t v) {
  out += static_cast<char>(v >> 8 & 0xff);
  out += static_cast<char>(v & 0xff);
}
void append_text(std::string& out, std::string_view s) {
  append_u16(out, s.size());
  out += s;
}
std::string packet(std::uint8_t head, std::string_view body) {
  std::string out(1, static_cast<char>(head));
  std::size_t n = body.size();
  do {
    out += static_cast<char>((n & 0x7f) | (n > 0x7f ? 0x80 : 0));
    n >>= 7;
  } while (n > 0);
  return out += body;
}

// A variable byte integer at p. 0: more bytes are needed; -1: there is none.
int read_varint(const std::uint8_t* p, std::size_t left, std::uint32_t& out) {
  out = 0;
  for (unsigned i = 0; i < 4; ++i) {
    if (i == left) return 0;
    out |= std::uint32_t{p[i] & 0x7fu} << 7 * i;
    if (p[i] < 0x80) return static_cast<int>(i + 1);
  }
  return -1;
}

class mqtt final : public dialect {
public:
  mqtt(std::uint8_t version, bool direct, std::uint8_t qos) : v5_(version == 5), direct_(direct), qos_(qos) {}

  unsigned steps(const identity& me) const override { return subscribes(me) ? 2 : 1; }
  std::string opening(unsigned step, const identity& me) const override {
    return step == 0 ? connect(me) : step == 1 && subscribes(me) ? subscribe(me) : std::string();
  }
  message_template message(const identity&, const identity& to, std::uint32_t payload,
                           std::uint8_t qos) const override {
    message_template t;
    std::string body;
    append_text(body, topic(to));
    std::size_t id_at = body.size();
    if (qos > 0) append_u16(body, 0);
    if (v5_) body += '\0'; // no properties
    const std::size_t payload_at = body.size();
    body.append(payload, 'x');
    t.bytes = packet(static_cast<std::uint8_t>(0x30 | qos << 1), body);
    const std::size_t head = t.bytes.size() - body.size();
    t.payload_at = head + payload_at;
    if (qos > 0) t.packet_id_at = head + id_at;
    return t;
  }
  void append_ack(std::string& out, std::uint16_t packet_id) const override {
    out += "\x40\x02";
    append_u16(out, packet_id);
  }
  std::uint8_t qos_max() const override { return 1; }

  std::size_t scan(const_bytes in, findings& f) const override {
    const auto* const begin = reinterpret_cast<const std::uint8_t*>(in.data());
    std::size_t at = 0;
    while (in.size() - at >= 2) {
      std::uint32_t size = 0;
      const int head = read_varint(begin + at + 1, in.size() - at - 1, size);
      if (head < 0) f.fault = "a packet without a length";
      if (head <= 0) break;
      const std::size_t body = at + 1 + static_cast<std::size_t>(head);
      if (in.size() - body < size) break;
      if (!take(begin[at], begin + body, size, f)) {
        if (f.fault.empty()) f.fault = fmt::format("a packet of type {} that is malformed", begin[at] >> 4);
        break;
      }
      at = body + size;
    }
    return at;
  }

private:
  bool subscribes(const identity& me) const { return me.receives && !direct_; }
  std::string topic(const identity& of) const { return (direct_ ? "@/" : "b/") + of.id; }
  std::string connect(const identity& me) const {
    std::string body;
    append_text(body, "MQTT");
    body += static_cast<char>(v5_ ? 5 : 4);
    body += '\x02';      // clean start
    append_u16(body, 0); // no keep alive: nothing but the load is measured
    if (v5_) body += '\0';
    append_text(body, me.id);
    return packet(0x10, body);
  }
  std::string subscribe(const identity& me) const {
    std::string body;
    append_u16(body, 1);
    if (v5_) body += '\0';
    append_text(body, topic(me));
    body += static_cast<char>(qos_);
    return packet(0x82, body);
  }

  bool take(std::uint8_t head, const std::uint8_t* body, std::uint32_t size, findings& f) const {
    switch (head >> 4) {
    case 3: return take_publish(head, body, size, f);
    case 4:
      if (size < 2) return false;
      ++(size > 2 && body[2] >= 0x80 ? f.refused : size > 2 && body[2] == 0x10 ? f.refused : f.accepted);
      return true;
    case 2:
      if (size < 2 || body[1] != 0)
        return f.fault = size < 2 ? "a short CONNACK" : fmt::format("CONNACK with code 0x{:02X}", body[1]),
               false;
      ++f.ready;
      return true;
    case 9:
      if (size < 3 || body[size - 1] >= 0x80) return f.fault = "the subscription was refused", false;
      ++f.ready;
      return true;
    case 14: f.fault = fmt::format("DISCONNECT with code 0x{:02X}", size > 0 ? body[0] : 0); return false;
    default: f.fault = fmt::format("a packet of type {}", head >> 4); return false;
    }
  }
  bool take_publish(std::uint8_t head, const std::uint8_t* body, std::uint32_t size, findings& f) const {
    if (size < 2) return false;
    std::size_t at = 2 + (std::size_t{body[0]} << 8 | body[1]);
    std::uint16_t packet_id = 0;
    if (head & 0x06) {
      if (size < at + 2) return false;
      packet_id = static_cast<std::uint16_t>(body[at] << 8 | body[at + 1]);
      at += 2;
    }
    if (v5_ && at < size) {
      std::uint32_t properties = 0;
      const int n = read_varint(body + at, size - at, properties);
      if (n <= 0) return false;
      at += static_cast<std::size_t>(n) + properties;
    } else if (v5_) {
      return false;
    }
    if (at > size) return false;
    f.messages.push_back(
        {reinterpret_cast<const std::byte*>(body + at), static_cast<std::uint32_t>(size - at), packet_id});
    return true;
  }

  bool v5_, direct_;
  std::uint8_t qos_;
};

} // namespace

std::unique_ptr<dialect> make_mqtt(std::uint8_t version, bool direct, std::uint8_t qos) {
  return std::make_unique<mqtt>(version, direct, qos);
}

} // namespace beeline::bench
