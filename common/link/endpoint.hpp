// A lane's end of the link protocol: its links to every shard, the registration of its clients, and
// both sides of the delivery contract. This is what a server with clients of its own needs, whatever
// protocol those clients speak; beeline-edge's lane is built on it.
//
//        Host (MQTT sessions, or a program's own)
//          |  attach, detach, send            ^ registered, kicked, deliver, outcome
//   +------v----------------------------------|------+
//   | client_table      outbox      inbox            |   endpoint
//   +------|-----------------------------------------+
//          v  one shard_link for each shard of each router
//
// `Host` is a concrete class; calls to it are plain calls:
//   void on_registered(handle, time_point);           it can be reached now
//   void on_kicked(handle, close_reason, time_point); its shard ends it: detach it. taken_over, or at a
//                                                     limit of the shard's: registration_refused, _busy
//   answer deliver(handle, const wire::message_view&, std::uint32_t receipt, time_point);
//                                                     accepted, full, refused, expired; of what it accepts
//                                                     with a `receipt` (not none), settle_receipt() has to
//                                                     follow
//   void on_outcome(const outbox::outcome&, time_point);
//                                                     a QoS 1 send is settled
//   void on_taken(const outbox::outcome&, time_point);
//                                                     ... accepted, and its receipt is waited for
//   void on_receipt(handle sender, std::uint64_t token, receipt_told, time_point);
//                                                     that follows, once
//   void on_link_drained(std::uint16_t link, time_point);
//                                                     after send() said link_full
//   void on_ready(bool, time_point);                  in sync with every shard, or no more
//   void on_event(event_level, std::string_view);     one line for the log
//
// No I/O, no clock. Owner: one lane's thread; all calls from it.
#pragma once
#include "common/base/backoff.hpp"
#include "common/base/conn.hpp"
#include "common/base/rng.hpp"
#include "common/link/client_table.hpp"
#include "common/link/connect_request.hpp"
#include "common/link/handshake.hpp"
#include "common/link/inbox.hpp"
#include "common/link/known_lanes.hpp"
#include "common/link/link_stats.hpp"
#include "common/link/outbox.hpp"
#include "common/link/receipts.hpp"
#include "common/link/slot_table.hpp"

#include <deque>
#include <functional>
#include <memory>

namespace beeline::link {

// What a sender that asked for the recipient's own acknowledgement is told, of a message that was accepted.
enum class receipt_told : std::uint8_t {
  received,      // the recipient has acknowledged it
  session_ended, // the recipient's session ended first
  expired,       // it expired in the recipient's queue
  rejected,      // the recipient acknowledged it with an error
  timeout,       // nothing came in time
  owner_lost,    // the recipient's server was lost first
  not_promised   // the recipient's server, or this one, is at a limit or too old for receipts
};

enum class event_level : std::uint8_t { info, warning, error };

struct endpoint_config {
  cluster_secret secret{""};
  lane_identity who;
  struct router {
    std::string host;
    std::uint16_t port = 0;
  };
  std::vector<router> routers;
  unsigned hash_bits = 64;
  std::function<wire::nonce()> make_nonce; // unpredictable; called once a handshake
  std::uint64_t random_seed = 1;           // for the jitter of reconnects
  outbox::settings window;
  std::size_t sync_output_max = limits::sync_output_max;
  duration receipt_timeout = limits::receipt_timeout;
  std::size_t receipts_max = limits::receipts_max; // waited for, and owed, each
  std::size_t link_output_high = limits::link_output_bytes_high,
              link_output_low = limits::link_output_bytes_low;
};

struct endpoint_counters {
  counter links_up, links; // now
  counter link_connects, link_losses;
  counter registrations, takeovers; // takeovers: sessions of ours that lost their id
  counter refused;                  // registrations that a shard at a limit refused
  counter paths_lost;               // notices that an owner's link was lost
  counter lanes_unremembered;       // above limits::members_max: a router's next life does not wait for them
  counter queue_high_water;         // of the link that had the most unsent
  counter frames_in, frames_out_qos0;
  counter bytes_out_qos0;             // payload bytes of QoS 0 messages sent to shards
  counter messages_in, bytes_in;      // messages delivered to us over links, their payload bytes
  counter accepted, accepted_qos0;    // taken by a session
  counter closes[close_reason_count]; // of links
  counter drops[drop_reason_count];
  counter round_trip_us; // of the newest heartbeat, the slowest link
};

struct endpoint_plants { // planted bugs, for the simulator
  bool no_reregistration = false, dial_gives_up = false, heartbeat_once = false, ack_before_deliver = false,
       heartbeat_only_when_idle = false, sync_misses_new = false, limit_without_answer = false,
       dedup_without_life = false, kicked_stays_registered = false, receipt_before_ack = false,
       receipt_lost_with_link = false, in_sync_in_doubt = false;
};

template <class Host> class endpoint {
public:
  endpoint(endpoint_config config, Host& host, chunk_pool& pool, block_pool& blocks, dirty_list& dirty,
           time_point now);

  // --- clients -------------------------------------------------------------------------------------
  // Registers a client with its shard; on_registered follows once the shard has it.
  handle attach(std::string_view id, time_point now);
  void detach(handle h, time_point now);
  client* find(handle h) noexcept { return clients_.find(h); }
  id_hash hash(std::string_view id) const noexcept { return hasher_(id); }

  // --- messages ------------------------------------------------------------------------------------
  enum class sent { ok, link_full, dropped };
  // QoS 0. `link_full`: it was sent, but the sender should pause until on_link_drained(link).
  sent send_qos0(const wire::message_parts& m, std::uint16_t& link, drop_reason& why);
  // QoS 1: on_outcome(token) follows, or on_taken and on_receipt, unless the sender's session ends first.
  void send_qos1(handle sender, std::uint64_t token, const wire::message_parts& m, time_point now);

  bool receipts_full() const noexcept { return awaited_.size() >= config_.receipts_max; }
  // What became of a message that was delivered with a receipt; also from within a deliver() that accepts it.
  void settle_receipt(std::uint32_t receipt, wire::receipt what, time_point now) noexcept;

  // --- shell ---------------------------------------------------------------------------------------
  void begin_turn(time_point now);
  void end_turn(time_point now);
  bool take_connect(connect_request& out, time_point now);
  void on_connect_failed(std::uint32_t link, std::string_view why, time_point now);
  void on_up(conn& c, time_point now);
  std::size_t on_bytes(conn& c, mutable_bytes in, time_point now);
  void on_drained(conn& c, time_point now);
  void on_down(conn& c, close_reason why, time_point now);
  void on_time(time_point now);
  time_point next_deadline() const noexcept;
  // The first turn after the newest one that came too late (limits::pause_max): this process stood still.
  time_point went_on() const noexcept { return went_on_; }
  void say_goodbye(time_point now); // clean shutdown: shards forget this lane's clients at once

  bool ready() const noexcept { return ready_; }
  const std::string& problem() const noexcept { return problem_; } // why not ready, in words
  std::size_t clients() const noexcept { return clients_.size(); }
  std::size_t output_bytes() const noexcept;
  const lane_identity& who() const noexcept { return config_.who; }

  // The link of an id's shard, and the router's address as it was given; null: nobody serves its slot.
  const link_stats* link_of(id_hash h) const noexcept {
    const std::uint16_t k = slots_.link_of(h);
    return k == slot_table::no_link ? nullptr : links_[k].stats;
  }

  endpoint_counters counters;
  receipt_counters receipt_counts;
  histogram link_round_trip; // each heartbeat that was answered, on all links
  link_board board;          // each link's counters
  drop_ring drops;           // the newest drops and refusals of this lane
  outbox outgoing;           // messages of our clients without an answer yet
  inbox incoming;            // identities that our clients have accepted
  endpoint_plants plant;

private:
  using state = link_state;
  static constexpr std::uint32_t lane_left = none - 1;
  struct shard_link {
    std::string host;
    std::uint16_t port = 0;
    std::uint16_t router = 0, shard = 0;
    bool retired = false;        // its router has fewer shards now
    link_stats* stats = nullptr; // of the address that it has now
    state st = state::idle;
    conn* c = nullptr;
    lane_handshake handshake;
    time_point next_dial{}, last_heard{}, last_frame{}, last_heartbeat{}, progress_at{}, up_at{};
    std::uint64_t progress = 0;                     // conn.sent at progress_at
    std::uint64_t sent_noted = 0, writes_noted = 0; // of the conn, when they were last counted
    std::uint64_t frames_noted = 0;
    backoff retry{limits::reconnect_min, limits::reconnect_max};
    unsigned failures = 0; // in a row
    std::string trouble;   // the newest reason why it is not up, in words
    std::uint64_t shard_time = 0, forgotten_until = 0;
    std::uint64_t peer_sent_at = 0, round_trip_us = 0;
    peer_terms terms; // of the shard, since the handshake
    time_point peer_heard{};
    std::uint32_t sync_cursor = 0;
    bool blocked = false; // a sender was told link_full
    bool touched = false; // in touched_
    bool untold = false;  // there was no memory to tell it of a client that has gone, or of a receipt
    struct left_member {
      time_point at;
      member_index index;
      std::uint32_t record;
    };
    std::deque<left_member> left; // still named by frames on their way, for a while
    // Member index -> inbox record; `none` if it was never announced, lane_left when that was long ago.
    std::vector<std::uint32_t> origins;
    std::uint32_t record_of(member_index i) const noexcept {
      return i < origins.size() && origins[i] != lane_left ? origins[i] : none;
    }
    boost::unordered_flat_map<lane_id, member_index> index_of; // of lanes that are linked to the shard
    std::vector<known_lane> members; // as last told: reported to the shard's next life
    // Told by earlier lives of the shard, the last of which did not come into service: a shard that
    // restarts twice in a row must wait in its second warm-up for those that it missed in its first.
    known_lanes remembered;
    wire::member::list list = wire::member::of_warm_up; // what is remembered, and the members then
    time_point list_as_of{};                            // a whole one
    bool in_service = false;                            // its shard: one that warms up believes all
    router_map announced;                               // the slot map as it said it
    bool members_whole = false; // `members` of this life are here, and it waits for no others
    wire::batch_writer registers{wire::frame_type::register_clients};
    wire::batch_writer unregisters{wire::frame_type::unregister};
    wire::batch_writer answers{wire::frame_type::answers};
    wire::batch_writer receipts{wire::frame_type::receipts};
    wire::batch_writer identities{wire::frame_type::identity};
    output_chain& urgent() { return c->link->urgent; }
  };
  struct router {
    router_map map;                   // empty: not yet known
    std::vector<std::uint16_t> links; // by shard
    histogram_snapshot reported;      // of outgoing.publish_to_answer, what it was sent
  };

  std::uint16_t add_link(std::uint16_t router, std::uint16_t shard, std::string host, std::uint16_t port);
  bool on_frame(std::uint16_t k, wire::frame& f, time_point now);
  bool on_handshake(std::uint16_t k, const wire::frame& f, time_point now);
  bool on_slot_map(std::uint16_t k, const_bytes payload, time_point now);
  void adopt_map(std::uint16_t r, router_map map, time_point now);
  void rebuild_slots(time_point now);
  // Connected, and of a slot that nobody is known to serve, or that two claim.
  static bool in_doubt(const client& c) noexcept { return c.live && c.link == slot_table::no_link; }
  void count_in_doubt(const client& c, int by) noexcept {
    if (in_doubt(c)) in_doubt_[slot_of(c.hash)] += static_cast<std::uint32_t>(by);
  }
  bool lacks_in_doubt(const shard_link& l) const noexcept;
  bool on_members(std::uint16_t k, const_bytes payload, time_point now);
  void on_message(std::uint16_t k, const wire::message_view& m, time_point now);
  void put_answer(std::uint16_t k, const wire::message_view& m, answer a, bool receipt_follows = false);
  void take_message(std::uint16_t k, std::uint32_t record, const wire::message_view& m, bool in_time,
                    time_point now);
  bool limit_time(const shard_link& l, wire::message_view m, time_point now);
  bool on_receipts(std::uint16_t k, const_bytes payload, time_point now);
  void on_receipt(std::uint16_t k, const wire::receipt_record& r, time_point now);
  bool say_receipt(std::uint16_t k, const receipts_owed::entry& e) noexcept;
  void await_receipt(const outbox::outcome& o, time_point now);
  void tell_receipt(const receipts_awaited::entry& e, receipt_told what, time_point now);
  void on_owners_gone(std::uint16_t k, std::span<const member_index> lanes, time_point now);
  void on_members_whole(std::uint16_t k, time_point now);
  template <class Ends> void tell_owners_lost(Ends&& ends, time_point now);
  void check_receipts(time_point now);
  bool on_registered(std::uint16_t k, const_bytes payload, time_point now);
  bool on_kicks(std::uint16_t k, const_bytes payload, time_point now);
  bool on_floors(shard_link& l, const_bytes payload);
  bool on_heartbeat(std::uint16_t k, const_bytes payload, time_point now);
  bool on_in_service(std::uint16_t k, const_bytes payload, time_point now);
  void sync(std::uint16_t k, time_point now);
  void put_registration(std::uint16_t k, std::uint32_t index);
  void tell_gone(const client& c, handle h) noexcept;
  void forget_members(shard_link& l);
  void remember(shard_link& l, known_lane m);
  void name_stats(std::uint16_t k);
  void note_link(shard_link& l);
  void note_links();
  void count_drop(drop_reason why) { counters.drops[static_cast<std::size_t>(why)].add(); }
  void send_heartbeat(shard_link& l, time_point now);
  void check_link(std::uint16_t k, time_point now);
  shard_link* reporting_link(const router& r) noexcept;
  void send_reports();
  void lose(std::uint16_t k, close_reason why, time_point now, bool flush = false);
  void end_with_error(std::uint16_t k, wire::error_code code, close_reason why, std::string_view text,
                      time_point now);
  void note_refusal(shard_link& l, std::string text);
  void fail(std::uint16_t k, wire::error_code code, close_reason why, std::string_view text, time_point now);
  void become_idle(shard_link& l, time_point now);
  void release_origin(shard_link& l, std::uint32_t record);
  void release_left(shard_link& l, time_point until);
  void touch(std::uint16_t k) {
    if (links_[k].touched) return;
    touched_.push_back(k);
    links_[k].touched = true;
  }
  void release_senders(std::uint16_t k, time_point now);
  void drain_outcomes(time_point now);
  void update_ready(time_point now);
  std::string label(const shard_link& l) const {
    return l.host + ":" + std::to_string(l.port) + " (shard " + std::to_string(l.shard) + ")";
  }

  endpoint_config config_;
  Host& host_;
  dirty_list& dirty_;
  id_hasher hasher_;
  rng random_;
  client_table clients_;
  slot_table slots_;
  std::array<std::uint32_t, slot_count> in_doubt_{}; // clients that are, by slot
  std::vector<router> routers_;
  std::deque<shard_link> links_; // references stay valid
  receipts_awaited awaited_;
  receipts_owed owed_{config_.receipts_max};
  wire::frame_writer writer_;
  time_point last_turn_{}, went_on_{}, next_check_{}, next_report_{};
  std::string problem_ = "not linked yet";
  std::string map_problem_;
  std::vector<std::uint16_t> touched_; // links with open batches
  std::size_t idle_ = 0, syncing_ = 0; // links in that state
  bool some_untold_ = false;           // links that end with the turn
  bool ready_ = false, leaving_ = false, draining_ = false;
  bool wrong_shard_ = false; // map_problem_ says that an address is another shard's
};

} // namespace beeline::link
