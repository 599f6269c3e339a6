#include "common/cli/http_client.hpp"

#include "common/base/limits.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>

namespace beeline::cli {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using error_code = boost::system::error_code;
using tcp = asio::ip::tcp;

// One exchange: resolve -> connect -> write -> read. The timer of the stream runs over all of it.
class exchange {
public:
  exchange(const ops::host_port& where, const std::string& target, std::chrono::microseconds patience)
      : request_(http::verb::get, target, 11), patience_(patience) {
    parser_.body_limit(limits::admin_answer_bytes_max);
    request_.set(http::field::host, ops::to_string(where));
    request_.set(http::field::connection, "close");
  }
  http_reply run(const ops::host_port& where) {
    error_code e;
    const auto places = resolver_.resolve(where.host, std::to_string(where.port), e);
    if (e) return {0, {}, "cannot resolve " + where.host + ": " + e.message()};
    stream_.expires_after(patience_);
    stream_.async_connect(places, [this](error_code failed, const tcp::endpoint&) {
      if (!ended(failed)) write();
    });
    io_.run();
    if (failed_ == beast::error::timeout) return {0, {}, "no answer in time"};
    if (failed_) return {0, {}, failed_.message()};
    return {parser_.get().result_int(), std::move(parser_.get().body()), {}};
  }

private:
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
  tcp::resolver resolver_{io_};
  beast::tcp_stream stream_{io_};
  http::request<http::empty_body> request_;
  http::response_parser<http::string_body> parser_;
  beast::flat_buffer buffer_;
  error_code failed_;
  std::chrono::microseconds patience_;
};

} // namespace

http_reply http_get(const ops::host_port& where, const std::string& target,
                    std::chrono::microseconds patience) {
  exchange e(where, target, patience);
  return e.run(where);
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
