// All clients of a run, in one thread with one epoll set: connects them, sends what a load wants to be sent,
// and books what arrives. Written to cost far less than the servers: messages are copies of templates, one
// write for all that a turn appended to a client, reads of up to 256 KiB, no allocation a message.
//
//   turn(until) -> epoll (to the nanosecond) -> reads, bookings, acknowledgements -> the load's `produce` ->
//   writes
//
// A client that is lost or refused ends the run: fault() says why. Owner: one thread.
#pragma once
#include "tests/bench/client.hpp"
#include "tests/bench/latencies.hpp"
#include "tests/bench/ledger.hpp"

#include <memory>
#include <sys/epoll.h>

namespace beeline::bench {

struct address {
  sockaddr_storage where{};
  socklen_t size = 0;
};
address resolve(const std::string& host, std::uint16_t port); // throws std::runtime_error

std::int64_t now_ns() noexcept; // CLOCK_MONOTONIC

struct swarm_options {
  std::vector<address> targets; // client.target is an index
  std::uint32_t payload = 100;
  std::uint8_t qos = 0;
  std::uint32_t connecting_max = 64;             // at a time
  std::uint32_t senders = 0, first_receiver = 0; // see ledger
  // For dialects that are called back: sender i's far end is client i + far_end; it connects to this port of
  // loopback.
  std::uint32_t far_end = 0;
  std::uint16_t callback_port = 0;
};

class swarm {
public:
  swarm(const dialect& d, swarm_options o, std::vector<client> clients);
  ~swarm();

  // One turn; waits until something happens, but not beyond `until`. Writes what was sent before.
  void turn(std::int64_t until_ns);
  void connect_some(); // as many as may be connecting
  // The message is appended to the sender's output, and written in this turn or the next.
  void send(std::uint32_t from, std::uint32_t to, std::int64_t due_ns);
  void flush();
  void close_all() noexcept; // at once, and without TIME_WAIT

  std::size_t size() const noexcept { return clients_.size(); }
  std::size_t up() const noexcept { return up_; }
  const client& at(std::uint32_t i) const noexcept { return clients_[i]; }
  std::size_t unwritten() const noexcept { return unwritten_; }
  const ledger& book() const noexcept { return ledger_; }
  std::uint64_t settled() const noexcept { return settled_; }
  std::uint64_t refused() const noexcept { return refused_; }
  const std::string& fault() const noexcept { return fault_; }
  void record_into(latencies* l) noexcept { latencies_ = l; } // null: not recorded

private:
  void connect(client& c);
  void on_event(std::uint32_t tag, std::uint32_t events);
  void accept_far_end();
  void read(client& c);
  void take(client& c, const_bytes in, std::int64_t now);
  void book_message(client& c, const arrival& a, std::int64_t now);
  void on_ready(client& c);
  void write(client& c);
  void mark(client& c);
  void watch(client& c, bool out, bool is_new);
  void broken(const client& c, const std::string& why);

  const dialect& dialect_;
  swarm_options options_;
  std::vector<client> clients_;
  std::vector<message_template> templates_; // by receiver
  ledger ledger_;
  latencies* latencies_ = nullptr;
  net::unique_fd epoll_, listener_;
  std::vector<std::byte> scratch_;
  std::vector<epoll_event> events_;
  std::vector<std::uint32_t> dirty_;
  findings found_;
  std::size_t next_connect_ = 0, connecting_ = 0, up_ = 0, unwritten_ = 0;
  std::uint64_t settled_ = 0, refused_ = 0;
  std::string fault_;
};

} // namespace beeline::bench
