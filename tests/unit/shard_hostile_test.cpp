// What a router shard makes of frames that come too early, twice, damaged or from the wrong side.
#include "common/base/rng.hpp"
#include "tests/support/link_shard_tools.hpp"

#include <algorithm>
#include <catch2/catch.hpp>

using namespace beeline;
using namespace beeline::test;
using wire::frame_type;

TEST_CASE(
    "shard_hostile: every frame type before the handshake closes the link with no effect (CAT-7, CAT-8)") {
  for (heard_frame& f : sample_frames()) {
    if (f.type() == frame_type::hello) continue;
    INFO(wire::name_of(f.type()));
    shard_bench bench;
    scripted_lane good(bench, "good", 5);
    good.joins();
    conn& c = bench.open();
    bench.deliver(c, f.bytes);
    CHECK(c.why == close_reason::link_refused);
    CHECK(bench.shard.counters.messages_in[0].get() + bench.shard.counters.messages_in[1].get() == 0);
    CHECK(bench.shard.counters.registrations.get() == 0);
    CHECK(bench.shard.counters.handshakes_refused.get() == 1);
    CHECK(good.hears().empty());
    CHECK(bench.shard.lanes().lanes.size() == 1);
  }
}

TEST_CASE(
    "shard_hostile: every frame type between hello and proof closes the link with no effect (CAT-7, CAT-8)") {
  for (heard_frame& f : sample_frames()) {
    INFO(wire::name_of(f.type()));
    shard_bench bench;
    conn& c = bench.open();
    bench.deliver(c, make(wire::hello{}));
    CHECK_FALSE(c.closing());
    bench.deliver(c, f.bytes);
    CHECK(c.why == close_reason::link_refused);
    CHECK(bench.shard.lanes().lanes.empty());
    CHECK(bench.shard.counters.registrations.get() == 0);
  }
}

TEST_CASE("shard_hostile: every frame type on a link that is up is taken or ends the link (CAT-7)") {
  for (bool in_sync : {false, true})
    for (heard_frame& f : sample_frames()) {
      INFO(wire::name_of(f.type()) << (in_sync ? " in sync" : " syncing"));
      shard_bench bench;
      scripted_lane e1(bench, "e1", 1), other(bench, "e2", 2);
      other.joins();
      e1.connects();
      if (in_sync) e1.is_in_sync();
      e1.hears();
      e1.says(f.bytes);
      switch (f.type()) {
      case frame_type::message_qos0:
      case frame_type::message_qos1:
      case frame_type::answers:
      case frame_type::heartbeat:
      case frame_type::register_clients:
      case frame_type::unregister:
      case frame_type::identity:
      case frame_type::members_seen:
      case frame_type::report:
      case frame_type::receipts:
      case frame_type::in_sync: CHECK(e1.c != nullptr); break;
      case frame_type::error: CHECK(e1.closed == close_reason::link_error); break;
      case frame_type::go_away: CHECK(e1.closed == close_reason::link_went_away); break;
      default:
        CHECK(e1.closed == close_reason::link_bad_state);
        CHECK(e1.hears() ==
              lines{"error: frame '" + std::string(wire::name_of(f.type())) + "' is not for a router"});
      }
      CHECK(other.c != nullptr);
      bench.wait(std::chrono::seconds(4)); // and nothing that was left behind crashes it
    }
}

TEST_CASE("shard_hostile: every frame type with an empty or a cut payload is taken or ends the link (CAT-7, "
          "CAT-58)") {
  for (const heard_frame& f : sample_frames()) {
    if (f.type() >= frame_type::message_qos0) continue; // the parser refuses those
    INFO(wire::name_of(f.type()));
    for (std::size_t n = 0; n < f.bytes.size() - 8; ++n) {
      shard_bench bench;
      scripted_lane e1(bench, "e1", 1);
      e1.joins();
      e1.says(make_frame(f.type(), as_text(f.payload()).substr(0, n)));
      const bool may_be_short = f.type() == frame_type::in_sync;
      if (!may_be_short)
        CHECK((e1.closed == close_reason::link_bad_frame || e1.closed == close_reason::link_bad_state));
    }
  }
}

TEST_CASE(
    "shard_hostile: a frame above the handshake's limit is refused before it is there (CAT-1, CAT-58)") {
  shard_bench bench;
  conn& c = bench.open();
  byte_vector b(4);
  store_u24(b.data(), limits::handshake_frame_bytes_max + 1);
  b[3] = static_cast<std::byte>(frame_type::hello);
  bench.deliver(c, b);
  CHECK(c.why == close_reason::link_bad_frame);
}

TEST_CASE("shard_hostile: a flipped bit in a link frame resets the link (CAT-59)") {
  shard_bench bench;
  scripted_lane e1(bench, "e1", 1), e2(bench, "e2", 2);
  e1.joins();
  e2.joins();
  e1.hears();
  byte_vector b = make_batch<wire::registration>(frame_type::register_clients, {{{1, 1}, 5, 0, "ann"}});
  b[20] ^= std::byte{4};
  e1.says(b);
  CHECK(e1.closed == close_reason::link_bad_frame);
  CHECK(e1.hears() == lines{"error: malformed or damaged frame"});
  CHECK_FALSE(bench.shard.where("ann", bench.now).online);
  CHECK(e2.hears().empty()); // nothing was on its way to e1
}

TEST_CASE("shard_hostile: the wrong secret is told so, and counted") {
  auto config = shard_bench::in_service();
  shard_bench bench(config);
  conn& c = bench.open();
  link::lane_handshake lane;
  chunk_pool pool;
  output_chain out(pool);
  wire::frame_writer w;
  lane.start(nonce_of(1), w, out);
  bench.hold = true;
  bench.deliver(c, taken_bytes(out));
  heard_frame challenge = split_frames(taken_bytes(c)).at(0);
  REQUIRE(lane.on_frame({challenge.type(), challenge.bytes}, link::cluster_secret("wasp"),
                        {lane_id{1}, "e1", 0, 1}, 1, 0, w, out));
  bench.deliver(c, taken_bytes(out));
  auto heard = split_frames(taken_bytes(c));
  CHECK(words(heard) == lines{"error: the cluster secret is not the same on both sides"});
  CHECK(c.close_after_flush);
  CHECK(c.why == close_reason::link_refused);
  CHECK(bench.shard.counters.handshakes_refused.get() == 1);
}

TEST_CASE("shard_hostile: frames cut at every byte are the same frames (F6)") {
  byte_vector all;
  for (const byte_vector& b :
       {make_batch<wire::registration>(frame_type::register_clients,
                                       {{{1, 1}, 5, 0, "ann"}, {{2, 1}, 6, 0, "bob"}}),
        make(test_message{}), make(wire::heartbeat{}),
        make_batch<wire::unregistration>(frame_type::unregister, {{hash_of("ann"), {1, 1}}})})
    all.insert(all.end(), b.begin(), b.end());
  for (std::size_t cut = 0; cut <= all.size(); ++cut) {
    shard_bench bench;
    scripted_lane e1(bench, "e1", 1);
    e1.joins();
    const auto at = all.begin() + static_cast<std::ptrdiff_t>(cut);
    e1.says(byte_vector(all.begin(), at));
    e1.says(byte_vector(at, all.end()));
    CHECK(e1.hears() == lines{"registered 1.1", "registered 2.1", "message 1 to 2.1 from 0: hi"});
    CHECK_FALSE(bench.shard.where("ann", bench.now).online);
    CHECK(bench.shard.where("bob", bench.now).online);
  }
}

TEST_CASE("shard_hostile: random good frames in random order never break it, and it still serves (CAT-7)") {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    rng r(seed);
    shard_bench bench(seed % 2 ? shard_bench::in_service() : shard_bench::warming());
    scripted_lane e1(bench, "e1", 1), e2(bench, "e2", 2);
    auto frames = sample_frames();
    for (int step = 0; step < 200; ++step) {
      scripted_lane& e = r.one_in(2) ? e1 : e2;
      if (!e.c) e.connects();
      const heard_frame& f = frames[r.below(frames.size())];
      if (f.type() == frame_type::go_away && !r.one_in(4)) continue;
      e.says(f.bytes);
      if (r.one_in(10)) bench.wait(std::chrono::milliseconds(r.below(1500)));
      e.frames.clear();
    }
    bench.wait(std::chrono::seconds(10));
    if (!e1.c) e1.connects();
    e1.is_in_sync();
    bench.wait(std::chrono::seconds(10));
    e1.hears();
    e1.registers({9, 9}, "zoe");
    test_message m;
    m.to = "zoe";
    e1.sends(m);
    const lines heard = e1.hears();
    CHECK(std::count_if(heard.begin(), heard.end(), [](auto& s) { return s.find(" to 9.9 ") != s.npos; }) ==
          1);
  }
}
