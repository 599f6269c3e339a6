// A run told by hand: what its clients saw and what the driver found, good until a test adds something to it.
#pragma once
#include "tests/chaos/judge.hpp"

#include <algorithm>
#include <catch2/catch.hpp>

namespace beeline::chaos {

inline constexpr std::int64_t s = 1'000'000; // a second

// Two clients on two edges, one more that is away, a load of ten seconds, an exchange at rest.
struct told_run {
  run_facts facts;
  history h;
  std::int64_t now = 0;

  told_run() {
    facts.rate = 1;
    facts.ids = {"a", "b", "away"};
    facts.edges = {"e1", "e2"};
    facts.receipt_timeout = 5 * s;
    facts.load_begin = 1 * s, facts.load_end = 11 * s, facts.final_begin = 60 * s, facts.run_end = 62 * s;
    facts.rest.reached = facts.rest.router_ready = true;
    facts.rest.presence = {{"a", {0, false}}, {"b", {1, false}}};
    for (const char* id : {"a", "b"}) {
      edge_at_rest e;
      e.clients = {id};
      e.clients_at_router = 1, e.links_in_sync = e.links_wanted = 2, e.ready = true;
      facts.rest.edges.push_back(e);
    }
    facts.ends = {{"e1", 62 * s, true, 0, 0}};
    connect(0, 0, 0, 0);
    connect(0, 1, 1, 1);
  }
  void add(std::int64_t at, std::uint32_t session, seen what, std::uint32_t other = 0,
           std::uint32_t count = 0, unsigned code = 0, unsigned flags = 0, unsigned detail = 0) {
    h.push_back({at, session, other, count, what, static_cast<std::uint8_t>(code),
                 static_cast<std::uint8_t>(flags), static_cast<std::uint8_t>(detail)});
  }
  void connect(std::int64_t at, std::uint32_t session, std::uint32_t client, unsigned edge, bool v5 = true) {
    add(at, session, seen::connect, client, 0, edge, v5 ? flag_v5 : 0u);
    add(at + 1, session, seen::connack);
  }
  void end(std::int64_t at, std::uint32_t session, ending how, unsigned code = 0) {
    add(at, session, seen::end, 0, 0, code, 0, static_cast<unsigned>(how));
  }
  void publish(std::int64_t at, std::uint32_t session, std::uint32_t to, std::uint32_t count,
               unsigned flags = flag_qos1) {
    add(at, session, seen::publish, to, count, 0, flags);
  }
  // Of a to b, with wishes; the deadline in units of 100 ms.
  void asks(std::int64_t at, std::uint32_t count, bool receipt, unsigned deadline = 0) {
    add(at, 0, seen::publish, 1, count, deadline, flag_qos1, receipt);
  }
  void acknowledge(std::int64_t at, std::uint32_t session, std::uint32_t count) {
    add(at, session, seen::acknowledge, 0, count);
  }
  void receive(std::int64_t at, std::uint32_t session, std::uint32_t from, std::uint32_t count,
               unsigned flags = flag_qos1) {
    add(at, session, seen::receive, from, count, 0, flags);
  }
  void answer(std::int64_t at, std::uint32_t session, std::uint32_t count, unsigned code = 0,
              words w = words::none) {
    add(at, session, seen::answer, 0, count, code, 0, static_cast<unsigned>(w));
  }
  void fault_at(fault kind, int edge, std::int64_t begin, std::int64_t until) {
    facts.faults.push_back({kind, edge, -1, begin, until, 1});
    facts.faults_wanted = static_cast<unsigned>(facts.faults.size());
  }
  // Message k of a to b goes well.
  void exchange(std::uint32_t count, std::int64_t at) {
    publish(at, 0, 1, count);
    receive(at + 1000, 1, 0, count);
    answer(at + 2000, 0, count);
  }
  void load() { // what a good run has
    for (std::uint32_t k = 0; k < 10; ++k) exchange(k, (1 + k) * s + 1);
    asks(11 * s, 11, true, 20);
    receive(11 * s + 1000, 1, 0, 11);
    acknowledge(11 * s + 1001, 1, 11);
    answer(11 * s + 2000, 0, 11);
    publish(61 * s, 0, 1, 100, flag_qos1 | flag_last);
    receive(61 * s + 1, 1, 0, 100, flag_qos1 | flag_last);
    answer(61 * s + 2, 0, 100);
    publish(61 * s, 0, 2, 101, flag_qos1 | flag_last);
    answer(61 * s + 2, 0, 101, 0x10);
  }

  findings judged() {
    std::stable_sort(h.begin(), h.end(), [](const record& x, const record& y) { return x.at < y.at; });
    findings wrong;
    const run_view v(facts, h, wrong);
    judge(v, wrong);
    judge_order(v, h, wrong);
    return wrong;
  }
  bool good() { return !judged().any(); }
  // That promise is broken, and no other.
  bool breaks(const std::string& promise) {
    const findings f = judged();
    for (const violation& x : f.shown) UNSCOPED_INFO(x.promise << ": " << x.text);
    return f.counts.size() == 1 && f.counts.contains(promise);
  }
};

struct good_run : told_run {
  good_run() { load(); }
};

} // namespace beeline::chaos
