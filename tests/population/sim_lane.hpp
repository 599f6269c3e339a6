// A lane with very many clients that are nothing but a number: the Host of link::endpoint, as beeline-edge's
// lane is, so that links, registrations and messages are those of the product.
//
// Clients 0 .. N-1 are spread over the lanes of a run: number n begins on lane n % lanes. A lane sends in an
// open loop: what is due is sent at its tick, whatever waits for answers, and carries the tick's time.
//
// Sans-I/O: see conn.hpp for the calls of the shell. Owner: the lane's thread, for everything but `figures`.
#pragma once
#include "common/base/histogram.hpp"
#include "common/link/endpoint.hpp"
#include "tests/population/flows.hpp"

#include <deque>

namespace beeline::population {

struct sim_lane_settings {
  link::endpoint_config link;
  unsigned number = 0, lanes = 1;                 // of all lanes of the run
  std::vector<received_flow>* received = nullptr; // by flow; this lane writes those of its recipients
};

struct lane_figures {                    // any thread reads
  counter ready, attached, registered;   // now
  counter ready_changed_us, lost_us;     // when it last became ready, or not; when it first lost a link
  counter queue_bytes, queue_bytes_most; // unsent on its links, at the end of turns
  counter waiting, waiting_most;         // messages without an answer
  counter accepted, settled;             // outcomes
  counter first_registered_us, last_registered_us; // of those of now
  counter last_delivery_us, gap_us, gap_end_us;    // the longest time without a delivery since forget_marks()
  counter probes_settled, probes_accepted, probes_nobody, probes_taken;
  counter wrong_place; // deliveries that are not for the client they came to
  counter kicked;
};

// Latencies by when the message was sent, so that any stretch of the run can be looked at when it is over.
class latency_line {
public:
  static constexpr std::uint64_t slot_us = 100'000;
  void record(std::uint64_t sent_us, std::uint64_t now_us);
  // Of the slots that lie wholly between.
  histogram_snapshot between(std::uint64_t from_us, std::uint64_t to_us) const;

private:
  std::uint64_t begin_us_ = 0;
  std::deque<histogram> slots_;
};

class sim_lane {
public:
  sim_lane(sim_lane_settings s, time_point now);
  ~sim_lane();

  // --- shell ---
  void begin_turn(time_point now);
  void end_turn(time_point now);
  void on_up(conn& c, time_point now);
  std::size_t on_bytes(conn& c, mutable_bytes in, time_point now);
  void on_drained(conn& c, time_point now);
  void on_down(conn& c, close_reason why, time_point now);
  void on_time(time_point now);
  time_point next_deadline() const noexcept;
  bool take_connect(connect_request& r);
  void on_connect_failed(std::uint32_t link, std::string_view why, time_point now);
  void shutdown(time_point now);
  dirty_list& dirty() noexcept { return dirty_; }
  chunk_pool& pool() noexcept { return pool_; }

  // --- host of the endpoint ---
  void on_registered(handle h, time_point now);
  void on_kicked(handle h, close_reason why, time_point now);
  answer deliver(handle h, const wire::message_view& m, std::uint32_t receipt, time_point now);
  void on_outcome(const link::outbox::outcome& o, time_point now);
  void on_taken(const link::outbox::outcome&, time_point) {}
  void on_receipt(handle, std::uint64_t, link::receipt_told, time_point) {}
  void on_link_drained(std::uint16_t, time_point) {}
  void on_ready(bool ready, time_point now);
  void on_event(link::event_level level, std::string_view line);

  // --- the driver ---
  void grow(std::uint32_t clients) { wanted_ += clients; } // more of the clients that begin here
  struct arrival {
    time_point at;
    std::uint32_t number;
  };
  void receive_later(std::vector<arrival> all); // clients of another lane that come here, by time
  void begin_load(std::vector<sent_flow> flows, double messages_per_second, time_point now);
  void end_load() { next_tick_ = never; }
  // One message to each of the clients first, first + step, ..., `count` of them, wherever they are.
  void probe(std::uint32_t first, std::uint32_t step, std::uint32_t count);
  void forget_probes();
  void forget_marks(); // high-water marks and the longest gap
  // As a SIGKILL of its process: its sockets close, unsent bytes are lost, and it does nothing ever again.
  void die();

  const std::vector<sent_flow>& sent() const noexcept { return flows_; }
  link::endpoint<sim_lane>& endpoint() noexcept { return endpoint_; }
  const link::endpoint<sim_lane>& endpoint() const noexcept { return endpoint_; }
  bool dead() const noexcept { return dead_; }

  lane_figures figures;
  latency_line answered[2], delivered[2]; // [1]: messages to the clients of an edge that is to be killed
  std::deque<std::string> news;           // the newest lines for a log

private:
  void attach(std::uint32_t number, time_point now);
  void attach_some(time_point now);
  bool may_attach() const noexcept;
  void send_due(time_point now);
  void send(sent_flow& f, time_point now);
  void send_probes(time_point now);
  void send_stamped(handle from, std::uint32_t sender, std::uint32_t recipient, const stamp& s,
                    time_point now);
  void count_registered();

  const sim_lane_settings settings_;
  chunk_pool pool_;
  block_pool blocks_;
  dirty_list dirty_;
  link::endpoint<sim_lane> endpoint_;
  std::vector<conn*> conns_;
  std::vector<handle> own_;               // by number / lanes
  std::vector<std::uint32_t> numbers_;    // by handle.index
  std::vector<bool> registered_, probed_; // likewise
  std::uint32_t wanted_ = 0;
  std::uint64_t losses_seen_ = 0;
  std::vector<arrival> arrivals_;
  std::size_t arrived_ = 0;
  std::vector<sent_flow> flows_;
  double per_tick_ = 0, due_ = 0;
  std::size_t next_flow_ = 0;
  time_point next_tick_ = never, last_time_{};
  struct probe_range {
    std::uint32_t next, step, left;
  };
  std::deque<probe_range> probes_;
  std::uint32_t probes_under_way_ = 0;
  bool dead_ = false;
};

} // namespace beeline::population
