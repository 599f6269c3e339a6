// One MQTT 5 client of the load generator: a non-blocking socket and two buffers, no client library.
// Owner: the generator's one thread.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace beeline::load {

struct client {
  int fd = -1;
  std::uint32_t number = 0, edge = 0;
  std::string id;
  std::string in, out; // bytes received and not parsed; bytes to send
  std::size_t out_at = 0;
  bool connected = false, want_out = false;
  std::uint32_t quota = 0;              // messages still to publish
  std::vector<std::uint32_t> in_flight; // message number by packet id - 1; none = free
  std::vector<std::uint16_t> free_ids;  // packet ids
};

// Opens a non-blocking connection; throws std::runtime_error with the address.
int connect_to(const std::string& host, std::uint16_t port);

} // namespace beeline::load
