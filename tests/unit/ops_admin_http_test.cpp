// The admin server, spoken to over real sockets on a free port by a client that sends raw bytes.
#include "common/ops/admin_http.hpp"

#include "common/net/event_loop.hpp"
#include "common/ops/idle_worker.hpp"
#include "common/ops/start_error.hpp"
#include "tests/support/process.hpp"

#include <arpa/inet.h>
#include <catch2/catch.hpp>
#include <future>
#include <mutex>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

using namespace beeline;
using namespace beeline::ops;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;

namespace {

class raw_client {
public:
  explicit raw_client(const admin_server& server) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(server.local_endpoint().port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0);
    timeval patience{20, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }
  ~raw_client() { ::close(fd_); }
  raw_client(const raw_client&) = delete;
  raw_client& operator=(const raw_client&) = delete;

  void send(std::string_view text) const {
    REQUIRE(::send(fd_, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size()));
  }
  // Up to and with `mark`; less when the server closes first.
  std::string until(std::string_view mark) {
    for (;;) {
      if (const auto at = held_.find(mark); at != held_.npos) return take(at + mark.size());
      if (!more()) return take(held_.size());
    }
  }
  std::string until_closed() {
    while (more()) {
    }
    return take(held_.size());
  }
  std::string get(const std::string& target) { // keeps the connection
    send("GET " + target + " HTTP/1.1\r\nHost: x\r\n\r\n");
    const auto head = until("\r\n\r\n");
    const auto at = head.find("Content-Length: ");
    REQUIRE(at != head.npos);
    const auto length = std::stoul(head.substr(at + 16));
    while (held_.size() < length && more()) {
    }
    return head + take(length);
  }

private:
  std::string take(std::size_t n) {
    std::string out = held_.substr(0, n);
    held_.erase(0, n);
    return out;
  }
  bool more() {
    char bytes[4096];
    const auto n = ::recv(fd_, bytes, sizeof bytes, 0);
    if (n > 0) held_.append(bytes, static_cast<std::size_t>(n));
    return n > 0;
  }
  int fd_;
  std::string held_;
};

// A server with one page of each kind.
struct fixture {
  std::mutex lock;
  std::vector<http_responder> held; // of /slow
  std::vector<std::thread> threads;
  admin_server server;

  explicit fixture(const admin_limits& limits = {}) : server("--admin", {"127.0.0.1", 0}, routes(), limits) {
    server.start();
  }
  ~fixture() {
    server.stop();
    for (auto& t : threads) t.join();
  }
  std::vector<http_route> routes() {
    return {
        {"/stats",
         [](const http_request&, http_responder r) {
           r({200, "application/json", "{\"a\":1}"});
         }},
        {"/clients/{id}",
         [](const http_request& q, http_responder r) {
           const auto n = query_number(q.query, "limit", 7, 1, 1000);
           r({200, "text/plain", "id=" + q.rest + " limit=" + std::to_string(n)});
         }},
        {"/later",
         [this](const http_request&, http_responder r) {
           threads.emplace_back([r] {
             r({200, "text/plain", "late"});
             r({200, "text/plain", "twice"});
           });
         }},
        {"/slow",
         [this](const http_request&, http_responder r) {
           const std::lock_guard guard(lock);
           held.push_back(r);
         }},
        {"/throws", [](const http_request&, http_responder) { throw std::runtime_error("canary"); }},
        {"/refuses", [](const http_request&, http_responder) { throw http_error(503, "not now"); }},
        {"/echo",
         [](const http_request& q, http_responder r) {
           r({200, "text/plain", q.body});
         },
         {"POST"}},
        {"/big",
         [](const http_request&, http_responder r) {
           r({200, "text/plain", std::string(8 << 20, 'b')});
         }},
    };
  }
};

std::string ask(const fixture& f, std::string_view bytes) {
  raw_client c(f.server);
  c.send(bytes);
  return c.until_closed();
}
std::string once(const std::string& line) {
  return line + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
}

} // namespace

TEST_CASE("the admin server answers its pages and keeps the connection") {
  fixture f;
  raw_client c(f.server);
  for (int i = 0; i < 3; ++i) {
    const auto page = c.get("/stats");
    CHECK_THAT(page, StartsWith("HTTP/1.1 200 OK\r\n"));
    CHECK_THAT(page, Contains("Content-Type: application/json\r\n") && !Contains("Connection:"));
    CHECK(page.ends_with("\r\n\r\n{\"a\":1}"));
  }
  CHECK(f.server.counters().requests.get() == 3);
  CHECK(ask(f, "GET /big HTTP/1.0\r\n\r\n").size() > (8u << 20));
  CHECK_THAT(ask(f, once("GET /stats?")), StartsWith("HTTP/1.1 200 ") && Contains("Connection: close\r\n"));
}

TEST_CASE("HEAD gets the headers of GET and no body") {
  fixture f;
  const auto page = ask(f, once("HEAD /stats"));
  CHECK_THAT(page, StartsWith("HTTP/1.1 200 OK\r\n") && Contains("Content-Length: 7\r\n"));
  CHECK(page.ends_with("\r\n\r\n"));
}

TEST_CASE("unknown pages are 404, other methods 405 with Allow") {
  fixture f;
  const auto lost = ask(f, once("GET /nothing"));
  CHECK_THAT(lost, StartsWith("HTTP/1.1 404 Not Found\r\n") && Contains("{\"error\":\"no such page\"}"));
  for (auto line : {"GET /", "GET /stats/", "GET /clients", "GET /clients/", "GET /Stats", "POST /nothing"})
    CHECK_THAT(ask(f, once(line)), StartsWith("HTTP/1.1 404"));
  const auto refused = ask(f, once("DELETE /stats"));
  CHECK_THAT(refused, StartsWith("HTTP/1.1 405 ") && Contains("Allow: GET, HEAD\r\n"));
  CHECK_THAT(ask(f, once("GET /echo")), StartsWith("HTTP/1.1 405 ") && Contains("Allow: POST\r\n"));
  CHECK(ask(f, "POST /echo HTTP/1.1\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello")
            .ends_with("\r\n\r\nhello"));
}

TEST_CASE("the last part of a path and the query are decoded") {
  fixture f;
  CHECK(ask(f, once("GET /clients/a%2Fb%20c?limit=5")).ends_with("id=a/b c limit=5"));
  CHECK(ask(f, once("GET /clients/a/b+c")).ends_with("id=a/b+c limit=7"));
  CHECK_THAT(ask(f, once("GET /clients/%zz")), StartsWith("HTTP/1.1 400"));
  CHECK_THAT(ask(f, once("GET /stats?a=%")), StartsWith("HTTP/1.1 400"));
}

TEST_CASE("CAT-10: numbers out of range in a request are 400") {
  fixture f;
  raw_client c(f.server);
  for (auto n : {"-2147483648", "2147483648", "-2147483649", "9223372036854775807", "9223372036854775808",
                 "-9223372036854775809", "x", "", "0", "1001", "1%00"})
    CHECK_THAT(c.get(std::string("/clients/a?limit=") + n), StartsWith("HTTP/1.1 400"));
  CHECK_THAT(c.get("/clients/a?limit=1000"), StartsWith("HTTP/1.1 200"));
}

TEST_CASE("input that is not HTTP is 400, closed and counted") {
  fixture f;
  std::uint64_t expected = 0;
  for (auto text :
       {"garbage\r\n\r\n", "GET\r\n\r\n", "GET /stats HTTP/9.9\r\n\r\n", "GET /stats HTTP/1.1\r\n: x\r\n\r\n",
        "GET stats HTTP/1.1\r\n\r\n", "GET http://x/stats HTTP/1.1\r\n\r\n",
        "GET /stats HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        "GET /stats HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"}) {
    CHECK_THAT(ask(f, text), StartsWith("HTTP/1.1 400 Bad Request\r\n") && Contains("Connection: close\r\n"));
    CHECK(f.server.counters().malformed.get() == ++expected);
  }
}

TEST_CASE("headers and bodies above their limits are refused and closed") {
  fixture f;
  const std::string pad(9000, 'x');
  CHECK_THAT(ask(f, "GET /stats HTTP/1.1\r\nX: " + pad + "\r\n\r\n"), StartsWith("HTTP/1.1 431"));
  CHECK_THAT(ask(f, "GET /" + pad + " HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 431"));
  CHECK_THAT(ask(f, "POST /echo HTTP/1.1\r\nContent-Length: 65537\r\n\r\n"), StartsWith("HTTP/1.1 413"));
  CHECK(f.server.counters().malformed.get() == 3);
}

TEST_CASE("requests may come cut at any byte, or several at once") {
  fixture f;
  const auto text = once("GET /clients/ab?limit=3");
  for (std::size_t cut = 1; cut < text.size(); ++cut) {
    raw_client c(f.server);
    c.send(text.substr(0, cut));
    c.send(text.substr(cut));
    CHECK(c.until_closed().ends_with("id=ab limit=3"));
  }
  raw_client slow(f.server), other(f.server);
  slow.get("/stats");
  slow.send(text.substr(0, 20));
  other.get("/stats"); // its thread serves one after the other: it has seen the first part alone
  slow.send(text.substr(20));
  CHECK(slow.until_closed().ends_with("id=ab limit=3"));

  const auto all = ask(f, "GET /stats HTTP/1.1\r\n\r\nGET /later HTTP/1.1\r\n\r\n" + once("GET /nothing"));
  const auto first = all.find("{\"a\":1}"), second = all.find("late"), third = all.find("no such page");
  CHECK((first < second && second < third && third != all.npos));
  CHECK_THAT(all, !Contains("twice"));
}

TEST_CASE("an answer may come later from another thread, and a missing one is 504") {
  admin_limits limits;
  limits.answer_max = 50ms;
  fixture f(limits);
  raw_client c(f.server);
  CHECK(c.get("/later").ends_with("\r\n\r\nlate"));
  CHECK_THAT(c.get("/slow"), StartsWith("HTTP/1.1 504 "));
  {
    const std::lock_guard guard(f.lock);
    f.held.at(0)({200, "text/plain", "too late"}); // must not answer the next request
  }
  CHECK(c.get("/stats").ends_with("{\"a\":1}"));
  CHECK(f.server.counters().answers_missing.get() == 1);
  f.server.stop();
  f.held.at(0)({200, "text/plain", "much too late"});
}

TEST_CASE("an exception in a handler is 500 and does not escape") {
  fixture f;
  raw_client c(f.server);
  const auto page = c.get("/throws");
  CHECK_THAT(page, StartsWith("HTTP/1.1 500 ") && !Contains("canary"));
  CHECK_THAT(c.get("/refuses"), StartsWith("HTTP/1.1 503 ") && Contains("not now"));
  CHECK_THAT(c.get("/stats"), StartsWith("HTTP/1.1 200"));
  CHECK(f.server.counters().handler_failures.get() == 1);
}

TEST_CASE("the 65th connection is told 503, and there is room again when one ends") {
  fixture f;
  std::vector<std::unique_ptr<raw_client>> clients;
  for (std::size_t i = 0; i < limits::admin_connections_max; ++i) {
    clients.push_back(std::make_unique<raw_client>(f.server));
    CHECK_THAT(clients.back()->get("/stats"), StartsWith("HTTP/1.1 200"));
  }
  CHECK_THAT(ask(f, once("GET /stats")), StartsWith("HTTP/1.1 503 "));
  CHECK(f.server.counters().connections_refused.get() == 1);
  clients.pop_back();
  CHECK(test::eventually([&] { return ask(f, once("GET /stats")).starts_with("HTTP/1.1 200"); }));
}

TEST_CASE("a connection that says nothing, or too slowly, is closed") {
  admin_limits limits;
  limits.idle_max = 100ms;
  fixture f(limits);
  raw_client quiet(f.server), half(f.server);
  half.send("GET /sta");
  CHECK(quiet.until_closed().empty());
  CHECK(half.until_closed().empty());
  // The socket is closed by the timer, the count comes with the read that this ends.
  CHECK(test::eventually([&] { return f.server.counters().timeouts.get() == 2; }));
}

TEST_CASE("an address in use is a start error that names the option") {
  fixture f;
  try {
    const admin_server second("--admin", f.server.local_endpoint(), {});
    FAIL("no error");
  } catch (const start_error& e) {
    CHECK(e.exit_code() == exit_fault);
    CHECK_THAT(e.what(), StartsWith("cannot listen on 127.0.0.1:") && Contains("--admin"));
  }
}

TEST_CASE("the server stops with requests open and can end without having started") {
  {
    fixture f;
    raw_client waiting(f.server), idle(f.server);
    waiting.send("GET /slow HTTP/1.1\r\n\r\n");
    f.server.stop();
    f.server.stop();
  }
  const admin_server never_started("--admin", {"localhost", 0}, {});
  CHECK(never_started.local_endpoint().port != 0);
}

TEST_CASE("a page that another thread makes is answered when it is made, and with 500 when that fails") {
  idle_worker pages;
  admin_server server(
      "--admin", {"127.0.0.1", 0},
      {{"/made",
        [&](const http_request&, http_responder respond) {
          respond_later(pages, respond, [] { return http_response{200, "text/plain", "made"}; });
        }},
       {"/fails",
        [&](const http_request&, http_responder respond) {
          respond_later(pages, respond, []() -> http_response { throw std::runtime_error("canary"); });
        }},
       {"/number",
        [&](const http_request&, http_responder respond) {
          respond_later(pages, respond, []() -> http_response { throw 1; });
        }},
       {"/refuses", [&](const http_request&, http_responder respond) {
          respond_later(pages, respond, []() -> http_response { throw http_error(404, "no such thing"); });
        }}});
  server.start();
  raw_client c(server);
  CHECK_THAT(c.get("/made"), StartsWith("HTTP/1.1 200 "));
  const auto page = c.get("/fails");
  CHECK_THAT(page, StartsWith("HTTP/1.1 500 "));
  CHECK_THAT(page, !Contains("canary"));
  CHECK_THAT(c.get("/made"), Contains("made"));
  CHECK_THAT(c.get("/number"), StartsWith("HTTP/1.1 500 "));
  CHECK_THAT(c.get("/refuses"), StartsWith("HTTP/1.1 404 ") && Contains("no such thing"));
  CHECK(server.counters().handler_failures.get() == 2);
  server.stop();
}

TEST_CASE("a page that the control loop makes is answered, also while the thread for pages stands still, and "
          "counted") {
  idle_worker pages;
  std::promise<void> begun, go_on;
  const auto here = std::this_thread::get_id();
  admin_server server("--admin", {"127.0.0.1", 0},
                      {{"/page", [&](const http_request&, http_responder respond) {
                          respond_later(pages, respond, [&] {
                            if (std::this_thread::get_id() != here)
                              begun.set_value(), go_on.get_future().wait();
                            return http_response{200, "text/plain", "made"};
                          });
                        }}});
  server.start();
  raw_client c(server);
  c.send("GET /page HTTP/1.1\r\n\r\n");
  begun.get_future().wait();
  CHECK(server.counters().pages_late.get() == 0);
  pages.run_overdue(net::steady_now() + limits::page_patience);
  CHECK_THAT(c.until("made"), StartsWith("HTTP/1.1 200 "));
  CHECK(server.counters().pages_late.get() == 1);
  go_on.set_value();
  pages.stop(); // its answer came too late, and is no late page
  CHECK(server.counters().pages_late.get() == 1);
  server.stop();
}

TEST_CASE("a page that fails after its 504, or when nobody waits any more, is counted all the same") {
  admin_limits limits;
  limits.answer_max = 50ms;
  fixture f(limits);
  {
    raw_client c(f.server);
    CHECK_THAT(c.get("/slow"), StartsWith("HTTP/1.1 504 "));
  }
  const std::lock_guard guard(f.lock);
  f.held.at(0)(json_failure(500, "late"));
  CHECK(test::eventually([&] { return f.server.counters().handler_failures.get() == 1; }));
}
