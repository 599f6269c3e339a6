#include "common/ops/admin_http.hpp"

#include "common/base/check.hpp"
#include "common/net/memory_reserve.hpp"
#include "common/ops/logging.hpp"
#include "common/ops/mail_queue.hpp"
#include "common/ops/start_error.hpp"

#include <algorithm>
#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <fcntl.h>
#include <fmt/format.h>
#include <optional>
#include <pthread.h>
#include <thread>

namespace beeline::ops {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using error_code = boost::system::error_code;
using tcp = asio::ip::tcp;
using executor = asio::io_context::executor_type;
using socket_type = asio::basic_stream_socket<tcp, executor>;
using acceptor_type = asio::basic_socket_acceptor<tcp, executor>;
using timer_type = asio::basic_waitable_timer<std::chrono::steady_clock,
                                              asio::wait_traits<std::chrono::steady_clock>, executor>;

class connection;

// An answer on its way back to the admin thread.
struct letter {
  std::weak_ptr<connection> to; // locked on the admin thread only
  std::uint64_t number;         // of the request
  http_response response;
  bool late;
};
// It outlives the server in the hands of responders. Without a lock: who makes pages may be put off for long.
using mailbox = mail_queue<letter>;

// What all connections share. Outlives them.
struct server_state {
  std::vector<http_route> routes;
  admin_limits limits;
  admin_counters counters;
  std::shared_ptr<mailbox> mail = std::make_shared<mailbox>();
  std::size_t open = 0, refusing = 0; // connections
};

std::string response_text(const http_response& r, bool head, bool keep, bool http10, std::string_view allow) {
  std::string out =
      fmt::format("HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n"
                  "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n",
                  r.status, std::string_view(http::obsolete_reason(http::int_to_status(r.status))),
                  r.content_type, r.body.size());
  for (const auto& [name, value] : r.headers) out.append(name).append(": ").append(value).append("\r\n");
  if (!allow.empty()) out.append("Allow: ").append(allow).append("\r\n");
  if (!keep) out += "Connection: close\r\n";
  else if (http10) out += "Connection: keep-alive\r\n";
  out += "\r\n";
  if (!head) out += r.body;
  return out;
}

// What follows the fixed part of a route with {...}; nothing when the path does not match.
std::optional<std::string_view> match(std::string_view route, std::string_view path) {
  const auto brace = route.find('{');
  if (brace == route.npos) return route == path ? std::optional<std::string_view>("") : std::nullopt;
  if (!path.starts_with(route.substr(0, brace)) || path.size() == brace) return std::nullopt;
  return path.substr(brace);
}

// The status for input that is not HTTP or above a limit; 0 when the network is to blame.
unsigned status_of(const error_code& ec) {
  if (ec == http::error::header_limit || ec == http::error::buffer_overflow) return 431;
  if (ec == http::error::body_limit) return 413;
  if (ec == http::error::end_of_stream || ec == http::error::partial_message) return 0;
  return ec.category() == http::make_error_code(http::error::bad_method).category() ? 400 : 0;
}

class connection : public std::enable_shared_from_this<connection> {
public:
  connection(socket_type socket, server_state& state, std::size_t& population)
      : stream_(std::move(socket)), answer_timer_(stream_.get_executor()), state_(state),
        population_(population) {
    ++population_;
  }
  ~connection() { --population_; }
  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;

  void read();
  void refuse(); // 503 and close
  void answer(std::uint64_t number, http_response response);

private:
  void on_read(const error_code& ec);
  void route(const std::string& target);
  void call(const http_route& r, http_request request);
  void fail(unsigned status, std::string_view message);
  void write(const http_response& response, std::string_view allow = {});
  void on_write(const error_code& ec);
  void finish();
  void drain();

  beast::basic_stream<tcp, executor> stream_;
  timer_type answer_timer_;
  beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  std::string output_;
  std::array<char, 4096> scratch_;
  std::size_t drained_ = 0;
  std::uint64_t number_ = 0; // of the request; an answer to an earlier one is late
  bool waiting_ = false;     // for the responder
  bool head_ = false, keep_ = false, http10_ = false;
  server_state& state_;
  std::size_t& population_;
};

void connection::read() {
  parser_.emplace();
  parser_->header_limit(static_cast<std::uint32_t>(state_.limits.header_bytes_max));
  parser_->body_limit(state_.limits.body_bytes_max);
  stream_.expires_after(state_.limits.idle_max); // for the whole request: a trickle does not help
  http::async_read(stream_, buffer_, *parser_,
                   [self = shared_from_this()](const error_code& ec, std::size_t) { self->on_read(ec); });
}

void connection::refuse() {
  state_.counters.connections_refused.add();
  keep_ = false;
  write(json_failure(503, "too many connections, try again later"));
}

void connection::on_read(const error_code& ec) {
  if (ec == beast::error::timeout) return state_.counters.timeouts.add();
  if (ec) {
    if (ec == http::error::end_of_stream) return finish();
    const unsigned status = status_of(ec);
    if (status != 0) fail(status, status == 400 ? ec.message() : "above the limit: " + ec.message());
    return;
  }
  const auto& message = parser_->get();
  keep_ = parser_->keep_alive();
  http10_ = message.version() < 11;
  head_ = message.method() == http::verb::head;
  ++number_;
  stream_.expires_never(); // while the handler's answer is awaited, its own timer runs
  try {
    route(std::string(message.target()));
  } catch (const http_error& e) {
    if (e.status() == 400) state_.counters.malformed.add();
    else state_.counters.requests.add();
    write(json_failure(e.status(), e.what()));
  }
}

void connection::route(const std::string& target) {
  if (!target.starts_with('/')) return fail(400, "the target must be a path that begins with '/'");
  const auto question = std::min(target.find('?'), target.size());
  auto& message = parser_->get();
  http_request request;
  request.method = std::string(message.method_string());
  request.path = target.substr(0, question);
  for (const auto& r : state_.routes) {
    const auto rest = match(r.path, request.path);
    if (!rest) continue;
    if (std::find(r.methods.begin(), r.methods.end(), request.method) == r.methods.end()) {
      state_.counters.requests.add();
      return write(json_failure(405, "method not allowed"), fmt::format("{}", fmt::join(r.methods, ", ")));
    }
    auto decoded = percent_decode(*rest);
    if (!decoded) throw http_error(400, "a '%' in the path is not followed by two hex digits");
    request.rest = *std::move(decoded);
    request.query = parse_query(std::string_view(target).substr(std::min(question + 1, target.size())));
    request.body = std::move(message.body());
    state_.counters.requests.add();
    return call(r, std::move(request));
  }
  throw http_error(404, "no such page");
}

} // namespace

struct http_responder::target {
  std::shared_ptr<mailbox> mail;
  std::weak_ptr<connection> to;
  std::uint64_t number;
};

void http_responder::operator()(http_response response, bool late) const {
  target_->mail->push({target_->to, target_->number, std::move(response), late});
}

http_response json_failure(unsigned status, std::string_view message) {
  return {status, "application/json", json_error(message)};
}

namespace {

void connection::call(const http_route& r, http_request request) {
  waiting_ = true;
  answer_timer_.expires_after(state_.limits.answer_max);
  answer_timer_.async_wait([self = shared_from_this(), n = number_](const error_code& ec) {
    if (ec || !self->waiting_ || n != self->number_) return;
    self->state_.counters.answers_missing.add();
    self->answer(n, json_failure(504, "no answer from the thread that knows, try again"));
  });
  const http_responder respond(std::make_shared<http_responder::target>(
      http_responder::target{state_.mail, weak_from_this(), number_}));
  try {
    r.handler(request, respond);
  } catch (const http_error& e) {
    answer(number_, json_failure(e.status(), e.what()));
  } catch (const std::exception& e) {
    static log_site site("admin handler");
    log_limited(site, log_level::error, "admin handler of {} failed: {}", r.path, e.what());
    state_.counters.handler_failures.add();
    answer(number_, json_failure(500, "internal error, see the log"));
  } catch (...) {
    state_.counters.handler_failures.add();
    answer(number_, json_failure(500, "internal error"));
  }
}

void connection::answer(std::uint64_t number, http_response response) {
  if (!waiting_ || number != number_) return; // late, or the second one
  waiting_ = false;
  answer_timer_.cancel();
  write(response);
}

void connection::fail(unsigned status, std::string_view message) {
  state_.counters.malformed.add();
  keep_ = head_ = false;
  write(json_failure(status, message));
}

void connection::write(const http_response& response, std::string_view allow) {
  output_ = response_text(response, head_, keep_, http10_, allow);
  stream_.expires_after(state_.limits.idle_max);
  asio::async_write(stream_, asio::buffer(output_),
                    [self = shared_from_this()](const error_code& ec, std::size_t) { self->on_write(ec); });
}

void connection::on_write(const error_code& ec) {
  if (ec == beast::error::timeout) state_.counters.timeouts.add();
  if (ec) return;
  output_ = {}; // a page may be big, an idle connection should not be
  if (keep_) read();
  else finish();
}

// Says that no more comes, then reads what the peer still sends: closing with unread input would
// make the kernel reset the connection and could take our last words from the peer.
void connection::finish() {
  error_code ignored;
  stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
  stream_.expires_after(limits::admin_drain_max);
  drain();
}

void connection::drain() {
  stream_.async_read_some(asio::buffer(scratch_),
                          [self = shared_from_this()](const error_code& ec, std::size_t n) {
                            self->drained_ += n;
                            if (!ec && self->drained_ < limits::admin_drain_bytes_max) self->drain();
                          });
}

// Throws start_error.
acceptor_type listen(asio::io_context& io, std::string_view option, const host_port& where) {
  error_code ec;
  tcp::resolver resolver(io);
  const auto found = resolver.resolve(where.host, std::to_string(where.port), tcp::resolver::passive, ec);
  if (ec) throw cannot_listen(option, to_string(where), ec);
  acceptor_type acceptor(io);
  const tcp::endpoint endpoint = found.begin()->endpoint();
  acceptor.open(endpoint.protocol(), ec);
  if (!ec) acceptor.set_option(tcp::acceptor::reuse_address(true), ec);
  if (!ec) acceptor.bind(endpoint, ec);
  if (!ec) acceptor.listen(asio::socket_base::max_listen_connections, ec);
  if (ec) throw cannot_listen(option, to_string(where), ec);
  return acceptor;
}

// Asio closes what it waits for.
int descriptor_of(const mailbox& mail) {
  const int copy = ::fcntl(mail.descriptor(), F_DUPFD_CLOEXEC, 0);
  if (copy < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
  return copy;
}

} // namespace

struct admin_server::impl {
  impl(std::string_view option, const host_port& where, std::vector<http_route> routes,
       const admin_limits& limits)
      : acceptor(listen(io, option, where)), pause(io), mail_came(io, descriptor_of(*state.mail)) {
    for (const auto& r : routes) CHECK_INVARIANT(r.path.starts_with('/') && r.handler);
    state.routes = std::move(routes);
    state.limits = limits;
  }
  void accept();
  void welcome(socket_type socket);
  void await_mail();
  void deliver(letter l);
  void run();

  server_state state; // before io: connections, which end with io, refer to it
  asio::io_context io{1};
  acceptor_type acceptor;
  timer_type pause;
  asio::posix::basic_stream_descriptor<executor> mail_came;
  std::thread thread;
};

void admin_server::impl::accept() {
  acceptor.async_accept([this](const error_code& ec, socket_type socket) {
    if (!ec) {
      welcome(std::move(socket));
      return accept();
    }
    if (ec == asio::error::operation_aborted) return;
    state.counters.accept_failures.add();
    pause.expires_after(limits::accept_pause);
    pause.async_wait([this](const error_code& stopped) {
      if (!stopped) accept();
    });
  });
}

void admin_server::impl::welcome(socket_type socket) try {
  net::memory_reserve::top_up();
  if (state.open < state.limits.connections_max)
    std::make_shared<connection>(std::move(socket), state, state.open)->read();
  else if (state.refusing < limits::admin_refusals_max)
    std::make_shared<connection>(std::move(socket), state, state.refusing)->refuse();
  else state.counters.connections_refused.add();
} catch (const std::bad_alloc&) { // this connection is closed, the next is accepted all the same
  state.counters.connections_refused.add();
}

void admin_server::impl::await_mail() {
  mail_came.async_wait(asio::posix::descriptor_base::wait_read, [this](const error_code& ec) {
    if (ec) return;
    auto mail = state.mail->take();
    await_mail();
    while (!mail.empty()) deliver(mail.pop());
  });
}

void admin_server::impl::deliver(letter l) try {
  // Wherever the page was made, and also when nobody waits for it any more.
  if (l.response.status == 500) state.counters.handler_failures.add();
  if (l.late) state.counters.pages_late.add();
  if (const auto c = l.to.lock()) c->answer(l.number, std::move(l.response));
} catch (const std::bad_alloc&) { // its connection ends, the next answer is delivered all the same
  state.counters.handler_failures.add();
}

void admin_server::impl::run() {
  ::pthread_setname_np(::pthread_self(), "admin");
  const net::memory_reserve reserve; // who looks why there is no memory is answered
  for (;;) {
    try {
      io.run();
      return;
    } catch (const std::exception& e) { // out of memory, at most: that connection ends, the rest goes on
      static log_site site("admin server");
      log_limited(site, log_level::error, "admin server: {}", e.what());
    }
  }
}

admin_server::admin_server(std::string_view option, const host_port& where, std::vector<http_route> routes,
                           const admin_limits& limits)
    : impl_(std::make_unique<impl>(option, where, std::move(routes), limits)) {}

admin_server::~admin_server() { stop(); }

void admin_server::start() {
  CHECK_INVARIANT(!impl_->thread.joinable());
  impl_->accept();
  impl_->await_mail();
  impl_->thread = std::thread([this] { impl_->run(); });
}

void admin_server::stop() {
  impl_->io.stop();
  if (impl_->thread.joinable()) impl_->thread.join();
}

host_port admin_server::local_endpoint() const {
  const auto e = impl_->acceptor.local_endpoint();
  return {e.address().to_string(), e.port()};
}

const admin_counters& admin_server::counters() const noexcept { return impl_->state.counters; }

} // namespace beeline::ops
