// beeline-path QOS MESSAGES: the whole way of a message, C1 -> lane -> shard -> lane -> C2 and its answer
// back, through the real cores in one thread and in memory, in batches of 64. For callgrind: scripts/cost
// runs it and prints instructions a message at each step. Exit code 1 if a message was not delivered.
#include "tests/support/lane_world.hpp"

#include <cstdio>
#include <cstdlib>

using namespace beeline;

namespace {
constexpr unsigned batch = 64;

std::uint64_t carry(test::mqtt_client& c1, test::mqtt_client& c2, std::uint8_t qos, std::uint64_t messages) {
  const std::string payload(100, 'x');
  std::uint64_t delivered = 0;
  for (std::uint64_t sent = 0; sent < messages; sent += batch) {
    std::string bytes, acks;
    for (unsigned k = 0; k < batch; ++k) {
      test::publish_options o;
      o.topic = "@/C2";
      o.payload = payload;
      o.qos = qos;
      o.packet_id = static_cast<std::uint16_t>(k + 1);
      test::append_publish(bytes, o);
    }
    c1.send(bytes);
    const std::string heard = c2.take_bytes();
    mqtt::packet p;
    for (std::size_t at = 0;
         mqtt::next_packet(as_bytes(std::string_view(heard).substr(at)), SIZE_MAX, p) == mqtt::parse::done;
         at += p.total) {
      mqtt::publish_packet m;
      if (test::decode_publish(p, mqtt::protocol_version::v5, m) != mqtt::reason::success) continue;
      ++delivered;
      if (qos) test::append_puback(acks, m.packet_id);
    }
    if (qos) c2.send(acks);
    c1.take_bytes();
  }
  return delivered;
}
} // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: beeline-path QOS MESSAGES\n");
    return 2;
  }
  const auto qos = static_cast<std::uint8_t>(std::atoi(argv[1]));
  const auto messages = static_cast<std::uint64_t>(std::atoll(argv[2])) / batch * batch;
  test::lane_world w;
  auto& c1 = w.connect("C1");
  auto& c2 = w.connect("C2", {.edge = 1});
  const std::uint64_t delivered = carry(c1, c2, qos, messages);
  std::printf("%llu messages of 100 bytes at QoS %u delivered\n", static_cast<unsigned long long>(delivered),
              static_cast<unsigned>(qos));
  return delivered == messages ? 0 : 1;
}
