// The rules of scenarios: for each a history that keeps it, and one that breaks it.
#include "tests/chaos/told_run.hpp"

using namespace beeline::chaos;

namespace {

struct told_scenario : good_run {
  explicit told_scenario(std::string name) {
    facts.scenario = std::move(name);
    facts.groups = {0, 0, 0};
    facts.rate = 0.1;
  }
  // What its rules find.
  std::uint64_t broken() {
    std::stable_sort(h.begin(), h.end(), [](const record& x, const record& y) { return x.at < y.at; });
    findings wrong;
    const run_view v(facts, h, wrong);
    (void)judge_scenario(v, wrong);
    for (const violation& x : wrong.shown) UNSCOPED_INFO(x.promise << ": " << x.text);
    return wrong.counts[facts.scenario];
  }
  double figure_of(const std::string& name) {
    findings wrong;
    const run_view v(facts, h, wrong);
    for (const figure& f : judge_scenario(v, wrong))
      if (f.name == name) return f.value;
    return -1;
  }
};

// a's edge e1 dies at 6 s and is gone at 8 s; b at e2 sends to a.
struct lost_edge : told_scenario {
  lost_edge() : told_scenario("f3_edge_kill") {
    facts.load_end = 30 * s;
    facts.moments = {{"dead", 6 * s}, {"gone", 8 * s}};
    fault_at(fault::edge_kill_long, 0, 6 * s, 29 * s);
    end(6 * s + 1, 0, ending::network_error);
    told(0, 6 * s - 10, 0x83, words::unknown);
    told(1, 9 * s, 0x10);
  }
  void told(std::uint32_t count, std::int64_t at, unsigned code, words text = words::none) {
    publish(at, 1, 0, count);
    answer(at + 2 * s, 1, count, code, text);
  }
};

} // namespace

TEST_CASE("F3: unknown for what was in flight, nobody for what came after") {
  lost_edge r;
  // The load that good_run has from a, after its end, is no part of this one.
  std::erase_if(r.h, [](const record& x) {
    return x.at > 6 * s && (x.session == 0 || x.other == 0) && x.what != seen::end && x.session != 1;
  });
  REQUIRE(r.broken() == 0);
  SECTION("unknown when the clients were gone") { r.told(2, 10 * s, 0x83, words::unknown); }
  SECTION("success from a dead edge") { r.told(2, 7 * s, 0); }
  SECTION("silence") { r.publish(10 * s, 1, 0, 2); }
  SECTION("a client of another edge is cut off") { r.end(12 * s, 1, ending::network_error); }
  SECTION("a fault that did not happen") { r.facts.faults[0].hits = 0; }
  SECTION("a figure out of bounds") { r.facts.figures = {{"gone after", 7'000, "ms", 0, 6'000}}; }
  SECTION("something that the script saw") { r.facts.broken = {"something"}; }
  CHECK(r.broken() > 0);
}

TEST_CASE("F9: the newest session is the one that stays") {
  told_scenario r("f9_takeovers");
  r.facts.load_end = 30 * s;
  r.facts.ids = {"a", "b"};
  r.facts.groups = {0, 0};
  const auto moves = [&](std::int64_t at, bool newest_stays) {
    r.connect(at, 2, 0, 1);
    r.end(at + 10, newest_stays ? 0 : 2, ending::server_disconnect, 0x8e);
  };
  SECTION("kept") {
    moves(5 * s, true);
    CHECK(r.figure_of("ids without exactly one live session after it") == 0);
    CHECK(r.figure_of("sessions closed for another (0x8E)") == 1);
  }
  SECTION("crossed connects may end either way") {
    r.add(5 * s, 2, seen::connect, 0, 0, 1, flag_v5);
    r.add(5 * s + 1, 3, seen::connect, 0, 0, 0, flag_v5);
    r.add(5 * s + 5, 2, seen::connack);
    r.add(5 * s + 6, 3, seen::connack);
    r.end(5 * s + 9, 0, ending::server_disconnect, 0x8e);
    r.end(5 * s + 9, 3, ending::server_disconnect, 0x8e);
    CHECK(r.broken() == 0);
    CHECK(r.figure_of("connects that crossed another of the id") == 1);
  }
  SECTION("the older one survives") {
    moves(5 * s, false);
    CHECK(r.broken() > 0);
  }
  SECTION("both live") {
    r.connect(5 * s, 2, 0, 1);
    CHECK(r.broken() > 0);
  }
}

TEST_CASE("F11: only who is told to go goes, and nothing that was acknowledged is lost") {
  told_scenario r("f11_rolling_restart");
  r.facts.load_end = 30 * s;
  r.fault_at(fault::edge_term, 0, 15 * s, 16 * s);
  r.end(15 * s + 100, 0, ending::server_disconnect, 0x9c);
  REQUIRE(r.broken() == 0);
  SECTION("at another edge") { r.end(15 * s, 1, ending::server_disconnect, 0x9c); }
  SECTION("without a word") {
    r.connect(15 * s + 200, 2, 0, 0);
    r.end(15 * s + 300, 2, ending::server_closed);
  }
  SECTION("acknowledged and not received") {
    r.publish(14 * s, 1, 0, 0);
    r.answer(14 * s + 1, 1, 0);
  }
  SECTION("received twice") { r.receive(11 * s, 1, 0, 3); }
  CHECK(r.broken() > 0);
}

TEST_CASE("F13: the others notice little, the senders are told, all goes on") {
  told_scenario r("f13_slow_client");
  r.facts.ids = {"a", "b", "slow", "feeder"};
  r.facts.groups = {0, 0, 1, 2};
  r.facts.full = true;
  r.facts.load_end = 40 * s;
  r.facts.moments = {{"fault", 12 * s}, {"over", 24 * s}};
  r.connect(0, 2, 2, 0);
  r.connect(0, 3, 3, 1);
  for (std::uint32_t k = 10; k < 22; ++k) r.exchange(k, (k + 2) * s);
  r.publish(13 * s, 3, 2, 0);
  r.answer(13 * s + 5, 3, 0, 0x97);
  r.publish(25 * s, 3, 2, 1);
  r.receive(25 * s + 3, 2, 3, 1);
  r.answer(25 * s + 5, 3, 1);
  SECTION("kept") { CHECK(r.broken() == 0); }
  SECTION("under less than the load of its full size") {
    const double sent = r.figure_of("load: messages sent");
    r.facts.rate = sent / 0.71;
    CHECK(r.broken() == 0);
    r.facts.rate = sent / 0.69;
    CHECK(r.broken() > 0);
    r.facts.full = false;
    CHECK(r.broken() == 0);
    r.facts.rate = sent / 0.24;
    CHECK(r.broken() > 0);
    r.facts.sanitized = true;
    CHECK(r.broken() == 0);
  }
  SECTION("slower than twice the time before") {
    r.publish(20 * s + 5, 0, 1, 30);
    r.receive(21 * s, 1, 0, 30);
    r.answer(21 * s, 0, 30);
    CHECK(r.broken() > 0);
    CHECK(r.figure_of("others: p99 during it, by that before") > 2);
  }
  SECTION("a sender hears nothing") {
    r.publish(14 * s, 3, 2, 2);
    CHECK(r.broken() > 0);
  }
  SECTION("no sender is told that it was not taken") {
    std::erase_if(r.h, [](const record& x) { return x.code == 0x97; });
    r.answer(26 * s, 3, 0);
    CHECK(r.broken() > 0);
    r.facts.scenario = "f13_black_hole";
    CHECK(r.broken() > 0);
    r.facts.full = false; // over before anybody can know
    CHECK(r.broken() == 0);
  }
  SECTION("it gets nothing any more") {
    std::erase_if(r.h, [](const record& x) { return x.session == 2 && x.what == seen::receive; });
    CHECK(r.broken() > 0);
  }
}

TEST_CASE("F15: a jump of the wall clock changes nothing") {
  told_scenario r("f15_wall_clock");
  // On its way to a client that leaves as the load ends.
  r.publish(11 * s - 1, 0, 1, 19);
  r.answer(11 * s + 1, 0, 19, 0x10);
  REQUIRE(r.broken() == 0);
  SECTION("a session ends") { r.end(9 * s, 0, ending::server_closed); }
  SECTION("a message is refused") {
    r.publish(9 * s + 500, 0, 1, 20);
    r.answer(9 * s + 600, 0, 20, 0x83, words::expired);
  }
  SECTION("a message is lost") { r.publish(9 * s + 500, 0, 1, 20, 0); }
  CHECK(r.broken() > 0);
}
