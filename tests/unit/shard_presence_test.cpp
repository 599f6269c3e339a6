// Who owns a client id: claims, takeovers, hash collisions, and dead entries.
#include "common/base/rng.hpp"
#include "tests/support/link_shard_tools.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>

using namespace beeline;
using namespace beeline::test;
using namespace std::chrono_literals;
using wire::frame_type;

namespace {

const handle h1{1, 1}, h2{2, 1};

router::shard_config with_bits(unsigned bits) {
  auto c = shard_bench::in_service();
  c.hash_bits = bits;
  return c;
}
// A second id with the same hash of so many bits.
std::string twin_of(std::string_view id, unsigned bits) {
  for (int i = 0;; ++i)
    if (std::string s = "twin" + std::to_string(i); s != id && hash_of(s, bits) == hash_of(id, bits))
      return s;
}
test_message to(std::string id, unsigned bits, std::uint64_t number = 1) {
  test_message m;
  m.to = std::move(id), m.number = number, m.hash_bits = bits;
  return m;
}

} // namespace

TEST_CASE("shard_presence: the newer of two sessions wins, the older is kicked by the claimant's id") {
  two_joined_lanes t;
  t.e1.registers(h1, "ann");
  t.e1.hears();
  t.bench.wait(10ms);
  t.e2.registers(h2, "ann");
  CHECK(t.e2.hears() == lines{"registered 2.1"});
  CHECK(t.e1.hears() == lines{"kick 1.1 for ann"});
  t.e1.unregisters(h1, "ann");
  CHECK(t.owner("ann") == "e2");
  CHECK(t.bench.shard.counters.takeovers.get() == 1);
  CHECK(t.bench.shard.counters.contested.get() == 0);
  t.e1.sends(to("ann", 64));
  CHECK(t.e2.hears() == lines{"message 1 to 2.1 from 0: hi"});
}

TEST_CASE("shard_presence: the newer session wins also when the older registers later") {
  two_joined_lanes t;
  const time_point early = t.bench.now;
  t.bench.wait(100ms);
  t.e2.registers(h2, "ann");
  CHECK(t.e2.hears() == lines{"registered 2.1"});
  t.bench.wait(100ms);
  t.e1.registers(h1, "ann", early); // its news was slow
  CHECK(t.e2.hears() == lines{"ask 2.1 for ann"});
  CHECK(t.e1.hears().empty()); // it waits
  t.e2.identifies(h2, "ann", "ann");
  CHECK(t.e1.hears() == lines{"kick 1.1 for ann"});
  CHECK(t.owner("ann") == "e2");
  t.e1.unregisters(h1, "ann");
  CHECK(t.owner("ann") == "e2");
  CHECK(t.bench.shard.counters.contested.get() == 0);
}

TEST_CASE("shard_presence: age counts by each lane's own clock, corrected by its link") {
  two_joined_lanes t;
  scripted_lane e3(t.bench, "e3", 3);
  e3.clock_behind = 500s; // started later than the others
  e3.joins();
  const time_point early = t.bench.now;
  t.bench.wait(1s);
  t.e1.registers(h1, "ann");
  e3.registers(h2, "ann", early);
  t.e1.identifies(h1, "ann", "ann");
  CHECK(t.owner("ann") == "e1");
  CHECK(e3.hears() == lines{"kick 2.1 for ann"});
  t.bench.wait(1s);
  e3.registers({3, 1}, "ann");
  CHECK(t.e1.hears().back() == "kick 1.1 for ann");
}

TEST_CASE("shard_presence: a session of the same lane replaces its own older one") {
  two_joined_lanes t;
  t.e1.registers(h1, "ann");
  t.bench.wait(10ms);
  t.e1.hears();
  t.e1.registers(h2, "ann");
  CHECK(t.e1.hears() == lines{"registered 2.1", "kick 1.1 for ann"});
  t.e1.unregisters(h1, "ann");
  t.e2.sends(to("ann", 64));
  CHECK(t.e1.hears() == lines{"message 1 to 2.1 from 1: hi"});
}

TEST_CASE("shard_presence: only the owner's own words remove an entry (CAT-45)") {
  two_joined_lanes t;
  t.e1.registers({1, 7}, "ann");
  t.e1.unregisters({1, 6}, "ann"); // an old generation
  CHECK(t.owner("ann") == "e1");
  t.e1.unregisters({2, 7}, "ann"); // another session
  CHECK(t.owner("ann") == "e1");
  t.e2.unregisters({1, 7}, "ann"); // another lane
  CHECK(t.owner("ann") == "e1");
  t.e1.unregisters({1, 7}, "bob"); // unknown
  t.e1.unregisters({1, 7}, "ann");
  CHECK(t.owner("ann").empty());
}

TEST_CASE("shard_presence: an unregister that crossed a takeover has no effect on the new owner (CAT-45)") {
  two_joined_lanes t;
  t.e1.registers(h1, "ann");
  t.bench.wait(10ms);
  t.e2.registers(h2, "ann");
  t.e1.unregisters(h1, "ann"); // closed by itself
  t.e1.unregisters(h1, "ann"); // and again, as the answer to the kick
  CHECK(t.owner("ann") == "e2");
  CHECK(t.bench.shard.counters.contested.get() == 0);
}

TEST_CASE("shard_presence: different ids with one hash are both kept and both reached") {
  const unsigned bits = 8;
  two_joined_lanes t(with_bits(bits));
  const std::string bob = twin_of("ann", bits);
  t.e1.registers(h1, "ann");
  t.e1.hears();
  t.bench.wait(10ms);
  t.e2.registers(h2, bob);
  CHECK(t.e2.hears() == lines{"registered 2.1"});
  CHECK(t.e1.hears() == lines{"kick 1.1 for " + bob}); // "close it if it is that id", and it is not
  t.e1.identifies(h1, bob, "ann");
  CHECK(t.bench.shard.counters.collisions.get() == 1);
  CHECK(t.bench.shard.counters.contested.get() == 1);
  t.e1.sends(to("ann", bits, 1));
  CHECK(t.e1.hears() == lines{"message 1 to 1.1 from 0: hi"});
  t.e1.sends(to(bob, bits, 2));
  CHECK(t.e2.hears() == lines{"message 2 to 2.1 from 0: hi"});
  t.e1.sends(to(twin_of(bob, bits), bits, 3));
  const lines heard = t.e1.hears();
  if (twin_of(bob, bits) != "ann") CHECK(heard == lines{"answer 3 nobody"});
  t.e1.unregisters(h1, "ann"); // one leaves, the other stays
  CHECK(t.owner(bob) == "e2");
  t.e1.sends(to(bob, bits, 4));
  CHECK(t.e2.hears() == lines{"message 4 to 2.1 from 0: hi"});
  CHECK(t.bench.shard.counters.contested.get() == 0);
}

TEST_CASE("shard_presence: a takeover among ids with one hash kicks the right one") {
  const unsigned bits = 8;
  two_joined_lanes t(with_bits(bits));
  const std::string bob = twin_of("ann", bits);
  t.e1.registers(h1, "ann");
  t.e1.registers(h2, bob);
  t.e1.identifies(h1, bob, "ann");
  t.e1.hears();
  t.bench.wait(10ms);
  t.e2.registers({7, 1}, "ann");
  CHECK(t.e1.hears() == lines{"kick 1.1 for ann"});
  CHECK(t.e2.hears() == lines{"registered 7.1"});
  t.e1.unregisters(h1, "ann");
  t.e2.sends(to(bob, bits, 1));
  t.e2.sends(to("ann", bits, 2));
  CHECK(t.e1.hears() == lines{"message 1 to 2.1 from 1: hi"});
  CHECK(t.e2.hears() == lines{"message 2 to 7.1 from 1: hi"});
}

TEST_CASE("shard_presence: when a lane goes, what it claimed of a contested hash goes with it") {
  const unsigned bits = 8;
  two_joined_lanes t(with_bits(bits));
  const std::string bob = twin_of("ann", bits);
  t.e1.registers(h1, "ann");
  t.bench.wait(10ms);
  t.e2.registers(h2, bob);
  t.e1.identifies(h1, bob, "ann");
  t.e2.leaves();
  CHECK(t.bench.shard.counters.contested.get() == 0);
  CHECK(t.owner("ann") == "e1");
  t.e1.leaves();
  CHECK(t.owner("ann").empty());
}

TEST_CASE("shard_presence: an older claim waits for a lingering owner, and has the id when that is gone") {
  two_joined_lanes t;
  const time_point early = t.bench.now;
  t.bench.wait(100ms);
  t.e2.registers(h2, "ann");
  t.e2.drops();
  t.e1.registers(h1, "ann", early);
  t.e1.hears();
  t.bench.wait(1s);
  CHECK(t.e1.hears().empty());
  t.bench.wait(1500ms);
  CHECK(t.e1.hears() == lines{"registered 1.1", "gone 1", "left 1 e2/0"});
  CHECK(t.owner("ann") == "e1");
}

TEST_CASE("shard_presence: a newer claim has the id at once though the old owner's lane lingers") {
  two_joined_lanes t;
  t.e1.registers(h1, "ann");
  t.bench.wait(100ms);
  t.e1.drops();
  t.e2.hears();
  t.e2.registers(h2, "ann");
  CHECK(t.e2.hears() == lines{"registered 2.1"});
  t.e2.sends(to("ann", 64));
  t.e1.connects(); // it comes back without having heard of it
  t.e1.hears();
  t.e1.registers(h1, "ann", t.bench.now - 100ms);
  CHECK(t.e1.hears().back() == "kick 1.1 for ann");
  t.e1.is_in_sync();
  t.e1.unregisters(h1, "ann");
  CHECK(t.owner("ann") == "e2");
  CHECK(t.bench.shard.counters.contested.get() == 0);
}

TEST_CASE(
    "shard_presence: who was deposed for a while is not the owner all along, though its kick was lost") {
  const std::string how = GENERATE("its link was stalled", "its link was down");
  CAPTURE(how);
  two_joined_lanes t;
  t.e1.registers(h1, "ann");
  const std::uint64_t since = t.e1.since_of(h1);
  t.bench.wait(1s);
  if (how == "its link was down") t.e1.drops();
  t.e2.registers(h2, "ann"); // the newer session; it may take messages now
  CHECK(t.owner("ann") == "e2");
  if (how == "its link was stalled") CHECK(t.e1.hears().back() == "kick 1.1 for ann"); // as if it had not
  t.e2.leaves();                                                                       // with its session
  t.bench.wait(100ms);
  if (how == "its link was stalled") t.e1.drops();
  t.e1.connects();
  const std::uint64_t again = to_us(t.bench.now);
  t.e1.registers(h1, "ann", t.bench.now - 1s, since); // it is still there, and says that it always was
  t.e1.is_in_sync();
  t.bench.wait(10ms);
  CHECK(t.owner("ann") == "e1");
  CHECK(t.e1.since_of(h1) >= again); // what may have been taken elsewhere is not taken here as well
  CHECK(t.bench.shard.counters.contested.get() == 0);
}

TEST_CASE("shard_presence: an owner told to close has the id again only when its lane has said that it is "
          "another") {
  two_joined_lanes t(with_bits(8));
  const std::string twin = twin_of("ann", 8);
  t.e1.registers(h1, "ann");
  t.bench.wait(10ms);
  t.e2.registers(h2, twin); // of the same hash: the newer session, if the ids are the same
  t.e1.hears();
  t.e2.unregisters(h2, twin);
  CHECK(t.bench.shard.counters.contested.get() == 1);
  t.e2.sends(to("ann", 8)); // it can be reached meanwhile: its lane compares the id
  CHECK(t.e1.hears() == lines{"message 1 to 1.1 from 1: hi"});
  t.e1.identifies(h1, twin, "ann");
  CHECK(t.bench.shard.counters.contested.get() == 0);
  CHECK(t.owner("ann") == "e1");
  t.e2.sends(to("ann", 8, 2));
  CHECK(t.e1.hears() == lines{"message 2 to 1.1 from 1: hi"});
}

TEST_CASE("shard_presence: who was not believed to be the owner is not believed the second time either") {
  const std::string how = GENERATE("while it waits", "after its rival has gone");
  CAPTURE(how);
  two_joined_lanes t;
  t.e1.registers(h1, "ann");
  const std::uint64_t since = t.e1.since_of(h1);
  const auto returns = [&] {
    t.e1.connects();
    t.e1.registers(h1, "ann", t.bench.now - 1h, since);
    t.e1.is_in_sync();
  };
  t.e1.drops();
  t.bench.wait(5s); // it is gone
  t.e2.registers(h2, "ann");
  t.bench.wait(1s);
  t.e2.drops();
  returns(); // it waits for e2, which lingers
  t.bench.wait(100ms);
  t.e1.drops();
  if (how == "while it waits") returns();
  t.bench.wait(1950ms); // e2 is gone
  const std::uint64_t gone = to_us(t.bench.now);
  if (how != "while it waits") returns();
  t.bench.wait(200ms);
  CHECK(t.owner("ann") == "e1");
  CHECK(t.e1.since_of(h1) + 1'000'000 >= gone);
  CHECK(t.bench.shard.counters.contested.get() == 0);
}

TEST_CASE("shard_presence: an answer to an older question is none to being told to close") {
  two_joined_lanes t;
  scripted_lane e3(t.bench, "e3", 3);
  e3.joins();
  const time_point early = t.bench.now;
  t.bench.wait(100ms);
  t.e1.registers(h1, "ann");
  const std::uint64_t since = t.e1.since_of(h1);
  t.e2.registers(h2, "ann", early); // an older session, whose news was slow: e1 is asked
  t.bench.wait(100ms);
  e3.registers({3, 1}, "ann"); // a newer one: e1 is told to close
  t.e2.unregisters(h2, "ann");
  e3.unregisters({3, 1}, "ann");
  t.e1.identifies(h1, "ann", "ann"); // what it was asked first
  t.e1.drops();                      // and the rest is lost
  t.e1.connects();
  const std::uint64_t again = to_us(t.bench.now);
  t.e1.registers(h1, "ann", t.bench.now - 100ms, since);
  CHECK(t.e1.since_of(h1) >= again);
  t.e1.is_in_sync();
  CHECK(t.owner("ann") == "e1");
}

TEST_CASE(
    "shard_presence: an owner told to close that closes leaves nothing, though its rival has gone before") {
  two_joined_lanes t;
  t.e1.registers(h1, "ann");
  t.bench.wait(10ms);
  t.e2.registers(h2, "ann");
  t.e2.unregisters(h2, "ann");
  t.e1.unregisters(h1, "ann");
  CHECK_FALSE(t.online("ann"));
  CHECK(t.bench.shard.counters.contested.get() == 0);
  t.bench.wait(1s);
  CHECK(t.bench.shard.counters.clients.get() == 0);
}

TEST_CASE("shard_presence: a lane that saw a later shard time lifts the clock, and sessions count as new") {
  two_joined_lanes t;
  t.e1.registers(h1, "ann");
  t.e1.hears();
  t.e2.drops();
  t.e2.last_shard_time = to_us(t.bench.now) + 3'600'000'000;
  t.e2.connects();
  CHECK(t.e2.welcome.shard_time > t.e2.last_shard_time);
  CHECK(t.e1.hears()[0] == "in-service incomplete");
  CHECK(t.bench.shard.counters.clock_lifts.get() == 1);
}

TEST_CASE("shard_presence: shard time begins where the router says, and a lane that saw an earlier one lifts "
          "nothing") {
  router::shard_config c = with_bits(64);
  c.time_ahead = 7'200'000'000;
  two_joined_lanes t(c);
  t.e1.registers(h1, "ann");
  t.e1.hears();
  t.e2.drops();
  t.e2.last_shard_time = to_us(t.bench.now) + 3'600'000'000;
  t.e2.connects();
  CHECK(t.e2.welcome.shard_time == to_us(t.bench.now) + 7'200'000'000);
  CHECK(std::ranges::count(t.e1.hears(), "in-service incomplete") == 0);
  CHECK(t.bench.shard.counters.clock_lifts.get() == 0);
}

TEST_CASE("shard_presence: ten thousand takeovers with crossed timing leave exactly one owner each (CAT-48, "
          "CAT-49, F9)") {
  for (unsigned bits : {64u, 8u}) {
    two_joined_lanes t(with_bits(bits));
    rng r(bits);
    struct session {
      scripted_lane* lane;
      handle h;
      std::string id;
      bool live = true, kicked = false;
    };
    std::vector<session> all;
    std::map<std::string, std::size_t> newest;
    struct news {
      std::size_t session;
      time_point connected;
    };
    std::vector<news> under_way;
    const auto answer_kicks = [&](scripted_lane& l) {
      std::vector<heard_frame> heard;
      heard.swap(l.frames);
      for (heard_frame& f : heard) {
        if (f.type() != frame_type::kick) continue;
        wire::for_each_record<wire::kick>(f.payload(), [&](const wire::kick& k) {
          session& s = all[k.client.index];
          if (s.id == k.claimant && k.wish == wire::kick::close) s.live = false, s.kicked = true;
          if (!s.live) l.unregisters(k.client, s.id);
          else l.identifies(k.client, k.claimant, s.id);
        });
      }
    };
    for (int i = 0; i < 10'000; ++i) {
      t.bench.now += std::chrono::microseconds(50 + r.below(100));
      session s{r.one_in(2) ? &t.e1 : &t.e2,
                {static_cast<std::uint32_t>(all.size()), 1},
                "c" + std::to_string(r.below(200))};
      newest[s.id] = all.size();
      under_way.push_back({all.size(), t.bench.now});
      all.push_back(s);
      while (!under_way.empty() && (under_way.size() > 8 || r.one_in(3))) { // news overtakes news
        const std::size_t k = r.below(under_way.size());
        const news n = under_way[k];
        under_way.erase(under_way.begin() + static_cast<std::ptrdiff_t>(k));
        all[n.session].lane->registers(all[n.session].h, all[n.session].id, n.connected);
      }
      if (r.one_in(4)) answer_kicks(r.one_in(2) ? t.e1 : t.e2);
      if (i % 1000 == 0) t.e1.beats_once(), t.e2.beats_once();
    }
    for (const news& n : under_way)
      all[n.session].lane->registers(all[n.session].h, all[n.session].id, n.connected);
    for (int k = 0; k < 6; ++k) answer_kicks(t.e1), answer_kicks(t.e2);
    // Of each id exactly the newest session lives, and the shard knows it and no other; every loser was
    // kicked.
    std::size_t wrong = 0;
    for (std::size_t k = 0; k < all.size(); ++k) {
      const bool owner = newest[all[k].id] == k;
      wrong += all[k].live != owner || all[k].kicked == owner;
    }
    CHECK(wrong == 0);
    std::map<std::string, unsigned> owners;
    t.bench.shard.for_each_entry([&](id_hash, std::string_view edge, std::uint16_t, handle h, bool alive) {
      const session& s = all[h.index];
      CHECK((alive && s.lane->who.edge_name == edge && newest[s.id] == h.index));
      ++owners[s.id];
    });
    CHECK(owners.size() == newest.size());
    for (const auto& [id, count] : owners) CHECK(count == 1);
    // Contested stays what different ids share, and only that.
    std::map<id_hash, unsigned> ids_of;
    for (const auto& [id, which] : newest) ++ids_of[hash_of(id, bits)];
    const auto shared =
        std::count_if(ids_of.begin(), ids_of.end(), [](const auto& x) { return x.second > 1; });
    CHECK(t.bench.shard.counters.contested.get() == static_cast<std::uint64_t>(shared));
    CHECK((shared != 0) == (bits == 8));
  }
}

TEST_CASE(
    "shard_presence: entries of a lane that is gone are swept, and its index rests before it is used again") {
  two_joined_lanes t;
  for (std::uint32_t i = 0; i < 1000; ++i) t.e2.registers({i, 1}, "c" + std::to_string(i));
  t.bench.wait(200ms);
  CHECK(t.bench.shard.counters.clients.get() == 1000);
  const member_index old = t.e2.index;
  t.e2.leaves();
  t.bench.wait(500ms);
  CHECK(t.bench.shard.counters.clients.get() == 0);
  for (int i = 0; i < 100; ++i) {
    scripted_lane visitor(t.bench, "v", 100 + static_cast<std::uint64_t>(i));
    visitor.joins();
    CHECK(visitor.index != old);
    visitor.leaves();
  }
}
