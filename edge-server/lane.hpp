// A lane: one thread's MQTT clients and their links to the router (docs/architecture.md).
//
// It is the Host of link::endpoint, which does the registration and the delivery contract; here is
// what MQTT adds: CONNECT and CONNACK, sessions with their windows and queues, keep-alive, the
// addresses `@/id[/channel]`, reason codes (docs/mqtt.md).
//
// Sans-I/O: see conn.hpp for the calls of the shell. Owner: the lane's thread, for everything but
// the counters. A session lives as long as its connection.
#pragma once
#include "common/base/refusable_work.hpp"
#include "common/base/token_bucket.hpp"
#include "common/link/endpoint.hpp"
#include "edge-server/mqtt/decode.hpp"
#include "edge-server/mqtt/encode.hpp"
#include "edge-server/session.hpp"

#include <boost/unordered/unordered_flat_set.hpp>

namespace beeline::edge {

struct lane_config {
  link::endpoint_config link;
  std::size_t packet_bytes_max = limits::packet_bytes_max;
  std::size_t connect_bytes_max = limits::connect_bytes_max;
  std::size_t prelogin_bytes_max = limits::prelogin_bytes_max;
  std::uint16_t inflight_max = limits::inflight_messages_max;
  std::size_t inflight_bytes_max = limits::inflight_bytes_max;
  std::size_t pending_max = limits::pending_messages_max, pending_bytes_max = limits::pending_bytes_max;
  std::size_t client_output_max = limits::client_output_bytes_max;
  std::size_t memory_max = limits::outputs_bytes_max; // outputs and what waits, of this lane
  duration connect_max = limits::connect_max, registered_max = limits::registered_max;
  duration keep_alive_max = limits::keep_alive_max;
  bool v311_refused_disconnects = false;
  unsigned drain_rate = limits::drain_rate; // clients told to go a second, of this lane
  duration drain_patience = limits::drain_patience;
  mqtt::reason drain_reason = mqtt::reason::use_another_server;
  std::string server_reference;             // where they are told to go; empty: anywhere
  std::function<void()> on_drained;         // called in the lane's thread, once
  std::function<void(bool ready)> on_ready; // called in the lane's thread
  std::function<void(link::event_level, std::string_view line)> on_event; // likewise
};

struct lane_counters {
  counter connections, sessions, prelogin_bytes, ready;      // now
  counter held_bytes, incomplete_bytes;                      // now, of clients with CONNACK; see session
  counter output_bytes, waiting_bytes;                       // now
  counter output_bytes_high_water, waiting_bytes_high_water; // at the end of turns
  counter connects, connects_refused;
  counter takeovers;                     // by a session of this lane; the endpoint counts the others
  counter publishes[3], publish_bytes;   // from clients, by QoS; payload bytes
  counter publishes_sent_away;           // QoS 1, of clients that are told to go: not taken, not answered
  counter deliveries[2], delivery_bytes; // to clients, by QoS
  counter deliveries_unacknowledged;     // QoS 1: the session ended before its PUBACK
  counter outcomes[answer_count];        // final answers told to publishers
  counter outcomes_taken;  // told instead: taken, but not acknowledged by the recipient, and why
  counter outcomes_untold; // 3.1.1: refused, and PUBACK cannot say so
  counter pubacks_in, pubacks_unknown;
  counter pending, pending_bytes; // messages that wait for recipients, now
  counter pending_high_water;
  counter subscribes, subscriptions_refused;
  counter reads_paused;               // times a client's socket was not read for back pressure
  counter malformed;                  // packets
  counter memory_short;               // times that memory became short for what clients send or are sent
  counter closes[close_reason_count]; // of clients
  counter draining;                   // 1 while clients are told to go, and after that
  counter sent_away;                  // CONNECT packets meanwhile
  counter drops[drop_reason_count];
};

struct lane_plants { // planted bugs, for the simulator
  bool window_off_by_one = false, pending_bytes_ignored = false, memory_max_ignored = false;
  bool drain_forgets_recipients = false, drain_forgets_senders = false;
};

class lane {
public:
  lane(lane_config config, chunk_pool& pool, time_point now);
  ~lane();

  // --- shell ---
  void begin_turn(time_point now) { endpoint_.begin_turn(now); }
  void end_turn(time_point now);
  void on_up(conn& c, time_point now);
  std::size_t on_bytes(conn& c, mutable_bytes in, time_point now);
  void on_drained(conn& c, time_point now);
  void on_down(conn& c, close_reason why, time_point now);
  void on_time(time_point now);
  time_point next_deadline() const noexcept;
  bool take_connect(connect_request& r) { return endpoint_.take_connect(r, last_time_); }
  void on_connect_failed(std::uint32_t link, std::string_view why, time_point now) {
    endpoint_.on_connect_failed(link, why, now);
  }
  // The process finds no memory: nothing is queued for clients for a while, so that senders are refused.
  void on_memory_short(time_point now);
  // Its clients are told to go, one after the other, each when its messages are settled; on_drained follows
  // when all have gone and every message has its answer. New clients are sent away at once.
  void drain(time_point now);
  void shutdown(time_point now);
  dirty_list& dirty() noexcept { return dirty_; }
  chunk_pool& pool() noexcept { return pool_; }

  // --- host of the endpoint ---
  void on_registered(handle h, time_point now);
  void on_kicked(handle h, close_reason why, time_point now);
  // All of it or nothing; without memory for it its sender is told.
  answer deliver(handle h, const wire::message_view& m, std::uint32_t receipt, time_point now);
  void on_outcome(const link::outbox::outcome& o, time_point now);
  void on_taken(const link::outbox::outcome& o, time_point now);
  void on_receipt(handle sender, std::uint64_t token, link::receipt_told what, time_point now);
  void on_link_drained(std::uint16_t link, time_point now);
  void on_ready(bool ready, time_point now);
  void on_event(link::event_level level, std::string_view line);

  // --- questions of the admin server, asked in this thread (lane_questions.cpp) ---
  struct session_info {
    std::string id;
    bool live = false, v5 = false; // not live: it waits for its shard
    duration connected_for{};
    std::size_t in_flight = 0, in_flight_max = 0, pending_messages = 0, pending_bytes = 0, output_bytes = 0,
                unanswered = 0;
  };
  struct session_page {
    std::vector<session_info> sessions;
    std::uint32_t next = none; // where to go on; none: that was all
  };
  // Of its clients and links, and of messages: what --max-memory bounds.
  std::size_t memory_of_outputs() const noexcept { return pool_.bytes_in_use() + blocks_.bytes_in_use(); }
  // Sessions from index `from` on, at most `most`, looking at a bounded number of places.
  session_page sessions(std::uint32_t from, std::size_t most, time_point now);
  struct explanation {
    bool here = false;
    session_info session; // if it is here
    std::string router;   // its shard's link; empty: nobody serves the slot
    std::uint16_t shard = 0;
    link::link_state link = link::link_state::idle;
    bool registered = false;
  };
  explanation explain(std::string_view id, time_point now);
  drops_told drops(std::size_t most, std::string_view id = {}) const {
    return {endpoint_.drops.newest(most, id), endpoint_.drops.recorded()};
  }

  const link::endpoint<lane>& endpoint() const noexcept { return endpoint_; }
  link::endpoint<lane>& endpoint() noexcept { return endpoint_; }
  // f(id, live) for each session that is registered or about to be.
  template <class F> void for_each_session(F&& f);

  lane_counters counters;
  lane_plants plant;

private:
  // lane.cpp: connections, time
  std::uint32_t session_of(handle h) const noexcept {
    const std::uint32_t i = h.index < by_client_.size() ? by_client_[h.index] : none;
    return i != none && sessions_[i].client == h ? i : none;
  }
  void close_session(session& s, close_reason why, mqtt::reason say, std::string_view text = {});
  void end_session(session& s, close_reason why);
  void check_session(session& s, time_point now);
  void update_reading(session& s);
  void check_memory();
  void update_held(session& s, std::size_t bytes, bool incomplete = false);
  void close_largest_incomplete();
  void tend_queue(session& s, time_point now);
  // What clients said while we stood still is not read yet, and nobody could answer them: that time does not
  // count.
  duration passed_since(time_point t, time_point now) const noexcept {
    return now - std::max(t, endpoint_.went_on());
  }
  void refuse(session& s, mqtt::protocol_version v, mqtt::reason r, std::string_view text,
              std::string_view id = {});
  void refuse_registration(session& s, close_reason why, mqtt::reason say, std::string_view text);

  // lane_drain.cpp
  void drain_step(time_point now);
  void begin_to_go(session& s, time_point now);
  void leave_if_settled(session& s, time_point now);
  void send_away(session& s, mqtt::protocol_version v, std::string_view id);

  // lane_connect.cpp
  bool on_connect(session& s, const mqtt::packet& p, time_point now); // true: consumed
  bool check_connect(session& s, const mqtt::connect_packet& c);
  std::uint32_t enter(session& s, const std::string& id, time_point now);
  void send_connack(session& s);
  std::string make_client_id();

  // lane_packets.cpp: packets of live sessions
  void on_packet(session& s, const mqtt::packet& p, time_point now);
  void on_publish(session& s, const mqtt::packet& p, time_point now);
  mqtt::reason resolve_alias(session& s, mqtt::publish_packet& p);
  void refuse_publish(session& s, const mqtt::publish_packet& p, std::string_view to, mqtt::reason r,
                      drop_reason why, std::string_view text);
  void on_puback(session& s, const mqtt::packet& p, time_point now);
  void on_subscribe(session& s, const mqtt::packet& p);
  void on_unsubscribe(session& s, const mqtt::packet& p);
  void on_disconnect(session& s, const mqtt::packet& p);
  session* publisher(handle h);
  bool time_to_live(const mqtt::publish_packet& p, std::uint32_t& ttl_ms) const;
  void put_puback(session& s, std::uint16_t packet_id, mqtt::reason r, std::string_view text);

  // lane_delivery.cpp: messages to clients
  answer deliver_to(session& s, const wire::message_view& m, std::uint32_t receipt, time_point now);
  void write_publish(session& s, const wire::message_view& m, std::uint8_t qos, time_point now,
                     time_point expires, std::uint32_t receipt = none);
  void pump_pending(session& s, time_point now);
  void expire_pending(session& s, time_point now);
  void end_expired(session& s, const pending_message& w, time_point now) noexcept;
  void forget_pending(session& s, const pending_message& w) noexcept;
  void settle(std::uint32_t receipt, wire::receipt what) noexcept {
    const necessary_work inside_any;
    if (receipt != none) endpoint_.settle_receipt(receipt, what, last_time_);
  }
  void drop_pending(session& s) noexcept;
  // Unsent bytes behind which nothing more is written: what is there cannot expire any more.
  std::size_t unsent_max(time_point expires) const noexcept {
    return expires == never ? config_.client_output_max
                            : std::min(config_.client_output_max, limits::expiring_output_max);
  }
  bool can_write(const session& s, time_point expires) const noexcept {
    return s.in_flight.size() < s.receive_maximum + std::size_t{plant.window_off_by_one} &&
           s.c->out.size() < unsent_max(expires) && (!receiving_full_ || s.c->out.empty());
  }
  // Unsent bytes at which a client is not read any more: each packet it sends may bring an answer.
  std::size_t output_max() const noexcept {
    return receiving_full_ ? std::min(config_.client_output_max, limits::client_output_scarce)
                           : config_.client_output_max;
  }
  void count_drop(drop_reason r) { counters.drops[static_cast<std::size_t>(r)].add(); }
  void drop(const wire::message_view& m, drop_reason r, time_point now) {
    count_drop(r);
    endpoint_.drops.put(drop_kind::drop, name_of(r), m.sender(), m.destination(), m.qos1(), now);
  }
  std::string_view reference_for(mqtt::reason r) const noexcept {
    return r == mqtt::reason::use_another_server || r == mqtt::reason::server_moved ? config_.server_reference
                                                                                    : std::string_view{};
  }
  void remember_refusal(const session& s, std::string_view why, std::string_view id);
  session_info tell(const session& s, time_point now);

  struct client_hash {
    using is_transparent = void;
    lane* l;
    std::size_t operator()(std::uint32_t session) const noexcept;
    std::size_t operator()(std::string_view id) const noexcept;
  };
  struct client_equal {
    using is_transparent = void;
    lane* l;
    std::string_view id(std::uint32_t session) const noexcept;
    bool operator()(std::uint32_t a, std::uint32_t b) const noexcept { return a == b; }
    bool operator()(std::string_view a, std::uint32_t b) const noexcept { return a == id(b); }
    bool operator()(std::uint32_t a, std::string_view b) const noexcept { return id(a) == b; }
  };

  lane_config config_;
  chunk_pool& pool_;
  block_pool blocks_;
  dirty_list dirty_;
  link::endpoint<lane> endpoint_;
  std::deque<session> sessions_; // by conn.owner; references stay valid
  std::vector<std::uint32_t> free_sessions_;
  std::vector<std::uint32_t> by_client_;                                      // handle.index -> session
  boost::unordered_flat_set<std::uint32_t, client_hash, client_equal> by_id_; // one id, one session
  std::vector<std::vector<std::uint32_t>> paused_by_link_; // sessions that wait for a link to drain
  rng random_;
  std::uint32_t check_cursor_ = 0;
  time_point last_time_{}, next_check_{}, memory_short_until_{};
  bool leaving_ = false, draining_ = false, drained_ = false;
  time_point next_drain_ = never;
  std::uint32_t drain_cursor_ = 0;
  std::vector<std::uint32_t> going_; // sessions that are to go and have not gone
  token_bucket may_go_;              // clients that may be told to go
  std::size_t registering_ = 0;      // sessions in that state
  bool sending_full_ = false;   // what our clients have sent takes its half of the memory: they are not read
  bool sending_over_ = false;   // and half as much again: nobody is read
  bool receiving_full_ = false; // what waits for our clients takes its half: nothing more is queued for them
};

template <class F> void lane::for_each_session(F&& f) {
  for (session& s : sessions_)
    if (s.st == session::state::registering || s.st == session::state::live)
      if (const link::client* x = endpoint_.find(s.client))
        f(std::string_view(x->id), s.st == session::state::live);
}

} // namespace beeline::edge
