// A lane's end of the link protocol under test: a host that writes down what it is told, and shards
// that a test plays. The bench is the endpoint's shell and clock; time moves only by `wait`.
#pragma once
#include "common/link/endpoint.hpp"
#include "tests/support/link_test_tools.hpp"

#include <map>

namespace beeline::test {

class endpoint_bench;

// A program with clients of its own, in twenty lines.
struct tiny_host {
  void on_registered(handle h, time_point) { told.push_back("registered " + text_of_handle(h)); }
  void on_kicked(handle h, close_reason why, time_point now);
  answer deliver(handle h, const wire::message_view& m, std::uint32_t receipt, time_point) {
    told.push_back("deliver " + text_of_handle(h) + ": " + std::string(as_text(m.payload())));
    if (m.ttl_ms()) told.back() += " for " + std::to_string(m.ttl_ms()) + " ms";
    if (receipt != none) owes.push_back(receipt);
    return takes;
  }
  void on_taken(const link::outbox::outcome& o, time_point) {
    told.push_back("taken " + std::to_string(o.token));
  }
  void on_receipt(handle, std::uint64_t token, link::receipt_told what, time_point) {
    told.push_back("receipt " + std::to_string(token) + " " + std::to_string(static_cast<int>(what)));
  }
  void on_outcome(const link::outbox::outcome& o, time_point) {
    if (o.token == no_memory_for) throw std::bad_alloc();
    told.push_back("outcome " + std::to_string(o.token) + " " + std::string(name_of(o.what)));
  }
  void on_link_drained(std::uint16_t link, time_point) { told.push_back("drained " + std::to_string(link)); }
  void on_ready(bool ready, time_point) { told.push_back(ready ? "ready" : "not ready"); }
  void on_event(link::event_level, std::string_view text) { log.emplace_back(text); }
  lines told, log;
  answer takes = answer::accepted;
  std::uint64_t no_memory_for = ~std::uint64_t{0}; // the token of an outcome
  std::vector<std::uint32_t> owes;                 // receipts that it may settle
  endpoint_bench* bench = nullptr;
};

// A shard, or the place where one might be: by the port that is dialled.
class scripted_shard {
public:
  scripted_shard(endpoint_bench& bench, std::uint16_t port, std::uint16_t number = 0,
                 std::uint16_t shards = 1);
  scripted_shard(const scripted_shard&) = delete;

  void welcomes(); // answers hello and auth; then its slot map and itself as the only member
  void answers_hello(), answers_auth();
  void says(byte_vector b);
  void says_members(const std::vector<wire::member>& m) { says(make_batch(wire::frame_type::members, m)); }
  void registers_all(); // confirms every registration that it has heard
  lines hears(bool with_heartbeats = false);
  void closes(close_reason why = close_reason::peer_closed);
  void beats_once();

  endpoint_bench& bench;
  std::uint16_t port, number, shards;
  conn* c = nullptr;
  std::uint32_t link = 0; // the endpoint's name for the connection
  close_reason closed = close_reason::none;
  unsigned dials = 0;
  std::vector<time_point> dialled_at;
  bool listens = true, beats = true, reads = true;
  bool warming = false;                           // as its next welcome says
  std::uint16_t version = wire::protocol_version; // the newest that it speaks
  link::router_map map{{0, slot_count - 1, "", 1900}};
  link::cluster_secret secret = test_secret();
  std::uint64_t shard_time_ahead = 0;
  std::vector<heard_frame> frames;
  byte_vector rest; // what the endpoint has not consumed

private:
  friend class endpoint_bench;
  bool step(wire::frame_type wanted);
  link::shard_handshake handshake_;
  chunk_pool pool_;
  output_chain out_{pool_};
  wire::frame_writer writer_;
};

// A router with two shards; an id whose slot is in first..last.
inline const link::router_map two_shards{{0, 2047, "", 1900}, {2048, 4095, "", 1901}};
std::string id_in(std::uint32_t first, std::uint32_t last);

class endpoint_bench {
public:
  static link::endpoint_config config(unsigned routers = 1); // at ports 1900, 2900, ...
  explicit endpoint_bench(link::endpoint_config c = config());
  ~endpoint_bench();

  void turn_ends();
  void wait(duration d); // in steps of 100 ms at most; shards that beat send heartbeats
  handle attach(std::string_view id);
  void detach(handle h);
  void submits(handle sender, std::uint64_t token, std::string_view to, bool receipt = false);
  lines told(); // what the host was told since the last call

  chunk_pool pool;
  block_pool blocks;
  dirty_list dirty;
  time_point now = t0;
  tiny_host host;
  std::map<std::uint16_t, scripted_shard*> shards; // by port
  link::endpoint<tiny_host> lane;

private:
  friend class scripted_shard;
  std::vector<std::unique_ptr<conn>> conns_;
};

// One router with one shard, linked and in sync.
struct linked_endpoint {
  linked_endpoint() {
    bench.wait(std::chrono::milliseconds(1));
    shard.welcomes();
    shard.hears();
    bench.told();
  }
  // A registered client.
  handle client(std::string_view id) {
    const handle h = bench.attach(id);
    shard.registers_all();
    bench.told();
    return h;
  }
  void forwards(test_message m, handle target, member_index origin) {
    byte_vector b = make(m);
    wire::message_view(b).route(target, origin);
    shard.says(b);
  }
  void other_lane(member_index i = 5, std::uint64_t id = 55) {
    shard.says_members({{i, 1, lane_id{id}, 0, "edge-2"}});
  }
  endpoint_bench bench;
  scripted_shard shard{bench, 1900};
};

} // namespace beeline::test

namespace beeline::link {
extern template class endpoint<test::tiny_host>;
}
