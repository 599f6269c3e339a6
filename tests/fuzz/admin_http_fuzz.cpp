// CAT-10: the admin server as it is, in its own thread, over connections of loopback: any bytes, pipelined
// requests, bodies, what is cut off.
//
// What must hold: the server answers in HTTP or closes, with a status that has a reason here; what handlers
// get is within the limits; nothing that one connection brings is in the way of the next.
#include "common/net/unique_fd.hpp"
#include "common/ops/admin_http.hpp"
#include "tests/fuzz/fuzz_input.hpp"

#include <arpa/inet.h>
#include <atomic>
#include <cerrno>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>

using namespace beeline;
using namespace beeline::ops;

namespace {

constexpr admin_limits small{.connections_max = 4,
                             .header_bytes_max = 1'024,
                             .body_bytes_max = 512,
                             .idle_max = std::chrono::seconds(20),
                             .answer_max = std::chrono::seconds(20)};
constexpr unsigned known_statuses[] = {200, 400, 404, 405, 409, 413, 431};

class fuzzed_server {
public:
  fuzzed_server() : server_("--admin", {"127.0.0.1", 0}, routes(), small) { server_.start(); }

  // All that it says to these bytes, in two parts, and nothing behind them.
  std::string hear(std::string_view bytes, std::size_t first_part) {
    const net::unique_fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const timeval patience{300, 0}; // scripts/fuzz has less with each input (-timeout)
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(server_.local_endpoint().port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    MUST_HOLD(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0);
    send(fd.get(), bytes.substr(0, first_part));
    send(fd.get(), bytes.substr(std::min(first_part, bytes.size())));
    ::shutdown(fd.get(), SHUT_WR);
    std::string heard;
    char buffer[4'096];
    for (;;) {
      const ssize_t n = ::recv(fd.get(), buffer, sizeof buffer, 0);
      MUST_HOLD(n >= 0 || errno == ECONNRESET); // it ends the connection, in time
      if (n <= 0) return heard;
      heard.append(buffer, static_cast<std::size_t>(n));
    }
  }
  std::uint64_t handled() const { return handled_; }

private:
  static void send(int fd, std::string_view bytes) { // it may have closed
    while (!bytes.empty()) {
      const ssize_t n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return;
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
  }
  void judge(const http_request& q) {
    ++handled_;
    MUST_HOLD(q.path.starts_with('/') && q.path.size() <= small.header_bytes_max);
    MUST_HOLD(q.body.size() <= small.body_bytes_max);
    MUST_HOLD(q.query.size() <= limits::admin_query_parameters_max);
    MUST_HOLD(q.path.find('?') == std::string::npos);
  }
  std::vector<http_route> routes() {
    return {{"/echo",
             [this](const http_request& q, const http_responder& respond) {
               judge(q);
               MUST_HOLD(q.method == "GET" || q.method == "HEAD");
               MUST_HOLD(q.rest.empty());
               respond({200, "text/plain", "here"});
               respond({200, "text/plain", "the second answer counts for nothing"});
             }},
            {"/things/{id}",
             [this](const http_request& q, const http_responder& respond) {
               judge(q);
               MUST_HOLD(!q.rest.empty());
               respond({200, "application/json", json_error(q.rest)});
             }},
            {"/act",
             [this](const http_request& q, const http_responder&) {
               judge(q);
               MUST_HOLD(q.method == "POST");
               throw http_error(409, "not now");
             },
             {"POST"}}};
  }

  std::atomic<std::uint64_t> handled_ = 0;
  admin_server server_; // ends first
};

// Requests of known parts, so that much of what comes is well-formed.
std::string of_parts(fuzz::input& in) {
  static constexpr std::string_view parts[] = {"GET ",
                                               "HEAD ",
                                               "POST ",
                                               "PUT ",
                                               "/echo",
                                               "/things/",
                                               "/act",
                                               "?a=1&b=%20",
                                               " HTTP/1.1\r\n",
                                               " HTTP/1.0\r\n",
                                               "Content-Length: ",
                                               "Transfer-Encoding: chunked\r\n",
                                               "Connection: close\r\n",
                                               "Connection: keep-alive\r\n",
                                               "Expect: 100-continue\r\n",
                                               "Host: x\r\n",
                                               "\r\n",
                                               "0\r\n\r\n",
                                               "4294967296",
                                               "18446744073709551616",
                                               "513",
                                               "5",
                                               "GET /echo HTTP/1.1\r\n\r\n",
                                               "POST /act HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
                                               "%",
                                               "%00",
                                               ": ",
                                               "Upgrade: h2c\r\n"};
  std::string out;
  while (!in.empty() && out.size() < 16 * 1'024) {
    const unsigned k = in.byte();
    if (k % 64 < std::size(parts)) out += parts[k % 64];
    else if (k % 64 == 62) out.append(in.two() % 2'048, static_cast<char>(in.byte()));
    else out += in.text(1 + k % 8);
  }
  return out;
}

// Statuses of all answers; where none is without its body, all bytes are of them.
unsigned successes(std::string_view heard, bool heads) {
  unsigned good = 0;
  while (!heard.empty()) {
    MUST_HOLD(heard.starts_with("HTTP/1.1 ") && heard.size() > 12);
    const auto status = static_cast<unsigned>(std::atoi(heard.data() + 9));
    MUST_HOLD(std::find(std::begin(known_statuses), std::end(known_statuses), status) !=
              std::end(known_statuses));
    good += status == 200 || status == 409;
    const auto head = heard.find("\r\n\r\n");
    constexpr std::string_view length = "\r\nContent-Length: ";
    const auto at = heard.find(length);
    MUST_HOLD(head != heard.npos && at < head);
    const auto body = static_cast<std::size_t>(std::atoll(heard.data() + at + length.size()));
    const auto begin = head + 4;
    const bool left_out =
        heads && (heard.size() < begin + body || heard.substr(begin).starts_with("HTTP/1.1 "));
    MUST_HOLD(left_out || heard.size() >= begin + body);
    heard.remove_prefix(left_out ? begin : begin + body);
  }
  return good;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static fuzzed_server server;
  static unsigned runs = 0;
  fuzz::input in(data, size);
  const unsigned mode = in.byte();
  const std::size_t first_part = in.byte();
  const std::string bytes = mode % 4 ? of_parts(in) : std::string(in.text(in.left()));
  const std::uint64_t before = server.handled();
  const std::string heard = server.hear(bytes, first_part);
  const bool heads = bytes.find("HEAD") != bytes.npos;
  const unsigned good = successes(heard, heads);
  MUST_HOLD(good <= server.handled() - before);
  if (++runs % 64 == 0) MUST_HOLD(successes(server.hear("GET /echo HTTP/1.1\r\n\r\n", 9), false) == 1);
  return 0;
}
