// One of two routers is away for long, and what waits for it fills an edge's memory: who feeds it is not
// read, everybody else goes on.
#include "common/base/limits.hpp"
#include "tests/support/cluster.hpp"
#include "tests/support/raw_mqtt.hpp"

#include <catch2/catch.hpp>
#include <memory>

using namespace beeline;
using namespace beeline::test;

namespace {

constexpr std::uint16_t messages = 10;

void send_many(raw_mqtt& c, const std::string& topic) {
  const std::string payload(40'000, 'x');
  for (std::uint16_t id = 1; id <= messages; ++id) {
    publish_options o;
    o.topic = topic, o.payload = payload, o.qos = 1, o.packet_id = id;
    c.send(encode_publish(o));
  }
}

bool takes(raw_mqtt& c, const std::string& payload) {
  mqtt::publish_packet m;
  if (test::decode_publish(c.next(), protocol_version::v5, m) != reason::success) return false;
  std::string ack;
  append_puback(ack, m.packet_id);
  c.send(ack);
  return as_text(m.payload) == payload;
}

} // namespace

TEST_CASE("CAT-56: one router of two is away, its messages fill an edge's memory: the other's go on") {
  const std::uint16_t ports = free_ports(1);
  const arguments where{"--listen", loopback(ports), "--admin", "127.0.0.1:0"};
  const arguments upper{"--shards", "1", "--slots", "2048-4095"};
  router_process low({"--shards", "1", "--slots", "0-2047"});
  auto high = std::make_unique<router_process>(upper, where);
  edge_process e("e1", {low.address(), high->address()}, {"--lanes", "1", "--max-memory", "16MiB"});
  REQUIRE(e.mqtt());
  REQUIRE(e.becomes_ready());
  const auto id_at = [](const router_process& r, std::string id) {
    while (r.get("/explain/" + id).status != 200) id += 'x';
    return id;
  };
  const std::string away = id_at(*high, "away"), here = id_at(low, "here");
  std::vector<std::unique_ptr<raw_mqtt>> senders; // together more than half of the memory, not three quarters
  for (int i = 0; i < 30; ++i)
    senders.push_back(std::make_unique<raw_mqtt>(e.mqtt(), "s" + std::to_string(i)));
  raw_mqtt reader(e.mqtt(), here), writer(e.mqtt(), id_at(low, "writer"));

  high->os().stop(SIGKILL);
  const auto total = [&](const char* name) { return e.json("/stats")["totals"][name].get<std::uint64_t>(); };
  REQUIRE(eventually([&] { return total("links_up") == 1; }));
  for (const auto& s : senders) send_many(*s, "@/" + away);
  REQUIRE(eventually([&] { return total("reads_paused") >= senders.size() / 2; }));
  REQUIRE(total("unanswered_bytes") > 6 * limits::MiB);
  for (int i = 0; i < 50; ++i) {
    const std::string payload = std::to_string(i);
    REQUIRE(writer.publish("@/" + here, payload) == 0);
    REQUIRE(takes(reader, payload));
  }
  CHECK(eventually([&] { return total("pubacks_in") == 50; }));
  CHECK(total("unanswered_bytes") > 6 * limits::MiB);

  high = std::make_unique<router_process>(upper, where);
  for (const auto& s : senders)
    for (std::uint16_t id = 1; id <= messages; ++id) {
      mqtt::ack_packet a;
      REQUIRE(test::decode_ack(s->next(), protocol_version::v5, a) == reason::success);
      REQUIRE(static_cast<unsigned>(a.code) == 0x10); // nobody has it, and so it is told now
    }
  CHECK(eventually([&] { return total("unanswered_messages") == 0; }));
  CHECK(e.os().stop() == 0);
}
