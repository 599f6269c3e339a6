// A small simulated cluster in which a test says what happens: the world of beeline-sim with real cores and
// real MQTT clients, but the faults and what clients do are the test's, and so are most of its settings.
//
//   scenario s(two_edges());
//   s.start();
//   s.online(0, 0), s.online(1, 1);   // client 0 on edge 0, client 1 on edge 1
//   s.publish(0, 1);
//   s.c.note_fault("..."), s.c.kill_for(...);
//   s.finish();                       // heal, rest, everybody writes once more, P1 to P6 are judged
//
// The promises are judged all the time by the same oracles (docs/simulator.md); REQUIRE_KEPT looks whether
// one broke. Nothing sleeps: run() lets simulated time pass.
#pragma once
#include "common/link/endpoint.ipp"
#include "tests/sim/run.hpp"
#include "tests/support/sanitized.hpp"

#include <catch2/catch.hpp>
#include <chrono>
#include <cstdio>

namespace beeline::sim {

#define REQUIRE_KEPT(s) REQUIRE((s).w.violation == "")

inline settings two_edges(unsigned clients = 2) {
  settings s;
  s.ids = clients;
  s.scripted = true;
  s.v311_percent = s.qos0_percent = 0;
  s.payload_max = 40;
  s.read_cut_percent = 0;
  s.link = s.client = {.delay = 1ms, .jitter = duration(0), .capacity = 64 * 1024};
  return s;
}

inline constexpr duration patience = 30s; // of whoever waits to be online, whatever has gone wrong

class scenario {
public:
  explicit scenario(const settings& s, std::uint64_t seed = 1)
      : w(seed, false), set(s), h(w, set), c(w, set, h) {}

  world w;
  const settings set;
  history h;
  cluster c;

  // Up to the moment when every edge is open and every shard in service.
  void start() {
    c.start();
    run_until([&] { return all_open() && c.in_service(); }, 30s);
    c.let_clients_in();
  }
  bool all_open() const {
    for (unsigned e = 0; e < set.edges; ++e)
      if (!c.edge_open(e)) return false;
    return true;
  }
  client_session& session(std::uint32_t id) { return *c.devices[id]->newest(); }
  void online(std::uint32_t id, std::uint32_t edge) {
    c.devices[id]->connect_to(edge);
    run_until([&] { return c.devices[id]->newest()->live(); }, patience);
  }
  bool live(std::uint32_t id) { return c.devices[id]->newest() && c.devices[id]->newest()->live(); }
  void publish(std::uint32_t from, std::uint32_t to, std::uint8_t qos = 1) {
    if (live(from) && session(from).may_publish()) session(from).publish(to, qos, false);
  }
  void run(duration d) { w.run_until(w.now + d); }
  // False: it did not come true in time.
  template <class F> bool run_until(F f, duration most) {
    const time_point end = w.now + most;
    while (!f())
      if (!w.step(end)) return f();
    return true;
  }
  std::size_t answered() const {
    std::size_t n = 0;
    for (const message_record& m : h.messages) n += m.answered != never;
    return n;
  }
  std::size_t with_code(int code) const {
    std::size_t n = 0;
    for (const message_record& m : h.messages) n += m.code == code;
    return n;
  }
  std::string outcomes() const { // of all messages, for people
    std::string s;
    for (std::size_t k = 0; k < std::size(outcome_names); ++k)
      if (h.outcomes[k])
        s += (s.empty() ? "" : ", ") + std::to_string(h.outcomes[k]) + " " + std::string(outcome_names[k]);
    return s;
  }
  bool all_settled() const {
    return std::all_of(c.devices.begin(), c.devices.end(), [](const auto& d) { return d->settled(); });
  }
  std::size_t entries() {
    std::size_t n = 0;
    for (unsigned k = 0; k < set.routers * set.shards; ++k)
      c.shard(k).for_each_entry([&](id_hash, std::string_view, std::uint16_t, handle, bool) { ++n; });
    return n;
  }
  void finish() {
    heal_and_judge(w, set, h, c);
    INFO("seed and place: " << where);
    REQUIRE_KEPT(*this);
  }
  std::string where; // which of many runs this is, for the report of a failure
};

inline double ms(duration d) { return static_cast<double>(to_us(d)) / 1000; }

} // namespace beeline::sim
