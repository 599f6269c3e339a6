// The checker: a good history by hand, and for each oracle one that breaks it.
#include "tests/chaos/falsify.hpp"
#include "tests/chaos/outage.hpp"
#include "tests/chaos/told_run.hpp"

#include <cstdio>
#include <unistd.h>

using namespace beeline::chaos;

TEST_CASE("the checker finds nothing in a good run") {
  good_run r;
  const findings f = r.judged();
  for (const violation& x : f.shown) UNSCOPED_INFO(x.promise << ": " << x.text);
  CHECK_FALSE(f.any());
  findings none;
  CHECK_FALSE(why_void(run_view(r.facts, r.h, none)));
}

TEST_CASE("P1: success needs a receiver, or a session that ended") {
  good_run r;
  r.publish(20 * s, 0, 1, 12);
  r.answer(20 * s + 1, 0, 12);
  CHECK(r.breaks("P1"));
  SECTION("a session of the recipient ended, and took it along") {
    r.h.erase(std::remove_if(r.h.begin(), r.h.end(), [](const record& x) { return x.flags & flag_last; }),
              r.h.end());
    r.h.erase(std::remove_if(r.h.begin(), r.h.end(),
                             [](const record& x) {
                               return x.what == seen::answer && (x.count == 100 || x.count == 101);
                             }),
              r.h.end());
    r.end(20 * s + 2, 1, ending::disconnect);
    r.connect(21 * s, 2, 1, 1);
    r.publish(61 * s, 0, 1, 13, flag_qos1 | flag_last);
    r.receive(61 * s + 1, 2, 0, 13, flag_qos1 | flag_last);
    r.answer(61 * s + 2, 0, 13);
    CHECK(r.good());
  }
}

TEST_CASE("P1: a session that ended later, and received what came after it, does not explain a loss") {
  told_run r;
  r.publish(20 * s, 0, 1, 0);
  r.answer(20 * s + 1, 0, 0);
  SECTION("it received what came after it") {
    r.exchange(1, 21 * s);
    r.end(22 * s, 1, ending::disconnect);
    CHECK(r.judged().counts.contains("P1"));
  }
  SECTION("it received what came before") {
    r.end(22 * s, 1, ending::disconnect);
    CHECK_FALSE(r.judged().counts.contains("P1"));
  }
}

TEST_CASE("P6: 'queue full' needs many that wait, where queues are not small") {
  good_run r;
  r.publish(20 * s, 0, 1, 12);
  r.answer(20 * s + 1, 0, 12, 0x97);
  CHECK(r.breaks("P6"));
  SECTION("they are small") {
    r.facts.small_queues = true;
    CHECK(r.good());
  }
  SECTION("many were received, and soon acknowledged") {
    for (std::uint32_t n = 20; n < 80; ++n) r.publish(19 * s, 0, 1, n);
    for (std::uint32_t n = 20; n < 80; ++n) r.receive(19 * s + 1, 1, 0, n), r.answer(19 * s + 2, 0, n);
    CHECK(r.breaks("P6"));
    r.fault_at(fault::clients_stall, 1, 18 * s, 25 * s);
    CHECK(r.good());
  }
  SECTION("many were not there before, and had their answer") {
    for (std::uint32_t n = 20; n < 80; ++n) r.publish(19 * s, 0, 1, n), r.answer(19 * s + 2, 0, n, 0x10);
    CHECK(r.judged().counts.contains("P6"));
  }
  SECTION("many wait") {
    r.fault_at(fault::clients_stall, 1, 18 * s, 25 * s);
    for (std::uint32_t n = 20; n < 80; ++n) r.publish(19 * s, 0, 1, n);
    for (std::uint32_t n = 20; n < 80; ++n) r.receive(25 * s, 1, 0, n), r.answer(25 * s + 1, 0, n);
    CHECK(r.good());
  }
}

TEST_CASE("P1: 'nobody' and 'queue full' mean that nobody receives it") {
  for (const unsigned code : {0x10u, 0x97u}) {
    good_run r;
    r.publish(20 * s, 0, 1, 12);
    r.answer(20 * s + 1, 0, 12, code);
    r.receive(20 * s + 2, 1, 0, 12);
    CHECK(r.breaks("P1"));
  }
}

TEST_CASE("P1: 'unknown' needs a fault that explains it") {
  good_run r;
  r.publish(20 * s, 0, 1, 12);
  r.answer(20 * s + 1, 0, 12, 0x83, words::unknown);
  CHECK(r.breaks("P1"));
  r.fault_at(fault::clients_stall, 0, 12 * s, 13 * s);
  CHECK(r.breaks("P1")); // it stops no message between servers
  r.fault_at(fault::edge_kill, 0, 12 * s, 13 * s);
  CHECK(r.good());
}

TEST_CASE("P1: 'given up' and other refusals need a cause too") {
  good_run r;
  r.publish(20 * s, 0, 1, 12);
  SECTION("given up without a fault") {
    r.answer(20 * s + 1, 0, 12, 0x83, words::gave_up);
    CHECK(r.breaks("P6"));
  }
  SECTION("refused, though it was not too large") {
    r.answer(20 * s + 1, 0, 12, 0x83, words::refused);
    CHECK(r.breaks("P1"));
  }
}

TEST_CASE("P1: an answer comes within 30 s while the sender's connection lives") {
  good_run r;
  r.publish(15 * s, 0, 1, 12);
  r.receive(15 * s + 1, 1, 0, 12);
  SECTION("it never comes") { CHECK(r.breaks("P1")); }
  SECTION("it comes late") {
    r.answer(45 * s + 2, 0, 12);
    CHECK(r.breaks("P1"));
  }
  SECTION("it comes twice") {
    r.answer(15 * s + 2, 0, 12);
    r.answer(15 * s + 3, 0, 12);
    CHECK(r.breaks("P1"));
  }
}

TEST_CASE("P1: while the sender's edge is cut off a message waits there, and not much longer") {
  good_run r;
  r.facts.run_end = 200 * s;
  r.facts.ends.clear();
  r.fault_at(fault::net_blackhole, 0, 10 * s, 50 * s);
  r.publish(15 * s, 0, 1, 12);
  r.receive(58 * s, 1, 0, 12);
  SECTION("it comes when the network is back") {
    r.answer(58 * s + 1, 0, 12);
    CHECK(r.good());
  }
  SECTION("it comes too late for that") {
    r.answer(81 * s, 0, 12);
    CHECK(r.breaks("P1"));
  }
  SECTION("it was another edge that was cut off") {
    r.facts.faults[0].edge = 1;
    r.answer(58 * s + 1, 0, 12);
    CHECK(r.breaks("P1"));
  }
  SECTION("it was one link of several") {
    r.facts.faults[0].shard = 1;
    r.answer(58 * s + 1, 0, 12);
    CHECK(r.breaks("P1"));
  }
}

TEST_CASE("P2: no session receives a message twice") {
  good_run r;
  r.receive(20 * s, 1, 0, 11);
  CHECK(r.breaks("P2"));
}

TEST_CASE("P2: a second session receives a message only if the first ended and the router started anew") {
  told_run r;
  r.publish(2 * s, 0, 1, 0);
  r.receive(3 * s, 1, 0, 0);
  r.end(4 * s, 1, ending::disconnect);
  r.connect(5 * s, 2, 1, 1);
  r.receive(6 * s, 2, 0, 0);
  r.answer(7 * s, 0, 0);
  r.publish(61 * s, 0, 1, 1, flag_qos1 | flag_last);
  r.receive(61 * s + 1, 2, 0, 1, flag_qos1 | flag_last);
  r.answer(61 * s + 2, 0, 1);
  CHECK(r.breaks("P2"));
  SECTION("the router did") {
    r.fault_at(fault::router_kill, -1, 3 * s + 1, 4 * s);
    CHECK(r.good());
  }
  SECTION("the sender's session ended before") {
    r.end(5 * s, 0, ending::disconnect);
    r.connect(5 * s + 1, 3, 0, 0);
    for (record& x : r.h) // the exchange at rest is its next session's
      if (x.at >= 60 * s) {
        if (x.what == seen::receive) x.other = 3;
        else x.session = 3;
        x.count = 0;
      }
    r.h.erase(std::remove_if(r.h.begin(), r.h.end(), [](const record& x) { return x.at == 7 * s; }),
              r.h.end());
    CHECK(r.good());
  }
}

TEST_CASE(
    "P2: a second session receives a message, and the first ends only later, or the sender had its answer") {
  told_run r;
  r.fault_at(fault::router_kill, -1, 3 * s + 1, 4 * s);
  r.publish(2 * s, 0, 1, 0);
  r.receive(3 * s, 1, 0, 0);
  r.connect(5 * s, 2, 1, 1);
  r.receive(6 * s, 2, 0, 0);
  SECTION("the first ends later") {
    r.answer(7 * s, 0, 0);
    r.end(30 * s, 1, ending::disconnect);
  }
  SECTION("the sender leaves with its answer") {
    r.facts.faults.clear(), r.facts.faults_wanted = 0;
    r.end(4 * s, 1, ending::disconnect);
    r.answer(5 * s + 10, 0, 0);
    r.end(5 * s + 20, 0, ending::disconnect);
    r.connect(10 * s, 3, 0, 0);
  }
  CHECK(r.judged().counts.contains("P2"));
}

TEST_CASE("P3: the messages of a flow come in their order") {
  good_run r;
  r.publish(20 * s, 0, 1, 12);
  r.publish(20 * s, 0, 1, 13);
  r.receive(20 * s + 1, 1, 0, 13);
  r.receive(20 * s + 2, 1, 0, 12);
  r.answer(20 * s + 3, 0, 12);
  r.answer(20 * s + 3, 0, 13);
  CHECK(r.breaks("P3"));
}

TEST_CASE("P4: who is taken over has a rival, and nobody has two sessions at rest") {
  good_run r;
  SECTION("closed for nobody") {
    r.connect(12 * s, 2, 2, 0);
    r.end(13 * s, 2, ending::server_disconnect, 0x8e);
    CHECK(r.breaks("P4"));
    r.connect(13 * s - 1, 3, 2, 0);
    r.end(14 * s, 3, ending::disconnect);
    CHECK(r.good());
  }
  SECTION("the one that connected later is closed for the one that connected earlier") {
    r.connect(12 * s, 2, 2, 0);
    r.connect(15 * s, 3, 2, 0);
    r.end(16 * s, 3, ending::server_disconnect, 0x8e);
    r.end(17 * s, 2, ending::disconnect);
    CHECK(r.breaks("P4"));
  }
  SECTION("an edge lists a client twice") {
    r.facts.rest.edges[0].clients = {"a", "a"};
    r.facts.rest.edges[0].clients_at_router = 2;
    const findings f = r.judged();
    CHECK(f.counts.contains("P4"));
  }
}

TEST_CASE("P5: presence is exact at rest, both ways") {
  good_run r;
  SECTION("a ghost at the router") { r.facts.rest.presence["away"] = {0, false}; }
  SECTION("somebody the router does not know") { r.facts.rest.presence.erase("a"); }
  SECTION("somebody at the wrong edge") { r.facts.rest.presence["a"].edge = 1; }
  SECTION("somebody who lingers") { r.facts.rest.presence["a"].lingering = true; }
  SECTION("a link that is not up again") { r.facts.rest.edges[1].links_in_sync = 1; }
  SECTION("an edge that counts others than the router") { r.facts.rest.edges[1].clients_at_router = 5; }
  SECTION("an edge that is not ready") { r.facts.rest.edges[1].ready = false; }
  SECTION("no rest at all") { r.facts.rest.reached = false; }
  CHECK(r.breaks("P5"));
}

TEST_CASE("P5: 'nobody' is false when the recipient was there all the time") {
  good_run r;
  r.publish(20 * s, 0, 1, 12);
  r.answer(20 * s + 1, 0, 12, 0x10);
  CHECK(r.breaks("P5"));
  SECTION("linger and warm-up have to bridge a short fault") {
    r.fault_at(fault::link_reset, 1, 19 * s, 19 * s);
    CHECK(r.breaks("P5"));
  }
  SECTION("and another one that is long over") {
    r.fault_at(fault::link_reset, 1, 14 * s, 14 * s);
    r.fault_at(fault::link_reset, 1, 19 * s, 19 * s);
    CHECK(r.breaks("P5"));
  }
  SECTION("not two in a row") {
    r.fault_at(fault::link_reset, 1, 17 * s, 17 * s);
    r.fault_at(fault::link_reset, 1, 19 * s, 19 * s);
    CHECK(r.good());
  }
  SECTION("not a long one") {
    r.fault_at(fault::edge_pause, 1, 15 * s, 19 * s);
    CHECK(r.good());
  }
}

TEST_CASE("P5: 'nobody' is false, though the recipient's client ends the session soon after it") {
  told_run r;
  r.publish(20 * s, 0, 1, 0);
  r.answer(20 * s + 1, 0, 0, 0x10);
  r.end(21 * s, 1, ending::disconnect);
  r.connect(22 * s, 2, 1, 1);
  r.publish(61 * s, 0, 1, 1, flag_qos1 | flag_last);
  r.receive(61 * s + 1, 2, 0, 1, flag_qos1 | flag_last);
  r.answer(61 * s + 2, 0, 1);
  CHECK(r.breaks("P5"));
}

TEST_CASE("P5: at rest everyone reaches everyone") {
  good_run r;
  for (record& x : r.h)
    if (x.what == seen::answer && x.count == 100) x.code = 0x97;
  std::erase_if(r.h, [](const record& x) { return x.what == seen::receive && x.count == 100; });
  CHECK(r.breaks("P5"));
}

TEST_CASE("P6: processes live, keep nothing, and do not grow") {
  good_run r;
  SECTION("a crash") { r.facts.ends.push_back({"e2", 5 * s, false, 139, 0}); }
  SECTION("a bad end, as with a sanitizer's report") { r.facts.ends.push_back({"e2", 5 * s, true, 66, 0}); }
  SECTION("messages kept") { r.facts.rest.edges[0].unanswered = 1; }
  SECTION("safety resends without a fault") { r.facts.rest.edges[0].safety_resends = 1; }
  SECTION("memory") { r.facts.rest.edges[0].rss_bytes = 1ull << 30; }
  CHECK(r.breaks("P6"));
}

TEST_CASE("isolation: messages come whole, to whom they are for, from whom they are") {
  for (const unsigned flag : {flag_not_for_me, flag_wrong_sender, flag_damaged}) {
    good_run r;
    r.publish(20 * s, 0, 1, 12, 0);
    r.receive(20 * s + 1, 1, 0, 12, flag);
    CHECK(r.breaks("isolation"));
  }
}

TEST_CASE("sessions end only for a reason") {
  good_run r;
  r.connect(12 * s, 2, 2, 0);
  SECTION("closed by the edge") { r.end(13 * s, 2, ending::server_closed); }
  SECTION("keep-alive") { r.end(13 * s, 2, ending::server_disconnect, 0x8d); }
  SECTION("refused") { r.end(13 * s, 2, ending::refused, 0x88); }
  SECTION("no connection") { r.end(13 * s, 2, ending::not_connected); }
  CHECK(r.breaks("sessions"));
  r.fault_at(fault::edge_kill, 0, 12 * s + 1, 13 * s);
  CHECK(r.good());
}

TEST_CASE("a lost link or router is no reason for the end of a session") {
  good_run r;
  r.connect(12 * s, 2, 2, 0);
  r.end(13 * s, 2, ending::server_closed);
  r.fault_at(fault::router_kill, -1, 12 * s + 1, 13 * s);
  r.fault_at(fault::link_reset, 0, 12 * s + 1, 13 * s);
  CHECK(r.breaks("sessions"));
}

TEST_CASE("a run is void when a fault did not happen or the load was too small") {
  good_run r;
  findings none;
  SECTION("a fault without an effect") {
    r.fault_at(fault::link_flip, 0, 5 * s, 5 * s);
    r.facts.faults.back().hits = 0;
  }
  SECTION("a fault that was not begun") { r.facts.faults_wanted = 4; }
  SECTION("less than 60 % of the rate") { r.facts.rate = 2; }
  const run_view v(r.facts, r.h, none);
  CHECK(why_void(v));
  findings wrong; // it says nothing, neither good nor bad
  (void)judge_scenario(v, wrong);
  CHECK_FALSE(wrong.any());
}

TEST_CASE("an outage is the longest gap in deliveries that the fault reaches into") {
  told_run r;
  constexpr std::int64_t step = s / 10, late = 6 * s + 500;
  for (std::uint32_t k = 0; k < 90; ++k) { // what is due from 5 s to 6 s comes after 6 s
    const std::int64_t at = 1 * s + k * step;
    r.publish(at, 0, 1, k);
    r.receive(at >= 5 * s && at < 6 * s ? late + k : at + 1000, 1, 0, k);
  }
  std::stable_sort(r.h.begin(), r.h.end(), [](const record& x, const record& y) { return x.at < y.at; });
  findings none;
  SECTION("of the streams that it concerns") {
    r.fault_at(fault::link_stall, 1, 5 * s, 5 * s + s / 2);
    const outages o = measure(run_view(r.facts, r.h, none));
    REQUIRE(o.faults.size() == 1);
    CHECK(o.faults[0].streams == 1);
    CHECK(o.faults[0].gap == late + 40 - (4 * s + 9 * step + 1000));
    CHECK(o.faults[0].back == late + 40 - (5 * s + s / 2));
    CHECK_FALSE(o.faults[0].overlapped);
  }
  SECTION("and of the clients that were there") {
    r.fault_at(fault::edge_kill, 1, 5 * s, 5 * s + s / 2);
    const outages o = measure(run_view(r.facts, r.h, none));
    CHECK(o.faults[0].streams == 0);
    CHECK(o.faults[0].clients == 1);
    CHECK(o.faults[0].client_gap_max == late + 40 - (4 * s + 9 * step + 1000));
  }
  SECTION("until another fault begins") {
    r.fault_at(fault::link_cut, 0, 3 * s, 3 * s);
    r.fault_at(fault::link_stall, 1, 5 * s, 5 * s + s / 2);
    const outages o = measure(run_view(r.facts, r.h, none));
    CHECK(o.faults[0].gap == step);
    CHECK_FALSE(o.faults[0].overlapped);
  }
}

TEST_CASE("each lie about a good run is noticed") {
  for (const lie& l : lies) {
    CAPTURE(l.name);
    good_run r;
    r.publish(20 * s, 0, 1, 20); // two on their way at once
    r.publish(20 * s, 0, 1, 21);
    for (const std::uint32_t k : {20u, 21u}) {
      r.receive(20 * s + 1 + k, 1, 0, k);
      r.answer(20 * s + 30 + k, 0, k);
    }
    REQUIRE(r.good());
    REQUIRE(falsify(l.name, r.facts, r.h));
    CHECK(r.judged().counts.contains(std::string(l.promise)));
  }
}

TEST_CASE("a client that does not read may be closed after 30 s, and not before; it sees its answers late") {
  good_run r;
  r.facts.load_end = 100 * s, r.facts.final_begin = 110 * s, r.facts.run_end = 160 * s;
  std::erase_if(r.h, [](const record& x) { return x.flags & flag_last || x.at > 60 * s; });
  r.publish(150 * s, 0, 1, 100, flag_qos1 | flag_last);
  r.receive(150 * s + 1, 1, 0, 100, flag_qos1 | flag_last);
  r.answer(150 * s + 2, 0, 100);
  r.fault_at(fault::client_deaf, 1, 12 * s, 72 * s);
  r.facts.faults[0].client = 1;
  r.publish(12 * s - 1, 1, 0, 0); // b's own
  r.receive(12 * s + 10, 0, 1, 0);
  r.answer(72 * s, 1, 0);
  r.publish(45 * s, 0, 1, 20);
  r.answer(45 * s + 5, 0, 20, 0x10);
  REQUIRE(r.good());
  SECTION("nobody, before its time is over") {
    r.publish(30 * s, 0, 1, 21);
    r.answer(30 * s + 5, 0, 21, 0x10);
    CHECK(r.breaks("P5"));
  }
  SECTION("another one, that is not deaf") {
    r.facts.faults[0].client = 0;
    const findings f = r.judged();
    CHECK(f.counts.contains("P1"));
    CHECK(f.counts.contains("P5"));
  }
}

TEST_CASE("history and facts come back from their files as they were") {
  good_run r;
  r.fault_at(fault::net_down, 1, 5 * s, 6 * s);
  const std::string base = "/tmp/beeline-chaos-test-" + std::to_string(::getpid());
  history_writer out(base + ".bin");
  for (const record& x : r.h) out.add(x);
  out.close();
  write_facts(base + ".json", r.facts);
  const history_file file(base + ".bin");
  CHECK(history(file.records().begin(), file.records().end()) == r.h);
  const run_facts f = read_facts(base + ".json");
  CHECK(f.faults.at(0).kind == fault::net_down);
  CHECK(f.rest.presence == r.facts.rest.presence);
  std::remove((base + ".bin").c_str());
  std::remove((base + ".json").c_str());
}
