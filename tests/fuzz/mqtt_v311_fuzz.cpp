// The codec of MQTT 3.1.1: see mqtt_codec.hpp.
#include "tests/fuzz/mqtt_codec.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  beeline::fuzz::input in(data, size);
  beeline::fuzz::mqtt_codec(beeline::mqtt::protocol_version::v311).run(in);
  return 0;
}
