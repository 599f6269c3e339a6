// All clients of a run: who is connected where, the open load, and what clients do of themselves (leave,
// move, break off). Everything that they see goes into one history.
//
// The load is open: message k is due at k / rate whatever the answers do, but a sender has at most so many
// without an answer; what is due and nobody has room for is counted as held back. It has a thread of its own;
// other threads use only what stands under "any thread".
#pragma once
#include "common/base/rng.hpp"
#include "tests/chaos/session.hpp"

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <set>
#include <thread>

namespace beeline::chaos {

struct crowd_settings {
  std::uint64_t seed = 1;
  double rate = 5000; // messages a second, all clients together
  double churn = 6;   // times a second that some client leaves, moves or breaks off
  std::size_t takeovers =
      0;                   // not 0: churn is so many connects elsewhere while the old session lives, no more
  bool shifts_load = true; // what one client cannot send another one does
  unsigned qos0_percent = 15;
  unsigned receipt_percent = 0, deadline_percent = 0; // of QoS 1 messages of v5 clients
  std::size_t payload_max = 256;                      // one message in 50 has up to 8 times as much
  std::vector<client_plan> clients;
  std::vector<boost::asio::ip::tcp::endpoint> edges; // where clients connect
};

class crowd {
public:
  using clock = std::chrono::steady_clock;
  crowd(crowd_settings s, clock::time_point begin, const std::string& history_path);
  ~crowd();

  // Any thread.
  void connect_all();
  void begin_load();
  void end_load(); // those who were away come back, but for one in ten, and all acknowledge at once
  void
  begin_final(); // everybody who is there sends to everybody (of many: to the next ones); to the absent too
  void deaf(std::uint32_t client, bool on);            // its sessions read nothing
  std::size_t takeovers() const { return takeovers_; } // that were tried
  bool final_sent() const { return final_sent_; }
  std::size_t live() const { return live_count_; }
  std::size_t unanswered() const { return unanswered_; }
  std::size_t wrong_places() const { return wrong_; } // clients that are not as they want to be
  std::int64_t last_event() const { return last_event_; }
  std::uint64_t held_back() const { return held_back_; }
  std::string words(); // what keeps it from rest
  void stop();         // ends the thread; everything that was seen is in the file
  std::int64_t now() const {
    return std::chrono::duration_cast<std::chrono::microseconds>(clock::now() - begin_).count();
  }

  // Of sessions.
  boost::asio::io_context& io() noexcept { return io_; }
  std::uint64_t run() const noexcept { return settings_.seed; }
  const client_plan& plan(std::uint32_t client) const { return settings_.clients[client]; }
  int late_ack_ms(std::uint32_t client);
  void see(const record& r);
  void connected(std::uint32_t client, std::uint32_t session);
  void ended(std::uint32_t client, std::uint32_t session);

private:
  struct member {
    std::vector<std::shared_ptr<session>> sessions; // those that are not over
    bool wanted = true;
    std::int64_t connect_at = -1; // when it tries again
    unsigned failures = 0;
  };
  void post(std::function<void()> f);
  void tick();
  void connect_due();
  void open(std::uint32_t c, std::uint8_t edge);
  void offer();
  bool publish_one();
  void churn();
  void take_over(std::uint32_t number);
  std::uint32_t some_recipient(std::uint32_t from);
  wishes some_wishes(std::uint32_t from);
  void send_final();
  void count();
  std::uint8_t some_edge() { return static_cast<std::uint8_t>(random_.below(settings_.edges.size())); }
  session* live_session(std::uint32_t c);

  crowd_settings settings_;
  clock::time_point begin_;
  boost::asio::io_context io_{1};
  boost::asio::steady_timer timer_{io_};
  rng random_;
  std::vector<member> clients_;
  std::vector<std::vector<std::uint32_t>> groups_; // clients
  history_writer history_;
  std::uint32_t sessions_ = 0;
  bool loading_ = false, final_ = false;
  std::int64_t load_begin_ = 0, next_churn_ = 0;
  std::uint64_t offered_ = 0;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> final_left_; // sender, destination
  std::atomic<std::size_t> live_count_ = 0, unanswered_ = 0, wrong_ = 0, takeovers_ = 0;
  std::atomic<std::int64_t> last_event_ = 0;
  std::atomic<std::uint64_t> held_back_ = 0;
  std::atomic<bool> final_sent_ = false, stopped_ = false;
  std::thread thread_;
};

} // namespace beeline::chaos
