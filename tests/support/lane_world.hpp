// A small cluster in one thread and in memory: edges with real lanes, one real router shard, byte pipes
// between them, and MQTT clients that speak bytes. Tests read as a dialogue:
//
//   lane_world w;
//   auto& c1 = w.connect("C1");
//   auto& c2 = w.connect("C2", {.edge = 1});
//   c1.publish("@/C2/chat", "hi");
//   REQUIRE(c2.next_publish().topic == "@/C1/chat");
//
// Nothing sleeps: time is a value that advance() moves on, and whatever a client sends is carried as far
// as it goes before the call returns. The world does what the shell does (conn.hpp): turns, partial
// writes, replays of bytes that were held back, moves between the lanes of an edge.
//
// Lifetime: clients and lanes live as long as their world. One thread.
#pragma once
#include "edge-server/lane.hpp"
#include "router/shard.hpp"
#include "tests/support/mqtt_client_codec.hpp"

#include <concepts>
#include <stdexcept>

namespace beeline::test {

class lane_world;
class mqtt_client;

// Something that a test expected did not come. Its text names what came instead.
struct unexpected : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct world_options {
  unsigned edges = 2, lanes = 1; // lanes of each edge
  bool router = true;            // false: nobody is at the router's address
  std::function<void(edge::lane_config&)> lane = {};
  std::function<void(router::shard_config&)> shard = {};
  std::uint64_t seed = 1;
  duration start = std::chrono::seconds(2); // that pass before anybody connects
  // Does the work for a client's bytes, as the shell's guard does. False: there was no memory; it is closed.
  std::function<bool(const std::function<void()>& work)> client_work = {};
};

// "client-" and 7: client-7. (g++ 12 warns of `"client-" + std::to_string(7)`.)
inline std::string numbered(std::string_view name, std::uint64_t n) {
  return std::string(name).append(std::to_string(n));
}

// One end of a connection, at a core.
struct pipe_end {
  pipe_end(conn::kind_t k, chunk_pool& pool) : c(k, pool) { c.shell = this; }
  conn c;
  std::string in;               // arrived, not yet consumed by the core
  std::size_t takes = SIZE_MAX; // bytes that the other side takes before it stalls
  pipe_end* peer = nullptr;     // of a link: the other core's end
  mqtt_client* client = nullptr;
  bool open = true, fresh = false, held = false, peer_closed = false;
  bool wants() const noexcept { return c.want_read && !c.closing() && c.move_to < 0; }
};

template <class Core> class node {
public:
  node(lane_world& w, std::unique_ptr<chunk_pool> p, std::unique_ptr<Core> core_)
      : world(w), pool(std::move(p)), core(std::move(core_)) {}
  ~node();
  pipe_end& add(conn::kind_t k);
  void turn();
  bool busy() const;
  void finish(pipe_end& e, close_reason why);
  void touch(pipe_end& e) { core->dirty().mark(e.c); }

  lane_world& world;
  std::unique_ptr<chunk_pool> pool;
  std::unique_ptr<Core> core;
  std::vector<std::unique_ptr<pipe_end>> ends;

private:
  void present(pipe_end& e);
  void settle(pipe_end& e);
  void write(pipe_end& e);
};

struct heard_connack {
  std::uint8_t code = 0;
  bool session_present = false;
  std::string assigned_id, text;
  mqtt::connack_properties properties; // numbers only
};
struct heard_publish {
  std::string topic, payload, properties; // properties: raw, as forwarded
  std::uint8_t qos = 0;
  std::uint16_t id = 0;
  bool dup = false, retain = false;
  std::optional<std::uint32_t> expiry;
};
struct heard_ack {
  std::uint16_t id = 0;
  unsigned reason = 0;
  std::string text;
};
struct heard_codes {
  std::uint16_t id = 0;
  std::vector<unsigned> codes;
};

class mqtt_client {
public:
  mqtt_client(lane_world& w, protocol_version v, std::size_t edge) : world_(w), v_(v), edge_(edge) {}

  // --- says; each is carried through the world before it returns ---
  void send(std::string_view bytes);
  void connect(connect_options o);
  std::uint16_t publish(std::string_view topic, std::string_view payload = {}, unsigned qos = 1,
                        std::string_view properties = {});
  void puback(std::uint16_t id);
  void subscribe(std::vector<subscribe_filter> filters, std::string_view properties = {});
  void unsubscribe(std::vector<std::string> filters);
  void ping() { send(encode_pingreq()); }
  void disconnect(reason r = reason::success, std::string_view properties = {});
  void hang_up(); // the socket, without a word

  // --- hears; each takes the next packet and throws `unexpected` if it is another one or none ---
  heard_connack next_connack();
  heard_publish next_publish();
  heard_ack next_puback();
  heard_ack next_pubcomp();
  heard_codes next_suback();
  heard_codes next_unsuback();
  unsigned next_disconnect(); // the reason
  void next_pingresp();
  bool nothing() const noexcept { return rx_.empty(); } // it was told no more
  bool closed() const noexcept { return end_ == nullptr; }
  // What the server told it as the last thing: DISCONNECT of that reason, and closed.
  bool closed_with(unsigned r) { return next_disconnect() == r && nothing() && closed(); }
  std::string take_bytes() { return std::exchange(rx_, {}); }
  void put_back(std::string_view bytes) { rx_.insert(0, bytes); }

  // --- its socket ---
  void stall() noexcept { end_->takes = 0; } // takes no bytes from now on
  void resume(std::size_t bytes = SIZE_MAX);
  bool is_read() const noexcept { return end_ && end_->c.want_read; }
  std::size_t unread() const noexcept { return end_ ? end_->in.size() : 0; } // not yet read by the server
  conn& connection() noexcept { return end_->c; }
  protocol_version version() const noexcept { return v_; }

private:
  friend class lane_world;
  template <class Core> friend class node;
  mqtt::packet next(packet_type t); // a view into last_
  lane_world& world_;
  protocol_version v_;
  std::size_t edge_, lane_ = 0;
  pipe_end* end_ = nullptr;
  std::string rx_, last_;
  std::uint16_t next_id_ = 1;
};

struct connect_at {
  protocol_version v = protocol_version::v5;
  std::size_t edge = 0;
  std::string_view properties = {};
  std::uint16_t keep_alive = 60;
};

class lane_world {
public:
  static constexpr std::string_view secret_text = "the secret of the test world"; // of its cluster
  explicit lane_world(world_options o = {});
  ~lane_world();
  lane_world(const lane_world&) = delete;

  mqtt_client& open(protocol_version v = protocol_version::v5, std::size_t edge = 0); // a socket, silent
  void reopen(mqtt_client& c); // a new socket for a client whose last one is closed; it has heard nothing yet
  mqtt_client& connect(std::string_view id, connect_at at = {}); // and its CONNACK with success is taken

  void run(); // until nothing moves
  void advance(duration d);
  bool advance_until(const std::function<bool()>& done, duration most); // false: it did not come true in time
  void stand_still(duration d); // all processes at once, as if their machine had been stopped
  time_point now() const noexcept { return now_; }

  void router_down(); // the process dies
  void router_up();   // a new life, nothing remembered
  // Link of an edge's lane: what the lane writes stays with it, or moves on.
  void stall_link(std::size_t edge, bool stalled, std::size_t lane = 0);

  edge::lane& lane(std::size_t edge, std::size_t lane = 0) {
    return *lanes_[edge * options_.lanes + lane]->core;
  }
  router::shard& shard() { return *router_->core; }
  pipe_end* shard_end_of(std::size_t edge); // of its first lane's link
  // Bytes into a link as if its other end had written them; true while the link is up after that.
  bool into_lane_link(std::size_t edge, std::string_view bytes);
  bool into_shard_link(std::size_t edge, std::string_view bytes);
  bool has_router() const noexcept { return router_ != nullptr; }
  std::uint64_t total(drop_reason r) const; // at all lanes

private:
  template <class Core> friend class node;
  friend class mqtt_client;
  using lane_node = node<edge::lane>;
  using shard_node = node<router::shard>;
  pipe_end* link_of(std::size_t edge, std::size_t lane);
  void dial(lane_node& n);
  void move(lane_node& from, pipe_end& e);
  bool step();
  wire::nonce make_nonce();

  world_options options_;
  time_point now_{std::chrono::hours(1)};
  rng random_;
  std::vector<std::unique_ptr<lane_node>> lanes_;
  std::unique_ptr<shard_node> router_;
  std::deque<mqtt_client> clients_;
  std::uint64_t lives_ = 0;
};

} // namespace beeline::test
