// Workers that answer requests, whoever asks: an MQTT 5 client of an edge, or a client of another server.
//
//   worker_pool NAME WORKERS ROUTER...     e.g. worker_pool pool 4 127.0.0.1:7400
//
// It attaches worker-1 ... worker-N. A request names where its answer goes: its response topic "@/ID" or
// "@/ID/CHANNEL", and correlation data that come back with the answer. From a shell:
//   mosquitto_rr -V mqttv5 -p 1883 -i me -q 1 -t @/worker-1/upper -e @/me/answers -m hello     prints HELLO
#include <beeline/lane.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <iostream>

namespace asio = boost::asio;
namespace bee = beeline::link;

constexpr auto as_result = asio::as_tuple(asio::use_awaitable); // errors are values, not exceptions
constexpr unsigned requests_max = 1000;                         // that one worker has in hand

// A request outlives on_message, whose views do not: what is needed of it is copied.
struct request {
  bee::client_handle worker;
  std::string to, channel, correlation_data, text; // to, channel: of the answer
  std::chrono::milliseconds deadline;
};

class worker_pool {
public:
  worker_pool(asio::io_context& context, const bee::lane_options& options)
      : context_(context), lane_(context, options, handlers()) {}

  asio::awaitable<void> run(unsigned workers) {
    for (unsigned i = 1; i <= workers; ++i)
      asio::co_spawn(context_, join("worker-" + std::to_string(i)), asio::detached);
    asio::signal_set signals(context_, SIGINT, SIGTERM);
    co_await signals.async_wait(as_result);
    // The answers that are under way are waited for.
    auto [error, all] = co_await lane_.async_shutdown(std::chrono::seconds(5), as_result);
    std::cout << answered_ << " answers" << (all ? "" : ", some without a receipt") << std::endl;
  }

private:
  // Waits for the routers, if need be; and comes again when one has no room for it.
  asio::awaitable<void> join(std::string id) {
    asio::steady_timer pause(context_);
    for (;;) {
      auto [error, client] = co_await lane_.async_attach(id, as_result);
      std::cout << id << ": " << (error ? error.message() : "at work") << std::endl;
      if (error != bee::errc::router_full && error != bee::errc::router_busy) co_return;
      pause.expires_after(std::chrono::seconds(1));
      co_await pause.async_wait(as_result);
    }
  }

  bee::lane_handlers handlers() {
    bee::lane_handlers h;
    h.on_message = [this](bee::client_handle worker, const bee::message_view& m) { return take(worker, m); };
    h.on_kicked = [this](boost::system::error_code why, bee::client_handle, std::string_view id) {
      std::cout << id << ": " << why.message() << std::endl;
      if (why != bee::errc::taken_over) asio::co_spawn(context_, join(std::string(id)), asio::detached);
    };
    h.on_log = [](bee::severity, std::string_view line) { std::cerr << line << std::endl; };
    return h;
  }

  // Decides at once, since the answer is the requester's receipt; works afterwards.
  bee::outcome take(bee::client_handle worker, const bee::message_view& m) {
    std::string_view topic = m.response_topic();
    if (!topic.starts_with("@/")) return bee::outcome::refused; // nowhere to answer to
    topic.remove_prefix(2);
    const std::size_t slash = std::min(topic.find('/'), topic.size());
    if (worker.index >= in_hand_.size()) in_hand_.resize(worker.index + 1u);
    if (in_hand_[worker.index] >= requests_max) return bee::outcome::full; // ask another worker, or later
    ++in_hand_[worker.index];
    request r{.worker = worker,
              .to = std::string(topic.substr(0, slash)),
              .channel = std::string(topic.substr(std::min(slash + 1, topic.size()))),
              .correlation_data = std::string(bee::text_of(m.correlation_data())),
              .text = std::string(m.text()),
              .deadline = m.deadline().value_or(std::chrono::milliseconds(0))};
    asio::co_spawn(context_, answer(std::move(r)), asio::detached);
    return bee::outcome::accepted;
  }

  asio::awaitable<void> answer(request r) {
    for (char& c : r.text) // the work; what takes long belongs in a thread pool
      if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    bee::message m; // views the request, which lives as long as this coroutine
    m.to = r.to, m.channel = r.channel, m.payload = bee::bytes_of(r.text), m.deadline = r.deadline;
    m.properties.correlation_data = bee::bytes_of(r.correlation_data);
    auto [error, receipt] = co_await lane_.async_send(r.worker, m, as_result);
    --in_hand_[r.worker.index];
    if (!error && receipt.accepted()) ++answered_;
    else
      std::cout << "no answer to " << r.to << ": "
                << (error ? error.message() : std::string(text_of(receipt.what))) << std::endl;
  }

  asio::io_context& context_;
  std::vector<unsigned> in_hand_; // by the worker's index
  std::uint64_t answered_ = 0;
  bee::lane lane_; // last: its handlers use what stands above
};

int main(int argc, char** argv) try {
  if (argc < 4) throw std::runtime_error("usage: worker_pool NAME WORKERS ROUTER...");
  asio::io_context context{1};
  bee::lane_options options;
  options.name = argv[1];
  options.routers.assign(argv + 3, argv + argc);
  worker_pool pool(context, options);
  asio::co_spawn(context, pool.run(static_cast<unsigned>(std::stoul(argv[2]))), asio::detached);
  context.run(); // ends when the lane and all coroutines have
} catch (const std::exception& e) {
  std::cerr << "worker_pool: " << e.what() << '\n';
  return 1;
}
