// A link that a core wants to have dialled. The shell takes these at the end of each turn and
// answers each with on_up (conn.owner is `link`) or on_connect_failed.
#pragma once
#include <cstdint>
#include <string>

namespace beeline {

struct connect_request {
  std::uint32_t link = 0; // the core's index of the link; comes back as conn.owner
  std::string host;
  std::uint16_t port = 0;
};

} // namespace beeline
