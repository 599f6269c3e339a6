// The origin's side of the delivery contract: every QoS 1 message of this lane that has no final
// answer yet (docs/link-protocol.md, rules; docs/architecture.md, where they live).
//
//   flow (sender session -> destination):   [in flight][in flight][pending][pending]
//                                            head                            tail
//   ring: number -> message, for all flows   floor ............... next number
//
// Invariants
//  1. A message is pending (here only) or in flight (a copy may be anywhere on its way).
//  2. A flow that is not stopped has its in-flight messages first; numbers rise along a flow.
//  3. A stopped flow sends nothing until no message of it is in flight, no hold is on it and its
//     pause is over; then it sends the rest again in order.
//  4. A number never changes while a copy may exist. When all messages of a flow are pending and
//     none is marked `again`, no copy exists anywhere: their numbers are given up, so that a held
//     flow does not keep the floor, and with it the whole lane, from moving on.
//  5. In flight on one link: at most limits::link_window_bytes_max, so that a whole resend fits.
//  6. Flows that find no room wait for their link (turns.hpp): senders take turns, and the flows of each;
//     nothing new passes them. What has a number already is older than all that has none: it goes first when
//     it comes to the link, as far as there is room, and when all numbers are in use and it has the oldest.
//
// Final answers are pushed to `outcomes`, which the caller drains. No I/O, no clock.
// Owner: one lane's thread.
#pragma once
#include "common/base/block_pool.hpp"
#include "common/base/conn.hpp"
#include "common/base/counters.hpp"
#include "common/base/drop_ring.hpp"
#include "common/base/histogram.hpp"
#include "common/base/ids.hpp"
#include "common/base/limits.hpp"
#include "common/base/slab.hpp"
#include "common/base/time.hpp"
#include "common/link/link_stats.hpp"
#include "common/link/peer_terms.hpp"
#include "common/link/slot_table.hpp"
#include "common/link/turns.hpp"
#include "common/wire/message.hpp"
#include "common/wire/messages.hpp"

#include <boost/unordered/unordered_flat_map.hpp>
#include <optional>
#include <vector>

namespace beeline::link {

struct outbox_counters {
  counter messages, bytes; // waiting for an answer, now
  counter messages_high_water, bytes_high_water;
  counter answers[answer_count];   // received, by kind
  counter sent, resent;            // frames written to links: first copies, further copies
  counter bytes_sent;              // payload bytes of first copies
  counter safety_resends;          // by the slow timer; 0 in a run without faults
  counter late_answers;            // for a message that had its final answer
  counter answered, answered_late; // told to senders; of these, later than limits::answer_goal
  counter outcomes_unheard;        // not taken, or perhaps not, and the sender's session had ended
  counter drops[drop_reason_count];
};

// Planted bugs: switches of the simulator that show its oracles can see (docs/simulator.md).
struct outbox_plants {
  bool later_as_nobody = false, busy_as_unknown = false, unknown_as_nobody = false, again_as_nobody = false,
       number_restarts = false, wrong_order = false, not_stopped = false, floor_early = false,
       ignore_path_lost = false, link_down_forgets = false, timer_not_rearmed = false,
       deadline_ignored = false, link_window_ignored = false;
};

class outbox {
public:
  struct outcome {
    handle sender;
    std::uint64_t token;
    answer what;
    answer cause; // of a refusal: what was answered last
    std::uint32_t bytes;
    std::uint32_t number = 0;                 // low 32 bits
    std::uint16_t link = slot_table::no_link; // over which the answer came
    bool wants_receipt = false;
    bool receipt_follows = false;               // the owner promises it
    std::optional<wire::receipt> early_receipt; // it came before the answer, and says as much
    member_index owner = no_member;             // who gives the receipt
  };
  struct settings {
    std::uint64_t window_messages = limits::window_messages_max; // a power of two
    std::size_t link_window_bytes = limits::link_window_bytes_max;
  };

  // `drops`: where refusals are remembered; it outlives the outbox. Null: nowhere.
  outbox(block_pool& blocks, dirty_list& dirty, settings s, drop_ring* drops = nullptr);
  ~outbox();

  // Takes a message; it is sent as soon as its flow and its link allow.
  void submit(handle sender, std::uint64_t token, std::uint16_t link, const wire::message_parts& m,
              time_point now);
  // The sender's session has ended: what is pending is dropped, what is in flight waits for its answer.
  void sender_gone(handle sender, time_point now);

  // --- links ---
  void add_link(link_stats* stats = nullptr); // they are numbered from 0
  void count_in(std::uint16_t link, link_stats& stats) noexcept { links_[link].stats = &stats; }
  // Sends again all that was in flight.
  // `terms` are read at each sending and outlive the link's time up.
  void link_up(std::uint16_t link, conn& c, time_point now, const peer_terms& terms);
  void link_down(std::uint16_t link, time_point now);
  void set_shard_time(std::uint16_t link, std::uint64_t t) noexcept { links_[link].shard_time = t; }
  // `early`: the receipt of a message without a final answer. It was accepted, as `a` says then, and what
  // became of it is known already.
  void on_answer(std::uint16_t link, const wire::answer_record& a, time_point now,
                 std::optional<wire::receipt> early = {});
  void on_path_lost(std::uint16_t link, time_point now);
  // Back or gone; the indexes are sorted.
  void on_lanes_settled(std::uint16_t link, std::span<const member_index> lanes, time_point now);
  void on_in_service(std::uint16_t link, time_point now);
  void on_drained(std::uint16_t link, time_point now);
  void rehome(const slot_table& slots, time_point now); // the slot map has changed
  void on_time(time_point now);
  time_point next_deadline() const noexcept;

  bool
  wants_receipt(std::uint32_t number) const noexcept { // low 32 bits, of a message without a final answer
    const std::uint32_t i = find(number);
    return i != none && items_[i].flags & wire::flag_receipt;
  }
  std::uint64_t floor() const noexcept { return floor_; }
  std::size_t messages() const noexcept { return items_.used(); }
  bool idle() const noexcept { return items_.used() == 0; }
  std::size_t bytes_in_flight(std::uint16_t link) const noexcept { return links_[link].bytes; }
  std::size_t links() const noexcept { return links_.size(); }

  std::vector<outcome> outcomes;
  outbox_counters counters;
  histogram publish_to_answer; // from submit to the final answer of those that were told one
  outbox_plants plant;

private:
  enum class state : std::uint8_t { pending, in_flight };
  enum class hold : std::uint8_t { no, warm_up, lane };
  struct item {
    std::uint64_t number = 0, first_sent = 0, token = 0;
    std::uint64_t data_end = 0; // of its newest copy, in the link's stream of data
    std::byte* block = nullptr;
    std::uint32_t size = 0, flow = none, prev = none, next = none;
    time_point sent_at{}, expires = never;
    state st = state::pending;
    bool expiry_watched = false; // it has its place in the heap of expiries
    std::uint8_t flags = 0, tries = 0, safety = 0;
    std::uint32_t submitted_us = 0; // low bits: waiting is bounded far below their 71 minutes
    std::uint32_t serial = 0;       // which message has this place, for the heap of expiries
  };
  struct flow {
    handle sender;
    id_hash hash = 0;
    std::uint64_t which = 0; // of the destination, in the index
    std::uint32_t head = none, tail = none, first_pending = none;
    std::uint32_t in_flight = 0, pending = 0, again = 0;
    std::uint32_t sender_next = none, sender_prev = none;
    std::uint16_t link = slot_table::no_link;
    member_index hold_lane = no_member;
    hold held = hold::no;
    bool used = false, stopped = false, pausing = false, gone = false;
    std::uint8_t tries = 0;
    std::uint32_t pause_id = 0;
  };
  struct link_state {
    conn* c = nullptr; // null: down
    link_stats* stats = nullptr;
    std::uint64_t shard_time = 0;
    const peer_terms* terms = nullptr; // null: it was never up
    std::size_t bytes = 0;             // in flight
    bool resend_due = false;
  };
  struct key {
    std::uint64_t sender, which;
    bool operator==(const key&) const = default;
  };
  struct key_hash {
    std::size_t operator()(const key& k) const noexcept {
      std::uint64_t x = (k.sender * 0x9e3779b97f4a7c15ull) ^ k.which;
      x ^= x >> 32;
      return static_cast<std::size_t>(x * 0xd6e8feb86659fd93ull);
    }
  };
  struct pause {
    time_point at;
    std::uint32_t flow, id;
    bool operator<(const pause& o) const noexcept { return at > o.at; }
  };

  struct expiry { // of a message that is pending
    time_point at;
    std::uint32_t item, serial;
    bool operator<(const expiry& o) const noexcept { return at > o.at; }
  };

  static std::uint64_t sender_key(handle h) noexcept { return std::uint64_t{h.index} << 16 | h.generation; }
  std::uint32_t flow_of(handle sender, const wire::message_parts& m, std::uint16_t link);
  std::uint32_t place_for(const wire::message_parts& m, std::uint32_t f, time_point expires);
  void free_flow(std::uint32_t f);
  enum class pumped : std::uint8_t { done, turn_over, no_room };
  pumped pump(std::uint32_t f, time_point now, bool in_turn = false);
  void pump_waiting(std::uint16_t link, time_point now);
  void pump_all_waiting(time_point now);
  void pump_freed(std::uint16_t link, time_point now);
  void pump_numbered(time_point now);
  void pump_oldest(time_point now);
  void unpin(time_point now);
  void give_up_late(time_point now);
  void watch_expiry(std::uint32_t i);
  void drop_expired(time_point now);
  bool waits(std::uint32_t f) const noexcept { return turns_.waits(f); }
  bool goes_first(const flow& w) const noexcept { // what has a number already does not wait for its turn
    return w.first_pending != none && items_[w.first_pending].number != 0;
  }
  bool numbers_used_up() const noexcept { return next_number_ - floor_ >= ring_.size(); }
  bool has_room(const link_state& l, const item& m) const noexcept;
  void safety_resend(std::uint32_t f, time_point now);
  bool send(std::uint32_t i, time_point now);
  void write_copy(std::uint32_t i, std::uint16_t prev, time_point now);
  bool prev_of(const item& m, std::uint16_t& out) const noexcept;
  void to_pending(std::uint32_t i);
  void set_again(item& m);
  void finish(std::uint32_t i, answer what, answer cause, time_point now,
              std::uint16_t link = slot_table::no_link, const wire::answer_record& a = {},
              std::optional<wire::receipt> early = {});
  void end_unheard(std::uint32_t i, std::string_view reason, time_point now);
  void remember(const item& m, drop_kind kind, std::string_view reason, time_point now);
  void remove(std::uint32_t i);
  void stop(std::uint32_t f);
  void give_up_numbers(flow& f);
  void restart_if_ready(std::uint32_t f, time_point now);
  void start_pause(std::uint32_t f, time_point now);
  void advance_floor() noexcept;
  void resend_all(std::uint16_t link, time_point now);
  void flow_link_lost(std::uint32_t f, time_point now);
  std::uint32_t find(std::uint32_t number_low) const noexcept;
  template <class F> void for_each_flow(F&& f) {
    for (std::uint32_t i = 0; i < flows_.capacity(); ++i)
      if (flows_[i].used) f(i);
  }

  block_pool& blocks_;
  dirty_list& dirty_;
  drop_ring* drops_;
  link_stats no_stats_{{}, 0}; // of links whose owner keeps none
  settings settings_;
  slab<item> items_;
  slab<flow> flows_;
  boost::unordered_flat_map<key, std::uint32_t, key_hash> flow_index_;
  std::vector<std::uint32_t> sender_flows_; // by handle.index: head of the session's list of flows
  std::vector<link_state> links_;
  turns turns_; // of the flows that wait for a link
  std::vector<std::uint32_t> ring_;
  std::uint64_t floor_ = 1, next_number_ = 1;
  // Numbers came free after all were in use, or one of those that wait has left its place, perhaps the first
  // one, for whose message there was no room: who waits has not been looked at since.
  bool some_may_go_on_ = false;
  std::size_t numbered_pending_ = 0; // pending messages that keep their numbers, on all links
  std::vector<pause> pauses_;        // a heap
  std::vector<expiry> expiries_;     // a heap; some of them are of messages that are no more
  std::uint32_t pause_ids_ = 0, serials_ = 0;
  time_point next_safety_{};
};

} // namespace beeline::link
