// A router shard under test and lanes that a test plays: the bench is the shard's shell and clock,
// a scripted_lane shakes hands and then says and hears what the test wants.
//
// Time moves only by `wait`, in steps of 100 ms, while each lane that `beats` sends heartbeats.
#pragma once
#include "router/shard.hpp"
#include "tests/support/link_test_tools.hpp"
#include "tests/support/reason_counters.hpp"

namespace beeline::test {

class scripted_lane;

class shard_bench {
public:
  static router::shard_config in_service(); // of the whole slot range, not warming up
  static router::shard_config warming();    // as after a start
  explicit shard_bench(router::shard_config config = in_service());

  conn& open();                             // a new connection to the shard
  void deliver(conn& c, byte_vector bytes); // one turn of the shard; a cut frame is kept for the next
  void wait(duration d);
  void turn_ends(); // writes and closes what the shard wants, unless held

  chunk_pool pool;
  time_point now = t0;
  router::shard shard;
  std::vector<scripted_lane*> lanes;
  bool hold = false;     // the network stands still: nothing is written, nothing closed
  conn* stuck = nullptr; // the same, for one connection

private:
  struct pipe {
    explicit pipe(chunk_pool& p) : c(conn::kind_t::link, p) {}
    conn c;
    byte_vector rest;
    bool down = false;
  };
  std::vector<std::unique_ptr<pipe>> pipes_;
};

class scripted_lane {
public:
  scripted_lane(shard_bench& bench, std::string edge, std::uint64_t id, std::uint16_t number = 0);
  ~scripted_lane() { std::erase(bench.lanes, this); }
  scripted_lane(const scripted_lane&) = delete;

  void opens();                                               // a connection, nothing said
  byte_vector next_step();                                    // of its handshake: hello, then auth
  void connects();                                            // up to the welcome, if there is one
  void joins();                                               // and in sync; forgets what it heard
  void says(byte_vector b);                                   // whole frames, or a piece
  void drops(close_reason why = close_reason::network_error); // the network ends the connection
  lines hears();                   // since the last call; without heartbeats, floors and reports
  std::vector<heard_frame> frames; // the same as frames

  void is_in_sync() { says(make_frame(wire::frame_type::in_sync)); }
  void remembers(const std::vector<wire::member>& m) { says(make_batch(wire::frame_type::members_seen, m)); }
  void registers(handle h, std::string_view id) { registers(h, id, bench.now); }
  void registers(handle h, std::string_view id, time_point connected_at, std::uint64_t since = 0);
  void unregisters(handle h, std::string_view id);
  void sends(const test_message& m) { says(make(m)); }
  void answers(std::uint32_t number, member_index origin, answer a);
  void identifies(handle h, std::string_view claimed, std::string_view own);
  void beats_once();
  void leaves(bool for_good = true) { says(make(wire::go_away{for_good, "bye"})); }
  std::uint64_t since_of(handle h) const; // as told by the newest `registered` of all times; 0: none

  shard_bench& bench;
  link::lane_identity who;
  conn* c = nullptr;                        // null: not connected
  close_reason closed = close_reason::none; // how the last connection ended
  member_index index = no_member;
  std::uint64_t floor = 1, last_shard_time = 0;
  duration clock_behind{}; // this lane's clock is so far behind the shard's
  unsigned hash_bits = 64;
  std::uint16_t version = wire::protocol_version; // newest that it speaks
  bool beats = true, reads = true;
  wire::welcome welcome;

private:
  friend class shard_bench;
  void takes(byte_vector b);
  std::uint64_t clock() const { return to_us(bench.now - clock_behind); }
  link::lane_handshake handshake_;
  chunk_pool pool_;
  output_chain out_{pool_};
  wire::frame_writer writer_;
  std::vector<wire::registered_client> registered_;
};

// A shard and two lanes of two edges, not connected yet.
struct two_lanes {
  explicit two_lanes(router::shard_config c = shard_bench::in_service());
  void join() { e1.joins(), e2.joins(); }
  std::string owner(std::string_view id) const { return bench.shard.where(id, bench.now).edge; }
  bool online(std::string_view id) const { return bench.shard.where(id, bench.now).online; }
  std::uint64_t closes(close_reason r) const { return counter_of(bench.shard.counters.closes, r); }
  std::uint64_t answers(answer a) const { return counter_of(bench.shard.counters.answers, a); }
  std::uint64_t drops(drop_reason r) const { return counter_of(bench.shard.counters.drops, r); }

  shard_bench bench;
  scripted_lane e1{bench, "e1", 1}, e2{bench, "e2", 2};
};

// They are in sync, and have heard of each other.
struct two_joined_lanes : two_lanes {
  explicit two_joined_lanes(router::shard_config c = shard_bench::in_service()) : two_lanes(std::move(c)) {
    join();
    e1.hears();
  }
};

// Likewise, and e2 has bob.
struct two_lanes_with_bob : two_joined_lanes {
  explicit two_lanes_with_bob(router::shard_config c = shard_bench::in_service())
      : two_joined_lanes(std::move(c)) {
    e2.registers(bob, "bob");
    e2.hears();
  }
  static constexpr handle bob{2, 1};
};

} // namespace beeline::test
