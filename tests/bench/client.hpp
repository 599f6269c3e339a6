// One connection of the load generator: its socket, what is still to be written, and a frame that came in
// part.
//
// Owner: the swarm's thread.
#pragma once
#include "common/base/bytes.hpp"
#include "common/net/unique_fd.hpp"
#include "tests/bench/dialect.hpp"

#include <netinet/in.h>
#include <vector>

namespace beeline::bench {

struct client {
  identity me;
  std::uint32_t target = 0; // which address it connects to
  net::unique_fd fd;
  std::string out; // from out_at on
  std::size_t out_at = 0;
  std::vector<std::byte> rest; // the beginning of a frame
  unsigned answers = 0;        // to openings
  bool up = false;
  bool waits_to_write = false; // for EPOLLOUT
  bool is_dirty = false;       // in the swarm's list
  std::uint16_t packet_id = 0; // the last one used
  // Of the messages that it sent:
  std::uint64_t sent = 0, arrived = 0, settled = 0; // settled: the server has answered

  std::size_t unwritten() const noexcept { return out.size() - out_at; }
  std::uint16_t next_packet_id() noexcept { return ++packet_id ? packet_id : ++packet_id; }
};

} // namespace beeline::bench
