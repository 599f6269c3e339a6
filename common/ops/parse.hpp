// Values of options: text to typed values, strictly, with messages that say what to write instead.
//
// Every function takes `what`, the name under which the operator gave the value ("--mqtt",
// "BEELINE_MQTT", "edge.conf:3: mqtt"), and throws start_error (exit code 2) when the text is not
// exactly such a value. Nothing is rounded, clipped or guessed. No state, any thread.
#pragma once
#include "common/base/host_port.hpp"
#include "common/base/time.hpp"

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

namespace beeline::ops {

using beeline::host_port;
using beeline::port_zero;
std::string to_string(const host_port& a); // brackets around IPv6 addresses

struct slot_range { // both ends belong to it
  std::uint32_t first = 0, last = 0;
  friend bool operator==(const slot_range&, const slot_range&) = default;
};

// A whole decimal number and nothing else: no sign but '-', no blanks, no overflow (CAT-10).
std::optional<std::int64_t> to_integer(std::string_view text, std::int64_t min, std::int64_t max) noexcept;

// "0.0.0.0:1883", "[::1]:1883", "localhost:7001"
host_port parse_host_port(std::string_view what, std::string_view text, port_zero zero = port_zero::allowed);
// The same of an admin server; also as the programs print it: "http://127.0.0.1:7480", with or without a last
// '/'
host_port parse_http_address(std::string_view what, std::string_view text,
                             port_zero zero = port_zero::allowed);
// "0-2047", within 0-4095
slot_range parse_slots(std::string_view what, std::string_view text);
// "8MiB", "64KiB", "1GiB", "4096"
std::uint64_t parse_size(std::string_view what, std::string_view text, std::uint64_t min = 0,
                         std::uint64_t max = std::numeric_limits<std::uint64_t>::max());
// "250us", "500ms", "3s", "2min", "1h"
duration parse_duration(std::string_view what, std::string_view text, duration min = duration::zero(),
                        duration max = std::chrono::hours(24 * 365));
std::uint64_t parse_count(std::string_view what, std::string_view text, std::uint64_t min, std::uint64_t max);

// The other way round, in the largest unit that is exact: "8MiB", "500ms".
std::string size_text(std::uint64_t n);
std::string duration_text(duration d);

} // namespace beeline::ops
