// The codec of MQTT 5, with its properties: see mqtt_codec.hpp. And what the load generator's encoders write
// is what the server reads.
#include "tests/fuzz/mqtt_codec.hpp"

using namespace beeline;

namespace {

void load_generator_writes(fuzz::input& in) {
  const std::uint16_t number = in.two();
  const std::string_view id = in.text(in.byte() % 64), topic = in.text(in.byte() % 64);
  load::message m{topic, in.text(in.byte()), static_cast<std::uint8_t>(number & 1), 0};
  if (m.qos) m.packet_id = number;
  const auto v = mqtt::protocol_version::v5;
  {
    std::string bytes;
    load::append_connect(bytes, id, number);
    const test::framed_packet p(bytes);
    mqtt::connect_packet c;
    MUST_HOLD(p.packet.total == bytes.size());
    MUST_HOLD((mqtt::decode_connect(p.packet, c) == mqtt::reason::success) == valid_utf8(id));
    if (valid_utf8(id)) MUST_HOLD(c.client_id == id && c.keep_alive == number && c.clean_start);
  }
  {
    std::string bytes;
    load::append_publish(bytes, m);
    const test::framed_packet p(bytes);
    mqtt::publish_packet q;
    const bool good = valid_utf8(topic) && mqtt::valid_topic_name(topic);
    MUST_HOLD(p.packet.total == bytes.size());
    MUST_HOLD((mqtt::decode_publish(p.packet, v, q) == mqtt::reason::success) == good);
    if (good) MUST_HOLD(q.topic == topic && as_text(q.payload) == m.payload && q.packet_id == m.packet_id);
  }
  std::string bytes;
  load::append_puback(bytes, number | 1);
  const test::framed_packet ack(bytes);
  mqtt::ack_packet a;
  MUST_HOLD(mqtt::decode_ack(ack.packet, v, a) == mqtt::reason::success && a.packet_id == (number | 1));
  bytes.clear();
  load::append_pingreq(bytes);
  MUST_HOLD(mqtt::decode_pingreq(test::framed_packet(bytes).packet, v) == mqtt::reason::success);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::input in(data, size);
  if (size && data[0] == 0xff) {
    in.byte();
    load_generator_writes(in);
  } else {
    fuzz::mqtt_codec(mqtt::protocol_version::v5).run(in);
  }
  return 0;
}
