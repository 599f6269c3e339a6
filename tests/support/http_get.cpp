#include "tests/support/http_get.hpp"

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <cstdlib>

namespace beeline::test {
namespace asio = boost::asio;
using asio::ip::tcp;

http_answer http_get(std::uint16_t port, const std::string& path, const std::string& method) {
  asio::io_context io;
  tcp::socket socket(io);
  boost::system::error_code e;
  socket.connect({asio::ip::address_v4::loopback(), port}, e);
  if (e) return {};
  asio::write(socket,
              asio::buffer(method + " " + path +
                           " HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
              e);
  if (e) return {};
  std::string text;
  asio::read(socket, asio::dynamic_buffer(text), e); // until the server closes
  const auto body = text.find("\r\n\r\n");
  if (!text.starts_with("HTTP/1.1 ") || body == text.npos) return {};
  return {std::atoi(text.c_str() + 9), text.substr(body + 4), text.substr(0, body + 2)};
}

} // namespace beeline::test
