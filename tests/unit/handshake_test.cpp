// The link handshake between its two state machines, and what each refuses (F16, CAT-7, 8).
#include "tests/support/link_test_tools.hpp"

#include "common/link/handshake.hpp"

#include <catch2/catch.hpp>

using namespace beeline;
using namespace beeline::test;
using link::lane_handshake;
using link::shard_handshake;
using wire::frame_type;

namespace {

struct lane_side {
  explicit lane_side(std::string_view secret = secret_text, unsigned nonce = 1) : knows(secret) {
    machine.start(nonce_of(nonce), w, out);
  }
  bool hears(heard_frame f) {
    return machine.on_frame({f.type(), f.bytes}, knows, who, 5'000, 6'000, w, out);
  }
  heard_frame says() { return split_frames(taken_bytes(out)).at(0); }
  chunk_pool pool;
  output_chain out{pool};
  wire::frame_writer w;
  link::cluster_secret knows;
  link::lane_identity who{lane_id{77}, "edge-1", 1, 2};
  lane_handshake machine;
};
struct shard_side {
  explicit shard_side(std::string_view secret = secret_text, unsigned nonce = 2)
      : knows(secret), own(nonce_of(nonce)) {}
  bool hears(heard_frame f) {
    now += std::chrono::milliseconds(3);
    return machine.on_frame({f.type(), f.bytes}, knows, own, 9, now, w, out);
  }
  heard_frame says() { return split_frames(taken_bytes(out)).at(0); }
  heard_frame welcomes() {
    wire::welcome m;
    m.index = 4, m.shard_time = 123, m.shards = 2, m.shard_number = 1;
    machine.accept(knows, m, w, out);
    return says();
  }
  time_point now = t0;
  chunk_pool pool;
  output_chain out{pool};
  wire::frame_writer w;
  link::cluster_secret knows;
  wire::nonce own;
  shard_handshake machine;
};
heard_frame frame_of(byte_vector b) { return {std::move(b)}; }

} // namespace

TEST_CASE("handshake: two sides with one secret let each other in") {
  lane_side lane;
  shard_side shard;
  REQUIRE(shard.hears(lane.says()));
  CHECK(shard.machine.now() == shard_handshake::state::want_auth);
  REQUIRE(lane.hears(shard.says()));
  CHECK(lane.machine.now() == lane_handshake::state::want_welcome);
  REQUIRE(shard.hears(lane.says()));
  CHECK(shard.machine.now() == shard_handshake::state::proved);
  CHECK(shard.machine.who().id == lane_id{77});
  CHECK(shard.machine.who().edge_name == "edge-1");
  CHECK(shard.machine.who().number == 1);
  CHECK(shard.machine.who().lanes == 2);
  CHECK(shard.machine.lane_clock() == 5'000);
  CHECK(shard.machine.last_shard_time() == 6'000);
  CHECK(shard.machine.round_trip() == std::chrono::milliseconds(3));
  REQUIRE(lane.hears(shard.welcomes()));
  CHECK(lane.machine.now() == lane_handshake::state::done);
  CHECK(lane.machine.welcome().index == 4);
  CHECK(lane.machine.welcome().shard_time == 123);
  CHECK(lane.machine.shard_life() == 9);
  CHECK(lane.machine.version() == wire::protocol_version);
}

TEST_CASE("handshake: a lane with another secret is refused, in words, before it learns anything") {
  lane_side lane("wasp");
  shard_side shard;
  REQUIRE(shard.hears(lane.says()));
  REQUIRE(lane.hears(shard.says()));
  CHECK_FALSE(shard.hears(lane.says()));
  CHECK(shard.machine.now() == shard_handshake::state::failed);
  CHECK(shard.machine.why().code == wire::error_code::bad_secret);
  CHECK(shard.machine.why().text == "the cluster secret is not the same on both sides");
  CHECK(shard.out.empty());
}

TEST_CASE("handshake: an edge whose name is not UTF-8 is refused, in words") {
  for (const std::string name : {"edge\xff", "\xc3", "\xed\xa0\x80", "edge-\xc3\xa4"}) {
    CAPTURE(name);
    lane_side lane;
    shard_side shard;
    lane.who.edge_name = name;
    REQUIRE(shard.hears(lane.says()));
    REQUIRE(lane.hears(shard.says()));
    CHECK(shard.hears(lane.says()) == (name == "edge-\xc3\xa4"));
    if (name == "edge-\xc3\xa4") continue;
    CHECK(shard.machine.why().code == wire::error_code::malformed);
    CHECK(shard.machine.why().text == "the edge name is not UTF-8");
  }
}

TEST_CASE("handshake: a shard that cannot prove the secret is refused") {
  lane_side lane;
  shard_side shard;
  REQUIRE(shard.hears(lane.says()));
  REQUIRE(lane.hears(shard.says()));
  REQUIRE(shard.hears(lane.says()));
  shard.knows = link::cluster_secret("wasp"); // it let anybody in
  CHECK_FALSE(lane.hears(shard.welcomes()));
  CHECK(lane.machine.now() == lane_handshake::state::failed);
  CHECK(lane.machine.why() == "the router does not know the cluster secret");
}

TEST_CASE("handshake: a lane's proof is not a shard's: a reflected proof is refused") {
  lane_side lane;
  shard_side shard;
  REQUIRE(shard.hears(lane.says()));
  REQUIRE(lane.hears(shard.says()));
  const heard_frame auth = lane.says();
  wire::auth said;
  REQUIRE(said.get(auth.payload()));
  wire::welcome fake;
  fake.index = 1;
  fake.proof = said.proof;
  CHECK_FALSE(lane.hears(frame_of(make(fake))));
}

TEST_CASE("handshake: a recorded auth is worth nothing against another nonce, of either side") {
  lane_side lane;
  shard_side first, second(secret_text, 3);
  const heard_frame hello = lane.says();
  REQUIRE(first.hears(hello));
  REQUIRE(lane.hears(first.says()));
  const heard_frame auth = lane.says();
  REQUIRE(second.hears(hello));
  CHECK_FALSE(second.hears(auth));
  CHECK(second.machine.why().code == wire::error_code::bad_secret);
  lane_side other(secret_text, 8); // another hello, the same challenge
  shard_side third;
  REQUIRE(third.hears(other.says()));
  CHECK_FALSE(third.hears(auth));
  shard_side same; // and the control: the very conversation it was made in
  REQUIRE(same.hears(hello));
  CHECK(same.hears(auth));
}

TEST_CASE("handshake: a changed byte anywhere in what was proved is refused") {
  for (std::size_t at = 8; at < 8 + 40; ++at) {
    lane_side lane;
    shard_side shard;
    REQUIRE(shard.hears(lane.says()));
    heard_frame challenge = shard.says();
    if (at >= challenge.bytes.size()) break;
    if (at < 10) continue; // the version is judged as such
    challenge.bytes[at] ^= std::byte{1};
    REQUIRE(lane.hears(challenge));
    CHECK_FALSE(shard.hears(lane.says()));
  }
}

TEST_CASE("handshake: each message a second time is refused (CAT-7)") {
  {
    lane_side lane;
    shard_side shard;
    const heard_frame hello = lane.says();
    REQUIRE(shard.hears(hello));
    CHECK_FALSE(shard.hears(hello));
    CHECK(shard.machine.why().text == "frame 'hello' before the handshake was done");
  }
  {
    lane_side lane;
    shard_side shard;
    REQUIRE(shard.hears(lane.says()));
    const heard_frame challenge = shard.says();
    REQUIRE(lane.hears(challenge));
    CHECK_FALSE(lane.hears(challenge));
    CHECK(lane.machine.why() == "frame 'challenge' during the handshake");
  }
  {
    lane_side lane;
    shard_side shard;
    REQUIRE(shard.hears(lane.says()));
    REQUIRE(lane.hears(shard.says()));
    const heard_frame auth = lane.says();
    REQUIRE(shard.hears(auth));
    CHECK_FALSE(shard.hears(auth));
  }
  {
    lane_side lane;
    shard_side shard;
    REQUIRE(shard.hears(lane.says()));
    REQUIRE(lane.hears(shard.says()));
    REQUIRE(shard.hears(lane.says()));
    const heard_frame welcome = shard.welcomes();
    REQUIRE(lane.hears(welcome));
    CHECK_FALSE(lane.hears(welcome));
  }
}

TEST_CASE("handshake: every frame type in every state is taken or refused, never believed (CAT-7)") {
  for (heard_frame& f : sample_frames()) {
    INFO(wire::name_of(f.type()));
    {
      shard_side shard;
      CHECK(shard.hears(f) == (f.type() == frame_type::hello));
    }
    {
      lane_side lane;
      shard_side shard;
      REQUIRE(shard.hears(lane.says()));
      CHECK_FALSE(shard.hears(f)); // an auth too: its proof is made up
      CHECK_FALSE(shard.hears(f)); // a failed one stays failed
    }
    {
      lane_side lane;
      CHECK(lane.hears(f) == (f.type() == frame_type::challenge));
    }
    {
      lane_side lane;
      shard_side shard;
      REQUIRE(shard.hears(lane.says()));
      REQUIRE(lane.hears(shard.says()));
      CHECK_FALSE(lane.hears(f));
      CHECK_FALSE(lane.machine.why().empty());
    }
  }
}

TEST_CASE("handshake: what a shard says in an error frame reaches the lane's words") {
  lane_side lane;
  CHECK_FALSE(lane.hears(frame_of(make(wire::error{wire::error_code::name_in_use, "name taken"}))));
  CHECK(lane.machine.why() == "the router refuses: name taken");
}

TEST_CASE("handshake: a peer one version newer is understood when it still speaks ours") {
  shard_side shard;
  wire::hello h;
  h.version = wire::protocol_version + 1, h.version_min = 1;
  REQUIRE(shard.hears(frame_of(make(h))));
  CHECK(shard.machine.version() == 3);
  CHECK(words(*std::make_unique<heard_frame>(shard.says())) == lines{"challenge 3"});
}

TEST_CASE("handshake: a peer one version older is spoken to in its own") {
  shard_side shard;
  wire::hello h;
  h.version = 1, h.version_min = 1;
  REQUIRE(shard.hears(frame_of(make(h))));
  CHECK(words(*std::make_unique<heard_frame>(shard.says())) == lines{"challenge 1"});
  lane_side lane;
  wire::challenge c;
  c.version = 1;
  REQUIRE(lane.hears(frame_of(make(c))));
  CHECK(lane.machine.version() == 1);
}

TEST_CASE("handshake: a peer that speaks only another version is refused in words") {
  shard_side shard;
  wire::hello h;
  h.version = 4, h.version_min = 4;
  CHECK_FALSE(shard.hears(frame_of(make(h))));
  CHECK(shard.machine.why().code == wire::error_code::bad_version);
  CHECK(shard.machine.why().text ==
        "you speak link protocol 4, this router speaks 1 to 3; upgrade the older one");
  lane_side lane;
  wire::challenge c;
  c.version = 4;
  CHECK_FALSE(lane.hears(frame_of(make(c))));
  CHECK(lane.machine.why() == "the router chose link protocol 4, this edge speaks 1 to 3");
}

TEST_CASE("handshake: a stranger's hello is refused: magic, role, versions the wrong way round") {
  const auto refused = [](heard_frame f) {
    shard_side shard;
    return !shard.hears(std::move(f));
  };
  heard_frame good = frame_of(make(wire::hello{}));
  heard_frame magic = good;
  magic.bytes[8] ^= std::byte{1};
  CHECK(refused(magic));
  wire::hello h;
  h.role = 2;
  CHECK(refused(frame_of(make(h))));
  h = {};
  h.version_min = 4;
  CHECK(refused(frame_of(make(h))));
  CHECK_FALSE(refused(good));
}

TEST_CASE("handshake: the version two peers speak is the highest that both understand") {
  using link::common_version;
  CHECK(common_version(1, 1, 1, 1) == 1);
  CHECK(common_version(1, 1, 1, 2) == 1);
  CHECK(common_version(1, 2, 1, 1) == 1);
  CHECK(common_version(1, 1, 2, 2) == 0);
  CHECK(common_version(2, 2, 1, 1) == 0);
  CHECK(common_version(2, 3, 1, 2) == 2);
  CHECK(common_version(1, 5, 3, 4) == 4);
  CHECK(common_version(4, 5, 1, 3) == 0);
}
