// Admin servers that answer what a test says: pages, or bytes as no server of ours sends them.
//
// Each has a thread of its own; the test's thread owns the object.
#pragma once
#include "common/ops/admin_http.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

namespace beeline::test {

using nlohmann::json;

// An admin server whose pages the test writes. Pages that it did not write are 404.
class fake_server {
public:
  explicit fake_server(std::map<std::string, json> pages) : pages_(std::move(pages)) {
    const auto answer = [this](const ops::http_request& q, ops::http_responder respond) {
      const std::lock_guard guard(lock_);
      std::string target = q.path;
      char mark = '?';
      for (const auto& [name, value] : q.query)
        target.append(1, mark).append(name).append("=").append(value), mark = '&';
      asked_.push_back(target);
      for (const std::string& key : {target, q.path})
        if (const auto at = pages_.find(key); at != pages_.end())
          return respond({static_cast<unsigned>(at->second.value("status", 200)), "application/json",
                          at->second["body"].is_string() ? at->second["body"].get<std::string>()
                                                         : at->second["body"].dump()});
      respond(ops::json_failure(404, "no such page"));
    };
    std::vector<ops::http_route> routes;
    for (const char* path :
         {"/stats", "/readyz", "/edges", "/clients", "/drops", "/clients/{id}", "/explain/{id}"})
      routes.push_back({path, answer});
    server_ = std::make_unique<ops::admin_server>("--admin", ops::host_port{"127.0.0.1", 0}, routes);
    server_->start();
  }
  std::string address() const { return ops::to_string(server_->local_endpoint()); }
  void put(const std::string& path, json body, int status = 200) {
    const std::lock_guard guard(lock_);
    pages_[path] = {{"status", status}, {"body", std::move(body)}};
  }
  void put_slots(const std::string& range) { // of a router
    const std::lock_guard guard(lock_);
    pages_["/stats"]["body"]["slots"] = range;
  }
  std::vector<std::string> asked() {
    const std::lock_guard guard(lock_);
    return asked_;
  }

private:
  std::mutex lock_;
  std::map<std::string, json> pages_;
  std::vector<std::string> asked_;
  std::unique_ptr<ops::admin_server> server_;
};

inline json page(json body, int status = 200) { return {{"status", status}, {"body", std::move(body)}}; }

// Since the start, and what counts: of the last 10 s.
inline json answer_times(int count) {
  return {{"count", 1000},
          {"p50_us", 1},
          {"p99_us", 2},
          {"last_10s",
           {{"count", count},
            {"count_within_1s", count - count / 8},
            {"p50_us", count ? 290 : 0},
            {"p99_us", count ? 1'500 : 0}}}};
}

inline std::map<std::string, json> router_pages() {
  return {{"/stats", page({{"program", "beeline-router"},
                           {"version", "0.1.0"},
                           {"started", "2026-01-01T00:00:00.000Z"},
                           {"uptime_seconds", 75.0},
                           {"slots", "0-2047"},
                           {"copies_per_message", 1.0},
                           {"process",
                            {{"cpu_user_seconds", 1.0}, {"cpu_system_seconds", 0.5}, {"rss_bytes", 1048576}}},
                           {"totals",
                            {{"clients", 7},
                             {"messages_in", {{"qos0", 10}, {"qos1", 20}}},
                             {"answers", {{"accepted", 15}, {"nobody", 4}, {"busy", 2}}},
                             {"drops", {{"nobody", 3}, {"full", 1}}},
                             {"latency", {{"publish_to_answer", answer_times(40)}}},
                             {"rates", {{"1s", {{"messages_in", 123}}}}}}}})},
          {"/readyz", page({{"ready", true}})},
          {"/edges", page({{"edges", json::array({{{"edge", "e1"},
                                                   {"links", json::array({{{"shard", 0},
                                                                           {"lane", 1},
                                                                           {"state", "in sync"},
                                                                           {"clients", 7},
                                                                           {"messages_in", 30},
                                                                           {"messages_out", 29},
                                                                           {"queue_bytes", 2048},
                                                                           {"round_trip_us", 85}}})}}})}})}};
}

inline std::map<std::string, json> edge_pages(const std::string& name) {
  return {{"/stats", page({{"program", "beeline-edge"},
                           {"name", name},
                           {"totals", {{"clients", 7}, {"outcomes", {{"accepted", 9}, {"full", 8}}}}}})},
          {"/readyz", page({{"ready", true}})}};
}

inline json client_of(const std::string& id) {
  return {{"id", id},
          {"lane", 1},
          {"state", "live"},
          {"protocol", "5.0"},
          {"connected_for_seconds", 3.5},
          {"in_flight", 2},
          {"pending_messages", 4},
          {"output_bytes", 2048}};
}

inline json drop_of(const std::string& at, const std::string& to) {
  return {{"at", at}, {"what", "drop"}, {"reason", "nobody"}, {"from", "C1"},
          {"to", to}, {"qos", 1},       {"where", "lane 0"}};
}

// Takes connections and never says a whole answer: nothing at all, or a byte now and then without an end.
class endless_server {
public:
  enum class mode : std::uint8_t { never, trickle };
  explicit endless_server(mode m) : mode_(m) {
    accept();
    thread_ = std::thread([this] { io_.run(); });
  }
  ~endless_server() {
    io_.stop();
    thread_.join();
  }
  endless_server(const endless_server&) = delete;
  endless_server& operator=(const endless_server&) = delete;
  std::string address() const { return "127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port()); }

private:
  using tcp = boost::asio::ip::tcp;
  struct session {
    explicit session(tcp::socket s) : socket(std::move(s)), timer(socket.get_executor()) {}
    tcp::socket socket;
    boost::asio::steady_timer timer;
    std::string next =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n{";
  };
  void accept() {
    acceptor_.async_accept([this](boost::system::error_code e, tcp::socket s) {
      if (e) return;
      sessions_.push_back(std::make_shared<session>(std::move(s)));
      if (mode_ == mode::trickle) drip(sessions_.back());
      accept();
    });
  }
  void drip(const std::shared_ptr<session>& s) {
    boost::asio::async_write(s->socket, boost::asio::buffer(s->next),
                             [this, s](boost::system::error_code e, std::size_t) {
                               if (e) return;
                               s->next = " ";
                               s->timer.expires_after(std::chrono::milliseconds(20));
                               s->timer.async_wait([this, s](boost::system::error_code failed) {
                                 if (!failed) drip(s);
                               });
                             });
  }

  const mode mode_;
  boost::asio::io_context io_;
  tcp::acceptor acceptor_{io_, {boost::asio::ip::address_v4::loopback(), 0}};
  std::vector<std::shared_ptr<session>> sessions_; // kept open
  std::thread thread_;
};

} // namespace beeline::test
