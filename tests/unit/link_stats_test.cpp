// What is counted of each link, and the list of links that any thread may walk.
#include "common/link/link_stats.hpp"
#include "tests/support/link_endpoint_tools.hpp"
#include "tests/support/outbox_origin.hpp"

#include <catch2/catch.hpp>
#include <thread>

using namespace beeline;
using namespace beeline::test;
using namespace std::chrono_literals;
using link::link_board;
using link::link_stats;

namespace {
std::vector<std::string> listed(const link_board& b) {
  std::vector<std::string> all;
  b.for_each([&](const link_stats& s) { all.push_back(s.address + " " + std::to_string(s.shard)); });
  return all;
}
} // namespace

TEST_CASE("link statistics: an address has one entry, also when it comes back; retired ones are not told") {
  link_board b;
  link_stats& first = b.entry("h:1", 0);
  b.entry("h:2", 1);
  CHECK(&b.entry("h:1", 0) == &first);
  CHECK(&b.entry("h:1", 2) != &first);
  CHECK(listed(b) == lines{"h:1 0", "h:2 1", "h:1 2"});
  first.retired.set(1);
  CHECK(listed(b) == lines{"h:2 1", "h:1 2"});
  b.entry("h:1", 0);
  CHECK(listed(b).front() == "h:1 0");
}

TEST_CASE("link statistics: the list is bounded, what is beyond counts together in its last entry") {
  link_board b;
  const auto address = [](std::size_t k) { return "h:" + std::to_string(k); };
  for (std::size_t k = 0; k < limits::link_addresses_max + 10; ++k) b.entry(address(k), 0);
  const lines all = listed(b);
  REQUIRE(all.size() == limits::link_addresses_max);
  CHECK(all[all.size() - 2] == address(limits::link_addresses_max - 2) + " 0");
  CHECK(all.back() == "all others 0");
  link_stats& others = b.entry(address(limits::link_addresses_max - 1), 0);
  CHECK(&b.entry("h:new", 3) == &others);
  CHECK(b.entry(address(7), 0).address == address(7)); // who has an entry keeps it
}

TEST_CASE("link statistics: a reader walks the list while it grows") {
  link_board b;
  std::atomic<bool> done{false};
  std::size_t seen = 0;
  bool whole = true;
  std::thread reader([&] {
    while (!done.load()) {
      std::size_t n = 0;
      b.for_each([&](const link_stats& s) { whole &= s.address == "h:" + std::to_string(n++); });
      whole &= n >= seen;
      seen = n;
    }
  });
  for (int k = 0; k < 500; ++k) b.entry("h:" + std::to_string(k), 0).frames_in.add();
  done = true;
  reader.join();
  CHECK(whole);
  CHECK(listed(b).size() == 500);
}

TEST_CASE("outbox: the time from submit to the final answer, whatever was answered before") {
  origin o;
  o.submit(1);
  o.wait(5ms);
  o.hears(1, answer::busy);
  o.wait(300ms);                       // sent again
  CHECK(o.sends() == lines{"1", "2"}); // no copy was left: a new number
  o.hears(2, answer::accepted);
  const auto s = o.box.publish_to_answer.snapshot();
  CHECK(s.count() == 1);
  CHECK(s.max_us == 305'000);
  o.submit(2);
  o.wait(2ms);
  o.hears(3, answer::nobody);
  CHECK(o.box.publish_to_answer.snapshot().count() == 2);
  CHECK(o.box.publish_to_answer.snapshot().sum_us == 307'000);
}

TEST_CASE("outbox: the time of a message whose sender has gone is nobody's") {
  origin o;
  o.submit(1);
  o.sends();
  o.box.sender_gone(ann, o.now);
  o.hears(1, answer::accepted);
  CHECK(o.box.publish_to_answer.snapshot().count() == 0);
}

TEST_CASE("outbox: most messages and bytes that waited for answers") {
  origin o;
  for (std::uint64_t k = 1; k <= 5; ++k) o.submit(k);
  const std::uint64_t bytes = o.box.counters.bytes.get();
  for (std::uint32_t k = 1; k <= 5; ++k) o.hears(k, answer::accepted);
  o.submit(6);
  CHECK(o.box.counters.messages.get() == 1);
  CHECK(o.box.counters.messages_high_water.get() == 5);
  CHECK(o.box.counters.bytes_high_water.get() == bytes);
}

TEST_CASE("outbox: first and further copies are counted at their link") {
  origin o({}, 2);
  link_stats a("h:1", 0), b("h:2", 1);
  o.box.count_in(0, a);
  o.box.count_in(1, b);
  o.submit(1);
  o.submit(2, "eve", ann, 0, 1);
  o.box.on_path_lost(0, o.now);
  CHECK(a.messages_out.get() == 1);
  CHECK(a.resends.get() == 1);
  CHECK(b.messages_out.get() == 1);
  CHECK(b.resends.get() == 0);
}

TEST_CASE("endpoint: its links with state, traffic, queue and round trip") {
  endpoint_bench bench;
  scripted_shard shard(bench, 1900);
  CHECK(listed(bench.lane.board).size() == 1);
  const link_stats* s = nullptr;
  bench.lane.board.for_each([&](const link_stats& x) { s = &x; });
  bench.wait(1ms);
  shard.welcomes();
  bench.wait(2s);
  CHECK(s->state.get() == static_cast<std::uint64_t>(link::link_state::up));
  CHECK(s->connects.get() == 1);
  CHECK(s->frames_in.get() == bench.lane.counters.frames_in.get());
  CHECK(s->bytes_in.get() > s->frames_in.get());
  CHECK(s->bytes_out.get() > 0);
  CHECK(s->writes.get() >= 2); // hello, auth, and what followed
  CHECK(s->writes.get() <= s->frames_out.get());
  CHECK(s->frames_out.get() == 2 + shard.hears(true).size()); // hello and auth; in-sync and heartbeats
  wire::heartbeat beat;
  beat.sent_at = 1;
  beat.echo = to_us(bench.now - 7ms);
  beat.held_us = 2'000;
  shard.says(make(beat));
  CHECK(s->round_trip_us.get() == 5'000);
  CHECK(bench.lane.link_round_trip.snapshot().count() == 1);
  CHECK(bench.lane.link_round_trip.snapshot().max_us == 5'000);

  const std::uint64_t before = s->frames_out.get();
  shard.reads = false; // what is sent stays in our queue
  const handle h = bench.attach("ann");
  for (std::uint64_t k = 1; k <= 20; ++k) bench.submits(h, k, "bob");
  bench.turn_ends();
  CHECK(s->messages_out.get() == 20);
  CHECK(s->frames_out.get() == before + 21);                  // they were queued, with a registration
  CHECK(bench.lane.outgoing.counters.bytes_sent.get() == 31); // "1" to "20"
  wire::message_parts m;
  m.hash = bench.lane.hash("bob"), m.destination = "bob", m.sender = "ann", m.payload = as_bytes("hello");
  std::uint16_t to = 0;
  drop_reason why{};
  CHECK(bench.lane.send_qos0(m, to, why) == link::endpoint<tiny_host>::sent::ok);
  CHECK(bench.lane.counters.bytes_out_qos0.get() == 5);
  CHECK(s->queue_bytes.get() > 20 * 64);
  CHECK(s->queue_high_water.get() == s->queue_bytes.get());
  CHECK(bench.lane.counters.queue_high_water.get() == s->queue_bytes.get());
  shard.closes();
  bench.turn_ends();
  CHECK(s->losses.get() == 1);
  CHECK(s->state.get() != static_cast<std::uint64_t>(link::link_state::up));
  CHECK(s->queue_bytes.get() == 0);
  CHECK(s->queue_high_water.get() > 20 * 64);
}
