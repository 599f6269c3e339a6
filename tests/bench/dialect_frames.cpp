// Frames with a length in front: ZMTP 3.0 (https://rfc.zeromq.org/spec/23) as a DEALER, and our own for
// relays that look at nothing.
#include "tests/bench/dialect.hpp"

namespace beeline::bench {
namespace {

// A client tells the chain its id with a message to nobody, and is up when that is answered
// (peers/zmq_chain.cpp).
class zmtp final : public dialect {
public:
  unsigned steps(const identity&) const override { return 3; } // greeting, READY, welcome
  std::string opening(unsigned step, const identity& me) const override {
    if (step == 0) return greeting();
    if (step == 1) return ready(me);
    return step == 2 ? frame(0x01, "") + frame(0x00, "hello") : std::string();
  }
  message_template message(const identity&, const identity& to, std::uint32_t payload,
                           std::uint8_t) const override {
    message_template t;
    t.bytes = frame(0x01, to.id) + frame(0x00, std::string(payload, 'x'));
    t.payload_at = t.bytes.size() - payload;
    return t;
  }
  std::size_t scan(const_bytes in, findings& f) const override {
    const auto* const p = reinterpret_cast<const std::uint8_t*>(in.data());
    std::size_t at = 0;
    while (in.size() - at >= 2) {
      if (p[at] == 0xff) { // a greeting: no frame begins so
        if (in.size() - at < greeting_size) break;
        at += greeting_size;
        ++f.ready;
        continue;
      }
      const bool is_long = p[at] & 0x02;
      if (is_long && in.size() - at < 9) break;
      std::uint64_t size = p[at + 1];
      if (is_long)
        for (unsigned i = size = 0; i < 8; ++i) size = size << 8 | p[at + 1 + i];
      const std::size_t body = at + (is_long ? 9 : 2);
      if (in.size() - body < size) break;
      const auto text = as_text(in.subspan(body, size));
      if (p[at] & 0x04 ? text.substr(0, 6) == "\x05READY" : text == "welcome") ++f.ready;
      else if (p[at] & 0x04) f.fault = "a command that is not READY";
      else f.messages.push_back({in.data() + body, static_cast<std::uint32_t>(size), 0});
      at = body + size;
    }
    return at;
  }

private:
  static constexpr std::size_t greeting_size = 64;
  static std::string greeting() {
    std::string g("\xff\0\0\0\0\0\0\0\0\x7f\x03\0NULL", 16);
    g.resize(greeting_size); // mechanism padded, as-server 0, filler
    return g;
  }
  static std::string frame(std::uint8_t flags, std::string_view body) {
    std::string out;
    if (body.size() > 255) {
      out += static_cast<char>(flags | 0x02);
      for (int shift = 56; shift >= 0; shift -= 8) out += static_cast<char>(body.size() >> shift & 0xff);
    } else {
      out += static_cast<char>(flags);
      out += static_cast<char>(body.size());
    }
    return out += body;
  }
  static void append_property(std::string& out, std::string_view name, std::string_view value) {
    out += static_cast<char>(name.size());
    out += name;
    for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(value.size() >> shift & 0xff);
    out += value;
  }
  static std::string ready(const identity& me) {
    std::string body = "\x05READY";
    append_property(body, "Socket-Type", "DEALER");
    append_property(body, "Identity", me.id);
    return frame(0x04, body);
  }
};

// A byte-blind relay carries each sender's bytes to a connection that it opens to us.
class relay final : public dialect {
public:
  unsigned steps(const identity&) const override { return 1; }
  std::string opening(unsigned, const identity& me) const override { // arrives at the other end
    std::string out(4, '\0');
    store_le<std::uint32_t>(out.data(), 4);
    out.resize(8);
    store_le<std::uint32_t>(out.data() + 4, me.index);
    return out;
  }
  message_template message(const identity&, const identity&, std::uint32_t payload,
                           std::uint8_t) const override {
    message_template t;
    t.bytes.resize(4 + payload, 'x');
    store_le<std::uint32_t>(t.bytes.data(), payload);
    t.payload_at = 4;
    return t;
  }
  std::size_t scan(const_bytes in, findings& f) const override {
    std::size_t at = 0;
    while (in.size() - at >= 4) {
      const auto size = load_le<std::uint32_t>(in.data() + at);
      if (in.size() - at - 4 < size) break;
      f.messages.push_back({in.data() + at + 4, size, 0});
      at += 4 + size;
    }
    return at;
  }
  bool is_called_back() const override { return true; }
};

} // namespace

std::unique_ptr<dialect> make_zmtp() { return std::make_unique<zmtp>(); }
std::unique_ptr<dialect> make_relay() { return std::make_unique<relay>(); }

std::unique_ptr<dialect> make_dialect(std::string_view name, bool direct, std::uint8_t qos) {
  if (name == "mqtt5") return make_mqtt(5, direct, qos);
  if (name == "mqtt311") return make_mqtt(4, direct, qos);
  if (name == "nats") return make_nats();
  if (name == "redis") return make_redis();
  if (name == "zmtp") return make_zmtp();
  if (name == "relay") return make_relay();
  return nullptr;
}

} // namespace beeline::bench
