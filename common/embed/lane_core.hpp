// The sans-I/O core of an embedded lane: the Host of link::endpoint, as edge-server's lane is. It keeps
// what the program needs back: completions of registrations and receipts, by client.
//
// See conn.hpp for the calls of the shell. Handlers of the program are called from those alone, completions
// from anywhere: they are posted. Owner: the lane's thread.
#pragma once
#include "common/base/check.hpp"
#include "common/link/endpoint.hpp"
#include "common/wire/properties.hpp"

#include <beeline/error.hpp>
#include <beeline/lane.hpp>
#include <boost/unordered/unordered_flat_set.hpp>

BEELINE_LINK_BEGIN

class lane_core {
public:
  using error_code = boost::system::error_code;
  using attach_done = detail::completion<error_code, client_handle>;
  using wait_done = detail::completion<error_code>;
  using send_done = detail::completion<error_code, receipt>;

  lane_core(endpoint_config config, std::size_t unanswered_bytes_max, lane_handlers handlers,
            chunk_pool& pool, time_point now);
  ~lane_core();

  // --- shell ---
  void begin_turn(time_point now) { endpoint_.begin_turn(last_time_ = now); }
  void end_turn(time_point now);
  void on_up(conn& c, time_point now) { endpoint_.on_up(c, now); }
  std::size_t on_bytes(conn& c, mutable_bytes in, time_point now) { return endpoint_.on_bytes(c, in, now); }
  void on_drained(conn& c, time_point now) { endpoint_.on_drained(c, now); }
  void on_down(conn& c, close_reason why, time_point now) { endpoint_.on_down(c, why, now); }
  void on_time(time_point now) { endpoint_.on_time(now); }
  time_point next_deadline() const noexcept { return endpoint_.next_deadline(); }
  bool take_connect(connect_request& r) { return endpoint_.take_connect(r, last_time_); }
  void on_connect_failed(std::uint32_t link, std::string_view why, time_point now) {
    endpoint_.on_connect_failed(link, why, now);
  }
  void shutdown(time_point now); // detaches all, says good-bye
  dirty_list& dirty() noexcept { return dirty_; }
  chunk_pool& pool() noexcept { return pool_; }

  // --- host of the endpoint ---
  void on_registered(handle h, time_point now);
  void on_kicked(handle h, close_reason why, time_point now);
  answer deliver(handle h, const wire::message_view& m, std::uint32_t receipt, time_point now);
  void on_outcome(const outbox::outcome& o, time_point now);
  void on_taken(const outbox::outcome&, time_point) {} // its completion waits on
  void on_receipt(handle sender, std::uint64_t token, receipt_told what, time_point now);
  void on_link_drained(std::uint16_t link, time_point now);
  void on_ready(bool ready, time_point now);
  void on_event(event_level level, std::string_view line);

  // --- the program ---
  client_handle attach(std::string_view id, error_code& ec, time_point now);
  void wait_attached(client_handle c, attach_done done); // of an attach of just now
  void withdraw_attach(client_handle c, time_point now); // its wait was cancelled
  void wait_registered(client_handle c, wait_done done);
  void wait_ready(wait_done done);
  bool registered(client_handle c) noexcept;
  bool detach(client_handle c, time_point now);
  bool send(client_handle from, const message& m, error_code& ec);
  void send(client_handle from, const message& m, send_done done, time_point now);
  bool want_more() const noexcept { return blocked_ == 0 && !full_; }
  void stop_sending() noexcept { leaving_ = true; } // from now on everything new is refused
  bool idle() const noexcept { return endpoint_.outgoing.idle(); }
  void fail_all(time_point now);          // completes whatever still waits: nobody will hear of it any more
  void mute() noexcept { muted_ = true; } // no handler is called from now on
  void drop_all();                        // destroys all that waits, and the handlers, without a call
  // Runs f later, behind the completions that were posted before. Set by the shell.
  std::function<void(std::function<void()>)> post;

  bool ready() const noexcept { return endpoint_.ready(); }
  const std::string& problem() const noexcept { return endpoint_.problem(); }
  statistics count() const;

private:
  struct client_state {
    std::uint64_t generation = 0;
    handle at_endpoint; // whose generation wraps
    bool used = false;
    std::string id;
    attach_done attaching;              // while it is not registered
    std::vector<wait_done> registering; // likewise
    std::uint32_t receipts = none;      // its first unanswered message
  };
  struct waiting {  // an unanswered message, in its client's list
    send_done done; // empty: its wait was cancelled
    std::uint32_t client = none, next = none, prev = none;
  };
  client_state* find(client_handle c) noexcept;
  client_handle handle_of(handle h) const noexcept { return {h.index, clients_[h.index].generation}; }
  error_code refuse(errc e) noexcept {
    ++refused_[static_cast<std::size_t>(e)];
    return e;
  }
  void forget(client_state& s, error_code why);
  void tell_registration(client_state& s, error_code ec, client_handle c);
  void complete(std::uint32_t token, error_code ec, receipt r);
  bool prepare(client_handle from, const message& m, bool qos1, error_code& ec);
  void update_want_more();
  template <class F, class... Args> auto guarded(F& f, Args&&... args) -> bool;

  chunk_pool& pool_;
  block_pool blocks_;
  dirty_list dirty_;
  const std::size_t unanswered_bytes_max_;
  lane_handlers handlers_;
  endpoint<lane_core> endpoint_;
  std::vector<client_state> clients_;          // by handle.index
  boost::unordered_flat_set<std::string> ids_; // attached
  slab<waiting> receipts_;
  std::vector<wait_done> ready_waiters_;
  std::vector<bool> link_blocked_;
  std::uint32_t blocked_ = 0;
  wire::message_parts parts_; // of the message being sent; views `block_`
  std::string block_;
  const_bytes block_view_;
  std::uint64_t receipts_by_outcome_[6] = {}, by_recipient_[8] = {}, refused_[errc_count] = {};
  std::uint64_t generations_ = 0; // given out
  std::uint64_t handler_failures_ = 0, dropped_ = 0;
  time_point last_time_{};
  bool full_ = false, told_full_ = false, leaving_ = false, muted_ = false;
};

BEELINE_LINK_END
