// One connection of a client of the run: MQTT over a socket of Asio, and what it sees into the history.
//
// Owner: the crowd's thread. It lives as long as an operation of its socket is on the way; `crowd` is told
// once when it has ended.
#pragma once
#include "tests/chaos/history.hpp"
#include "tests/support/mqtt_client_codec.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace beeline::chaos {

struct client_plan {
  std::string id;
  bool v5 = true;
  std::uint16_t receive_max = 0; // 0: not announced
  int late_ack_ms = 0;           // 0: at once
  int home = -1;                 // the edge where it always connects; -1: any
  unsigned group = 0;            // whom others may send to
  int sends_to = -1;             // a group; -1: anybody
  std::size_t window = 200;      // QoS 1 without an answer, of one session
  bool returns = true;           // it connects again when its connection has ended; else at the load's end
};

struct wishes {              // of a message of QoS 1 of a v5 client
  bool receipt = false;      // the recipient's own PUBACK
  std::uint8_t deadline = 0; // in units of 100 ms; 0: none
};

class crowd;

class session : public std::enable_shared_from_this<session> {
public:
  using tcp = boost::asio::ip::tcp;
  session(crowd& c, std::uint32_t number, std::uint32_t client, std::uint8_t edge);

  void connect(const tcp::endpoint& to);
  void publish(std::uint32_t to, std::uint8_t qos, bool last, std::size_t bytes, wishes w = {});
  void leave();       // DISCONNECT
  void abort();       // RST
  void deaf(bool on); // it reads nothing, and keeps itself alive
  void tick();        // a few times a second: keep-alive, and whether the server is silent

  bool live() const noexcept { return live_ && !over_; }
  bool over() const noexcept { return over_; }
  std::uint32_t number() const noexcept { return number_; }
  std::uint8_t edge() const noexcept { return edge_; }
  std::size_t unanswered() const noexcept { return unanswered_; }
  bool has_room() const noexcept;

private:
  void see(seen what, std::uint32_t other, std::uint32_t count, unsigned code, unsigned flags,
           unsigned detail);
  void end(ending how, unsigned code = 0);
  void read();
  void flush();
  std::size_t take_packets();
  void on_packet(const mqtt::packet& p);
  void on_connack(const mqtt::packet& p);
  void on_publish(const mqtt::packet& p);
  void on_puback(const mqtt::packet& p);
  struct wanted { // whose sender wants to know: its session, and the message
    std::uint32_t session = 0, count = 0;
  };
  void acknowledge(std::uint16_t packet_id, std::optional<wanted> by);
  void put_puback(std::uint16_t packet_id, std::optional<wanted> by);
  std::int64_t now() const;

  crowd& crowd_;
  tcp::socket socket_;
  std::uint32_t number_, client_;
  std::uint8_t edge_;
  bool connected_ = false, live_ = false, over_ = false, writing_ = false, pinged_ = false, leaving_ = false,
       deaf_ = false, reading_ = false;
  std::string in_, out_, sending_;
  std::uint32_t next_count_ = 0;
  std::vector<std::uint32_t> by_packet_; // count + 1; 0: free
  std::vector<std::uint16_t> free_packets_;
  std::size_t unanswered_ = 0;
  std::int64_t heard_ = 0, opened_ = 0, pinged_at_ = 0;
};

} // namespace beeline::chaos
