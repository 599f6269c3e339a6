// MQTT codec: framing and decoding of a PUBLISH, and writing one.
#include "edge-server/mqtt/decode.hpp"
#include "edge-server/mqtt/encode.hpp"
#include "tests/support/mqtt_client_codec.hpp"

#include <benchmark/benchmark.h>

namespace beeline {
namespace {

constexpr unsigned batch = 64;

std::string publishes(std::size_t payload, std::uint8_t qos, bool with_properties) {
  std::string out;
  for (unsigned k = 0; k < batch; ++k) {
    test::publish_options o;
    o.topic = "@/client-000123";
    const std::string body(payload, 'x');
    o.payload = body;
    o.qos = qos;
    o.packet_id = static_cast<std::uint16_t>(k + 1);
    if (with_properties) o.properties = std::string_view("\x03\x00\x0atext/plain\x26\x00\x01k\x00\x01v", 20);
    test::append_publish(out, o);
  }
  return out;
}

void decode_publish(benchmark::State& state) {
  const std::string in = publishes(static_cast<std::size_t>(state.range(0)),
                                   static_cast<std::uint8_t>(state.range(1)), state.range(2) != 0);
  for (auto unused : state) {
    mqtt::packet p;
    const_bytes left = as_bytes(in);
    while (mqtt::next_packet(left, SIZE_MAX, p) == mqtt::parse::done) {
      mqtt::publish_packet m;
      if (mqtt::decode_publish(p, mqtt::protocol_version::v5, m) != mqtt::reason::success)
        return state.SkipWithError("a PUBLISH that is refused");
      benchmark::DoNotOptimize(m);
      left = left.subspan(p.total);
    }
  }
  state.SetItemsProcessed(state.iterations() * batch);
}
BENCHMARK(decode_publish)
    ->ArgNames({"payload", "qos", "properties"})
    ->Args({16, 0, 0})
    ->Args({100, 0, 0})
    ->Args({100, 1, 0})
    ->Args({100, 1, 1})
    ->Args({1024, 0, 0});

void encode_publish(benchmark::State& state) {
  chunk_pool pool;
  output_chain out(pool);
  const std::string payload(static_cast<std::size_t>(state.range(0)), 'x');
  mqtt::publish_message m;
  m.topic = {"@/", "client-000123", "", ""};
  m.payload = as_bytes(payload);
  for (auto unused : state) {
    for (unsigned k = 0; k < batch; ++k) mqtt::encode_publish(out, m, mqtt::protocol_version::v5);
    out.clear();
  }
  state.SetItemsProcessed(state.iterations() * batch);
}
BENCHMARK(encode_publish)->ArgName("payload")->Arg(16)->Arg(100)->Arg(1024);

} // namespace
} // namespace beeline
