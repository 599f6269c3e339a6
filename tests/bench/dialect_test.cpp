#include "tests/bench/dialect.hpp"

#include <catch2/catch.hpp>

using namespace beeline;
using namespace beeline::bench;

namespace {

const identity sender{"s", 0, false}, receiver{"r", 1, true};

struct seen {
  std::vector<std::string> payloads;
  std::vector<std::uint16_t> packet_ids;
  unsigned ready = 0, accepted = 0, refused = 0;
  std::string reply, fault;
};

// All of `in`, given in pieces of `step` bytes as a socket might.
seen read_in_steps(const dialect& d, const std::string& in, std::size_t step) {
  seen s;
  findings f;
  std::string rest;
  for (std::size_t at = 0; at < in.size() && s.fault.empty(); at += step) {
    rest += in.substr(at, step);
    f.clear();
    const std::size_t used = d.scan(as_bytes(rest), f);
    for (const arrival& a : f.messages) {
      s.payloads.emplace_back(reinterpret_cast<const char*>(a.payload), a.size);
      s.packet_ids.push_back(a.packet_id);
    }
    s.ready += f.ready;
    s.accepted += f.accepted;
    s.refused += f.refused;
    s.reply += f.reply;
    s.fault = f.fault;
    rest.erase(0, used);
  }
  return s;
}

template <class Check> void at_every_step(const dialect& d, const std::string& in, Check check) {
  for (std::size_t step = 1; step <= in.size(); ++step) {
    INFO("in pieces of " << step);
    check(read_in_steps(d, in, step));
  }
}

std::string bytes(std::initializer_list<int> v) { return {v.begin(), v.end()}; }
std::string payload_of(const message_template& t, std::size_t n) { return t.bytes.substr(t.payload_at, n); }

} // namespace

TEST_CASE("bench: MQTT 5 at QoS 1, as a client and as its server would see it") {
  const auto d = make_mqtt(5, true, 1);
  CHECK(d->steps(receiver) == 1);
  CHECK(d->opening(0, sender) == bytes({0x10, 14, 0, 4, 'M', 'Q', 'T', 'T', 5, 2, 0, 0, 0, 0, 1, 's'}));
  const message_template t = d->message(sender, receiver, 3, 1);
  CHECK(t.bytes == bytes({0x32, 11, 0, 3, '@', '/', 'r', 0, 0, 0, 'x', 'x', 'x'}));
  CHECK(t.packet_id_at == 7);
  CHECK(payload_of(t, 3) == "xxx");
  std::string ack;
  d->append_ack(ack, 0x0102);
  CHECK(ack == bytes({0x40, 2, 1, 2}));

  const std::string in = bytes({0x20, 3, 0, 0, 0}) + bytes({0x40, 2, 0, 1}) +
                         bytes({0x40, 4, 0, 1, 0x97, 0}) + bytes({0x40, 3, 0, 1, 0x10}) +
                         bytes({0x32, 13, 0, 3, '@', '/', 's', 0, 7, 2, 1, 0, 'a', 'b', 'c'}) +
                         bytes({0x30, 9, 0, 3, '@', '/', 's', 0, 'd', 'e', 'f'});
  at_every_step(*d, in, [](const seen& s) {
    CHECK(s.fault == "");
    CHECK(s.ready == 1);
    CHECK(s.accepted == 1);
    CHECK(s.refused == 2);
    CHECK(s.payloads == std::vector<std::string>{"abc", "def"});
    CHECK(s.packet_ids == std::vector<std::uint16_t>{7, 0});
  });
}

TEST_CASE("bench: MQTT 3.1.1 with a subscription, and a payload with a length of two bytes") {
  const auto d = make_mqtt(4, false, 0);
  CHECK(d->steps(sender) == 1);
  CHECK(d->steps(receiver) == 2);
  CHECK(d->opening(1, receiver) == bytes({0x82, 8, 0, 1, 0, 3, 'b', '/', 'r', 0}));
  CHECK(d->opening(1, sender) == "");
  const message_template t = d->message(sender, receiver, 300, 0);
  CHECK(t.bytes.substr(0, 8) == bytes({0x30, 0xb1, 2, 0, 3, 'b', '/', 'r'}));
  CHECK(t.bytes.size() == 8 + 300);
  CHECK(t.packet_id_at == t.none);
  at_every_step(*d, bytes({0x20, 2, 0, 0}) + bytes({0x90, 3, 0, 1, 0}) + t.bytes, [](const seen& s) {
    CHECK(s.fault == "");
    CHECK(s.ready == 2);
    CHECK(s.payloads == std::vector<std::string>{std::string(300, 'x')});
  });
}

TEST_CASE("bench: what an MQTT server refuses, and what it may not send, ends the run with words") {
  const auto d = make_mqtt(5, true, 0);
  CHECK(read_in_steps(*d, bytes({0x20, 3, 0, 0x88, 0}), 5).fault == "CONNACK with code 0x88");
  CHECK(read_in_steps(*d, bytes({0xe0, 1, 0x9c}), 3).fault == "DISCONNECT with code 0x9C");
  CHECK(read_in_steps(*d, bytes({0x90, 4, 0, 1, 0, 0x87}), 6).fault == "the subscription was refused");
  CHECK(read_in_steps(*d, bytes({0x30, 0xff, 0xff, 0xff, 0xff, 1}), 6).fault == "a packet without a length");
  CHECK(read_in_steps(*d, bytes({0x30, 3, 0, 9, 'x'}), 5).fault == "a packet of type 3 that is malformed");
  CHECK(read_in_steps(*d, bytes({0x62, 2, 0, 1}), 4).fault == "a packet of type 6");
}

TEST_CASE("bench: NATS") {
  const auto d = make_nats();
  CHECK(d->steps(receiver) == 2);
  CHECK(d->opening(1, receiver) == "SUB b.r 1\r\nPING\r\n");
  CHECK(d->message(sender, receiver, 3, 0).bytes == "PUB b.r 3\r\nxxx\r\n");
  const std::string in =
      "INFO {\"a\":1}\r\nPONG\r\nMSG b.r 1 4\r\n\r\n\r\n\r\nPING\r\nMSG b.r 1 2\r\nab\r\nPONG\r\n";
  at_every_step(*d, in, [](const seen& s) {
    CHECK(s.fault == "");
    CHECK(s.ready == 2);
    CHECK(s.reply == "PONG\r\n");
    CHECK(s.payloads == std::vector<std::string>{"\r\n\r\n", "ab"});
  });
  CHECK(read_in_steps(*d, "-ERR 'Slow Consumer'\r\n", 22).fault == "-ERR 'Slow Consumer'");
}

TEST_CASE("bench: Redis") {
  const auto d = make_redis();
  CHECK(d->opening(0, receiver) == "*2\r\n$9\r\nSUBSCRIBE\r\n$3\r\nb:r\r\n");
  CHECK(d->opening(0, sender) == "*1\r\n$4\r\nPING\r\n");
  const message_template t = d->message(sender, receiver, 3, 0);
  CHECK(t.bytes == "*3\r\n$7\r\nPUBLISH\r\n$3\r\nb:r\r\n$3\r\nxxx\r\n");
  CHECK(payload_of(t, 3) == "xxx");
  const std::string in = "+PONG\r\n*3\r\n$9\r\nsubscribe\r\n$3\r\nb:r\r\n:1\r\n:1\r\n"
                         "*3\r\n$7\r\nmessage\r\n$3\r\nb:r\r\n$4\r\n\r\nab\r\n:0\r\n";
  at_every_step(*d, in, [](const seen& s) {
    CHECK(s.fault == "");
    CHECK(s.ready == 2);
    CHECK(s.payloads == std::vector<std::string>{"\r\nab"});
  });
  CHECK(read_in_steps(*d, "-ERR no\r\n", 9).fault == "-ERR no");
}

TEST_CASE("bench: ZMTP, with short and long frames") {
  const auto d = make_zmtp();
  const std::string greeting = d->opening(0, sender), ready = d->opening(1, sender);
  CHECK(greeting.size() == 64);
  CHECK(greeting.substr(10, 6) == bytes({3, 0, 'N', 'U', 'L', 'L'}));
  CHECK(ready.substr(0, 8) == bytes({4, static_cast<int>(ready.size()) - 2, 5, 'R', 'E', 'A', 'D', 'Y'}));
  CHECK(d->message(sender, receiver, 3, 0).bytes == bytes({1, 1, 'r', 0, 3, 'x', 'x', 'x'}));
  const message_template t = d->message(sender, receiver, 300, 0);
  CHECK(t.bytes.substr(0, 12) == bytes({1, 1, 'r', 2, 0, 0, 0, 0, 0, 0, 1, 0x2c}));
  const std::string in = greeting + ready + bytes({0, 7, 'w', 'e', 'l', 'c', 'o', 'm', 'e'}) +
                         bytes({0, 2, 'a', 'b'}) + t.bytes.substr(3);
  at_every_step(*d, in, [](const seen& s) {
    CHECK(s.fault == "");
    CHECK(s.ready == 3);
    CHECK(s.payloads == std::vector<std::string>{"ab", std::string(300, 'x')});
  });
}

TEST_CASE("bench: relays carry lengths and payloads") {
  const auto d = make_relay();
  CHECK(d->opening(0, receiver) == bytes({4, 0, 0, 0, 1, 0, 0, 0}));
  const message_template t = d->message(sender, receiver, 20, 0);
  CHECK(t.payload_at == 4);
  at_every_step(*d, t.bytes + t.bytes, [](const seen& s) { CHECK(s.payloads.size() == 2); });
}
