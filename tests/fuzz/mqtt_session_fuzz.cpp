// One client and its lane: a program of packets, right and wrong, of time, of what its socket does, of
// messages from a peer that is always well, and of what becomes of the router.
//
// What must hold after each step: what mqtt_player.hpp says of all that clients hear, and that the lane's own
// books are right: windows and queues within their limits, gauges equal to the sums of the sessions, memory
// bounded. When all have left, every byte has been given back.
#include "tests/fuzz/mqtt_player.hpp"

using namespace beeline;
using namespace beeline::test;
using namespace std::chrono_literals;
using fuzz::player;

namespace {

constexpr std::uint16_t inflight_max = 4;
constexpr std::size_t pending_max = 5, prelogin_max = 1'000, pool_max = 256 * limits::KiB;

world_options options_of(unsigned setup) {
  return {.edges = 1,
          .lanes = setup & 1 ? 2u : 1u,
          .lane =
              [setup](edge::lane_config& c) {
                c.inflight_max = inflight_max, c.inflight_bytes_max = 4'000;
                c.pending_max = pending_max, c.pending_bytes_max = 5'000;
                c.client_output_max = 3'000, c.prelogin_bytes_max = prelogin_max;
                c.connect_bytes_max = 600, c.packet_bytes_max = 3'000;
                c.link.window = {.window_messages = 16, .link_window_bytes = 8'000};
                if (setup & 2) c.memory_max = 20'000;
                if (setup & 4) c.connect_max = 500ms, c.registered_max = 300ms, c.keep_alive_max = 2s;
                c.v311_refused_disconnects = setup & 8;
              },
          .shard =
              [setup](router::shard_config& c) {
                if (setup & 16) c.warm_up = 1s;
                if (setup & 32) c.clients_max = 1;
              },
          .start = 300ms};
}

void check_books(lane_world& w, unsigned lanes) {
  for (unsigned l = 0; l < lanes; ++l) {
    edge::lane& lane = w.lane(0, l);
    const auto& c = lane.counters;
    std::size_t pending = 0, pending_bytes = 0, live = 0;
    for (const auto& s : lane.sessions(0, 100, w.now()).sessions) {
      MUST_HOLD(s.in_flight <= s.in_flight_max && s.in_flight_max <= inflight_max);
      MUST_HOLD(s.unanswered <= inflight_max && s.pending_messages <= pending_max);
      pending += s.pending_messages, pending_bytes += s.pending_bytes, live += s.live;
    }
    MUST_HOLD(c.pending.get() == pending && c.pending_bytes.get() == pending_bytes);
    MUST_HOLD(c.sessions.get() == live && live <= c.connections.get());
    MUST_HOLD(c.prelogin_bytes.get() <= prelogin_max);
    MUST_HOLD(lane.pool().bytes_in_use() < pool_max);
  }
}

bool nothing_is_left(lane_world& w, unsigned lanes) {
  for (unsigned l = 0; l < lanes; ++l)
    if (!fuzz::nothing_is_left(w.lane(0, l))) return false;
  return fuzz::knows_nobody(w.shard());
}

std::string some_topic(fuzz::input& in) {
  static constexpr std::string_view known[] = {
      "@/A", "@/B", "@/nobody", "@/#", "#", "@/+/x", "$share/g/@/A", "$SYS/x", "@/", "@/A/ch", "a/topic", ""};
  const unsigned k = in.byte() % 16;
  return std::string(k < std::size(known) ? known[k] : in.text(in.byte()));
}

std::string some_packet(player& p, fuzz::input& in) {
  const protocol_version v = p.c.version();
  switch (in.byte() % 8) {
  case 0: {
    publish_options o;
    const std::string topic = some_topic(in), payload(in.two() % 4096, 'y');
    const unsigned how = in.byte();
    o.version = v, o.topic = topic, o.payload = payload;
    o.qos = how & 3, o.dup = how & 4, o.retain = how & 8, o.packet_id = in.two();
    const std::string alias = property_list().two_bytes(property::topic_alias, in.byte()).bytes();
    if (how & 16) o.properties = alias;
    return encode_publish(o);
  }
  case 1: {
    std::vector<subscribe_filter> filters;
    for (unsigned n = in.byte() % 8; n; --n) {
      const std::string filter = some_topic(in);
      filters.push_back({filter, in.byte()});
    }
    const std::string identifier = property_list().varint(property::subscription_identifier, 7).bytes();
    const std::uint16_t id = in.two();
    return encode_subscribe(id, filters, v, in.byte() & 1 ? identifier : std::string());
  }
  case 2: {
    std::vector<std::string> filters;
    for (unsigned n = in.byte() % 8; n; --n) filters.push_back(some_topic(in));
    return encode_unsubscribe(in.two(), filters, v);
  }
  case 3: {
    const auto t = static_cast<packet_type>(4 + in.byte() % 4);
    const auto code = static_cast<reason>(in.byte());
    return encode_ack(t, in.two(), v, code);
  }
  case 4: {
    const auto code = static_cast<reason>(in.byte());
    const std::string expiry =
        property_list().four_bytes(property::session_expiry_interval, in.byte()).bytes();
    return encode_disconnect(v, code, in.byte() & 1 ? expiry : std::string());
  }
  case 5: { // any type, any flags
    const std::uint8_t first = in.byte();
    return encode_packet(first, in.text(in.byte()));
  }
  case 6: { // CONNECT of any fields
    connect_options o;
    const unsigned how = in.byte();
    o.version = how & 1 ? v : how & 2 ? v311 : v5;
    o.client_id = in.text(in.byte() % 140);
    o.clean_start = how & 4;
    o.keep_alive = in.two();
    if (how & 8) o.properties = in.text(in.byte());
    if (how & 16) o.user_name = in.text(in.byte());
    if (how & 32) o.password = in.text(in.byte());
    return encode_connect(o);
  }
  default: return std::string(in.text(in.byte()));
  }
}

void play(lane_world& w, player& p, player& peer, fuzz::input& in) {
  switch (in.byte() % 18) {
  case 0: return p.open(), p.say_connect(in);
  case 1: return p.c.send(p.some_publish(in));
  case 2: return p.listen(true);
  case 3: return p.acknowledge(in.two() % 8);
  case 4: return p.c.subscribe({{some_topic(in), in.byte()}, {some_topic(in), in.byte()}});
  case 5: return p.c.unsubscribe({some_topic(in)});
  case 6: return p.c.ping();
  case 7: return p.c.hang_up();
  case 8:
    if (!p.c.closed()) p.c.stall();
    return;
  case 9: return p.c.resume(in.byte() % 4 ? in.two() : SIZE_MAX);
  case 10: return w.advance(10ms * in.byte());
  case 11: return w.has_router() ? w.router_down() : w.router_up();
  case 12: return w.stall_link(0, in.byte() & 1);
  case 13: // a burst for it
    for (unsigned n = in.byte() % 16; n; --n) peer.c.send(peer.some_publish(in));
    return peer.listen(true);
  case 14: return p.open();
  case 15: { // in two pieces, with time between
    const std::string packet = p.some_publish(in);
    const std::size_t cut = in.two() % packet.size();
    p.c.send(std::string_view(packet).substr(0, cut));
    w.advance(10ms * (in.byte() % 8));
    return p.c.send(std::string_view(packet).substr(cut));
  }
  case 16: { // many at once
    std::string all;
    for (unsigned n = in.byte() % 8; n; --n) all += p.some_publish(in);
    return p.c.send(all);
  }
  default: return p.says_anything(some_packet(p, in));
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::input in(data, size), nothing(nullptr, 0);
  const unsigned setup = in.byte(), lanes = setup & 1 ? 2 : 1;
  lane_world w(options_of(setup));
  fuzz::ledger ledger;
  player p(w, ledger, w.open(setup & 64 ? protocol_version::v311 : protocol_version::v5), "A", "B");
  player peer(w, ledger, w.open(), "B", "A");
  if (setup & 128) p.say_connect(nothing);
  peer.say_connect(nothing);
  while (!in.empty()) {
    play(w, p, peer, in);
    p.listen(false);
    if (peer.c.closed()) peer.open(), peer.say_connect(nothing);
    check_books(w, lanes);
  }
  p.c.resume();
  p.listen(false);
  for (player* x : {&p, &peer}) x->c.hang_up();
  if (!w.has_router()) w.router_up();
  for (unsigned l = 0; l < lanes; ++l) w.stall_link(0, false, l);
  MUST_HOLD(w.advance_until([&] { return nothing_is_left(w, lanes); }, 15s));
  w.advance(limits::silence_max + 1s); // and it stays so
  MUST_HOLD(nothing_is_left(w, lanes));
  return 0;
}
