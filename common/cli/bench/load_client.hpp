// One MQTT 5 client of the load generator: a non-blocking socket and two buffers, no client library; and the
// edges' addresses, resolved once for all clients. Owner: the generator's one thread.
#pragma once
#include "common/ops/parse.hpp"

#include <cstdint>
#include <string>
#include <sys/socket.h>
#include <vector>

namespace beeline::load {

struct edge_target {
  std::string name; // "HOST:PORT", as it was given
  struct address {
    sockaddr_storage bytes{};
    socklen_t size = 0;
  };
  std::vector<address> addresses; // at least one
  std::size_t good = 0;           // where clients try first: the last that took a connection
};
edge_target resolve(const ops::host_port& where); // waits; throws std::runtime_error with the address

enum class stage : std::uint8_t { idle, connecting, greeting, up, gone };

struct client {
  int fd = -1;
  stage at = stage::idle;
  std::uint32_t number = 0, edge = 0;
  std::size_t tried = 0; // addresses of the edge that did not answer
  std::string id;
  std::string in, out; // bytes received and not parsed; bytes to send
  std::size_t out_at = 0;
  bool want_out = false;
  int send_error = 0;                   // nothing goes out any more; what came in is read first
  std::uint64_t next = 0;               // number of its next message
  std::vector<std::uint32_t> in_flight; // message number by packet id - 1; none = free
  std::vector<std::uint16_t> free_ids;  // packet ids

  std::size_t backlog() const noexcept { return out.size() - out_at; }
};

// A non-blocking socket that connects to one address of the edge; -1 and errno when that cannot even begin.
int begin_connect(const edge_target::address& to);
int connect_error(int fd); // of a socket that was connecting; 0: it is connected

} // namespace beeline::load
