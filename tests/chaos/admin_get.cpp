#include "tests/chaos/admin_get.hpp"

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <cstdlib>

namespace beeline::chaos {
namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

admin_answer admin_get(const std::string& address, std::uint16_t port, const std::string& path,
                       std::chrono::milliseconds timeout) {
  asio::io_context io;
  tcp::socket socket(io);
  const std::string question = "GET " + path + " HTTP/1.1\r\nHost: chaos\r\nConnection: close\r\n\r\n";
  std::string text;
  socket.async_connect({asio::ip::make_address(address), port}, [&](const error_code& refused) {
    if (refused) return;
    asio::async_write(socket, asio::buffer(question), [&](const error_code& e, std::size_t) {
      if (!e) asio::async_read(socket, asio::dynamic_buffer(text), [](const error_code&, std::size_t) {});
    });
  });
  io.run_for(timeout);
  const auto body = text.find("\r\n\r\n");
  if (!io.stopped() || !text.starts_with("HTTP/1.1 ") || body == text.npos) return {};
  return {std::atoi(text.c_str() + 9), text.substr(body + 4)};
}

bool is_free(const std::string& address, std::uint16_t port) {
  asio::io_context io;
  tcp::acceptor listener(io);
  error_code e;
  listener.open(tcp::v4(), e);
  listener.set_option(tcp::acceptor::reuse_address(true), e);
  listener.bind({asio::ip::make_address(address), port}, e);
  return !e;
}

} // namespace beeline::chaos
