// Simulated MQTT clients: real MQTT bytes over simulated connections.
//
// A device is one client id. It opens sessions (one connection each, 3.1.1 or 5), publishes to other
// ids, acknowledges what it receives - at once or late -, leaves, crashes, comes back, and sometimes
// connects elsewhere while its old session lives. A client never sends a message again.
// Owner: the thread that runs the seed.
#pragma once
#include "tests/sim/history.hpp"
#include "tests/support/mqtt_client_codec.hpp"

namespace beeline::sim {

class device;
class cluster;

class client_session final : public actor, private endpoint_user {
public:
  client_session(world& w, device& d, std::uint32_t number, const settings& s, history& h);

  const std::uint32_t number;
  bool live() const noexcept { return state_ == state::live; }
  bool over() const noexcept { return state_ == state::over; }
  connection* wire() const noexcept { return socket_ ? socket_->of : nullptr; }
  std::size_t unanswered() const noexcept { return unanswered_.size(); }

  bool may_publish() const noexcept;
  void dialled(socket_end* e); // null: nobody listens
  void publish(std::uint32_t to, std::uint8_t qos, bool last_exchange);
  void be_slow(time_point until);
  void disconnect();       // says DISCONNECT
  void crash(bool silent); // with a reset, or without a word
  void quiet() noexcept { publishing_ = false, slow_until_ = time_point{}, plan_acks(); }
  void on_event(std::uint32_t what, std::uint64_t) override;

private:
  enum class state { dialling, connecting, live, over };
  enum : std::uint32_t { ev_publish = 30, ev_ping, ev_acks, ev_patience };
  void on_readable(socket_end&) override;
  void on_writable(socket_end&) override { flush(); }
  void on_packet(const mqtt::packet& p);
  void on_publish(const mqtt::packet& p);
  void end(const char* how);
  void heard_to_the_end();
  void flush();
  void plan_acks();
  void send_acks();
  void burst();
  std::string draw_wishes(message_record& m);

  world& w_;
  device& device_;
  const settings& set_;
  history& h_;
  socket_end* socket_ = nullptr;
  state state_ = state::dialling;
  const mqtt::protocol_version version_;
  std::uint16_t keep_alive_, receive_maximum_ = 65'535, window_ = 0;
  std::uint32_t favourite_;
  std::vector<std::byte> in_;
  std::string out_;
  std::size_t out_head_ = 0;
  std::uint16_t next_packet_id_ = 1;
  std::uint32_t flow_ = 0;
  std::unordered_map<std::uint16_t, std::uint32_t> unanswered_; // packet id -> message
  std::vector<std::pair<std::uint16_t, std::uint32_t>> acks_;   // packet id, message
  time_point slow_until_{};
  bool publishing_ = true, acks_planned_ = false;
};

class device final : public actor {
public:
  device(world& w, std::uint32_t id, const settings& s, history& h, cluster& c);

  const std::uint32_t id;
  const std::string& name() const { return h_.ids[id]; }
  client_session* newest() const noexcept { return sessions_.empty() ? nullptr : sessions_.back().get(); }
  bool settled() const noexcept; // online or offline, as it is to be at rest
  bool wants_online() const noexcept { return wants_online_; }
  void session_over(client_session& s);
  void come_to_rest();       // no more churn; online or offline for good
  void connect_elsewhere() { // while the old session lives
    if (!resting_) connect();
  }
  void moves_for_the_last_time(std::uint32_t edge); // and does not come back when it is lost there
  // For scenarios: now, and from now on always to this edge.
  void connect_to(std::uint32_t edge);
  void leave();
  void on_event(std::uint32_t what, std::uint64_t) override;

private:
  friend class client_session;
  enum : std::uint32_t { ev_connect = 40, ev_churn };
  void connect() { connect(place_); }
  void connect(std::uint32_t edge); // ~0: any
  void churn();
  world& w_;
  const settings& set_;
  history& h_;
  cluster& cluster_;
  std::vector<std::unique_ptr<client_session>> sessions_;
  bool wants_online_ = true, resting_ = false, connect_planned_ = false;
  std::uint32_t place_ = ~0u; // ~0: any edge
};

} // namespace beeline::sim
