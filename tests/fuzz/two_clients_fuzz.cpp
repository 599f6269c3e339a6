// CAT-24: bugs that need two clients. The input drives two clients on two edges of an in-memory cluster:
// what they say, right or wrong, when they read, when links and the router fail.
//
// What must hold: the server never says anything malformed, never exceeds a client's Receive Maximum,
// and after everybody has left and the router is back nothing is left over anywhere.
#include "tests/fuzz/fuzz_input.hpp"
#include "tests/support/lane_world.hpp"
#include "tests/support/mqtt_test_tools.hpp"

#include <set>

using namespace beeline;
using namespace beeline::test;
using namespace std::chrono_literals;

namespace {

constexpr unsigned receive_maximum = 3;

struct player {
  mqtt_client* c;
  std::string id, peer;
  std::set<std::uint16_t> in_flight;
  std::uint16_t next_id = 1;
  bool greeted = false;  // the server has said CONNACK
  bool own_words = true; // only what play() knows was said: its Receive Maximum is ours
};

void open(lane_world& w, player& p) {
  if (!p.c->closed()) return;
  w.reopen(*p.c);
  p.in_flight.clear();
  p.greeted = false;
  p.own_words = true;
}

void say_connect(player& p, fuzz::input& in) {
  const unsigned how = in.byte();
  connect_options o;
  o.client_id = how & 1 ? p.peer : how & 2 ? std::string(in.text(in.byte() % 8)) : p.id;
  o.keep_alive = static_cast<std::uint16_t>(how & 4 ? 1 : 60);
  o.properties = property_list().two_bytes(property::receive_maximum, receive_maximum).bytes();
  if (how & 8)
    o.properties += property_list().four_bytes(property::maximum_packet_size, in.byte() + 1u).bytes();
  if (how & 16) o.properties += in.text(in.byte() % 16);
  if (how & 32)
    o.will = will_options{.topic = "@/" + p.peer, .payload = "w", .qos = static_cast<std::uint8_t>(how >> 6)};
  if (!p.greeted && (how & 16)) p.own_words = false;
  p.c->connect(o);
}

std::string some_publish(player& p, fuzz::input& in) {
  const unsigned how = in.byte();
  std::string topic = "@/" + (how & 1 ? p.id : p.peer);
  if (how & 2) topic += "/" + std::string(in.text(in.byte() % 8));
  if (how & 4) topic.clear();
  std::string properties;
  if (how & 8) properties += property_list().two_bytes(property::topic_alias, in.byte() % 20).bytes();
  if (how & 16)
    properties += property_list().four_bytes(property::message_expiry_interval, in.byte() % 4).bytes();
  if (how & 32) properties += property_list().user(in.text(in.byte() % 8), in.text(in.byte() % 8)).bytes();
  const std::string payload(static_cast<std::size_t>(in.byte()) * 8, 'x');
  publish_options o;
  o.version = p.c->version();
  o.topic = topic;
  o.payload = payload;
  o.qos = static_cast<std::uint8_t>(how >> 6);
  o.packet_id = p.next_id++;
  o.properties = properties;
  return encode_publish(o);
}

// Reads all that the server said; acknowledges what is to be, if asked to.
void listen(player& p, bool acknowledge) {
  const std::string heard = p.c->take_bytes();
  const_bytes left = as_bytes(heard);
  std::string acks;
  while (!left.empty()) {
    mqtt::packet q;
    const auto r = mqtt::next_packet(left, SIZE_MAX, q);
    if (r == mqtt::parse::need_more) { // it was cut where this client's socket stalled or closed
      p.c->put_back(as_text(left));
      break;
    }
    MUST_HOLD(r == mqtt::parse::done);
    MUST_HOLD(decode_as_client(q, p.c->version()) == reason::success);
    MUST_HOLD(p.greeted != (q.type() == packet_type::connack)); // first, and once
    p.greeted = true;
    if (q.type() == packet_type::publish) {
      mqtt::publish_packet m;
      MUST_HOLD(test::decode_publish(q, p.c->version(), m) == reason::success);
      MUST_HOLD(m.topic.starts_with("@/") && m.qos < 2 && !m.retain && !m.dup);
      if (m.qos) {
        MUST_HOLD(p.in_flight.insert(m.packet_id).second);
        if (p.c->version() == protocol_version::v5 && p.own_words)
          MUST_HOLD(p.in_flight.size() <= receive_maximum);
      }
    }
    left = left.subspan(q.total);
  }
  if (!acknowledge) return;
  for (std::uint16_t id : std::exchange(p.in_flight, {})) append_puback(acks, id);
  p.c->send(acks);
}

void play(lane_world& w, player& p, std::size_t edge, fuzz::input& in, unsigned what) {
  switch (what) {
  case 0: return open(w, p), say_connect(p, in);
  case 1:
  case 2: return p.c->send(some_publish(p, in));
  case 3: return listen(p, true);
  case 4:
    return p.c->subscribe(
        {{"@/" + std::string(in.text(in.byte() % 8)), static_cast<std::uint8_t>(in.byte())}});
  case 5: return p.c->unsubscribe({"@/" + std::string(in.text(in.byte() % 8))});
  case 6: return p.c->ping();
  case 7: return p.c->disconnect(static_cast<reason>(in.byte()));
  case 8: return p.c->hang_up();
  case 9:
    if (!p.c->closed()) p.c->stall();
    return;
  case 10: return p.c->resume(in.byte() % 4 ? in.two() : SIZE_MAX);
  case 11: return w.advance(std::chrono::milliseconds(10) * in.byte());
  case 12: return w.has_router() ? w.router_down() : w.router_up();
  case 13: return w.stall_link(edge, in.byte() & 1);
  case 14: { // a good packet, one byte of it another
    std::string packet = some_publish(p, in);
    packet[in.two() % packet.size()] = static_cast<char>(in.byte());
    return p.c->send(packet);
  }
  default: // anything; what is acknowledged so is not known here
    p.own_words = false;
    return p.c->send(in.text(in.byte()));
  }
}

void nothing_is_left(lane_world& w, std::size_t edge) {
  const edge::lane& lane = w.lane(edge);
  MUST_HOLD(lane.counters.connections.get() == 0);
  MUST_HOLD(lane.counters.sessions.get() == 0);
  MUST_HOLD(lane.counters.prelogin_bytes.get() == 0);
  MUST_HOLD(lane.counters.pending.get() == 0);
  MUST_HOLD(lane.counters.pending_bytes.get() == 0);
  MUST_HOLD(lane.endpoint().ready());
  MUST_HOLD(lane.endpoint().clients() == 0);
  MUST_HOLD(lane.endpoint().outgoing.idle());
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::input in(data, size);
  const unsigned setup = in.byte();
  lane_world w({.lanes = setup & 1 ? 2u : 1u,
                .lane =
                    [setup](edge::lane_config& c) {
                      c.inflight_max = 4, c.inflight_bytes_max = 4'000;
                      c.pending_max = 5, c.pending_bytes_max = 5'000;
                      c.client_output_max = 3'000, c.prelogin_bytes_max = 1'000;
                      if (setup & 2) c.memory_max = 20'000;
                      c.link.link_output_high = 4'000, c.link.link_output_low = 1'000;
                      c.v311_refused_disconnects = setup & 4;
                      if (setup & 8) c.link.hash_bits = 1;
                    },
                .shard =
                    [setup](router::shard_config& c) {
                      c.link_output_max = 6'000;
                      if (setup & 8) c.hash_bits = 1;
                      if (setup & 16) c.warm_up = 1s;
                    }});
  const auto version = [](unsigned old) { return old ? protocol_version::v311 : protocol_version::v5; };
  player players[2] = {{&w.open(version(setup & 32), 0), "A", "B", {}},
                       {&w.open(version(setup & 64), 1), "B", "A", {}}};
  fuzz::input nothing(nullptr, 0);
  for (player& p : players) say_connect(p, nothing);

  while (!in.empty()) {
    const unsigned b = in.byte();
    const std::size_t k = b & 1;
    play(w, players[k], k, in, b >> 1 & 15);
  }

  if (!w.has_router()) w.router_up();
  for (std::size_t k : {0, 1}) {
    for (std::size_t l = 0; l < (setup & 1 ? 2u : 1u); ++l) w.stall_link(k, false, l);
    players[k].c->resume();
  }
  for (player& p : players) listen(p, false), p.c->hang_up();
  w.advance(30s);
  for (std::size_t k : {0, 1})
    if (!(setup & 1)) nothing_is_left(w, k);
  std::size_t entries = 0;
  w.shard().for_each_entry([&](id_hash, std::string_view, std::uint16_t, handle, bool) { ++entries; });
  MUST_HOLD(entries == 0);
  return 0;
}
