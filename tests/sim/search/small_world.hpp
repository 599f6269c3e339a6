// A cluster so small that all that can happen to it can be tried: one shard, two edges of one lane, two
// clients, three messages, a few faults. The cores are the real ones; links carry frames, one at a time.
//
// What can happen next is a list of actions in an order of their own, the first one being what happens when
// nothing is strange: the oldest frame is delivered. Whoever searches picks one; the same picks give the same
// run.
//
// Time stands still while frames travel, but for a microsecond a step of each core's own (and a frame never
// arrives before it was sent); `time` moves it to the next moment at which some core has something to do. So
// two orders of steps that no core can tell apart give the same state, and `state()` says so: it is a hash of
// all that each core was given, in its order, and of how many frames are on their way. Owner: one thread.
#pragma once
#include "edge-server/lane.hpp"
#include "router/shard.hpp"
#include "tests/sim/history.hpp"
#include "tests/support/mqtt_client_codec.hpp"

#include <deque>
#include <memory>

namespace beeline::search {

using sim::history;
using namespace std::chrono_literals;

// Client 0 writes twice to client 1, which writes once back.
inline constexpr std::uint32_t messages_of[2] = {2, 1};

constexpr std::uint64_t mix(std::uint64_t h, std::uint64_t x) noexcept {
  h = (h ^ x) * 0xff51afd7ed558ccdull;
  return (h ^ h >> 32) * 0xc4ceb9fe1a85ec53ull;
}

struct action {
  enum kind_t : std::uint8_t {
    deliver,
    connect,
    publish,
    time,
    reset_lose,
    reset_keep,
    restart_edge,
    restart_router,
    move
  };
  kind_t kind = deliver;
  std::uint32_t which = 0; // wire * 2 + way; client; edge
  bool is_fault() const noexcept { return kind >= reset_lose; }
  std::string text() const;
};

class small_world {
public:
  explicit small_world(std::string_view plant, bool tracing = false);
  ~small_world();

  sim::world w; // `now` and the first broken promise
  void actions(std::vector<action>& out) const;
  void take(const action& a);
  std::uint64_t state() const;
  bool settled() const;      // nothing is under way, all messages are published and answered
  bool all_answered() const; // faults have nothing to hit any more
  bool frames_under_way() const;
  void judge(); // when settled

private:
  struct unit { // a frame, or the end of what a wire carries
    std::vector<std::byte> bytes;
    std::uint64_t age, stamp;
    bool end = false, open = false;
  };
  struct wire_t {
    unsigned edge = 0;
    std::unique_ptr<conn> at_lane, at_shard;
    std::deque<unit> way[2]; // 0: to the shard
    bool lane_has = true, shard_has = false;
  };
  template <class Core> struct place {
    std::unique_ptr<chunk_pool> pool;
    std::unique_ptr<Core> core;
    std::uint64_t given = 1, stamp = 0, lives = 0;
  };
  struct client {
    std::unique_ptr<conn> c;
    unsigned edge = 0;
    std::uint32_t session = ~0u;
    bool live = false;
    std::vector<std::byte> in;
    std::string out; // what it says next
    std::unordered_map<std::uint16_t, std::uint32_t> unanswered;
    std::uint16_t next_id = 1;
    std::uint32_t id = 0;
  };

  template <class Core, class F> void turn(place<Core>& p, std::uint64_t what, F f);
  void settle(place<edge::lane>& p, conn& c);
  void settle(place<router::shard>& p, conn& c);
  template <class Core> void send(place<Core>& p, wire_t& x, conn& c, int way);
  template <class Core> void finish(place<Core>& p, conn& c, close_reason why) {
    p.core->dirty().remove(c);
    p.core->on_down(c, why, w.now);
    p.core->dirty().remove(c);
  }
  time_point time_of(std::uint64_t stamp) const {
    return base_ + duration(static_cast<duration::rep>(stamp));
  }
  unsigned edge_of(const place<edge::lane>& p) const { return static_cast<unsigned>(&p - lanes_); }
  void start_lane(unsigned e);
  void start_shard();
  void after_turn(place<edge::lane>& p);
  void dial(unsigned e);
  void deliver(std::uint32_t which);
  void end_of_wire(wire_t& x, int reader);
  void cut(std::uint32_t wire, bool lose);
  void restart_edge(unsigned e);
  void restart_router();
  void pass_time();
  void connect(std::uint32_t who, unsigned edge);
  void publish(std::uint32_t who);
  void hear(client& c);
  void on_packet(client& c, const mqtt::packet& p);
  void feed(client& c, std::string_view bytes);
  void end_client(client& c);
  void sample();
  bool can_publish(std::uint32_t who) const;
  bool can_connect(std::uint32_t who) const;
  client* newest(std::uint32_t who) const;

  sim::settings set_;
  history h_;
  const std::string_view plant_;
  time_point base_{std::chrono::hours(1)};
  place<edge::lane> lanes_[2];
  place<router::shard> shard_;
  std::vector<std::unique_ptr<wire_t>> wires_;
  std::vector<std::unique_ptr<client>> clients_;
  std::uint32_t wants_edge_[2] = {0, 1}, published_[2] = {0, 0};
  std::uint64_t next_age_ = 0;
};

// One turn of a core, as node.hpp has it. `what` is a hash of what it is given.
template <class Core, class F> void small_world::turn(place<Core>& p, std::uint64_t what, F f) {
  ++p.stamp;
  p.given = mix(mix(p.given, what), p.stamp);
  const time_point now = w.now = time_of(p.stamp);
  p.core->begin_turn(now);
  f(now);
  if (p.core->next_deadline() <= now) p.core->on_time(now);
  p.core->end_turn(now);
  while (conn* c = p.core->dirty().pop()) settle(p, *c);
  if constexpr (std::is_same_v<Core, edge::lane>) after_turn(p);
  else sample();
}

} // namespace beeline::search
