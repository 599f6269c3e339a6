// The admin HTTP/1.1 server of both programs: /stats, /metrics, /healthz and their like.
//
// One thread and one io_context of its own, so that a slow reader or a big page never touches a
// lane or shard. Handlers run on that thread, one at a time, and must not block; one that needs an
// answer from another thread passes its `http_responder` there, which may be called from any
// thread, at any time, also after the server has ended. The first call counts.
//
//   accept -> read whole request -> route -> handler ... responder -> write -> read the next
//
// Bounded: connections, header, body, query, time for each step (limits.hpp, admin_*); each limit
// that was hit is counted. It has no authentication: bind it to loopback or a private network.
#pragma once
#include "common/base/counters.hpp"
#include "common/base/limits.hpp"
#include "common/ops/http_text.hpp"
#include "common/ops/parse.hpp"

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace beeline::ops {

struct http_request {
  std::string method; // "HEAD" is answered like "GET"; the server leaves the body out
  std::string path;   // as sent, without the query
  std::string rest;   // what stood for {...} in the route, percent-decoded; any bytes, not empty
  query_map query;
  std::string body;
};

struct http_response {
  unsigned status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers =
      {}; // beside the server's own; no line ends in them
};
http_response json_failure(unsigned status, std::string_view message); // {"error": message}

// The right to answer one request. Copyable.
class http_responder {
public:
  // `late`: in place of a thread that had no time for it, for the counter. Takes no lock.
  void operator()(http_response response, bool late = false) const;

  struct target; // the server's own
  explicit http_responder(std::shared_ptr<target> t) : target_(std::move(t)) {}

private:
  std::shared_ptr<target> target_;
};

using http_handler = std::function<void(const http_request&, http_responder)>;

struct http_route {
  // Exact ("/stats"), or with one last part in braces that takes all that follows ("/clients/{id}").
  std::string path;
  http_handler handler; // may throw: http_error as it says, anything else is 500
  std::vector<std::string> methods = {"GET", "HEAD"};
};

struct admin_limits {
  std::size_t connections_max = limits::admin_connections_max;
  std::size_t header_bytes_max = limits::admin_header_bytes_max;
  std::size_t body_bytes_max = limits::admin_body_bytes_max;
  std::chrono::milliseconds idle_max = limits::admin_idle_max;
  std::chrono::milliseconds answer_max = limits::admin_answer_max;
};

// Written by the admin thread, read by any.
struct admin_counters {
  beeline::counter requests;            // well-formed ones
  beeline::counter malformed;           // answered 400, 413 or 431 and closed
  beeline::counter connections_refused; // above the limit, answered 503 or just closed
  beeline::counter accept_failures;     // out of descriptors, mostly
  beeline::counter answers_missing;     // 504: no responder call in time
  beeline::counter handler_failures;    // 500: an exception, in a handler or in the thread that makes pages
  beeline::counter pages_late;          // made by the control loop, as the thread for it had no time
  beeline::counter timeouts;            // closed: idle, or a request or answer took too long
};

class admin_server {
public:
  // Binds and listens; throws start_error (code 1) that names `option`. Port 0 is any free port.
  admin_server(std::string_view option, const host_port& where, std::vector<http_route> routes,
               const admin_limits& limits = {});
  ~admin_server(); // stops
  admin_server(const admin_server&) = delete;
  admin_server& operator=(const admin_server&) = delete;

  void start(); // once
  void stop();  // closes all connections, joins; not from a handler; idempotent
  host_port local_endpoint() const;
  const admin_counters& counters() const noexcept;

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace beeline::ops
