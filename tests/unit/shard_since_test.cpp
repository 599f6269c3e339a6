// Since when a session counts as the owner, what a warm-up waits for, and what a pause of the shard,
// a linger or a drifting clock may not change.
#include "tests/support/link_shard_tools.hpp"

#include <catch2/catch.hpp>

using namespace beeline;
using namespace beeline::test;
using namespace std::chrono_literals;

namespace {

const handle h1{1, 1}, h2{2, 1};

struct lanes_in_time : two_lanes {
  using two_lanes::two_lanes;
  // The whole process stood still.
  void pause(duration d) {
    bench.now += d;
    bench.shard.begin_turn(bench.now);
    bench.shard.on_time(bench.now);
    bench.shard.end_turn(bench.now);
    bench.turn_ends();
  }
  duration warms_up() { // how long it still takes
    const time_point start = bench.now;
    while (bench.shard.warming_up() && bench.now - start < 60s) bench.wait(100ms);
    return bench.now - start;
  }
  std::uint64_t incomplete() const { return bench.shard.counters.warm_ups_incomplete.get(); }
  std::vector<wire::member> both() const {
    std::vector<wire::member> all;
    for (const scripted_lane* l : {&e1, &e2})
      all.push_back({0, 1, l->who.id, l->who.number, l->who.edge_name});
    return all;
  }
};

} // namespace

TEST_CASE("shard_since: a session that is back within linger keeps its since") {
  lanes_in_time t(shard_bench::in_service());
  t.join();
  t.e2.registers(h2, "ann");
  const std::uint64_t since = t.e2.since_of(h2);
  t.e2.drops();
  t.bench.wait(1s);
  t.e2.connects();
  t.e2.registers(h2, "ann", t.bench.now - 1s, since);
  CHECK(t.e2.since_of(h2) == since);
}

TEST_CASE("shard_since: a session that is back after linger is a new owner: another may have been it") {
  lanes_in_time t(shard_bench::in_service());
  t.join();
  t.e2.registers(h2, "ann");
  const std::uint64_t since = t.e2.since_of(h2);
  t.e2.drops();
  t.bench.wait(limits::linger + 2s);
  CHECK_FALSE(t.online("ann"));
  t.e1.registers(h1, "ann");
  t.e1.unregisters(h1, "ann");
  const std::uint64_t other_until = to_us(t.bench.now);
  t.bench.wait(1s);
  t.e2.connects();
  t.e2.registers(h2, "ann", t.bench.now - 10s, since);
  CHECK(t.e2.since_of(h2) > other_until);
}

TEST_CASE("shard_since: a second claimant is not believed that it was the owner, in a warm-up it is") {
  lanes_in_time t(shard_bench::in_service());
  t.join();
  t.e1.registers(h1, "ann");
  t.bench.wait(100ms);
  t.e2.registers(h2, "ann", t.bench.now, 10); // has it from some earlier time
  CHECK(t.e2.since_of(h2) == to_us(t.bench.now));
  t.bench.wait(100ms);
  t.e1.registers({3, 1}, "ann", t.bench.now, 10); // a third while the id is contested
  CHECK(t.e1.since_of({3, 1}) == to_us(t.bench.now));
  lanes_in_time w(shard_bench::warming());
  w.join();
  w.e1.registers(h1, "ann", w.bench.now, 10);
  CHECK(w.e1.since_of(h1) == 10);
}

TEST_CASE(
    "shard_since: after an incomplete start no since lies before it, that of a lingering lane neither") {
  lanes_in_time t(shard_bench::warming());
  t.join();
  t.e1.registers(h1, "bob", t.bench.now - 10s, 10);
  t.e2.registers(h2, "ann", t.bench.now - 10s, 10);
  CHECK(t.e2.since_of(h2) == 10);
  t.bench.wait(limits::warm_up - 500ms);
  t.e2.drops();
  CHECK(t.warms_up() <= 1s);
  REQUIRE(t.incomplete() == 1);
  const std::uint64_t start = to_us(t.bench.now);
  t.bench.wait(200ms);
  t.e2.connects(); // in time, and has not heard of the start
  t.e2.registers(h2, "ann", t.bench.now - 20s, 10);
  CHECK(t.e2.since_of(h2) >= start);
  t.e1.registers(h1, "bob", t.bench.now - 20s, 10);
  CHECK(t.e1.since_of(h1) >= start);
}

TEST_CASE("shard_since: a shard that was paused in its warm-up goes on warming up") {
  lanes_in_time t(shard_bench::warming());
  t.bench.wait(500ms);
  t.e1.connects();
  t.pause(100s); // longer than any warm-up may last
  CHECK(t.bench.shard.warming_up());
  CHECK(t.bench.shard.counters.links.get() == 0);
  t.bench.wait(limits::warm_up - 300ms); // lanes have all the time to come back
  CHECK(t.bench.shard.warming_up());
  CHECK(t.warms_up() <= 1s);
}

TEST_CASE("shard_since: a lane that lingered when the shard was paused has the rest of its time left") {
  lanes_in_time t(shard_bench::in_service());
  t.join();
  t.e2.registers(h2, "ann");
  t.e2.drops();
  t.bench.wait(limits::linger / 2);
  t.pause(100s);
  CHECK(t.online("ann"));
  t.bench.wait(limits::linger / 2 - 300ms);
  CHECK(t.online("ann"));
  t.bench.wait(1s);
  CHECK_FALSE(t.online("ann"));
}

TEST_CASE("shard_since: a lane whose linger ends during the warm-up is still waited for") {
  lanes_in_time t(shard_bench::warming());
  t.e2.connects();
  t.e2.remembers(t.both());
  t.e2.drops();
  t.e1.connects();
  t.e1.remembers(t.both());
  t.e1.is_in_sync();
  t.bench.wait(limits::warm_up - 300ms); // far beyond linger
  CHECK(t.bench.shard.counters.linger_expired.get() == 1);
  CHECK(t.bench.shard.warming_up());
  CHECK(t.warms_up() <= 1s);
  CHECK(t.incomplete() == 1);
}

TEST_CASE("shard_since: a lane that nobody named is waited for, too, when its linger ends in the warm-up") {
  lanes_in_time t(shard_bench::warming());
  t.e2.joins();
  t.e2.drops();
  t.e1.connects();
  t.e1.remembers({t.both().front()});
  t.e1.is_in_sync();
  t.bench.wait(limits::linger + 500ms);
  CHECK(t.bench.shard.warming_up());
  t.e2.joins(); // and is back
  CHECK_FALSE(t.bench.shard.warming_up());
  CHECK(t.incomplete() == 0);
}

TEST_CASE("shard_since: a lane that said good-bye in the warm-up is not waited for, whoever names it later") {
  lanes_in_time t(shard_bench::warming());
  t.e2.connects();
  t.e2.leaves();
  t.e1.connects();
  t.e1.remembers(t.both());
  t.e1.is_in_sync();
  CHECK_FALSE(t.bench.shard.warming_up());
  CHECK(t.incomplete() == 0);
}

TEST_CASE("shard_since: the age of a session is right on a lane whose clock drifts") {
  lanes_in_time t(shard_bench::in_service());
  t.join(); // the shake of hands took no time: no later sample is as good
  t.e2.beats = false;
  t.e2.clock_behind = 500ms; // as after days of drift
  for (int i = 0; i < 1000; ++i) {
    t.bench.wait(50ms);
    wire::heartbeat b;
    b.sent_at = to_us(t.bench.now - 2500us - t.e2.clock_behind); // 5 ms there and back
    b.echo = to_us(t.bench.now - 5ms);
    t.e2.says(make(b));
  }
  t.e1.registers(h1, "ann", t.bench.now);
  t.e1.hears();
  t.bench.wait(100ms);
  t.e2.registers(h2, "ann", t.bench.now);
  CHECK(t.e1.hears() == lines{"kick 1.1 for ann"}); // by the old offset e2's session would be the older one
}
