// CAT-24: bugs that need two clients. The input drives two clients on two edges of an in-memory cluster:
// what they say, right or wrong, when they read, when links and the router fail.
//
// What must hold: what mqtt_player.hpp says of all that clients hear; once all is well again, who lives is
// told the outcome of each of its QoS 1 messages; and after everybody has left nothing is left over anywhere.
#include "tests/fuzz/mqtt_player.hpp"

using namespace beeline;
using namespace beeline::test;
using namespace std::chrono_literals;
using fuzz::player;

namespace {

void play(lane_world& w, player& p, std::size_t edge, fuzz::input& in, unsigned what) {
  switch (what) {
  case 0: return p.open(), p.say_connect(in);
  case 1:
  case 2: return p.c.send(p.some_publish(in));
  case 3: return p.listen(true);
  case 4:
    return p.c.subscribe(
        {{"@/" + std::string(in.text(in.byte() % 8)), static_cast<std::uint8_t>(in.byte())}});
  case 5: return p.c.unsubscribe({"@/" + std::string(in.text(in.byte() % 8))});
  case 6: return p.c.ping();
  case 7: return p.c.disconnect(static_cast<reason>(in.byte()));
  case 8: return p.c.hang_up();
  case 9:
    if (!p.c.closed()) p.c.stall();
    return;
  case 10: return p.c.resume(in.byte() % 4 ? in.two() : SIZE_MAX);
  case 11: return w.advance(std::chrono::milliseconds(10) * in.byte());
  case 12: return w.has_router() ? w.router_down() : w.router_up();
  case 13: return w.stall_link(edge, in.byte() & 1);
  case 14: { // a good packet, one byte of it another
    std::string packet = p.some_publish(in, false);
    packet[in.two() % packet.size()] = static_cast<char>(in.byte());
    return p.says_anything(packet);
  }
  default: return p.says_anything(in.text(in.byte())); // what is acknowledged so is not known here
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::input in(data, size);
  const unsigned setup = in.byte();
  const unsigned lanes = setup & 1 ? 2 : 1; // of each edge
  lane_world w({.lanes = lanes,
                .lane =
                    [setup](edge::lane_config& c) {
                      c.inflight_max = 4, c.inflight_bytes_max = 4'000;
                      c.pending_max = 5, c.pending_bytes_max = 5'000;
                      c.client_output_max = 3'000, c.prelogin_bytes_max = 1'000;
                      if (setup & 2) c.memory_max = 20'000;
                      c.link.link_output_high = 4'000, c.link.link_output_low = 1'000;
                      c.link.window = {.window_messages = 16, .link_window_bytes = 8'000};
                      c.v311_refused_disconnects = setup & 4;
                      if (setup & 8) c.link.hash_bits = 1;
                    },
                .shard =
                    [setup](router::shard_config& c) {
                      c.link_output_max = 6'000;
                      if (setup & 8) c.hash_bits = 1;
                      if (setup & 16) c.warm_up = 1s;
                    },
                .start = 300ms});
  const auto version = [](unsigned old) { return old ? protocol_version::v311 : protocol_version::v5; };
  fuzz::ledger ledger;
  player players[2] = {{w, ledger, w.open(version(setup & 32), 0), "A", "B"},
                       {w, ledger, w.open(version(setup & 64), 1), "B", "A"}};
  fuzz::input nothing(nullptr, 0);
  for (player& p : players) p.say_connect(nothing);

  while (!in.empty()) {
    const unsigned b = in.byte();
    const std::size_t k = b & 1;
    play(w, players[k], k, in, b >> 1 & 15);
  }

  if (!w.has_router()) w.router_up();
  for (std::size_t k : {0, 1}) {
    for (std::size_t l = 0; l < lanes; ++l) w.stall_link(k, false, l);
    players[k].c.resume();
  }
  // Whoever lives is told what became of all that it published, over the links that are there again.
  const auto told = [](const player& p) { return !p.awaits_connack() && (!p.sound() || p.all_answered()); };
  const auto all_told = [&] {
    for (player& p : players) p.listen(true);
    for (std::size_t k : {0, 1})
      for (std::size_t l = 0; l < lanes; ++l)
        if (!w.lane(k, l).endpoint().ready()) return false;
    return std::all_of(std::begin(players), std::end(players), told);
  };
  MUST_HOLD(w.advance_until(all_told, 15s));
  w.advance(1s); // nothing comes twice
  MUST_HOLD(all_told());
  for (player& p : players) {
    p.listen(true);
    p.c.hang_up();
  }
  const auto all_gone = [&] {
    for (std::size_t k : {0, 1})
      for (std::size_t l = 0; l < lanes; ++l)
        if (!fuzz::nothing_is_left(w.lane(k, l))) return false;
    return fuzz::knows_nobody(w.shard());
  };
  MUST_HOLD(w.advance_until(all_gone, 15s));
  w.advance(limits::silence_max + 1s); // and it stays so
  MUST_HOLD(all_gone());
  return 0;
}
