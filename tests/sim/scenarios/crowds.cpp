// F13, CAT-56, CAT-60, CAT-61, CAT-62: one process goes, and many are concerned.
#include "tests/sim/scenarios/scenario.hpp"

using namespace beeline;
using namespace beeline::sim;

TEST_CASE("CAT-62: the end of an edge with many clients is one frame to each lane, not one a client") {
  constexpr unsigned clients = 200;
  scenario s(two_edges(clients + 1));
  s.start();
  s.online(clients, 0);
  for (unsigned i = 0; i < clients; ++i) s.c.devices[i]->connect_to(1);
  REQUIRE(s.run_until([&] { return s.entries() == clients + 1; }, 5s));
  for (unsigned i = 0; i < clients; ++i) s.publish(clients, i);
  s.run(2s);
  REQUIRE(s.answered() == clients);
  const auto& lane = s.c.lane(0).endpoint().counters;
  const std::uint64_t frames = lane.frames_in.get(), lost = s.c.shard(0).counters.path_lost.get();
  s.c.note_fault("an edge is gone");
  s.c.kill_for(s.c.edge_process(1), false, 60s);
  for (unsigned i = 0; i < clients; ++i) s.c.devices[i]->leave();
  REQUIRE(s.run_until([&] { return s.entries() == 1; }, 10s));
  s.run(200ms);
  // Path lost, gone, left, and heartbeats.
  std::printf("an edge with %u clients ended: %llu frames to the other lane\n", clients,
              static_cast<unsigned long long>(lane.frames_in.get() - frames));
  REQUIRE(lane.frames_in.get() - frames <= 12);
  REQUIRE(s.c.shard(0).counters.path_lost.get() - lost == 1);
  s.finish();
}

TEST_CASE(
    "CAT-60: a router with many clients restarts twice in a row: registrations are paced, all are back") {
  constexpr unsigned clients = 4'000; // 28 kB of registrations an edge
  settings set = two_edges(clients);
  set.edges = 4;
  set.sync_output_max = 2'000;
  set.link.capacity = 2'000;
  set.link.bytes_per_second = 1'000'000;
  scenario s(set);
  s.start();
  for (unsigned i = 0; i < clients; ++i) s.c.devices[i]->connect_to(i % 4);
  REQUIRE(s.run_until([&] { return s.entries() == clients; }, 10s));
  s.c.note_fault("the router is killed");
  std::size_t queued = 0;
  for (int life = 0; life < 2; ++life) {
    s.c.kill_for(s.c.router_process(0), false, 100ms);
    s.run(life ? 150ms : 160ms); // the second time while they register again
  }
  const time_point begin = s.w.now;
  while (s.entries() < clients || !s.c.in_service()) {
    REQUIRE(s.w.now - begin < 10s);
    s.run(1ms);
    for (unsigned e = 0; e < 4; ++e) queued = std::max(queued, s.c.lane(e).endpoint().output_bytes());
  }
  std::printf(
      "%u clients on 4 edges, router killed twice: all registered after %.0f ms, at most %zu bytes queued\n",
      clients, ms(s.w.now - begin), queued);
  REQUIRE(queued > 0);
  REQUIRE(queued < 4 * set.sync_output_max);
  s.finish();
}

TEST_CASE("CAT-61: one of four edges is killed with all its clients: they are back elsewhere, the others see "
          "nothing") {
  constexpr unsigned clients = 400;
  settings set = two_edges(clients);
  set.edges = 4;
  scenario s(set);
  s.start();
  for (unsigned i = 0; i < clients; ++i) s.c.devices[i]->connect_to(i % 4);
  REQUIRE(s.run_until([&] { return s.entries() == clients; }, 10s));
  const std::size_t sessions = s.h.sessions.size();
  s.c.note_fault("an edge is killed");
  s.c.kill_for(s.c.edge_process(3), false, 60s);
  const time_point begin = s.w.now;
  for (unsigned i = 3; i < clients; i += 4) s.c.devices[i]->connect_to(i % 3);
  const auto all_live = [&] {
    for (unsigned i = 0; i < clients; ++i)
      if (!s.live(i)) return false;
    return s.entries() == clients;
  };
  REQUIRE(s.run_until(all_live, 15s));
  std::printf("an edge with %u of %u clients killed: all are back and known after %.0f ms\n", clients / 4,
              clients, ms(s.w.now - begin));
  for (std::size_t k = 0; k < sessions; ++k)
    if (s.h.sessions[k].edge != 3) REQUIRE(s.h.sessions[k].live());
  s.finish();
}

TEST_CASE("CAT-56: a peer is black-holed for a minute at full load: bytes stay bounded, senders are told") {
  settings set = two_edges(6);
  set.fault_on[static_cast<std::size_t>(fault::path_one_way)] = true;
  set.window_messages = 64;
  set.link_window_bytes = 20'000;
  set.link_output_max = 30'000;
  set.tiny_links = true;
  scenario s(set);
  s.start();
  for (unsigned i = 0; i < 6; ++i) s.online(i, i % 2);
  s.c.note_fault("a black hole");
  const time_point end = s.w.now + 60s;
  s.c.silence_path(1, 0, true, end), s.c.silence_path(1, 0, false, end);
  std::uint64_t most = 0;
  while (s.w.now < end + 10s && s.w.violation.empty()) {
    for (unsigned i = 0; i < 6; i += 2)
      for (unsigned to = 0; to < 6; ++to)
        if (s.live(i) && s.session(i).unanswered() < 100) s.publish(i, to);
    s.run(5ms);
    s.c.judge_bounds();
    most = std::max<std::uint64_t>(most, s.c.lane(0).endpoint().outgoing.counters.bytes.get());
  }
  REQUIRE_KEPT(s);
  const std::size_t told = s.with_code(0x10) + s.with_code(0x83);
  std::printf("black-holed for 60 s: %zu messages, %zu with success, %zu told that it was not taken; at most "
              "%llu bytes "
              "kept at the origin\n",
              s.h.messages.size(), s.with_code(0), told, static_cast<unsigned long long>(most));
  REQUIRE(told > 1'000);
  REQUIRE(most < 6 * 100 * 300);
  s.publish(0, 1); // and it goes on by itself
  REQUIRE(s.run_until([&] { return s.h.messages.back().answered != never; }, 5s));
  REQUIRE(s.h.messages.back().code == 0);
  s.finish();
}
