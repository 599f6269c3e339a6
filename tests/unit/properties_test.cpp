// The properties of a message are read twice: by the edge, which judges what clients say, and by programs
// without MQTT. What the one writes the other reads, and means the same.
#include "common/wire/properties.hpp"
#include "edge-server/mqtt/properties.hpp"

#include <catch2/catch.hpp>

using namespace beeline;

static_assert(static_cast<int>(wire::property_id::payload_format) ==
              static_cast<int>(mqtt::property::payload_format_indicator));
static_assert(static_cast<int>(wire::property_id::content_type) ==
              static_cast<int>(mqtt::property::content_type));
static_assert(static_cast<int>(wire::property_id::response_topic) ==
              static_cast<int>(mqtt::property::response_topic));
static_assert(static_cast<int>(wire::property_id::correlation_data) ==
              static_cast<int>(mqtt::property::correlation_data));
static_assert(static_cast<int>(wire::property_id::user_property) ==
              static_cast<int>(mqtt::property::user_property));

TEST_CASE(
    "properties: what a program without MQTT writes is what the edge's walk reads, and the other reader") {
  std::string block;
  wire::put_flag(block, wire::property_id::payload_format, true);
  wire::put_text(block, wire::property_id::content_type, "text/plain");
  wire::put_text(block, wire::property_id::response_topic, "@/C1/answers");
  wire::put_text(block, wire::property_id::correlation_data, std::string("\0\xff", 2));
  wire::put_user_property(block, "colour", "blue");
  wire::put_user_property(block, "colour", std::string(65'535, 'x'));

  mqtt::property_walk walk(as_bytes(block), mqtt::property_scope::publish, mqtt::sender::client);
  mqtt::property_value judged;
  wire::property_record plain;
  std::size_t at = 0, properties = 0;
  while (walk.next(judged)) {
    REQUIRE(wire::next_property(as_bytes(block), at, plain));
    ++properties;
    CHECK(static_cast<int>(plain.id) == static_cast<int>(judged.id));
    CHECK(plain.text == judged.text);
    CHECK(plain.value == judged.value);
    CHECK(plain.flag == judged.number);
  }
  CHECK(walk.error() == mqtt::reason::success);
  CHECK(properties == 6);
  CHECK_FALSE(wire::next_property(as_bytes(block), at, plain));
  CHECK(at == block.size());
}

TEST_CASE("properties: both readers stop at a block that is cut anywhere within a property") {
  std::string block;
  wire::put_flag(block, wire::property_id::payload_format, false);
  const std::size_t first = block.size();
  wire::put_user_property(block, "k", "v");
  for (std::size_t n = first + 1; n < block.size(); ++n) {
    const std::string cut = block.substr(0, n);
    mqtt::property_walk walk(as_bytes(cut), mqtt::property_scope::publish, mqtt::sender::client);
    mqtt::property_value judged;
    CHECK(walk.next(judged));
    CHECK_FALSE(walk.next(judged));
    CHECK(walk.error() == mqtt::reason::malformed_packet);
    wire::property_record plain;
    std::size_t at = 0;
    CHECK(wire::next_property(as_bytes(cut), at, plain));
    CHECK_FALSE(wire::next_property(as_bytes(cut), at, plain));
  }
}
