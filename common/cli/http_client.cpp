#include "common/cli/http_client.hpp"

#include "common/base/limits.hpp"
#include "common/base/peer_guess.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <future>
#include <memory>
#include <netdb.h>
#include <thread>

namespace beeline::cli {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using error_code = boost::system::error_code;
using tcp = asio::ip::tcp;

using clock = std::chrono::steady_clock;
using endpoints = std::vector<tcp::endpoint>;

// What a look-up leaves for whom it was made; shared, because either may be gone first.
struct look_up {
  std::promise<resolved> done;
};

// In time, or "no answer in time".
resolved addresses_of(const std::string& host, clock::time_point end, const resolver& resolve) {
  error_code not_numeric;
  (void)asio::ip::make_address(host, not_numeric);
  if (!not_numeric) return {{host}, {}};
  const auto shared = std::make_shared<look_up>();
  auto answer = shared->done.get_future();
  std::thread([shared, resolve, host] { shared->done.set_value(resolve(host)); }).detach();
  if (answer.wait_until(end) != std::future_status::ready) return {{}, "cannot resolve " + host + " in time"};
  resolved found = answer.get();
  if (!found.problem.empty()) found.problem = "cannot resolve " + host + ": " + found.problem;
  return found;
}

// One exchange: connect -> write -> read. The timer of the stream runs over all of it.
class exchange {
public:
  exchange(const ops::host_port& where, const std::string& target) : request_(http::verb::get, target, 11) {
    parser_.body_limit(limits::admin_answer_bytes_max);
    request_.set(http::field::host, ops::to_string(where));
    request_.set(http::field::connection, "close");
  }
  http_reply run(const endpoints& places, clock::time_point end) {
    stream_.expires_at(end);
    stream_.async_connect(places, [this](error_code failed, const tcp::endpoint&) {
      connected_ = !failed;
      if (!ended(failed)) write();
    });
    io_.run();
    if (failed_ == beast::error::timeout) return {0, {}, "no answer in time", connected_, {}};
    if (failed_) return no_answer();
    return {parser_.get().result_int(), std::move(parser_.get().body()), {}, true, {}};
  }

private:
  http_reply no_answer() const {
    if (!connected_ || parser_.is_header_done()) return {0, {}, failed_.message(), connected_, {}};
    const auto unread = buffer_.data();
    const std::string first(static_cast<const char*>(unread.data()), unread.size());
    const std::string_view guess = guess_peer(first);
    const std::string what =
        guess.empty() ? "does not speak HTTP (" + failed_.message() + ")" : std::string(guess);
    return {0, {}, "it " + what + "; give the --admin address of a router or edge", true, first};
  }
  bool ended(error_code e) {
    failed_ = e;
    return bool(e);
  }
  void write() {
    http::async_write(stream_, request_, [this](error_code e, std::size_t) {
      if (!ended(e))
        http::async_read(stream_, buffer_, parser_, [this](error_code f, std::size_t) { ended(f); });
    });
  }

  asio::io_context io_;
  beast::tcp_stream stream_{io_};
  http::request<http::empty_body> request_;
  http::response_parser<http::string_body> parser_;
  beast::flat_buffer buffer_;
  error_code failed_;
  bool connected_ = false;
};

} // namespace

resolved resolve_by_system(const std::string& host) {
  addrinfo hints{}, *first = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  if (const int e = ::getaddrinfo(host.c_str(), nullptr, &hints, &first)) return {{}, ::gai_strerror(e)};
  resolved out;
  for (const addrinfo* a = first; a; a = a->ai_next) {
    char text[NI_MAXHOST];
    if (::getnameinfo(a->ai_addr, a->ai_addrlen, text, sizeof text, nullptr, 0, NI_NUMERICHOST) == 0)
      out.addresses.emplace_back(text);
  }
  ::freeaddrinfo(first);
  if (out.addresses.empty()) out.problem = "it has no address";
  return out;
}

http_reply http_get(const ops::host_port& where, const std::string& target,
                    std::chrono::microseconds patience, const resolver& resolve) {
  const auto end = clock::now() + patience;
  const resolved found = addresses_of(where.host, end, resolve);
  if (!found.problem.empty()) return {0, {}, found.problem, false, {}};
  endpoints places;
  for (const std::string& a : found.addresses) {
    error_code wrong;
    const auto address = asio::ip::make_address(a, wrong);
    if (!wrong) places.emplace_back(address, where.port);
  }
  return exchange(where, target).run(places, end);
}

std::string percent_encode(std::string_view text) {
  constexpr char hex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto b = static_cast<unsigned char>(c);
    const bool plain = (b | 32) >= 'a' && (b | 32) <= 'z' && b < 128;
    if (plain || (b >= '0' && b <= '9') || b == '-' || b == '.' || b == '_' || b == '~') out += c;
    else out.append({'%', hex[b >> 4], hex[b & 15]});
  }
  return out;
}

} // namespace beeline::cli
