// A router shard: one slice of the presence table and the links of all lanes to it (docs/architecture.md,
// docs/link-protocol.md). It routes messages to the one link that owns the recipient, settles who owns a
// client id, and keeps no message.
//
// A lane's link bears a member index for its lifetime. What table entries say of an index:
//
//   syncing / in_sync   the lane's link that is up: entries are good
//   superseded          the lane has a newer link that is not in sync yet: `later`
//   lingering           the lane's link is lost: `later`, for limits::linger
//   dead                its entries count as absent and are swept away little by little; when all are
//                       gone the index rests for limits::index_quarantine, then it may be used anew
//
// Invariant: the indexes that name a lane are its `current` and its `former`, and no others.
// Nothing walks all indexes. A message, an answer and a new index walk nothing, a claim its contest if there
// is one; lane_gone and on_in_sync that lane's former indexes, all contests and, to tell them, the links;
// let_in, lanes() (which copies only what it is asked for), link_totals(), lane_of and on_time the lanes and
// links that there are.
//
// Sans-I/O: see conn.hpp for the calls of the shell. Owner: the shard's thread, for everything but
// the counters. The table stores no ids; ids are kept only where two claims meet (contest).
#pragma once
#include "common/base/conn.hpp"
#include "common/base/counters.hpp"
#include "common/base/drop_ring.hpp"
#include "common/base/histogram.hpp"
#include "common/base/slab.hpp"
#include "common/link/clock_offset.hpp"
#include "common/link/handshake.hpp"
#include "common/link/slot_table.hpp"
#include "common/wire/message.hpp"
#include "router/contest.hpp"
#include "router/notices.hpp"
#include "router/presence_table.hpp"

#include <boost/unordered/unordered_flat_map.hpp>
#include <deque>
#include <functional>
#include <map>
#include <memory>

namespace beeline::router {

struct shard_config {
  link::cluster_secret secret{""};
  std::uint16_t number = 0, shards = 1;
  std::uint32_t first_slot = 0, last_slot = slot_count - 1; // of this shard
  link::router_map map;                                     // of the whole router, shards in order
  unsigned hash_bits = 64;
  std::uint64_t life = 1;       // random, for each start
  std::uint64_t time_ahead = 0; // us: where shard time begins, beyond the steady clock (decision 17)
  std::function<wire::nonce()> make_nonce;
  std::size_t link_output_max = limits::link_output_bytes_max;
  std::size_t outputs_max = limits::outputs_bytes_max;
  duration linger = limits::linger, warm_up = limits::warm_up;
  std::size_t links_max = limits::links_max, handshakes_max = limits::handshakes_max;
  std::size_t clients_max = limits::clients_max, contested_max = limits::claims_contested_max;
  std::size_t members_max = limits::members_max; // indexes in use or in quarantine
};

struct shard_counters {
  counter clients, contested, links, members;    // now
  counter handshakes_open;                       // now: connections that have not shown the secret yet
  counter table_bytes, output_bytes, warming_up; // now
  counter output_bytes_high_water;               // at the end of turns
  counter queue_high_water;                      // of the link that had the most unsent data
  counter messages_in[2], bytes_in[2];           // by QoS; bytes are whole frames
  counter messages_out[2], bytes_out[2];         // frames written to owner links
  counter resent_in, resent_out;                 // QoS 1 frames that were sent before
  counter answers[answer_count];                 // given or passed on
  counter refused_by_owner;                      // final answers from owners other than accepted
  counter drops[drop_reason_count];
  counter closes[close_reason_count];
  counter receipts; // of recipients, passed on
  counter reports;  // of latencies, from lanes
  counter registrations, unregistrations, takeovers, collisions, claims_refused;
  counter path_lost, linger_expired, warm_ups_incomplete, clock_lifts;
  counter handshakes, handshakes_refused;
  counter handshakes_displaced; // the oldest that was not done, closed to make room for a new one
  counter memory_short;         // times that memory became short
  counter round_trip_us;        // the slowest link's newest
};

// Planted bugs: switches of the simulator.
struct shard_plants {
  bool path_lost_not_sent = false, claims_by_arrival = false, forward_while_warming = false,
       lower_epoch_unregisters = false, collision_overwrites = false, takeover_keeps_old = false,
       arrival_wins_while_warming = false, answer_when_forwarded = false, old_link_ends_new = false,
       rehash_drops = false, drop_not_counted = false, deposed_is_owner = false, contested_ignored = false,
       outputs_max_ignored = false;
};

class shard {
public:
  shard(shard_config config, chunk_pool& pool, time_point now);
  ~shard();

  // --- shell ---
  void begin_turn(time_point now);
  void end_turn(time_point now);
  void on_up(conn& c, time_point now);
  std::size_t on_bytes(conn& c, mutable_bytes in, time_point now);
  void on_drained(conn&, time_point) {}
  void on_memory_short(time_point now);
  void on_down(conn& c, close_reason why, time_point now);
  void on_time(time_point now);
  time_point next_deadline() const noexcept;
  void shutdown(time_point now);
  dirty_list& dirty() noexcept { return dirty_; }
  chunk_pool& pool() noexcept { return pool_; }

  // --- questions of the admin server, asked in this thread ---
  struct whereabouts {
    bool online = false, lingering = false, contested = false;
    std::string edge;
    std::uint16_t lane = 0;
    duration connected_for{};
  };
  bool owns(std::string_view id) const { return table_.owns(hasher_(id)); }
  whereabouts where(std::string_view id, time_point now) const;
  struct traffic { // of a link since it came up; bytes are whole frames
    std::uint64_t messages_in = 0, messages_out = 0, bytes_in = 0, bytes_out = 0;
  };
  struct lane_info : traffic {
    std::string edge, state;
    std::uint16_t lane = 0;
    member_index link = no_member; // no_member: it has none now
    std::uint64_t clients = 0, output_bytes = 0, round_trip_us = 0, queue_high_water = 0, resent_in = 0,
                  answers_in = 0;
    std::uint64_t written_bytes = 0, writes = 0; // to the socket: everything, since it is there
  };
  // Lanes by their edges' names, of the edges that come first behind `after`, each edge whole.
  struct lanes_told {
    std::vector<lane_info> lanes;
    bool more = false; // there are edges behind the last of these
  };
  lanes_told lanes(std::string_view after = {}, std::size_t edges_max = limits::edges_page_max,
                   std::size_t links_max = limits::edges_page_links) const;
  struct link_total : traffic {
    member_index link = no_member;
  };
  std::vector<link_total> link_totals() const; // of the links that are up
  drops_told drops(std::size_t most, std::string_view id = {}) const {
    return {drops_.newest(most, id), drops_.recorded()};
  }
  // f(hash, edge name, lane number, handle, alive) for every entry; for tests.
  template <class F> void for_each_entry(F&& f) const;

  bool warming_up() const noexcept { return warming_; }
  const shard_config& config() const noexcept { return config_; }

  shard_counters counters;
  histogram link_round_trip;   // each heartbeat that was answered, on all links
  histogram publish_to_answer; // of the lanes that report here, as they say
  shard_plants plant;

private:
  enum class index_state : std::uint8_t { syncing, in_sync, superseded, lingering, dead };
  enum class peer_state : std::uint8_t { handshake, linked };
  static constexpr member_index contested_mark = 0xfffe; // in the table: look at the contest
  static_assert(limits::members_max <= contested_mark && contested_mark != no_member);

  struct lane;
  struct peer : traffic { // one connection
    conn* c = nullptr;
    peer_state st = peer_state::handshake;
    link::shard_handshake handshake;
    member_index index = no_member;
    lane* of = nullptr;
    time_point up_at{}, sync_progress_at{}, last_heard{}, last_frame{}, last_heartbeat{}, progress_at{},
        peer_heard{};
    std::uint64_t progress = 0, peer_sent_at = 0, round_trip_us = 0;
    link::clock_offset clock; // of the lane
    std::uint64_t queue_high_water = 0, resent_in = 0, answers_in = 0;
    bool touched = false;
    bool knows_floors = false; // as they were when it was told first; changes follow
    wire::batch_writer answers{wire::frame_type::answers};
    wire::batch_writer receipts{wire::frame_type::receipts};
    wire::batch_writer registered{wire::frame_type::registered};
    wire::batch_writer kicks{wire::frame_type::kick};
    output_chain& urgent() { return c->link->urgent; }
    bool has_deadlines() const noexcept { return handshake.version() >= wire::version_with_deadlines; }
    bool has_receipts() const noexcept { return handshake.version() >= wire::version_with_receipts; }
  };
  struct lane { // known by its id, from its first link until it is gone
    lane_id id{};
    std::string edge;
    std::uint16_t number = 0;
    member_index current = no_member; // its link that is up
    std::vector<member_index> former; // superseded or lingering
    time_point linger_until = never;
    time_point gone_at_latest = never;       // since its last link in sync was lost
    std::uint64_t floor = 1, floor_told = 1; // 1 says nothing
  };
  struct member_slot { // by member index
    index_state st = index_state::dead;
    peer* p = nullptr;  // while the link is up
    lane* of = nullptr; // null: dead
    std::uint64_t entries = 0;
  };

  // shard.cpp: frames, warm-up, questions
  bool on_frame(peer& p, wire::frame& f, time_point now);
  bool on_members_seen(const_bytes payload);
  void check_warm_up(time_point now);
  bool all_in_sync() const;
  lane_info info_of(const lane& l) const;
  void lift_clock(std::uint64_t seen, time_point now);
  void say_in_service(bool complete, time_point now);
  std::uint64_t shard_time(time_point now) const noexcept { return to_us(now) + lift_; }

  // shard_links.cpp: links
  bool on_handshake(peer& p, const wire::frame& f, time_point now);
  void handshake_over(peer& p);
  bool let_in(peer& p, time_point now);
  bool has_link_for(const link::lane_identity& who) const;
  lane* lane_of(const link::lane_identity& who, time_point now, std::string& refusal);
  void put_members(peer& p);
  void tell_joined(const peer& newcomer);
  void tell_notices(time_point now);
  void lose(peer& p, close_reason why, time_point now, bool flush = false);
  void fail(peer& p, wire::error_code code, close_reason why, std::string_view text, time_point now);
  void lane_gone(lane& l, time_point now, bool for_good);
  void on_in_sync(peer& p, time_point now);
  bool on_heartbeat(peer& p, const_bytes payload, time_point now);
  bool on_report(const_bytes payload);
  void tell_floors();
  void check_peer(peer& p, time_point now);
  void send_heartbeat(peer& p, time_point now);
  void touch(peer& p) {
    if (p.touched) return;
    p.touched = true;
    touched_.push_back(&p);
  }
  template <class F> void for_each_linked(F&& f);

  // shard_delivery.cpp: messages and answers
  void on_message(peer& p, wire::message_view m, time_point now);
  bool has_room(const peer& owner, std::size_t bytes) const noexcept;
  bool memory_is_short() const noexcept { return last_turn_ < memory_short_until_; }
  bool forward(peer& from, peer& to, handle h, wire::message_view m, time_point now);
  void answer_message(peer& p, const wire::message_view& m, answer a, drop_reason if_qos0,
                      member_index about = no_member);
  bool on_answers(peer& p, const_bytes payload);
  bool on_receipts(peer& p, const_bytes payload);
  struct route {
    member_index link = no_member; // no_member: nobody; contested_mark: not known yet
    handle h;
  };
  route route_of(const wire::message_view& m) const;

  // shard_presence.cpp: who owns an id
  bool on_register(peer& p, const_bytes payload, time_point now);
  void on_claim(peer& p, const wire::registration& r, time_point now);
  bool on_unregister(peer& p, const_bytes payload, time_point now);
  bool on_identity(peer& p, const_bytes payload, time_point now);
  void enter_contest(id_hash h, claim mine, time_point now);
  void settle(id_hash h, time_point now);
  void ask(id_hash h, claim& owner, const claim& claimant);
  void kick(id_hash h, const claim& loser, std::string_view claimant);
  void refuse(id_hash h, const claim& mine, std::string_view id, close_reason why, time_point now);
  void confirm(claim& c, time_point now);
  void set_entry(id_hash h, const presence_entry& e);
  void erase_entry(id_hash h);
  void settle_stale(time_point now);
  bool settling() const noexcept { return contests_stale_ || !unsettled_.empty(); }
  std::vector<member_index> bury_former(lane& l);
  void start_dying(member_index i);
  void sweep(time_point now);
  bool insert_entry(id_hash h, const presence_entry& e, time_point now);
  bool absent(member_index i) const noexcept {
    return i != contested_mark && members_[i].st == index_state::dead;
  }
  bool linked(member_index i) const noexcept { return members_[i].p != nullptr; }
  bool later_wins(const claim& a, const claim& b) const noexcept;
  bool may_be_owner(const claim& c) const noexcept;
  bool has_index(time_point now) const noexcept;
  member_index new_index(); // only if has_index

  shard_config config_;
  chunk_pool& pool_;
  dirty_list dirty_;
  id_hasher hasher_;
  presence_table table_;
  std::map<std::uint64_t, std::unique_ptr<lane>> lanes_; // by lane id
  std::deque<std::unique_ptr<peer>> peers_;              // by conn.owner; null: free
  std::vector<std::uint32_t> free_peers_;
  std::vector<peer*> shaking_hands_; // their handshake is not done: the oldest first, handshakes_max at most
  std::vector<member_slot> members_;
  std::deque<std::pair<time_point, member_index>> quarantine_; // until when; ends first stand first
  std::vector<member_index> dying_, sweeping_; // dead indexes: for the next sweep round, for this one
  sweep_cursor cursor_;
  bool sweeping_now_ = false;
  boost::unordered_flat_map<id_hash, contest> contests_;
  std::vector<id_hash> unsettled_; // contests still to be looked at since a link died, the last one next
  bool contests_stale_ = false;    // another one died since those were listed
  std::vector<peer*> touched_;
  drop_ring drops_;
  wire::frame_writer writer_;
  notices notices_;
  time_point memory_short_until_{}; // no new ids and no messages until then
  time_point started_{}, last_turn_{}, next_check_{}, next_floors_{}, next_notices_{};
  std::uint64_t lift_ = 0;
  std::uint64_t since_min_ =
      0; // shard time of the newest incomplete start of service: nobody was owner before
  bool warming_ = true, any_list_ = false, fresh_list_ = false, leaving_ = false;
  bool losing_all_ = false;
  time_point last_progress_{};
  struct expected_lane {
    std::string edge;
    std::uint16_t number;
  };
  std::map<std::uint64_t, expected_lane> expected_; // lanes that must be in sync before we are in service
  std::map<std::uint64_t, bool> ended_; // lanes that said good-bye, or were replaced, during warm-up
};

template <class F> void shard::for_each_linked(F&& f) {
  for (std::size_t i = 0; i < peers_.size(); ++i)
    if (peer* p = peers_[i].get(); p && p->c && p->st == peer_state::linked) f(*p);
}

template <class F> void shard::for_each_entry(F&& f) const {
  const auto say = [&](id_hash h, member_index i, handle client) {
    const member_slot& m = members_[i];
    if (m.st == index_state::dead || !m.of) return;
    f(h, std::string_view(m.of->edge), m.of->number, client, m.st == index_state::in_sync);
  };
  table_.for_each([&](id_hash h, const presence_entry& e) {
    if (e.link != contested_mark) return say(h, e.link, e.owner_handle);
    for (const claim& c : contests_.at(h)) say(h, c.link, c.h);
  });
}

} // namespace beeline::router
