// Receipts of recipients: the tables of both sides, an endpoint between its host and a shard, a shard between
// two lanes.
#include "tests/support/link_endpoint_tools.hpp"
#include "tests/support/link_shard_tools.hpp"
#include "tests/support/reason_counters.hpp"

#include <catch2/catch.hpp>

using namespace beeline;
using namespace beeline::test;
using namespace std::chrono_literals;
using wire::frame_type;

namespace {

constexpr lane_id x{1}, y{2};
constexpr int told(link::receipt_told r) { return static_cast<int>(r); }

link::receipts_awaited::entry waits(std::uint32_t number, time_point until, lane_id owner = x) {
  link::receipts_awaited::entry e;
  e.number = number, e.token = number * 10, e.until = until, e.owner = owner;
  return e;
}

// An endpoint in sync with one shard; another lane is linked there as member 5.
struct linked {
  explicit linked(link::endpoint_config c = endpoint_bench::config()) : bench(std::move(c)) {
    bench.wait(1ms);
    shard.welcomes();
    ann = bench.attach("ann");
    shard.registers_all();
    shard.says_members({other});
    shard.hears(), bench.told();
  }
  void sends(std::uint64_t token, bool receipt = true) {
    wire::message_parts m;
    m.hash = bench.lane.hash("bob");
    m.destination = "bob", m.sender = "ann", m.receipt = receipt;
    bench.lane.send_qos1(ann, token, m, bench.now);
    bench.turn_ends();
  }
  void answers(std::uint32_t number, answer a, std::uint8_t detail = 1) {
    shard.says(make_batch<wire::answer_record>(frame_type::answers, {{number, 5, a, detail}}));
  }
  void receipt(std::uint32_t number, wire::receipt r = wire::receipt::received, member_index from = 5) {
    shard.says(make_batch<wire::receipt_record>(frame_type::receipts, {{number, from, r}}));
  }
  // A message of the other lane for ann.
  void forwards(std::uint64_t number, std::uint8_t flags = wire::flag_receipt) {
    test_message m;
    m.to = "ann", m.from = "bob", m.number = number, m.flags = flags;
    byte_vector b = make(m);
    wire::message_view(b).route(ann, 5);
    shard.says(b);
  }
  void settles(std::size_t which, wire::receipt r = wire::receipt::received) {
    bench.lane.settle_receipt(bench.host.owes.at(which), r, bench.now);
    bench.turn_ends();
  }
  const link::receipt_counters& counts() const { return bench.lane.receipt_counts; }
  const wire::member other{5, 1, lane_id{55}, 0, "edge-2"};
  endpoint_bench bench;
  scripted_shard shard{bench, 1900};
  handle ann;
};

} // namespace

TEST_CASE("receipts: who waits is found by number, by age and by owner") {
  link::receipts_awaited all;
  link::receipts_awaited::entry e;
  CHECK_FALSE(all.take(1, e));
  CHECK(all.next_deadline() == never);
  all.add(waits(1, t0 + 1s)), all.add(waits(2, t0 + 2s, y)), all.add(waits(3, t0 + 3s)),
      all.add(waits(4, t0 + 4s, y));
  CHECK(all.take(2, e));
  CHECK(e.token == 20);
  CHECK_FALSE(all.take(2, e));
  CHECK(all.next_deadline() == t0 + 1s);
  CHECK_FALSE(all.take_late(t0, e));
  CHECK(all.take_late(t0 + 1s, e));
  CHECK(e.number == 1);
  all.add(waits(5, t0 + 5s));
  std::uint32_t at = all.first();
  std::vector<std::uint32_t> of_x;
  while (all.take_next(at, e, [](const auto& w) { return w.owner == x; })) of_x.push_back(e.number);
  CHECK(of_x == std::vector<std::uint32_t>{3, 5});
  CHECK(all.size() == 1);
}

TEST_CASE("receipts: what is owed is said until it is heard, and not kept for ever") {
  link::receipts_owed all(3);
  const auto a = all.open(x, 1, 0), b = all.open(y, 1, 0), c = all.open(x, 2, 0);
  CHECK(all.open(x, 3, 0) == none); // at the limit
  all.close(b);
  CHECK(all.open(x, 1, 0) == none); // it is there already
  CHECK_FALSE(all.has(y, 1));
  const auto said_to_x = [&] {
    std::vector<std::uint32_t> numbers;
    all.for_each_said([&](const auto& e) {
      if (e.origin == x) numbers.push_back(e.number);
    });
    return numbers;
  };
  all.heard(x, 1); // not said yet: a stranger's word
  CHECK(all.has(x, 1));
  all.settle(c, wire::receipt::received, t0);
  all.settle(a, wire::receipt::expired, t0 + 1s);
  CHECK(said_to_x() == std::vector<std::uint32_t>{2, 1});
  all.heard(x, 2);
  CHECK(said_to_x() == std::vector<std::uint32_t>{1});
  CHECK(all.forget_late(t0 + 999ms) == 0);
  CHECK(all.forget_late(t0 + 1s) == 1);
  CHECK(all.size() == 0);
}

TEST_CASE(
    "receipts: the sender is told when the recipient has acknowledged, and the owner that it was heard") {
  linked t;
  t.sends(7);
  REQUIRE(t.shard.frames.back().message().wants_receipt());
  t.shard.hears();
  t.answers(1, answer::accepted);
  CHECK(t.bench.told() == lines{"taken 7"});
  CHECK(t.bench.lane.outgoing.idle()); // the window is free again
  t.receipt(1);
  CHECK(t.bench.told() == lines{"receipt 7 " + std::to_string(told(link::receipt_told::received))});
  CHECK(t.shard.hears() == lines{"receipt 1 heard, 5"});
  t.receipt(1); // said again: heard again, told once
  CHECK(t.bench.told().empty());
  CHECK(t.shard.hears() == lines{"receipt 1 heard, 5"});
}

TEST_CASE("receipts: one that overtakes its `accepted`, or comes without, settles the message") {
  linked t;
  t.sends(7);
  t.receipt(1, wire::receipt::session_ended);
  CHECK(t.bench.told() ==
        lines{"taken 7", "receipt 7 " + std::to_string(told(link::receipt_told::session_ended))});
  t.answers(1, answer::accepted);
  CHECK(t.bench.told().empty());
  CHECK(t.bench.lane.outgoing.idle());
  t.sends(8, false);
  t.receipt(2); // nobody asked for it
  CHECK(t.bench.told().empty());
  CHECK_FALSE(t.bench.lane.outgoing.idle());
}

TEST_CASE("receipts: a refusal is told at once, and nothing is waited for") {
  linked t;
  t.sends(7);
  t.answers(1, answer::full, 0);
  CHECK(t.bench.told() == lines{"outcome 7 full"});
  t.bench.wait(40s);
  CHECK(t.bench.told().empty());
}

TEST_CASE("receipts: none in time, none promised, too many waited for, a lost owner: each is told once") {
  const auto receipt = [](int token, link::receipt_told r) {
    return "receipt " + std::to_string(token) + " " + std::to_string(told(r));
  };
  auto config = endpoint_bench::config();
  config.receipts_max = 2;
  linked t(std::move(config));
  t.sends(7);
  t.answers(1, answer::accepted, 0);
  CHECK(t.bench.told() == lines{"taken 7", receipt(7, link::receipt_told::not_promised)});
  for (int k = 8; k <= 10; ++k) t.sends(static_cast<std::uint64_t>(k));
  t.answers(2, answer::accepted), t.answers(3, answer::accepted);
  CHECK(t.bench.lane.receipts_full());
  t.answers(4, answer::accepted);
  CHECK(t.bench.told() ==
        lines{"taken 8", "taken 9", "taken 10", receipt(10, link::receipt_told::not_promised)});
  CHECK(t.counts().not_promised.get() == 2);
  t.bench.wait(29s);
  CHECK(t.bench.told().empty());
  t.bench.wait(1s);
  CHECK(t.bench.told() ==
        lines{receipt(8, link::receipt_told::timeout), receipt(9, link::receipt_told::timeout)});
  CHECK(t.counts().timeouts.get() == 2);
  t.sends(11);
  t.answers(5, answer::accepted);
  t.bench.told();
  t.shard.says(make_event(frame_type::back, 5)); // it is there again: it will say
  CHECK(t.bench.told().empty());
  t.shard.says(make_event(frame_type::gone, 5));
  CHECK(t.bench.told() == lines{receipt(11, link::receipt_told::owner_lost)});
}

TEST_CASE("receipts: a lane that is lost to one shard still gives those of what came over another") {
  endpoint_bench bench;
  scripted_shard s0(bench, 1900, 0, 2), s1(bench, 1901, 1, 2);
  s0.map = s1.map = two_shards;
  bench.wait(1ms);
  s0.welcomes();
  bench.wait(100ms);
  s1.welcomes();
  // The same lane is member 5 of one shard and member 3 of the other, where 5 is another lane.
  s0.says_members({{5, 1, x, 0, "edge-2"}}),
      s1.says_members({{3, 1, x, 0, "edge-2"}, {5, 1, y, 0, "edge-3"}});
  const handle ann = bench.attach(id_in(0, 2047));
  s0.registers_all();
  bench.submits(ann, 7, id_in(2048, 4095), true);
  s1.says(make_batch<wire::answer_record>(frame_type::answers, {{1, 3, answer::accepted, 1}}));
  bench.told();
  const auto receipts_told = [&] {
    lines all = bench.told();
    std::erase_if(all, [](const std::string& x) { return !x.starts_with("receipt"); });
    return all;
  };
  SECTION("the shard that it came over tells") {
    s0.says(make_event(frame_type::gone, 5));
    s1.says(make_event(frame_type::gone, 5));
    CHECK(receipts_told().empty());
    s1.says(make_event(frame_type::gone, 3));
  }
  SECTION("that shard cannot tell") {
    s1.listens = false;
    s1.closes();
    s0.says(make_event(frame_type::gone, 5));
  }
  SECTION("that shard is there again, and does not know the lane any more") {
    s1.closes();
    bench.wait(1s);
    s1.welcomes();
    bench.wait(1s);
    s0.says(make_event(frame_type::gone, 5));
  }
  SECTION("that shard is there again, and its list, without the lane, is on its way") {
    s1.closes();
    bench.wait(1s);
    s1.beats = false;
    s1.welcomes();
    s0.says(make_event(frame_type::gone, 5));
    CHECK(receipts_told().empty());
    s1.beats_once();
  }
  SECTION("that shard warms up, and waits for the lane in vain") {
    s1.closes();
    bench.wait(1s);
    s1.warming = true;
    s1.welcomes();
    s1.says_members({{no_member, 1, x, 0, "edge-2"}});
    s0.says(make_event(frame_type::gone, 5));
    bench.wait(1s); // with heartbeats
    CHECK(receipts_told().empty());
    s1.says(make(wire::in_service{.shard_time = to_us(bench.now)}));
  }
  SECTION("that shard knows it, and its next life does not") {
    s0.says(make_event(frame_type::gone, 5));
    s1.closes();
    bench.wait(1s);
    CHECK(receipts_told().empty());
    s1.welcomes();
    s1.beats_once();
  }
  SECTION("that shard is there again, and its list is on its way") {
    s1.closes();
    bench.wait(1s);
    s1.welcomes(); // this lane alone; behind it comes the other
    s0.says(make_event(frame_type::gone, 5));
    CHECK(receipts_told().empty());
    s1.says_members({{9, 1, x, 0, "edge-2"}});
    s1.says(make_event(frame_type::gone, 9));
  }
  SECTION("that shard is there again, and knows it, too") {
    s1.closes();
    bench.wait(1s);
    s1.welcomes();
    s1.says_members({{9, 1, x, 0, "edge-2"}});
    s0.says(make_event(frame_type::gone, 5));
    CHECK(receipts_told().empty());
    s1.says(make_event(frame_type::gone, 9));
  }
  CHECK(receipts_told() == lines{"receipt 7 " + std::to_string(told(link::receipt_told::owner_lost))});
}

TEST_CASE("receipts: a sender that has ended is told nothing, and it is counted") {
  linked t;
  t.sends(7);
  t.answers(1, answer::accepted);
  t.bench.detach(t.ann);
  t.bench.told();
  t.receipt(1);
  CHECK(t.bench.told().empty());
  CHECK(t.counts().unheard.get() == 1);
}

TEST_CASE("receipts: the owner promises one, and says it when its session has settled it") {
  linked t;
  t.forwards(1);
  CHECK(t.shard.hears() == lines{"answer 1 accepted about 5, receipt follows"});
  t.forwards(1, wire::flag_receipt | wire::flag_resent); // a copy is promised the same
  CHECK(t.shard.hears() == lines{"answer 1 accepted about 5, receipt follows"});
  t.forwards(2, 0);
  CHECK(t.shard.hears() == lines{"answer 2 accepted about 5"});
  REQUIRE(t.bench.host.owes.size() == 1);
  t.settles(0);
  CHECK(t.shard.hears() == lines{"receipt 1 received, 5"});
  t.bench.host.takes = answer::full;
  t.forwards(3);
  CHECK(t.shard.hears() == lines{"answer 3 full about 5"});
  t.bench.wait(1s);
  CHECK(t.counts().owed.get() == 1);
  t.receipt(1, wire::receipt::heard);
  t.bench.wait(1s);
  CHECK(t.counts().owed.get() == 0);
}

TEST_CASE("receipts: what was not heard is said again when the origin, or we, have a new link") {
  linked t;
  t.forwards(1), t.forwards(2);
  t.settles(0);
  t.shard.hears();
  t.shard.says_members({{5, 0, lane_id{55}, 0, "edge-2"}}); // its link is lost
  t.settles(1);
  CHECK(t.shard.hears().empty());
  t.shard.says_members({{6, 1, lane_id{55}, 0, "edge-2"}});
  t.bench.turn_ends();
  CHECK(t.shard.hears() == lines{"receipt 1 received, 6", "receipt 2 received, 6"});
  t.shard.closes();
  t.bench.wait(1s);
  t.shard.welcomes();
  t.shard.hears();
  t.shard.says_members({{7, 1, lane_id{55}, 0, "edge-2"}, {8, 1, lane_id{66}, 0, "edge-3"}});
  t.bench.turn_ends();
  CHECK(t.shard.hears() == lines{"receipt 1 received, 7", "receipt 2 received, 7"});
  CHECK(t.counts().said_again.get() == 4);
  t.bench.wait(limits::receipt_kept + 1s);
  CHECK(t.counts().forgotten.get() == 2);
}

TEST_CASE("receipts: none is said over a link whose shard has not named its lanes yet") {
  linked t;
  t.forwards(1);
  t.shard.closes();
  t.bench.wait(1s);
  REQUIRE(t.shard.c); // dialled again
  t.settles(0);
  t.shard.welcomes();
  for (const std::string& line : t.shard.hears()) CHECK_FALSE(line.starts_with("receipt"));
  t.shard.says_members(
      {{5, 1, lane_id{66}, 0, "edge-3"}, {6, 1, lane_id{55}, 0, "edge-2"}}); // 5 is another now
  t.bench.turn_ends();
  CHECK(t.shard.hears() == lines{"receipt 1 received, 6"});
}

TEST_CASE("receipts: a shard before version 3 is asked for none") {
  endpoint_bench bench;
  scripted_shard shard(bench, 1900);
  shard.version = 2;
  bench.wait(1ms);
  shard.welcomes();
  const handle ann = bench.attach("ann");
  shard.registers_all();
  shard.hears(), bench.told();
  wire::message_parts m;
  m.hash = bench.lane.hash("bob");
  m.destination = "bob", m.sender = "ann", m.receipt = true;
  bench.lane.send_qos1(ann, 7, m, bench.now);
  bench.turn_ends();
  REQUIRE_FALSE(shard.frames.back().message().wants_receipt());
  shard.says(make_batch<wire::answer_record>(frame_type::answers, {{1, no_member, answer::accepted, 0}}));
  CHECK(bench.told() ==
        lines{"taken 7", "receipt 7 " + std::to_string(told(link::receipt_told::not_promised))});
}

// --- the shard ----------------------------------------------------------------------------------------

TEST_CASE("receipts: the shard passes them on between lanes, both ways, and says who") {
  two_lanes_with_bob t;
  test_message m;
  m.flags = wire::flag_receipt;
  t.e1.sends(m);
  REQUIRE(t.e2.frames.at(0).message().wants_receipt());
  t.e2.hears();
  const auto says = [](scripted_lane& l, member_index to, wire::receipt r) {
    l.says(make_batch<wire::receipt_record>(frame_type::receipts, {{1, to, r}}));
  };
  t.e2.says(make_batch<wire::answer_record>(frame_type::answers, {{1, t.e1.index, answer::accepted, 1}}));
  CHECK(t.e1.hears() == lines{"answer 1 accepted about " + std::to_string(t.e2.index) + ", receipt follows"});
  says(t.e2, t.e1.index, wire::receipt::received);
  CHECK(t.e1.hears() == lines{"receipt 1 received, " + std::to_string(t.e2.index)});
  says(t.e1, t.e2.index, wire::receipt::heard);
  CHECK(t.e2.hears() == lines{"receipt 1 heard, " + std::to_string(t.e1.index)});
  CHECK(t.bench.shard.counters.receipts.get() == 1);
  says(t.e2, 999, wire::receipt::received); // nobody: dropped
  CHECK(t.e1.hears().empty());
  CHECK(t.e2.c != nullptr);
}

TEST_CASE("receipts: a lane of an earlier version may neither say nor hear of them") {
  shard_bench bench(shard_bench::in_service());
  scripted_lane e1(bench, "e1", 1), e2(bench, "e2", 2);
  e1.version = 2;
  e1.joins(), e2.joins();
  e1.hears();
  e2.says(make_batch<wire::receipt_record>(frame_type::receipts, {{1, e1.index, wire::receipt::received}}));
  CHECK(e1.hears().empty());
  e1.says(make_batch<wire::receipt_record>(frame_type::receipts, {{1, e2.index, wire::receipt::heard}}));
  CHECK(e1.closed == close_reason::link_bad_frame);
}

TEST_CASE("deadlines: the shard answers what comes too late, by its own clock") {
  for (const bool qos1 : {false, true}) {
    two_lanes_with_bob t;
    test_message m;
    m.qos1 = qos1;
    m.deadline = wire::deadline_of(5, to_us(t.bench.now));
    t.e1.sends(m);
    CHECK(t.e2.hears().size() == 1);
    t.bench.wait(10ms);
    m.number = 2;
    t.e1.sends(m);
    CHECK(t.e2.hears().empty());
    if (qos1) CHECK(t.e1.hears() == lines{"answer 2 expired"});
    else CHECK(t.drops(drop_reason::expired) == 1);
  }
}

TEST_CASE("deadlines: a lane of an earlier version says and is told how long a message may live") {
  shard_bench bench(shard_bench::in_service());
  scripted_lane old(bench, "e1", 1), now(bench, "e2", 2);
  old.version = 2;
  old.joins(), now.joins();
  old.registers({1, 1}, "ann"), now.registers({2, 1}, "bob");
  old.hears(), now.hears();
  test_message m;
  m.deadline = 700;
  old.sends(m);
  REQUIRE(now.frames.size() == 1);
  CHECK(wire::ttl_of(now.frames[0].message().deadline(), to_us(bench.now)) == 700);
  m.to = "ann", m.from = "bob", m.deadline = wire::deadline_of(300, to_us(bench.now));
  old.hears();
  now.sends(m);
  REQUIRE(old.frames.size() == 1);
  CHECK(old.frames[0].message().ttl_ms() == 300);
}

TEST_CASE("deadlines: the owner counts down what the way took, and refuses what comes too late") {
  linked t;
  const auto forwards = [&](std::uint64_t number, std::uint32_t deadline) {
    test_message m;
    m.to = "ann", m.from = "bob", m.number = number, m.deadline = deadline;
    byte_vector b = make(m);
    wire::message_view(b).route(t.ann, 5);
    t.shard.says(b);
  };
  wire::heartbeat h; // the shard's clock is ours in this test
  h.sent_at = h.echo = to_us(t.bench.now);
  t.shard.says(make(h));
  forwards(1, wire::deadline_of(250, to_us(t.bench.now)));
  CHECK(t.bench.told() == lines{"deliver " + text_of_handle(t.ann) + ": hi for 250 ms"});
  const std::uint32_t over = wire::deadline_of(1, to_us(t.bench.now));
  t.bench.wait(1ms);
  t.shard.hears();
  forwards(2, over);
  CHECK(t.bench.told().empty());
  CHECK(t.shard.hears() == lines{"answer 2 expired about 5"});
  CHECK(counter_of(t.bench.lane.counters.drops, drop_reason::expired) == 1);
}

TEST_CASE("deadlines: on the wire they are never 0, round trip, and go on over the end of 32 bits") {
  for (const std::uint64_t clock_ms :
       {0ull, 1ull, 0xffff'fff0ull, 0xffff'ffffull, 0x1'0000'0000ull, 77ull << 40}) {
    const std::uint64_t clock = clock_ms * 1000;
    for (const std::uint32_t ttl : {1u, 2u, 16u, 1000u, wire::ttl_ms_max}) {
      const std::uint32_t d = wire::deadline_of(ttl, clock);
      CHECK(d != 0);
      CHECK(wire::ttl_of(d, clock) - ttl <= 1); // one more where 0 was avoided
      if (ttl < wire::ttl_ms_max) CHECK(wire::ttl_of(d, clock + (ttl + 1ull) * 1000) == 0);
    }
    CHECK(wire::deadline_of(0xffff'ffff, clock) == wire::deadline_of(wire::ttl_ms_max, clock));
  }
}
