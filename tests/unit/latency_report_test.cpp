// Reports of latencies over links: what a lane tells its routers and when, and what a shard makes of it.
#include "tests/support/link_endpoint_tools.hpp"
#include "tests/support/link_shard_tools.hpp"

#include <catch2/catch.hpp>

using namespace beeline;
using namespace beeline::test;
using namespace std::chrono_literals;
using wire::frame_type;

namespace {

// A lane, and the router or routers that it is linked to; ann is its client.
struct bench_with_ann : endpoint_bench {
  explicit bench_with_ann(link::endpoint_config c = config()) : endpoint_bench(std::move(c)) {}
  // A message whose answer comes after `d`. It needs no shard: nobody serves, and it is given up; or the
  // shard that its recipient has answers.
  void message_takes(scripted_shard& s, std::string_view to, duration d) {
    submits(ann, ++token, to);
    now += d;
    s.says(make_batch<wire::answer_record>(
        frame_type::answers, {{static_cast<std::uint32_t>(token), no_member, answer::accepted, 0}}));
  }
  handle ann;
  std::uint64_t token = 0;
};

lines reports(scripted_shard& s) {
  lines all = s.hears(true);
  std::erase_if(all, [](const std::string& line) { return line.rfind("report", 0) != 0; });
  return all;
}

struct one_shard {
  one_shard() {
    bench.wait(1ms);
    shard.welcomes();
    bench.ann = bench.attach("ann");
    shard.registers_all();
  }
  bench_with_ann bench;
  scripted_shard shard{bench, 1900};
};

struct two_of_one_router {
  two_of_one_router() {
    s0.map = s1.map = two_shards;
    bench.wait(1ms);
    s0.welcomes();
    bench.wait(100ms);
    s1.welcomes();
    bench.ann = bench.attach("ann");
    s0.registers_all(), s1.registers_all();
  }
  bench_with_ann bench;
  scripted_shard s0{bench, 1900, 0, 2}, s1{bench, 1901, 1, 2};
  const std::string low = id_in(0, 2047), high = id_in(2048, 4095);
};

} // namespace

TEST_CASE("latency_report: once a second a lane says what came since, and nothing when nothing did") {
  one_shard t;
  t.bench.wait(3s);
  CHECK(reports(t.shard).empty());
  t.bench.message_takes(t.shard, "bob", 400us);
  t.bench.message_takes(t.shard, "bob", 700us);
  t.bench.wait(1100ms);
  CHECK(reports(t.shard) == lines{"report 2, 1100 us, at most 700"});
  t.bench.wait(5s);
  CHECK(reports(t.shard).empty());
  t.bench.message_takes(t.shard, "bob", 300us);
  t.bench.wait(1100ms);
  CHECK(reports(t.shard) ==
        lines{"report 1, 300 us, at most 319"}); // not its greatest ever: the end of its bucket
}

TEST_CASE("latency_report: under load it is one report a second") {
  one_shard t;
  for (int k = 0; k < 40; ++k) {
    t.bench.message_takes(t.shard, "bob", 1ms);
    t.bench.wait(99ms);
  }
  t.bench.wait(1s);
  const lines all = reports(t.shard);
  CHECK(all.size() >= 4);
  CHECK(all.size() <= 5);
}

TEST_CASE("latency_report: of a router's shards the lowest that is in sync hears it; when its link falls, "
          "another") {
  two_of_one_router t;
  t.bench.message_takes(t.s1, t.high, 400us);
  t.bench.wait(1100ms);
  CHECK(reports(t.s0) == lines{"report 1, 400 us, at most 400"});
  CHECK(reports(t.s1).empty());

  t.s0.listens = false;
  t.s0.closes();
  t.bench.message_takes(t.s1, t.high, 500us);
  t.bench.wait(1100ms);
  CHECK(reports(t.s1) == lines{"report 1, 500 us, at most 500"});

  t.s0.listens = true; // dialled, and not in sync yet
  t.bench.wait(1500ms);
  t.bench.message_takes(t.s1, t.high, 600us);
  t.bench.wait(1100ms);
  CHECK(reports(t.s1) == lines{"report 1, 600 us, at most 600"});
  t.s0.welcomes();
  t.bench.message_takes(t.s1, t.high, 700us);
  t.bench.wait(1100ms);
  CHECK(reports(t.s0) == lines{"report 1, 700 us, at most 700"});
  CHECK(reports(t.s1).empty());
}

TEST_CASE(
    "latency_report: what came while no link was in sync is kept, what was reported is not said again") {
  one_shard t;
  t.bench.message_takes(t.shard, "bob", 400us);
  t.bench.wait(1100ms);
  CHECK(reports(t.shard).size() == 1);
  t.bench.message_takes(t.shard, "bob", 500us);
  t.shard.closes(); // before it was told
  t.bench.wait(3s);
  t.shard.welcomes();
  t.bench.wait(1100ms);
  CHECK(reports(t.shard) == lines{"report 1, 500 us, at most 500"});
}

TEST_CASE("latency_report: each router hears all of it, in its own time") {
  bench_with_ann bench(endpoint_bench::config(2));
  scripted_shard low(bench, 1900), high(bench, 2900);
  low.map = {{0, 2047, "", 1900}};
  high.map = {{2048, 4095, "", 2900}};
  bench.wait(1ms);
  low.welcomes();
  high.welcomes();
  bench.ann = bench.attach("ann");
  low.registers_all(), high.registers_all();
  bench.message_takes(low, id_in(0, 2047), 400us);
  bench.wait(1100ms);
  CHECK(reports(low) == lines{"report 1, 400 us, at most 400"});
  CHECK(reports(high) == lines{"report 1, 400 us, at most 400"});
  high.listens = false;
  high.closes();
  bench.message_takes(low, id_in(0, 2047), 500us);
  bench.wait(1100ms);
  bench.message_takes(low, id_in(0, 2047), 600us);
  high.listens = true;
  bench.wait(2s);
  high.welcomes();
  bench.wait(1100ms);
  CHECK(reports(low) == lines{"report 1, 500 us, at most 500", "report 1, 600 us, at most 600"});
  CHECK(reports(high) == lines{"report 2, 1100 us, at most 600"});
}

TEST_CASE("latency_report: a lane that leaves says the rest before its good-bye") {
  one_shard t;
  t.bench.wait(1s);
  t.bench.message_takes(t.shard, "bob", 400us);
  t.shard.hears();
  t.bench.lane.say_goodbye(t.bench.now);
  for (heard_frame& f : split_frames(taken_bytes(*t.shard.c))) t.shard.frames.push_back(std::move(f));
  const lines said = t.shard.hears(true);
  REQUIRE(said.size() >= 2);
  CHECK(said[said.size() - 2] == "report 1, 400 us, at most 400");
  CHECK(said.back() == "go-away: edge shuts down");
}

TEST_CASE("latency_report: a shard of version 1 does not know reports, and gets none") {
  one_shard t;
  t.shard.version = 1;
  t.shard.closes();
  t.bench.wait(2s);
  t.shard.welcomes();
  CHECK(t.bench.lane.ready());
  t.bench.message_takes(t.shard, "bob", 400us);
  t.bench.wait(3s);
  CHECK(reports(t.shard).empty());
  t.shard.version = wire::protocol_version;
  t.shard.closes(); // it was upgraded
  t.bench.wait(2s);
  t.shard.welcomes();
  t.bench.wait(1100ms);
  CHECK(reports(t.shard) == lines{"report 1, 400 us, at most 400"});
}

// --- the shard's end --------------------------------------------------------------------------------

namespace {
byte_vector report_of(std::initializer_list<std::uint64_t> times) {
  histogram h;
  for (const std::uint64_t us : times) h.record_us(us);
  return make(wire::report{h.snapshot()});
}
} // namespace

TEST_CASE("latency_report: a shard adds up what lanes report") {
  two_joined_lanes t;
  t.e1.says(report_of({100, 200}));
  t.e2.says(report_of({100, 5'000}));
  t.e1.says(report_of({300}));
  const auto s = t.bench.shard.publish_to_answer.snapshot();
  CHECK(s.count() == 5);
  CHECK(s.sum_us == 5'700);
  CHECK(s.max_us == 5'000);
  CHECK(s.counts[histogram_shape::bucket_of(100)] == 2);
  CHECK(t.bench.shard.counters.reports.get() == 3);
  CHECK(t.e1.hears().empty());
  CHECK(t.e1.closed == close_reason::none);
}

TEST_CASE("latency_report: a malformed report ends the link and counts for nothing") {
  two_joined_lanes t;
  byte_vector longer = report_of({100});
  const std::string payload(as_text(const_bytes(longer).subspan(wire::header_bytes)));
  t.e1.says(make_frame(frame_type::report, payload + "x"));
  CHECK(t.e1.closed == close_reason::link_bad_frame);
  CHECK(t.e1.hears() == lines{"error: malformed 'report' frame"});
  t.e2.says(make_frame(frame_type::report, payload.substr(0, payload.size() - 1)));
  CHECK(t.closes(close_reason::link_bad_frame) == 2);
  CHECK(t.bench.shard.publish_to_answer.snapshot().count() == 0);
  CHECK(t.bench.shard.counters.reports.get() == 0);
}

TEST_CASE("latency_report: a shard does not report to lanes") {
  one_shard t;
  t.shard.says(report_of({100}));
  CHECK(t.shard.closed == close_reason::link_bad_state);
}

TEST_CASE("latency_report: before the handshake is done a report is refused") {
  shard_bench bench;
  conn& c = bench.open();
  bench.deliver(c, report_of({100}));
  CHECK(bench.shard.counters.handshakes_refused.get() == 1);
  CHECK(bench.shard.publish_to_answer.snapshot().count() == 0);
}
