// A server with players and a line protocol of its own, who reach everybody on every other server.
//
//   game_server NAME PORT ROUTER...        e.g. game_server game-1 4001 127.0.0.1:7400
//
// Players come with `nc 127.0.0.1 4001` and write lines:   login ID     say ID TEXT     quit
// They read "ID: TEXT" for what they are sent, and "* ..." for what the server has to tell them. ID may be
// here, at another server, or an MQTT client of an edge: nobody has to know. One thread runs all of it.
#include "line_connection.hpp"

#include <beeline/lane.hpp>

#include <iostream>
#include <map>

namespace asio = boost::asio;
namespace bee = beeline::link;
using asio::ip::tcp;

struct player : line_connection {
  using line_connection::line_connection;
  std::string id; // once it is logged in
  bee::client_handle client;
};
using player_ptr = std::shared_ptr<player>; // its two coroutines own it, and the map while it is attached

std::string kicked(const boost::system::error_code& why) { return "* kicked: " + why.message(); }

class game_server {
public:
  game_server(asio::io_context& context, const bee::lane_options& options, std::uint16_t port)
      : context_(context), acceptor_(context, {tcp::v4(), port}), lane_(context, options, handlers()) {
    std::cout << "players at port " << acceptor_.local_endpoint().port() << std::endl;
    asio::co_spawn(context, accept(), asio::detached);
    asio::co_spawn(context, stop_on_signal(), asio::detached);
  }

private:
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
    // By handle: the id may have logged in anew meanwhile.
    h.on_kicked = [this](boost::system::error_code why, bee::client_handle client, std::string_view id) {
      const auto at = players_.find(id);
      if (at != players_.end() && at->second->client == client) leave(player_ptr(at->second), kicked(why));
    };
    h.on_ready = [this](bool ready) { // the lane links, registers and sends again by itself: just say so
      for (const auto& [id, p] : players_)
        if (!p->is_slow()) p->tell(ready ? "* router is there" : "* router is lost: messages wait for it");
      std::cout << (ready ? "ready" : "not ready: " + lane_.problem()) << std::endl;
    };
    return h;
  }

  asio::awaitable<void> accept() {
    asio::steady_timer pause(context_);
    while (acceptor_.is_open()) {
      auto [error, socket] = co_await acceptor_.async_accept(as_result);
      if (!error) {
        asio::co_spawn(context_, play(std::make_shared<player>(std::move(socket))), asio::detached);
        continue;
      }
      pause.expires_after(std::chrono::milliseconds(100)); // no descriptor may be free
      co_await pause.async_wait(as_result);
    }
  }

  asio::awaitable<void> play(player_ptr p) {
    asio::co_spawn(context_, write(p), asio::detached);
    const std::string help = "* login ID, say ID TEXT, quit";
    p->tell(help);
    while (const auto line = co_await p->read_line()) {
      if (*line == "quit") break;
      if (line->starts_with("login ") && p->id.empty()) co_await login(p, line->substr(6));
      else if (line->starts_with("say ") && !p->id.empty()) co_await say(p, line->substr(4));
      else p->tell(help);
    }
    leave(p, "* bye");
  }
  asio::awaitable<void> write(player_ptr p) { co_await p->write_lines(); }

  asio::awaitable<void> login(player_ptr p, std::string id) {
    // The later login wins: the routers see to it between servers, this server among its own players.
    if (const auto at = players_.find(id); at != players_.end() && !at->second->id.empty())
      leave(player_ptr(at->second), kicked(bee::errc::taken_over));
    if (!players_.emplace(id, p).second) co_return p->tell("* somebody is logging in as " + id);
    auto [error, client] = co_await lane_.async_attach(id, as_result);
    if (error) {
      players_.erase(id);
      co_return p->tell("* " + error.message());
    }
    p->id = id, p->client = client;
    p->tell("* welcome, " + id); // from now on everybody reaches it
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

  asio::awaitable<void> stop_on_signal() {
    asio::signal_set signals(context_, SIGINT, SIGTERM);
    co_await signals.async_wait(as_result);
    acceptor_.close(); // what was said gets its receipt, then the routers hear good-bye:
    co_await lane_.async_shutdown(std::chrono::seconds(5), as_result);
    for (const auto& [id, p] : players_) p->close("* the server is closing");
    context_.stop();
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
  options.name = argv[1];
  options.routers.assign(argv + 3, argv + argc);
  game_server server(context, options, static_cast<std::uint16_t>(std::stoul(argv[2])));
  context.run();
} catch (const std::exception& e) {
  std::cerr << "game_server: " << e.what() << '\n';
  return 1;
}
