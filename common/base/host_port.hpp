// HOST:PORT as people write it, and in words what is wrong with it: the same words in the programs' options,
// the tool's and libbeeline's. Pure functions.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace beeline {

struct host_port {
  std::string host; // a name or an address, without brackets
  std::uint16_t port = 0;
  friend bool operator==(const host_port&, const host_port&) = default;
};

enum class port_zero : bool { refused, allowed }; // 0 = any free port; makes sense for listeners only

// "0.0.0.0:1883", "[::1]:1883", "localhost:7001". Empty: `out` has it; else what to write instead.
std::string read_host_port(std::string_view text, port_zero zero, host_port& out);

} // namespace beeline
