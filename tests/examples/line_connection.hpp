// A TCP connection that carries lines of text, as `nc` speaks them. Asio alone: nothing here knows of
// Beeline.
//
// What it is told waits until the socket takes it. Whoever tells it things asks is_slow() first.
#pragma once
#include <boost/asio.hpp>
#include <optional>
#include <string>

constexpr auto as_result = boost::asio::as_tuple(boost::asio::use_awaitable); // errors are values

class line_connection {
public:
  static constexpr std::size_t line_bytes_max = 4096, output_bytes_max = 64 * 1024;

  explicit line_connection(boost::asio::ip::tcp::socket s)
      : socket_(std::move(s)), wake_(socket_.get_executor()) {}

  void tell(const std::string& line) {
    for (const char c : line) waiting_ += c == '\n' ? ' ' : c; // a message is one line
    waiting_ += '\n';
    wake_.cancel(); // the writer looks again
  }
  bool is_slow() const { return waiting_.size() > output_bytes_max; }

  // None at the end, after a line that is too long, and for a peer that asks on and reads no answers.
  boost::asio::awaitable<std::optional<std::string>> read_line() {
    if (waiting_.size() > 2 * output_bytes_max) co_return std::nullopt;
    auto bounded = boost::asio::dynamic_buffer(input_, line_bytes_max);
    auto [error, size] = co_await boost::asio::async_read_until(socket_, bounded, '\n', as_result);
    if (error) co_return std::nullopt;
    std::string line = input_.substr(0, size - 1);
    input_.erase(0, size);
    if (line.ends_with('\r')) line.pop_back();
    co_return line;
  }

  // Runs until the connection is closed. Nobody else writes, but for the last words.
  boost::asio::awaitable<void> write_lines() {
    boost::system::error_code error;
    while (!error && socket_.is_open()) {
      wake_.expires_at(boost::asio::steady_timer::time_point::max());
      if (waiting_.empty()) co_await wake_.async_wait(as_result);
      writing_ = std::exchange(waiting_, {});
      error =
          std::get<0>(co_await boost::asio::async_write(socket_, boost::asio::buffer(writing_), as_result));
      writing_.clear();
    }
  }

  void close(const std::string& last_words) { // as much of them as the socket takes at once
    boost::system::error_code ignored;
    tell(last_words);
    socket_.non_blocking(true, ignored);
    if (writing_.empty()) socket_.write_some(boost::asio::buffer(waiting_), ignored);
    socket_.close(ignored);
  }

private:
  boost::asio::ip::tcp::socket socket_;
  boost::asio::steady_timer wake_;
  std::string input_, waiting_, writing_; // waiting_: not given to the socket yet
};
