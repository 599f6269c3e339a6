// F8, F4, CAT-50: a new link is up while the old one, of the same lane or of its earlier life, still delivers
// what was on its way. Nothing that comes over the old one has an effect any more.
#include "tests/sim/scenarios/scenario.hpp"

using namespace beeline;
using namespace beeline::sim;

namespace {

settings with_stall(unsigned clients) {
  settings s = two_edges(clients);
  s.fault_on[static_cast<std::size_t>(fault::link_stall_one_way)] = true;
  return s;
}

void traffic(scenario& s, int rounds) {
  for (int i = 0; i < rounds; ++i) s.publish(0, 1), s.publish(1, 0), s.run(300us);
}

// The edge notices that its link is gone; what it had written arrives `late` after that.
void old_link(duration late, bool moves) {
  scenario s(with_stall(3));
  s.where = "late by " + std::to_string(to_us(late)) + " us";
  s.start();
  s.online(0, 0), s.online(1, 1), s.online(2, 1);
  traffic(s, 3);
  connection* old = s.c.link_of(1);
  s.c.note_fault("an end that one side notices");
  old->stall(0, s.w.now + late);
  traffic(s, 3);
  if (moves) s.c.devices[2]->leave(); // and its unregistration waits in the old link
  s.run(1ms);
  old->fail(0, s.w.now);
  traffic(s, 3);
  if (moves) s.c.devices[2]->connect_to(1);
  s.run(late + 100ms);
  INFO(s.where);
  REQUIRE_KEPT(s);
  s.finish();
  REQUIRE(s.entries() == 3);
}

// The edge is killed and back before what its earlier life had written has arrived.
void old_life(duration late) {
  settings set = with_stall(3);
  scenario s(set);
  s.where = "late by " + std::to_string(to_us(late)) + " us";
  s.start();
  s.online(0, 0), s.online(1, 1), s.online(2, 1);
  connection* old = s.c.link_of(1);
  s.c.note_fault("a kill");
  old->stall(0, s.w.now + late);
  traffic(s, 4);
  s.c.devices[2]->leave();
  s.run(1ms);
  s.c.kill_for(s.c.edge_process(1), false, 20ms);
  s.run(late + 200ms);
  INFO(s.where);
  REQUIRE_KEPT(s);
  s.finish();
  REQUIRE(s.entries() == 2);
}

} // namespace

TEST_CASE(
    "F8: frames of an older link that arrive before, while and after the new one comes up have no effect") {
  for (duration late{}; late < 80ms; late += 500us) old_link(late, false), old_link(late, true);
}

TEST_CASE("F4, CAT-50: frames of an edge's earlier life that arrive after its restart have no effect") {
  for (duration late{}; late < 120ms; late += 1ms) old_life(late);
}

TEST_CASE("F4, CAT-50: an edge that is killed and back within a second leaves nothing of its earlier life") {
  constexpr unsigned clients = 20;
  scenario s(two_edges(clients + 1));
  s.start();
  s.online(clients, 0);
  for (unsigned i = 0; i < clients; ++i) s.online(i, 1);
  REQUIRE(s.entries() == clients + 1);
  for (unsigned i = 0; i < clients; i += 2) s.publish(clients, i); // on its way when it dies
  s.run(1200us);
  s.c.note_fault("a kill");
  const time_point begin = s.w.now;
  s.c.kill_for(s.c.edge_process(1), false, 300ms);
  for (unsigned i = 0; i < clients; ++i) s.c.devices[i]->leave();
  REQUIRE(s.run_until([&] { return s.entries() == 1; }, 5s));
  std::printf("killed, back after 300 ms: nothing of %u sessions is left after %.0f ms\n", clients,
              ms(s.w.now - begin));
  for (unsigned i = 0; i < clients; ++i) s.publish(clients, i);
  REQUIRE(s.run_until([&] { return s.answered() == s.h.messages.size(); }, 5s));
  for (std::size_t m = s.h.messages.size() - clients; m < s.h.messages.size(); ++m)
    REQUIRE(s.h.messages[m].code == 0x10);
  s.finish();
}
