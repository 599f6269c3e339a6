// Links of a lane's end, against shards played by the test: dialled, greeted, watched, lost, linked again.
#include "tests/support/link_endpoint_tools.hpp"

#include <algorithm>
#include <catch2/catch.hpp>

using namespace beeline;
using namespace beeline::test;
using namespace std::chrono_literals;
using wire::frame_type;

using linked = linked_endpoint;

namespace {
bool contains(const lines& all, std::string_view part) {
  return std::any_of(all.begin(), all.end(), [&](const std::string& s) { return s.find(part) != s.npos; });
}

} // namespace

TEST_CASE("endpoint_link: shakes hands, says it is in sync, and is ready") {
  endpoint_bench bench;
  scripted_shard shard(bench, 1900);
  CHECK_FALSE(bench.lane.ready());
  bench.wait(1ms);
  CHECK(shard.hears() == lines{"hello 1-3"});
  shard.closes();
  bench.wait(1s);
  shard.welcomes();
  CHECK(shard.hears() == lines{"in-sync"});
  CHECK(bench.told() == lines{"ready"});
  CHECK(bench.lane.ready());
  CHECK(bench.lane.problem().empty());
}

TEST_CASE("endpoint_link: a peer that is no router is told as what it is, and not at each try") {
  endpoint_bench bench;
  scripted_shard wrong(bench, 1900);
  const std::string guess = GENERATE("HTTP/1.1 400 Bad Request\r\n", "");
  const std::string words = guess.empty()
                                ? "closed the connection at our hello; is it a router's --listen address?"
                                : "the other end speaks HTTP, as an --admin port does";
  for (int second = 0; second < 30; ++second) {
    bench.wait(1s);
    REQUIRE(wrong.c);
    if (guess.empty()) wrong.closes();
    else wrong.says(byte_vector(as_bytes(guess).begin(), as_bytes(guess).end()));
    REQUIRE_FALSE(wrong.c);
    CHECK_THAT(std::string(bench.lane.problem()), Catch::Contains(words));
  }
  CHECK(wrong.dials >= 30);
  CHECK(bench.host.log.size() == 2);
  for (const std::string& line : bench.host.log) CHECK_THAT(line, Catch::Contains(words));
  wrong.rest.clear(), wrong.hears();
  bench.wait(1s);
  wrong.welcomes(); // a router has taken its place
  CHECK(bench.lane.ready());
}

TEST_CASE(
    "endpoint_link: on the next link its clients say since when they were owners, and the members it knew") {
  linked t;
  const handle ann = t.bench.attach("ann");
  t.shard.says(make_batch<wire::registered_client>(frame_type::registered, {{ann, 123}}));
  t.other_lane();
  t.shard.closes();
  t.shard.hears();
  t.bench.wait(1s);
  t.shard.welcomes();
  const lines heard = t.shard.hears();
  CHECK(std::count(heard.begin(), heard.end(), "seen edge-1") == 1);
  CHECK(std::count(heard.begin(), heard.end(), "seen edge-2") == 1);
  CHECK(heard[heard.size() - 2] == "register 0.1 ann since 123");
  CHECK(heard.back() == "in-sync");
}

TEST_CASE("endpoint_link: a client whose registration was not confirmed is new at the next one, but for a "
          "warm-up") {
  const bool warming = GENERATE(false, true);
  linked t;
  const handle ann = t.bench.attach("ann");
  t.shard.says(make_batch<wire::registered_client>(frame_type::registered, {{ann, 123}}));
  const auto links_anew = [&] {
    t.shard.closes();
    t.shard.hears();
    t.bench.wait(1s);
    t.shard.welcomes();
    const lines heard = t.shard.hears();
    return heard[heard.size() - 2];
  };
  t.shard.warming = warming;
  CHECK(links_anew() == "register 0.1 ann since 123");
  CHECK(links_anew() == (warming ? "register 0.1 ann since 123" : "register 0.1 ann"));
}

TEST_CASE("endpoint_link: a list of members that did not come whole replaces none") {
  const bool whole = GENERATE(false, true);
  linked t;
  t.other_lane();
  t.bench.wait(1s);
  const auto links_anew = [&](bool with_list) { // and what it says of edge-2 then
    t.shard.closes();
    t.shard.hears();
    t.bench.wait(1s);
    if (with_list) t.shard.welcomes();
    else t.shard.answers_hello(), t.shard.answers_auth();
    const lines heard = t.shard.hears();
    t.bench.wait(with_list ? 1s : 0s);
    return std::count(heard.begin(), heard.end(), "seen edge-2");
  };
  CHECK(links_anew(whole) == 1); // from here on the shard itself does not know edge-2
  t.shard.warming = true;        // and starts anew
  CHECK(links_anew(true) == !whole);
  CHECK(links_anew(true) == !whole); // twice
}

TEST_CASE("endpoint_link: the round trip of a link that is lost is not the slowest any more") {
  linked t;
  t.bench.wait(600ms);
  wire::heartbeat got;
  for (heard_frame& f : t.shard.frames)
    if (f.type() == frame_type::heartbeat) REQUIRE(got.get(f.payload()));
  wire::heartbeat h;
  h.sent_at = 1, h.echo = got.sent_at;
  t.bench.now += 20ms;
  t.shard.says(make(h));
  REQUIRE(t.bench.lane.counters.round_trip_us.get() >= 20'000);
  t.shard.closes();
  t.bench.wait(1s);
  t.shard.welcomes();
  t.bench.wait(600ms); // its heartbeats echo nothing
  CHECK(t.bench.lane.counters.round_trip_us.get() == 0);
}

TEST_CASE("endpoint_link: heartbeats go out every half second, busy or idle, and silence ends the link") {
  linked t;
  t.bench.wait(2s);
  const lines heard = t.shard.hears(true);
  CHECK(std::count(heard.begin(), heard.end(), "heartbeat") >= 3);
  t.shard.beats = false;
  t.bench.wait(2900ms);
  CHECK(t.shard.c != nullptr);
  t.bench.wait(300ms);
  CHECK(t.bench.lane.counters.closes[static_cast<std::size_t>(close_reason::link_silence)].get() == 1);
  CHECK(t.bench.told() == lines{"not ready"});
  CHECK(t.shard.dials == 2);
}

TEST_CASE("endpoint_link: a heartbeat is echoed with the time it was held, and measures the round trip") {
  linked t;
  t.shard.beats = false;
  wire::heartbeat h;
  h.sent_at = 4711;
  t.shard.says(make(h));
  t.shard.frames.clear();
  t.bench.wait(600ms);
  wire::heartbeat got;
  for (heard_frame& f : t.shard.frames)
    if (f.type() == frame_type::heartbeat) REQUIRE(got.get(f.payload()));
  CHECK(got.echo == 4711);
  CHECK(got.held_us > 0);
  CHECK(got.held_us <= 600'000);
  CHECK(got.value == t.bench.lane.outgoing.floor());
  h.sent_at = 4712, h.echo = got.sent_at, h.held_us = 0;
  t.bench.now += 20ms;
  t.shard.says(make(h));
  CHECK(t.bench.lane.counters.round_trip_us.get() == to_us(t.bench.now) - got.sent_at);
}

TEST_CASE(
    "endpoint_link: after a pause of its own it closes its links before it reads what waits in them (F2)") {
  linked t;
  const handle bob = t.client("bob");
  t.other_lane();
  t.bench.now += limits::pause_max + 100ms;
  t.forwards({}, bob, 5);
  CHECK(t.bench.told() == lines{"not ready"});
  CHECK(t.shard.closed == close_reason::link_paused);
}

TEST_CASE("endpoint_link: a shard that takes nothing is given up after ten seconds (CAT-42)") {
  linked t;
  t.shard.reads = false;
  t.bench.attach("ann");
  t.bench.wait(9900ms);
  CHECK(t.shard.c != nullptr);
  t.bench.wait(300ms);
  CHECK(t.shard.closed == close_reason::link_write_stall);
}

TEST_CASE("endpoint_link: it dials again for ever, at most a second apart (CAT-40)") {
  endpoint_bench bench;
  scripted_shard shard(bench, 1900);
  shard.listens = false;
  bench.wait(10min);
  CHECK(shard.dials > 550);
  duration most{}, first = shard.dialled_at[1] - shard.dialled_at[0];
  for (std::size_t i = 1; i < shard.dialled_at.size(); ++i)
    most = std::max<duration>(most, shard.dialled_at[i] - shard.dialled_at[i - 1]);
  CHECK(most <= limits::reconnect_max + 100ms); // the bench's step
  CHECK(first <= 200ms);
  shard.listens = true;
  bench.wait(1100ms);
  shard.welcomes();
  CHECK(bench.lane.ready());
}

TEST_CASE("endpoint_link: saying good-bye tells the shards, after the answers, and dials no more") {
  linked t;
  const handle bob = t.client("bob");
  t.other_lane();
  t.bench.lane.begin_turn(t.bench.now);
  byte_vector b = make(test_message{});
  wire::message_view(b).route(bob, 5);
  t.bench.lane.on_bytes(*t.shard.c, b, t.bench.now);
  t.bench.lane.say_goodbye(t.bench.now);
  t.bench.turn_ends();
  CHECK(t.shard.hears() == lines{"answer 1 accepted about 5", "go-away: edge shuts down"});
  CHECK(t.shard.closed == close_reason::shutdown);
  t.bench.wait(5s);
  CHECK(t.shard.dials == 1);
}

TEST_CASE(
    "endpoint_link: every frame type in every state is taken or ends the link, and it links again (CAT-7)") {
  for (heard_frame& f : sample_frames()) {
    INFO(wire::name_of(f.type()));
    for (int stage = 0; stage < 3; ++stage) {
      endpoint_bench bench;
      scripted_shard shard(bench, 1900);
      bench.wait(1ms);
      if (stage >= 1) shard.answers_hello();
      if (stage >= 2) shard.welcomes();
      shard.says(f.bytes);
      if (stage == 0) CHECK((shard.c == nullptr) == (f.type() != frame_type::challenge));
      if (stage == 1) CHECK(shard.closed == close_reason::link_refused);
      bench.wait(4s);
      if (!shard.c) continue;
      if (!bench.lane.ready()) shard.welcomes();
    }
  }
}

TEST_CASE("endpoint_link: the wrong secret on either side is told in words") {
  endpoint_bench bench;
  scripted_shard shard(bench, 1900);
  shard.secret = link::cluster_secret("wasp");
  bench.wait(1ms);
  shard.answers_hello();
  shard.says(
      make(wire::error{wire::error_code::bad_secret, "the cluster secret is not the same on both sides"}));
  CHECK(shard.closed == close_reason::link_refused);
  CHECK(contains(bench.host.log, "the router refuses: the cluster secret is not the same on both sides"));
}

TEST_CASE("endpoint_link: what it says of a shard that had been silent before its link was lost is stale") {
  const bool silent = GENERATE(false, true);
  linked t;
  t.other_lane();
  t.bench.wait(1s);
  t.shard.beats = !silent;
  t.bench.wait(limits::list_silence_max + 200ms);
  const auto links_anew = [&] { // and how it says that
    t.shard.closes();
    t.shard.frames.clear();
    t.bench.wait(1s);
    t.shard.welcomes();
    std::vector<int> said;
    for (heard_frame& f : t.shard.frames)
      if (f.type() == frame_type::members_seen)
        wire::for_each_record<wire::member>(f.payload(),
                                            [&](const wire::member& m) { said.push_back(m.joined); });
    return said;
  };
  const int list = silent ? wire::member::stale : wire::member::whole;
  CHECK(links_anew() == std::vector<int>{list, list});
  t.shard.beats = true;
  t.bench.wait(1s); // a new list is here
  CHECK(links_anew() == std::vector<int>{wire::member::whole});
}

namespace {
// A shard's next life lets the lane in; what is it told of the list of the last one?
int says_of_list(linked& t) {
  t.shard.welcomes();
  for (heard_frame& f : t.shard.frames) {
    wire::member m;
    if (f.type() == frame_type::members_seen &&
        wire::for_each_record<wire::member>(f.payload(), [&](auto& x) { m.joined = x.joined; }))
      return m.joined;
  }
  return -1;
}
} // namespace

TEST_CASE(
    "endpoint_link: a list is as old as the heartbeat behind it, and too old for who comes much later") {
  linked t;
  t.shard.beats = false;
  wire::heartbeat h, got;
  t.bench.wait(600ms);
  for (heard_frame& f : t.shard.frames)
    if (f.type() == frame_type::heartbeat) REQUIRE(got.get(f.payload()));
  h.sent_at = to_us(t.bench.now), h.echo = got.sent_at; // now the clock of the shard is known
  t.shard.says(make(h));
  SECTION("one that was long on its way") {
    t.bench.wait(2s);
    h.sent_at += 500'000, h.echo = 0;
    t.shard.says(make(h));
    t.shard.closes();
    t.shard.frames.clear();
    t.bench.wait(1s);
    CHECK(says_of_list(t) == wire::member::stale);
  }
  SECTION("the next life is soon there, or late") {
    const bool late = GENERATE(false, true);
    t.shard.listens = false;
    t.shard.closes();
    t.shard.frames.clear();
    t.bench.wait(late ? limits::list_age_max + 100ms : 500ms);
    t.shard.listens = true;
    t.bench.wait(1s);
    CHECK(says_of_list(t) == (late ? wire::member::stale : wire::member::whole));
  }
}

TEST_CASE("endpoint_link: the list of a shard that warmed up is whole from its in-service on, without a "
          "heartbeat") {
  const bool in_service = GENERATE(false, true);
  linked t;
  t.shard.beats = false, t.shard.warming = true;
  const auto lost = [&] {
    t.shard.closes();
    t.shard.frames.clear();
    t.bench.wait(1s);
  };
  lost();
  t.shard.welcomes();
  if (in_service) t.shard.says(make(wire::in_service{.shard_time = to_us(t.bench.now)}));
  lost();
  CHECK(says_of_list(t) == (in_service ? wire::member::whole : wire::member::of_warm_up));
}
