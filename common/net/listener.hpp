// Listening sockets: bound by anyone at start-up, accepted from by one loop.
//
// bind_tcp throws std::system_error whose text names the address, for main to print. A listener
// accepts in bounded batches; when the process is out of descriptors or memory it pauses, counts and
// goes on by itself, so that a full process neither spins nor goes deaf (CAT-66). Connections beyond its
// rate stay in the kernel's queue and are taken in order of arrival as time allows (CAT-63).
//
// Owner: the loop's thread, from construction to destruction.
#pragma once
#include "common/base/limits.hpp"
#include "common/net/connection_budget.hpp"
#include "common/net/event_loop.hpp"
#include "common/net/io_counters.hpp"
#include "common/net/unique_fd.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace beeline::net {

struct bound_socket {
  unique_fd fd;
  std::string address; // "127.0.0.1:1883", for people
  std::uint16_t port = 0;
};

// Port 0: any free port. The socket does not listen yet: a connect is refused.
bound_socket bind_tcp(const std::string& host, std::uint16_t port);

// `n` sockets on one port, for one lane each (SO_REUSEPORT); the kernel spreads connections over
// those that listen. Refused when a process, also one of the same user, listens there already.
std::vector<bound_socket> bind_tcp_shared(const std::string& host, std::uint16_t port, std::size_t n);

// Any thread; throws std::system_error. From here on connections queue in the kernel.
void start_listening(const bound_socket& s, int backlog = limits::listen_backlog);

struct admission {
  connection_budget* budget = nullptr; // null: no limit
  double rate = 0;                     // connections a second; 0: no limit
};

class listener {
public:
  using accepted_fn = std::function<void(unique_fd, budget_slot)>; // non-blocking, close-on-exec
  using log_fn = std::function<void(std::string_view)>;

  // The socket listens already.
  listener(event_loop& loop, bound_socket s, const admission& limit, io_counters& counters,
           accepted_fn accepted, log_fn log);
  ~listener(); // stops listening

  std::uint16_t local_port() const noexcept;

private:
  struct impl;
  std::shared_ptr<impl> impl_;
};

} // namespace beeline::net
