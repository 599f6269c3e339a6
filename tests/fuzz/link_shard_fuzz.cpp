// CAT-7, CAT-8, CAT-58: the shard's side of links. Three lanes that the input plays, of which two claim one
// place, say frames of every type and bytes as they come: before hello, between hello and proof, syncing, in
// sync, late and twice. A lane that does everything right is among them. Or, in a whole cluster, the input
// speaks in the name of a good lane.
//
// What must hold: before the proof nothing has any effect; the shard says nothing but good frames; nothing
// grows; and when the three have gone, nothing of them is left.
#include "tests/fuzz/link_inside.hpp"
#include "tests/support/link_shard_tools.hpp"

using namespace beeline;
using namespace beeline::test;
using namespace std::chrono_literals;

namespace {

byte_vector bytes_of(std::string_view s) {
  const const_bytes b = as_bytes(s);
  return {b.begin(), b.end()};
}

std::uint64_t effects(const router::shard& s) {
  const auto& c = s.counters;
  return c.registrations.get() + c.unregistrations.get() + c.takeovers.get() + c.messages_in[0].get() +
         c.messages_in[1].get() + c.reports.get() + c.collisions.get() + c.claims_refused.get();
}

class shard_game {
public:
  shard_game(fuzz::input& in, unsigned setup) : in_(in), bench_(config(setup)), make_(in, secret_text) {
    honest_.hash_bits = bench_.shard.config().hash_bits;
    honest_.joins();
    honest_.registers(ann, "A");
    lanes_[2].version = setup & 16 ? 1 : wire::protocol_version;
  }

  void play() {
    while (!in_.empty()) {
      const std::size_t k = in_.byte() % 3;
      scripted_lane& l = lanes_[k];
      const bool stranger = !let_in_[k];
      const std::uint64_t before = effects(bench_.shard), links = bench_.shard.counters.links.get();
      const auto now = bench_.now;
      const conn* const c = l.c;
      step(l);
      // It may not read that it was welcomed.
      let_in_[k] = (let_in_[k] && l.c == c) || bench_.shard.counters.links.get() > links;
      // While time passes and good lanes speak, there may be effects; of what a stranger says there are none.
      if (stranger && !let_in_[k] && now == bench_.now && !honest_spoke_)
        MUST_HOLD(effects(bench_.shard) == before);
      honest_spoke_ = false;
      l.frames.clear(), honest_.frames.clear();
      check_bounds();
    }
    leave();
  }

private:
  static constexpr handle ann{1, 1};

  static router::shard_config config(unsigned setup) {
    router::shard_config c = setup & 1 ? shard_bench::warming() : shard_bench::in_service();
    c.warm_up = setup & 1 ? 1s : 0s;
    c.link_output_max = 6'000;
    if (setup & 2) c.hash_bits = 4;
    if (setup & 4) c.clients_max = 2, c.contested_max = 1;
    if (setup & 8) c.handshakes_max = 2, c.links_max = 3, c.members_max = 8;
    return c;
  }

  void step(scripted_lane& l) {
    switch (in_.byte() % 16) {
    case 0:
      if (l.c) l.drops();
      return l.opens();
    case 1: return says(l, l.next_step());
    case 2: { // twice
      const byte_vector b = l.next_step();
      says(l, b);
      return says(l, b);
    }
    case 3:
    case 4:
    case 5: return says(l, bytes_of(make_.next()));
    case 6:
      if (!l.c) l.connects();
      return l.is_in_sync();
    case 7: {
      const handle h{in_.byte() % 4u, 1};
      const std::string_view id = in_.byte() & 1 ? "A" : "B";
      return l.registers(h, id, bench_.now, in_.number());
    }
    case 8: return sends_to_a(l);
    case 9: return bench_.wait(100ms * in_.byte());
    case 10:
      if (l.c) l.drops();
      return;
    case 11: l.reads = in_.byte() & 1; return;
    case 12: l.beats = in_.byte() & 1; return;
    case 13: return honest_speaks();
    case 14: { // in two pieces
      const byte_vector b = bytes_of(make_.next());
      const auto cut = b.begin() + static_cast<std::ptrdiff_t>(in_.two() % (b.size() + 1));
      says(l, {b.begin(), cut});
      return says(l, {cut, b.end()});
    }
    default: return l.leaves(in_.byte() & 1);
    }
  }
  void sends_to_a(scripted_lane& l) {
    test_message m;
    m.to = "A", m.from = "B", m.number = in_.number() | 1, m.qos1 = in_.byte() & 1;
    l.sends(m);
  }
  static void says(scripted_lane& l, byte_vector b) {
    if (l.c) l.says(std::move(b));
  }
  void honest_speaks() {
    honest_spoke_ = true;
    if (!honest_.c) return honest_.joins();
    switch (in_.byte() % 4) {
    case 0: return honest_.registers(ann, "A");
    case 1: return honest_.unregisters(ann, "A");
    case 2: return honest_.answers(in_.byte(), 0, answer::accepted);
    default: {
      test_message m;
      m.to = "B", m.from = "A", m.number = ++number_;
      return honest_.sends(m);
    }
    }
  }

  void check_bounds() {
    MUST_HOLD(bench_.pool.bytes_in_use() < 4 * limits::MiB);
    const auto& c = bench_.shard.counters;
    MUST_HOLD(c.links.get() <= 4 && c.handshakes_open.get() <= 4);
    const histogram_snapshot told = bench_.shard.publish_to_answer.snapshot(); // only whole reports got there
    MUST_HOLD(told.count() >= c.reports.get() && (told.count() == 0) == (c.reports.get() == 0));
  }

  void leave() {
    for (scripted_lane& l : lanes_) {
      l.reads = true;
      if (l.c) l.drops();
    }
    bench_.wait(20s);
    // It may have been told to close, and does so now; else its session stays.
    if (honest_.c && bench_.shard.counters.contested.get()) honest_.unregisters(ann, "A");
    bench_.shard.for_each_entry(
        [](id_hash, std::string_view edge, std::uint16_t, handle, bool) { MUST_HOLD(edge == "edge-1"); });
    MUST_HOLD(bench_.shard.counters.contested.get() == 0 && bench_.shard.counters.links.get() <= 1);
    MUST_HOLD(bench_.shard.counters.handshakes_open.get() == 0);
  }

  fuzz::input& in_;
  shard_bench bench_;
  scripted_lane honest_{bench_, "edge-1", 1};
  scripted_lane lanes_[3] = {{bench_, "edge-2", 2}, {bench_, "edge-2", 3}, {bench_, "edge-3", 4, 1}};
  fuzz::frame_maker make_;
  std::uint64_t number_ = 0;
  bool honest_spoke_ = false;
  bool let_in_[3] = {}; // lanes with a link that the shard took
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::input in(data, size);
  const unsigned setup = in.byte();
  if (setup & 128)
    fuzz::speak_inside(
        in, [](lane_world& w, std::size_t k, const std::string& f) { return w.into_shard_link(k, f); });
  else shard_game(in, setup).play();
  return 0;
}
