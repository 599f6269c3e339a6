// A lane's end of the link protocol against shards played by the test: registrations and messages (links:
// endpoint_link_test).
#include "tests/support/link_endpoint_tools.hpp"

#include <algorithm>
#include <catch2/catch.hpp>

using namespace beeline;
using namespace beeline::test;
using namespace std::chrono_literals;
using wire::frame_type;

using linked = linked_endpoint;

TEST_CASE("endpoint: clients that were there before the link are registered in batches, then it is in sync") {
  endpoint_bench bench;
  for (int i = 0; i < 5000; ++i) bench.attach("client-" + std::to_string(i));
  scripted_shard shard(bench, 1900);
  bench.wait(1s);
  shard.welcomes();
  std::size_t registered = 0, batches = 0;
  bool in_sync = false;
  for (heard_frame& f : shard.frames) {
    if (f.type() == frame_type::register_clients) {
      CHECK_FALSE(in_sync);
      ++batches;
      registered += words(f).size();
    }
    if (f.type() == frame_type::in_sync) in_sync = true;
  }
  CHECK(registered == 5000);
  CHECK(batches > 1);
  CHECK(batches < 10);
  CHECK(in_sync);
  shard.registers_all();
  CHECK(bench.told().size() == 5001); // and "ready"
}

TEST_CASE("endpoint: a client is registered, found, and unregistered with its generation") {
  linked t;
  const handle ann = t.bench.attach("ann");
  CHECK(t.shard.hears() == lines{"register 0.1 ann"});
  t.shard.says(make_batch<wire::registered_client>(frame_type::registered, {{ann, 123}}));
  CHECK(t.bench.told() == lines{"registered 0.1"});
  CHECK(t.bench.lane.find(ann)->since == 123);
  t.bench.detach(ann);
  CHECK(t.shard.hears() == lines{"unregister 0.1"});
  CHECK(t.bench.lane.find(ann) == nullptr);
  const handle next = t.bench.attach("bob");
  CHECK(next == handle{0, 2});
  t.shard.says(make_batch<wire::registered_client>(frame_type::registered, {{ann, 1}})); // late
  CHECK(t.bench.told().empty());
}

TEST_CASE(
    "endpoint: a client that comes and goes within a turn is never unregistered before it is registered") {
  linked t;
  std::vector<handle> many;
  for (int i = 0; i < 5000; ++i) many.push_back(t.bench.attach("c" + std::to_string(i)));
  t.shard.registers_all();
  t.bench.lane.begin_turn(t.bench.now);
  const handle brief = t.bench.lane.attach("brief", t.bench.now);
  t.bench.lane.detach(brief, t.bench.now);
  for (handle h : many) t.bench.lane.detach(h, t.bench.now); // more than one frame holds
  t.bench.turn_ends();
  const lines heard = t.shard.hears();
  const auto in = std::find(heard.begin(), heard.end(), "register " + text_of_handle(brief) + " brief");
  const auto out = std::find(heard.begin(), heard.end(), "unregister " + text_of_handle(brief));
  REQUIRE(in != heard.end());
  REQUIRE(out != heard.end());
  CHECK(in < out);
}

TEST_CASE("endpoint: a kick with the session's id closes it, with another id it is answered with its own") {
  linked t;
  const handle ann = t.client("ann");
  const id_hash h = hash_of("ann");
  t.shard.says(make_batch<wire::kick>(frame_type::kick, {{h, ann, 1, "ann"}}));
  CHECK(t.shard.hears() == lines{"identity 0.1 is ann"});
  t.shard.says(make_batch<wire::kick>(frame_type::kick, {{h, ann, 0, "twin"}}));
  CHECK(t.shard.hears() == lines{"identity 0.1 is not, but ann"});
  CHECK(t.bench.told().empty());
  t.shard.says(make_batch<wire::kick>(frame_type::kick, {{h, ann, 0, "ann"}}));
  CHECK(t.bench.told() == lines{"kicked 0.1 taken_over"});
  CHECK(t.shard.hears() == lines{"unregister 0.1"});
  t.shard.says(make_batch<wire::kick>(frame_type::kick, {{h, ann, 0, "ann"}})); // crossed
  CHECK(t.bench.told().empty());
  CHECK(t.shard.hears() == lines{"unregister 0.1"});
}

TEST_CASE(
    "endpoint: a kick may refuse the session's id, and says for which limit; another id it does not end") {
  linked t;
  const handle ann = t.client("ann"), bob = t.client("bob");
  t.shard.says(make_batch<wire::kick>(frame_type::kick, {{hash_of("ann"), ann, wire::kick::full, "twin"}}));
  CHECK(t.shard.hears() == lines{"identity 0.1 is not, but ann"});
  CHECK(t.bench.told().empty());
  t.shard.says(make_batch<wire::kick>(frame_type::kick, {{hash_of("ann"), ann, wire::kick::full, "ann"},
                                                         {hash_of("bob"), bob, wire::kick::busy, "bob"}}));
  CHECK(t.bench.told() == lines{"kicked 0.1 registration_refused", "kicked 1.1 registration_busy"});
  CHECK(t.shard.hears() == lines{"unregister 0.1", "unregister 1.1"});
  CHECK(t.bench.lane.counters.refused.get() == 2);
  CHECK(t.bench.lane.counters.takeovers.get() == 0);
}

TEST_CASE("endpoint: a message is delivered once, a copy of it is answered as before") {
  linked t;
  const handle bob = t.client("bob");
  t.other_lane();
  t.forwards({}, bob, 5);
  CHECK(t.bench.told() == lines{"deliver 0.1: hi"});
  CHECK(t.shard.hears() == lines{"answer 1 accepted about 5"});
  test_message copy;
  copy.flags = wire::flag_again;
  t.forwards(copy, bob, 5);
  CHECK(t.bench.told().empty());
  CHECK(t.shard.hears() == lines{"answer 1 accepted about 5"});
}

TEST_CASE("endpoint: what the session says is the answer, and a copy gets the same one") {
  const answer said = GENERATE(answer::full, answer::refused);
  const lines told{"answer 1 " + std::string(name_of(said)) + " about 5"};
  linked t;
  const handle bob = t.client("bob");
  t.other_lane();
  t.bench.host.takes = said;
  t.forwards({}, bob, 5);
  CHECK(t.shard.hears() == told);
  t.bench.host.takes = answer::accepted;
  t.bench.told();
  t.forwards({}, bob, 5); // a copy that comes late must not overtake what was accepted meanwhile
  CHECK(t.shard.hears() == told);
  CHECK(t.bench.told().empty());
  test_message next;
  next.number = 2, next.prev = 1;
  t.forwards(next, bob, 5);
  CHECK(t.shard.hears() == lines{"answer 2 accepted about 5"});
}

TEST_CASE("endpoint: a stale handle is not here, another id is nobody; QoS 0 is dropped and counted") {
  linked t;
  const handle bob = t.client("bob");
  t.other_lane();
  t.forwards({}, {bob.index, 7}, 5);
  CHECK(t.shard.hears() == lines{"answer 1 not_here about 5"});
  test_message m;
  m.to = "carol";
  t.forwards(m, bob, 5); // the shard knew only one id with that hash, and it is not carol's
  CHECK(t.shard.hears() == lines{"answer 1 nobody about 5"});
  m.qos1 = false;
  t.forwards(m, bob, 5);
  CHECK(t.shard.hears().empty());
  CHECK(t.bench.lane.counters.drops[static_cast<std::size_t>(drop_reason::not_here)].get() == 1);
  CHECK(t.bench.told().empty());
  m.to = "bob";
  t.forwards(m, bob, 5);
  CHECK(t.bench.told() == lines{"deliver 0.1: hi"});
}

TEST_CASE(
    "endpoint: a message whose body was damaged on its way resets the link, it is not delivered (CAT-59)") {
  linked t;
  const handle bob = t.client("bob");
  t.other_lane();
  byte_vector b = make(test_message{});
  wire::message_view(b).route(bob, 5);
  b.back() ^= std::byte{1};
  t.shard.says(b);
  CHECK(t.bench.told() == lines{"not ready"});
  CHECK(t.shard.closed == close_reason::link_bad_frame);
  CHECK(t.shard.hears().back() == "error: message body damaged");
}

TEST_CASE("endpoint: a message from a lane that was never announced resets the link (CAT-32)") {
  linked t;
  const handle bob = t.client("bob");
  t.forwards({}, bob, 9);
  CHECK(t.shard.closed == close_reason::link_bad_frame);
}

TEST_CASE("endpoint: a lane that left is still known to frames that were overtaken, for a while") {
  linked t;
  const handle bob = t.client("bob");
  t.other_lane();
  t.shard.says_members({{5, 0, lane_id{55}, 0, "edge-2"}});
  t.forwards({}, bob, 5);
  CHECK(t.shard.hears() == lines{"answer 1 accepted about 5"});
  t.bench.wait(limits::index_quarantine);
  CHECK(t.shard.c != nullptr);
  CHECK(t.bench.lane.incoming.counters.origins.get() == 2); // itself, and the record that is remembered
  t.shard.hears();
  t.bench.told();
  test_message late;
  late.number = 2;
  t.forwards(late, bob, 5); // it waited in a long queue: its lane's link is gone, it is not wanted any more
  CHECK(t.shard.c != nullptr);
  CHECK(t.shard.hears().empty());
  CHECK(t.bench.told().empty());
  CHECK(t.bench.lane.incoming.counters.late_copies.get() == 1);
  t.other_lane(5, 56); // the index names another one now
  t.forwards(late, bob, 5);
  CHECK(t.shard.hears() == lines{"answer 2 accepted about 5"});
}

TEST_CASE("endpoint: its own messages go out, and their answers come back to the host") {
  linked t;
  const handle ann = t.client("ann");
  t.bench.submits(ann, 100, "bob");
  t.bench.submits(ann, 101, "bob");
  CHECK(t.shard.hears() == lines{"message 1 to 0.0 from 0: 100", "message 2 to 0.0 from 0: 101"});
  t.shard.says(make_batch<wire::answer_record>(
      frame_type::answers, {{1, no_member, answer::accepted, 0}, {2, no_member, answer::nobody, 0}}));
  CHECK(t.bench.told() == lines{"outcome 100 accepted", "outcome 101 nobody"});
  t.bench.submits(ann, 102, "bob");
  t.shard.hears();
  t.shard.says(make_event(frame_type::path_lost, 5));
  CHECK(t.shard.hears() == lines{"message 3 to 0.0 from 0: 102"});
}

TEST_CASE("endpoint: where a host finds no memory for one outcome, the others are told all the same") {
  linked t;
  const handle ann = t.client("ann");
  t.shard.closes();
  t.bench.told();
  t.bench.host.no_memory_for = 101;
  wire::message_parts m;
  m.hash = t.bench.lane.hash("bob"), m.destination = "bob", m.sender = "ann", m.ttl_ms = 10;
  for (const std::uint64_t token : {100u, 101u, 102u, 103u}) {
    t.bench.lane.send_qos1(ann, token, m, t.bench.now);
    t.bench.now += 1ms;
  }
  t.bench.now += 20ms;
  CHECK_THROWS_AS(t.bench.lane.on_time(t.bench.now), std::bad_alloc);
  CHECK(t.bench.told() == lines{"outcome 100 expired"});
  t.bench.turn_ends();
  CHECK(t.bench.told() == lines{"outcome 102 expired", "outcome 103 expired"});
  CHECK(t.bench.lane.outgoing.idle());
}

TEST_CASE("endpoint: in-service gives the clients that registered while warming up their time") {
  linked t;
  const handle ann = t.bench.attach("ann"), bob = t.bench.attach("bob");
  t.shard.says(
      make_batch<wire::registered_client>(frame_type::registered, {{ann, wire::since_warm_up}, {bob, 50}}));
  t.shard.says(make(wire::in_service{700, 1}));
  CHECK(t.bench.lane.find(ann)->since == 700);
  CHECK(t.bench.lane.find(bob)->since == 50);
  t.shard.says(make(wire::in_service{900, 0})); // incomplete: all count as new
  CHECK(t.bench.lane.find(ann)->since == 900);
  CHECK(t.bench.lane.find(bob)->since == 900);
}

TEST_CASE("endpoint: QoS 0 goes out while the link is up, else it is dropped and counted") {
  linked t;
  wire::message_parts m;
  m.hash = hash_of("bob");
  m.destination = "bob", m.sender = "ann";
  std::uint16_t link = 0;
  drop_reason why{};
  using sent = link::endpoint<tiny_host>::sent;
  CHECK(t.bench.lane.send_qos0(m, link, why) == sent::ok);
  t.bench.turn_ends();
  CHECK(t.shard.hears() == lines{"message-qos0 to 0.0 from 0: "});
  t.shard.reads = false;
  const std::string big(limits::MiB / 2, 'x');
  m.payload = as_bytes(big);
  int ok = 0;
  while (t.bench.lane.send_qos0(m, link, why) == sent::ok) ++ok;
  CHECK(ok == 7); // up to the high mark
  while (t.bench.lane.send_qos0(m, link, why) == sent::link_full) ++ok;
  CHECK(ok == 14); // and the one that ended the first loop
  CHECK(why == drop_reason::link_full);
  t.shard.reads = true;
  t.bench.turn_ends();
  CHECK(t.bench.told() == lines{"drained 0"});
  t.shard.closes();
  CHECK(t.bench.lane.send_qos0(m, link, why) == sent::dropped);
  CHECK(why == drop_reason::link_down);
}
