// The text protocols: NATS (INFO, CONNECT, SUB, PUB, MSG, PING, PONG) and Redis' RESP 2 (SUBSCRIBE, PUBLISH).
// https://docs.nats.io/reference/reference-protocols/nats-protocol,
// https://redis.io/docs/reference/protocol-spec
#include "tests/bench/dialect.hpp"

#include <charconv>
#include <fmt/format.h>

namespace beeline::bench {
namespace {

// The line at `at`, without its \r\n; `at` is set behind it. False: it is not whole.
bool take_line(std::string_view in, std::size_t& at, std::string_view& line) {
  const std::size_t end = in.find("\r\n", at);
  if (end == in.npos) return false;
  line = in.substr(at, end - at);
  at = end + 2;
  return true;
}
bool read_number(std::string_view s, std::uint32_t& out) {
  const auto r = std::from_chars(s.data(), s.data() + s.size(), out);
  return r.ec == std::errc() && r.ptr == s.data() + s.size();
}
arrival message_at(std::string_view in, std::size_t at, std::uint32_t size) {
  return {reinterpret_cast<const std::byte*>(in.data() + at), size, 0};
}
message_template around_payload(std::string before, std::uint32_t payload) {
  message_template t;
  t.payload_at = before.size();
  t.bytes = std::move(before) + std::string(payload, 'x') + "\r\n";
  return t;
}

class nats final : public dialect {
public:
  unsigned steps(const identity& me) const override { return me.receives ? 2 : 1; }
  std::string opening(unsigned step, const identity& me) const override {
    if (step == 0)
      return R"(CONNECT {"verbose":false,"pedantic":false,"lang":"c","version":"1","protocol":1})"
             "\r\nPING\r\n";
    return step == 1 && me.receives ? "SUB b." + me.id + " 1\r\nPING\r\n" : std::string();
  }
  message_template message(const identity&, const identity& to, std::uint32_t payload,
                           std::uint8_t) const override {
    return around_payload(fmt::format("PUB b.{} {}\r\n", to.id, payload), payload);
  }
  std::size_t scan(const_bytes bytes, findings& f) const override {
    const std::string_view in = as_text(bytes);
    std::size_t at = 0, next = 0;
    std::string_view line;
    for (; take_line(in, next, line); at = next) {
      if (line.starts_with("MSG ")) {
        std::uint32_t size = 0;
        if (!read_number(line.substr(line.rfind(' ') + 1), size)) {
          f.fault = "a MSG without a size";
          break;
        }
        if (in.size() - next < size + 2) break;
        f.messages.push_back(message_at(in, next, size));
        next += size + 2;
      } else if (line == "PONG") ++f.ready;
      else if (line == "PING") f.reply += "PONG\r\n";
      else if (line.starts_with("-ERR")) f.fault = line;
    }
    return at;
  }
};

class redis final : public dialect {
public:
  unsigned steps(const identity&) const override { return 1; }
  std::string opening(unsigned step, const identity& me) const override {
    if (step > 0) return {};
    return me.receives ? command({"SUBSCRIBE", "b:" + me.id}) : command({"PING"});
  }
  message_template message(const identity&, const identity& to, std::uint32_t payload,
                           std::uint8_t) const override {
    const std::string channel = "b:" + to.id;
    return around_payload(
        fmt::format("*3\r\n$7\r\nPUBLISH\r\n${}\r\n{}\r\n${}\r\n", channel.size(), channel, payload),
        payload);
  }
  std::size_t scan(const_bytes bytes, findings& f) const override {
    const std::string_view in = as_text(bytes);
    std::size_t at = 0;
    while (at < in.size() && f.fault.empty()) {
      const std::size_t n = take(in, at, f);
      if (n == at) break;
      at = n;
    }
    return at;
  }

private:
  static std::string command(const std::vector<std::string>& words) {
    std::string out = fmt::format("*{}\r\n", words.size());
    for (const auto& w : words) out += fmt::format("${}\r\n{}\r\n", w.size(), w);
    return out;
  }
  // Returns where the next one begins; `at` when this one is not whole.
  static std::size_t take(std::string_view in, std::size_t at, findings& f) {
    std::size_t next = at;
    std::string_view line;
    if (!take_line(in, next, line) || line.empty()) return at;
    if (line[0] == ':') return next; // to how many a PUBLISH went
    if (line[0] == '+') return ++f.ready, next;
    if (line[0] != '*') return f.fault = line, at;
    std::string_view kind, unused, last;
    if (!take_bulk(in, next, kind, f) || !take_bulk(in, next, unused, f)) return at;
    if (kind == "subscribe") return take_line(in, next, line) ? (++f.ready, next) : at;
    if (!take_bulk(in, next, last, f)) return at;
    f.messages.push_back(message_at(last, 0, static_cast<std::uint32_t>(last.size())));
    return next;
  }
  static bool take_bulk(std::string_view in, std::size_t& at, std::string_view& out, findings& f) {
    std::string_view line;
    std::uint32_t size = 0;
    if (!take_line(in, at, line)) return false;
    if (line.empty() || line[0] != '$' || !read_number(line.substr(1), size)) {
      f.fault = "no bulk string where one belongs";
      return false;
    }
    if (in.size() - at < size + 2) return false;
    out = in.substr(at, size);
    at += size + 2;
    return true;
  }
};

} // namespace

std::unique_ptr<dialect> make_nats() { return std::make_unique<nats>(); }
std::unique_ptr<dialect> make_redis() { return std::make_unique<redis>(); }

} // namespace beeline::bench
