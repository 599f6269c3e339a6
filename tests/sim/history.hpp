// What the clients saw, and the promises that are judged by it (reliability.md, P1 to P5).
//
// Every message has its number in its payload. Sessions are known from two sides: when the client
// opened, got CONNACK and closed or lost it, and when the server took the CONNECT and let go. A
// promise is judged as soon as it can be, the rest in `judge_at_rest`.
// Owner: the thread that runs the seed.
#pragma once
#include "common/base/ids.hpp"
#include "common/base/reasons.hpp"
#include "tests/sim/settings.hpp"

#include <functional>
#include <unordered_map>

namespace beeline::sim {

inline double s_of(time_point t) { // for people
  return t == never ? -1.0 : static_cast<double>(t.time_since_epoch().count()) / 1e6;
}

struct message_record {
  std::uint32_t sender = 0; // session
  std::uint32_t to = 0;     // id
  std::uint32_t flow = 0;   // the sender session's count
  std::uint32_t size = 0;
  std::uint8_t qos = 0;
  bool last_exchange = false, expired = false; // it is told so
  bool asks_recipient = false;                 // `ack: received`
  duration deadline = duration::max();         // deadline-ms
  time_point recipient_acked = never;          // the first PUBACK of a recipient for it ...
  std::uint32_t acked_by = ~0u;                // ... and of which session
  int code = -1;                               // of the PUBACK; 3.1.1: settled, 0x100
  time_point published{}, answered = never;
  std::uint32_t first_session = ~0u; // that received it
  time_point first_at = never;
};

struct session_record {
  std::uint32_t id = 0, edge = 0, lane = 0, edge_life = 0;
  bool v5 = true;
  struct hold {
    time_point from, to;
  };
  std::vector<hold> holds;     // when its socket was not read, as far as was looked
  time_point opened{};         // CONNECT sent
  time_point attached = never; // the server has read it
  time_point connack = never;  // the client has read CONNACK
  time_point client_end = never, server_end = never;
  time_point drain_began = never;        // of its edge, if that closed it because of that
  bool heard_all = false;                // the client has read all that the server wrote, up to the end
  close_reason why = close_reason::none; // the server's
  std::unordered_map<std::uint64_t, std::uint32_t> newest; // (sender, QoS) -> highest flow count received
  bool live() const noexcept { return connack != never && client_end == never && server_end == never; }
  time_point end() const noexcept { return std::min(client_end, server_end); }
  void held_up(time_point now) {
    constexpr duration looked_again = 250ms;
    if (holds.empty() || now - holds.back().to > looked_again) holds.push_back({now - looked_again, now});
    holds.back().to = now;
  }
  // When the server reads what is sent at t.
  time_point read_at(time_point t) const noexcept {
    for (const hold& h : holds)
      if (h.from <= t && t <= h.to) t = h.to;
    return t;
  }
};

// Whether a lane has been in sync with a shard, as the shard sees it.
struct linked_record {
  struct gap {
    time_point from, to;
    time_point restart; // of the shard, the first one in between
  };
  std::vector<gap> gaps;
  bool in_sync = false;
  member_index link = no_member;       // that is or was in sync last
  time_point seen{};                   // when that was looked at last
  time_point since{}, restart = never; // of the gap that is open
};

class history {
public:
  history(world& w, const settings& s);

  std::vector<message_record> messages;
  std::vector<session_record> sessions;
  std::vector<std::string> ids;
  std::vector<std::vector<std::uint32_t>> sessions_of; // id -> sessions
  std::vector<std::vector<time_point>> restarts;       // router -> when it started anew
  std::vector<std::vector<linked_record>> linked;      // lane (edge * 2 + number) -> by shard
  static constexpr unsigned nobody = ~0u;
  std::vector<unsigned> routers_of; // by id: a bit for each router that has served its slot
  std::vector<unsigned> shard_of;   // by id; nobody: none has its slot, or two have it that did not before
  std::vector<time_point> claimed_by_two; // by id: since when, the last time; never: it was not
  std::vector<time_point> served_since;   // by id: by that shard alone; never: not now
  std::vector<id_hash> hash_of;
  std::vector<time_point> drain_since; // by edge: when it was last told to drain
  std::uint64_t deliveries = 0, publishes = 0;
  std::array<std::uint64_t, 10> outcomes{}; // see outcome_names
  time_point last_fault{};
  std::array<bool, fault_count> fired{};
  bool any_fault = false, flipped = false; // flipped: a bit of what a link carried

  std::uint32_t open_session(std::uint32_t id, std::uint32_t edge, std::uint32_t edge_life,
                             std::uint32_t lane, bool v5);
  std::uint32_t published(std::uint32_t sender, std::uint32_t to, std::uint8_t qos, std::uint32_t flow,
                          std::uint32_t size, bool last);
  void answered(std::uint32_t message, int code, std::string_view text);
  void acked(std::uint32_t message, std::uint32_t session); // its recipient sends PUBACK
  void received(std::uint32_t session, std::uint32_t message, std::uint8_t qos, std::string_view from);
  void server_end(std::uint32_t session, close_reason why);
  void heard_to_the_end(std::uint32_t session) { sessions[session].heard_all = true; }
  void judge_told_to_go(std::uint32_t session, std::uint32_t message);      // which has no answer
  void in_sync(std::uint32_t lane, std::uint32_t shard, member_index link); // no_member: it is not
  void syncing(std::uint32_t lane, std::uint32_t shard);
  void shard_started(std::uint32_t shard);
  void judge_at_rest();
  struct qos0_drops { // counted: all that may have been of QoS 0, and `certain`: those that were
    std::uint64_t expired = 0, shed = 0, certain = 0; // `shed`: not because nobody has the id, or it expired
  };
  void judge_qos0(const qos0_drops& d); // of a run without any fault

private:
  void judge_second_receipt(const message_record& m, std::uint32_t number, std::uint32_t session);
  bool first_ended(const message_record& m) const; // the session that first received it
  bool restarted_since(const message_record& m) const;
  std::size_t wait_for(std::uint32_t id) const;
  bool another_took_part(const message_record& m) const;
  bool link_trouble(time_point from, time_point to) const;
  void judge_unknown(const message_record& m, std::uint32_t number);
  bool stayed_alone(const message_record& m, std::uint32_t session) const;
  bool reachable(const message_record& m, std::uint32_t session) const;
  void judge_nobody(const message_record& m, std::uint32_t number);
  void judge_takeover(std::uint32_t session);
  void judge_success(const message_record& m, std::uint32_t number);
  void judge_taken(const message_record& m, std::uint32_t number, std::string_view text);
  void judge_lateness(const message_record& m, std::uint32_t number);
  static bool settled_when_told(const session_record& s);
  bool hit_by(fault f) const noexcept { // a scenario says so beforehand
    return (set_.scripted ? set_.fault_on : fired)[static_cast<std::size_t>(f)];
  }
  duration clock_doubt() const;
  bool all_linked_since(std::uint32_t shard, time_point from) const;
  static bool bridged(const linked_record::gap& g, time_point at);
  bool reachable_throughout(const session_record& s, time_point from, time_point to) const;
  world& w_;
  const settings& set_;
};

inline constexpr std::string_view outcome_names[] = {"success",    "nobody",  "full",          "unknown",
                                                     "gave up",    "refused", "3.1.1 settled", "expired",
                                                     "no receipt", "other"};

} // namespace beeline::sim
