// F7, CAT-40, CAT-41, CAT-43, CAT-44, CAT-46: links of which one direction, or both, carry nothing. What is alive
// finds that out by itself, does not flap while it lasts, and is whole again soon after it is over.
#include "tests/sim/scenarios/scenario.hpp"

using namespace beeline;
using namespace beeline::sim;

namespace {

// When a shard and a lane are sure to have noticed that a link is silent: silence, and a look at the time.
constexpr auto noticed_max = 4s;
constexpr auto relinked_max = 8s; // after the silence: the longest pause between dials, and a hanging dial

settings with_silence(unsigned clients) {
  settings s = two_edges(clients);
  s.fault_on[static_cast<std::size_t>(fault::path_one_way)] =
      true; // round trips may lie: the oracle allows for it
  return s;
}

bool in_sync(scenario& s, unsigned edge) {
  for (const auto& l : s.c.shard(0).lanes().lanes)
    if (l.edge == "e" + std::to_string(edge)) return l.state == "in sync";
  return false;
}

std::size_t links_made(scenario& s) { return s.c.shard(0).counters.handshakes.get(); }

} // namespace

TEST_CASE("F7: one direction of one connection is dead: a new link within seconds, and only one") {
  for (int side : {0, 1}) {
    scenario s(with_silence(2));
    s.start();
    s.online(0, 0), s.online(1, 1);
    const std::size_t before = links_made(s);
    s.c.note_fault("one direction of a connection");
    s.c.link_of(1)->stall(side, s.w.now + 300s);
    for (int i = 0; i < 3; ++i) s.publish(0, 1), s.publish(1, 0);
    const time_point begin = s.w.now;
    REQUIRE(s.run_until([&] { return links_made(s) == before + 1 && in_sync(s, 1); }, noticed_max));
    std::printf("dead %s the router: new link after %.0f ms\n", side ? "from" : "to", ms(s.w.now - begin));
    s.run(60s);
    REQUIRE(links_made(s) == before + 1); // no flapping
    REQUIRE(s.answered() == s.h.messages.size());
    s.finish();
  }
}

TEST_CASE("F7, CAT-40: one direction between an edge and the router is dead for a minute") {
  for (bool to_router : {true, false}) {
    scenario s(with_silence(2));
    s.start();
    s.online(0, 0), s.online(1, 1);
    const std::size_t before = links_made(s);
    const time_point begin = s.w.now;
    s.c.note_fault("one direction of a path");
    s.c.silence_path(1, 0, to_router, s.w.now + 60s);
    REQUIRE(s.run_until([&] { return !in_sync(s, 1); }, noticed_max));
    const duration noticed = s.w.now - begin;
    s.run(limits::linger + 1s);
    s.publish(0, 1); // it is gone for those who are linked
    s.run(1s);
    REQUIRE(s.h.messages.back().code == 0x10);
    REQUIRE(s.live(1)); // and lives on at its edge
    s.run(begin + 60s - s.w.now);
    REQUIRE(links_made(s) == before); // nothing came and went meanwhile
    REQUIRE(s.run_until([&] { return in_sync(s, 1); }, relinked_max));
    std::printf("dead %s the router for 60 s: noticed after %.0f ms, linked %.0f ms after its end\n",
                to_router ? "towards" : "from", ms(noticed), ms(s.w.now - begin - 60s));
    REQUIRE(links_made(s) == before + 1);
    s.finish();
  }
}

TEST_CASE(
    "CAT-41: of two links of one edge the idle one is dead without a word: it is noticed like a busy one") {
  settings set = with_silence(2);
  set.shards = 2;
  scenario s(set);
  s.start();
  s.online(0, 0), s.online(1, 1);
  s.c.note_fault("an idle link");
  connection* idle = s.c.link_of(1);
  const std::uint64_t carried = idle->way[0].written;
  idle->vanish();
  const time_point begin = s.w.now;
  REQUIRE(s.run_until([&] { return !s.c.lane(1).endpoint().ready(); }, noticed_max));
  std::printf("a link that had carried %llu bytes vanished: noticed after %.0f ms\n",
              static_cast<unsigned long long>(carried), ms(s.w.now - begin));
  REQUIRE(s.run_until([&] { return s.c.lane(1).endpoint().ready(); }, relinked_max));
  s.finish();
}

TEST_CASE("CAT-46, CAT-44: an edge is cut off for ten minutes, and sessions move meanwhile") {
  constexpr unsigned clients = 12;
  scenario s(with_silence(clients));
  s.start();
  for (unsigned i = 0; i < clients; ++i) s.online(i, 1);
  s.c.note_fault("ten minutes");
  const time_point end = s.w.now + 10min;
  s.c.silence_path(1, 0, true, end);
  s.c.silence_path(1, 0, false, end);
  s.run(5min);
  for (unsigned i = 0; i < 4; ++i) s.online(i, 0);          // they connect elsewhere, their old sessions live
  for (unsigned i = 4; i < 8; ++i) s.c.devices[i]->leave(); // and these leave, which the router cannot hear
  REQUIRE(s.entries() == 4);
  s.run(end - s.w.now);
  REQUIRE(s.run_until([&] { return in_sync(s, 1) && s.entries() == 8; }, relinked_max));
  std::printf("cut off for 10 min: whole again %.0f ms after its end\n", ms(s.w.now - end));
  s.run(2s);
  for (unsigned i = 0; i < 4; ++i) REQUIRE(s.live(i)); // the younger session has won, the older is gone
  s.finish();                                          // and tables and sessions are equal as sets
}

TEST_CASE("CAT-45: what an edge says late of a client that has moved does not touch the new owner's entry") {
  scenario s(with_silence(2));
  s.start();
  s.online(0, 0), s.online(1, 1);
  s.c.note_fault("a slow link");
  s.c.link_of(1)->stall(0, s.w.now + 1500ms);
  s.c.devices[1]->leave(); // the router hears of it in 1.5 s
  s.run(20ms);
  s.online(1, 0);
  s.run(2s);
  REQUIRE(s.entries() == 2);
  s.publish(0, 1);
  s.run(100ms);
  REQUIRE(s.h.messages.back().code == 0);
  s.finish();
}
