// A server with players and a line protocol of its own, who reach everybody on every other server.
//
//   game_server NAME PORT ROUTER...        e.g. game_server game-1 4001 127.0.0.1:7400
// Players come with `nc 127.0.0.1 4001` and write lines:   login ID     say ID TEXT     quit
// They read "ID: TEXT" for what they are sent, and "* ..." for what the server has to tell them. ID may be
// here, at another server, or an MQTT client of an edge: nobody has to know. One thread runs all of it.
#include <beeline/lane.hpp>

#include <boost/asio.hpp>
#include <iostream>
#include <map>

namespace asio = boost::asio;
namespace bee = beeline::link;
using asio::ip::tcp;
constexpr auto as_result = asio::as_tuple(asio::use_awaitable); // errors are values, not exceptions
constexpr std::size_t line_bytes_max = 4096, output_bytes_max = 64 * 1024; // of one player
const std::string help = "* login ID, say ID TEXT, quit";
std::string kicked(const boost::system::error_code& why) { return "* kicked: " + why.message(); }
struct player {
  explicit player(tcp::socket s) : socket(std::move(s)), wake(socket.get_executor()) {}
  void tell(const std::string& line) {
    for (const char c : line) waiting += c == '\n' ? ' ' : c; // a message is one line
    waiting += '\n';
    wake.cancel(); // the writer looks again
  }
  bool is_slow() const { return waiting.size() > output_bytes_max; }
  void close(const std::string& last_words) { // as much of them as the socket takes at once
    boost::system::error_code ignored;
    tell(last_words);
    socket.non_blocking(true, ignored);
    if (writing.empty()) socket.write_some(asio::buffer(waiting), ignored);
    socket.close(ignored);
  }
  tcp::socket socket;
  asio::steady_timer wake;
  std::string id, waiting, writing; // waiting: not given to the socket yet
  bee::client_handle client;
};
using player_ptr = std::shared_ptr<player>; // its two coroutines own it, and the map while it is attached
class game_server {
public:
  game_server(asio::io_context& context, const bee::lane_options& options, std::uint16_t port)
      : context_(context), acceptor_(context, {tcp::v4(), port}), lane_(context, options, handlers()) {
    std::cout << "players at port " << acceptor_.local_endpoint().port() << std::endl;
    asio::co_spawn(context, accept(), asio::detached);
    asio::co_spawn(context, stop_on_signal(), asio::detached);
  }

private:
  asio::awaitable<void> accept() {
    for (asio::steady_timer pause(context_); acceptor_.is_open();) { // pause: no descriptor may be free
      auto [error, socket] = co_await acceptor_.async_accept(as_result);
      if (!error) asio::co_spawn(context_, read(std::make_shared<player>(std::move(socket))), asio::detached);
      else pause.expires_after(std::chrono::milliseconds(100)), co_await pause.async_wait(as_result);
    }
  }
  asio::awaitable<void> stop_on_signal() {
    asio::signal_set signals(context_, SIGINT, SIGTERM);
    co_await signals.async_wait(as_result);
    acceptor_.close(); // what was said gets its receipt, then the routers hear good-bye:
    co_await lane_.async_shutdown(std::chrono::seconds(5), as_result);
    for (const auto& [id, p] : players_) p->close("* the server is closing");
    context_.stop();
  }
  bee::lane_handlers handlers() {
    bee::lane_handlers h;
    // By id, not by handle: messages may come before async_attach has completed and told the handle.
    h.on_message = [this](bee::client_handle, const bee::message_view& m) {
      const auto at = players_.find(m.to());
      if (at == players_.end()) return bee::outcome::refused;
      if (at->second->is_slow()) return bee::outcome::full; // the sender is told, and nothing grows here
      at->second->tell(std::string(m.from()) + ": " + std::string(m.text()));
      return bee::outcome::accepted;
    };
    h.on_kicked = [this](boost::system::error_code why, bee::client_handle, std::string_view id) {
      if (const auto node = players_.extract(std::string(id))) leave(node.mapped(), kicked(why));
    };
    h.on_ready = [this](bool ready) { // the lane links, registers and sends again by itself: just say so
      for (const auto& [id, p] : players_)
        if (!p->is_slow()) p->tell(ready ? "* router is there" : "* router is lost: messages wait for it");
      std::cout << (ready ? "ready" : "not ready: " + lane_.problem()) << std::endl;
    };
    return h;
  }
  asio::awaitable<void> read(player_ptr p) {
    asio::co_spawn(context_, write(p), asio::detached);
    p->tell(help);
    std::string input;
    while (p->waiting.size() <= 2 * output_bytes_max) { // who reads nothing is not listened to for ever
      auto bounded = asio::dynamic_buffer(input, line_bytes_max);
      auto [error, size] = co_await asio::async_read_until(p->socket, bounded, '\n', as_result);
      if (error) break;
      std::string line = input.substr(0, size - 1);
      input.erase(0, size);
      if (line.ends_with('\r')) line.pop_back();
      if (line == "quit") break;
      if (line.starts_with("login ") && p->id.empty()) co_await login(p, line.substr(6));
      else if (line.starts_with("say ") && !p->id.empty()) co_await say(p, line.substr(4));
      else p->tell(help);
    }
    leave(p, "* bye");
  }
  asio::awaitable<void> write(player_ptr p) { // nobody else writes, but for the last words
    for (boost::system::error_code error; !error && p->socket.is_open();) {
      p->wake.expires_at(asio::steady_timer::time_point::max());
      if (p->waiting.empty()) co_await p->wake.async_wait(as_result);
      p->writing = std::exchange(p->waiting, {});
      error = std::get<0>(co_await asio::async_write(p->socket, asio::buffer(p->writing), as_result));
      p->writing.clear();
    }
  }
  asio::awaitable<void> login(player_ptr p, std::string id) {
    // The later login wins: the routers see to it between servers, this server among its own players.
    if (const auto at = players_.find(id); at != players_.end() && !at->second->id.empty())
      leave(player_ptr(at->second), kicked(bee::errc::taken_over));
    if (!players_.emplace(id, p).second) co_return p->tell("* somebody is logging in as " + id);
    auto [error, client] = co_await lane_.async_attach(id, as_result);
    if (error) players_.erase(id), p->tell("* " + error.message());
    else p->id = id, p->client = client, p->tell("* welcome, " + id); // from now on everybody reaches it
  }
  // One message of a player is on its way at a time: back pressure enough, without a queue.
  asio::awaitable<void> say(player_ptr p, std::string words) {
    const std::size_t space = std::min(words.find(' '), words.size());
    const std::string to = words.substr(0, space), text = words.substr(std::min(space + 1, words.size()));
    bee::message m; // views the two, which live as long as this coroutine
    m.to = to, m.payload = bee::bytes_of(text);
    auto [error, receipt] = co_await lane_.async_send(p->client, m, as_result);
    p->tell("* " + to + ": " + (error ? error.message() : std::string(text_of(receipt.what))));
  }
  void leave(const player_ptr& p, const std::string& last_words) {
    lane_.detach(p->client); // does nothing when the handle is stale: kicked, or left before
    if (const auto at = players_.find(p->id); at != players_.end() && at->second == p) players_.erase(at);
    p->close(last_words);
  }
  asio::io_context& context_;
  tcp::acceptor acceptor_;
  std::map<std::string, player_ptr, std::less<>> players_; // attached, or being attached
  bee::lane lane_;                                         // last: its handlers use what stands above
};
int main(int argc, char** argv) try {
  if (argc < 4) throw std::runtime_error("usage: game_server NAME PORT ROUTER...");
  asio::io_context context{1};
  bee::lane_options options;
  options.name = argv[1], options.routers.assign(argv + 3, argv + argc);
  game_server server(context, options, static_cast<std::uint16_t>(std::stoul(argv[2])));
  context.run();
} catch (const std::exception& e) {
  return std::cerr << "game_server: " << e.what() << '\n', 1;
}
