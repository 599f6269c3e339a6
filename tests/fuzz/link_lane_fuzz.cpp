// CAT-7, CAT-8, CAT-58: the lane's side of links. Two routers that the input plays, which may know the secret
// or not, say frames of every type and bytes as they come: instead of a challenge, of a welcome, before and
// after the slot map, late and twice. Or, in a whole cluster, the input speaks in the name of the good shard.
//
// What must hold: without the proof nothing has any effect; the lane says nothing but good frames; each
// message has one outcome at most, and within bounds of time one; nothing grows.
#include "tests/fuzz/link_inside.hpp"
#include "tests/support/link_endpoint_tools.hpp"

#include <set>

using namespace beeline;
using namespace beeline::test;
using namespace std::chrono_literals;

namespace {

byte_vector bytes_of(std::string_view s) {
  const const_bytes b = as_bytes(s);
  return {b.begin(), b.end()};
}

class lane_game {
public:
  lane_game(fuzz::input& in, unsigned setup)
      : in_(in), bench_(config(setup)), make_(in, secret_text), to_the_end_(setup & 8) {
    for (scripted_shard& s : shards_)
      if (setup & 4) s.version = 1;
    bench_.wait(100ms);
    attach("A");
  }

  void play() {
    while (!in_.empty()) {
      step(shards_[in_.byte() & 1]);
      check();
    }
    if (to_the_end_) settle();
  }

private:
  static link::endpoint_config config(unsigned setup) {
    link::endpoint_config c = endpoint_bench::config(2);
    c.window.window_messages = 64;
    if (setup & 1) c.hash_bits = 4;
    if (setup & 2) c.link_output_high = 2'000, c.link_output_low = 500;
    return c;
  }

  void step(scripted_shard& s) {
    switch (in_.byte() % 19) {
    case 0: return s.answers_hello();
    case 1: return s.answers_auth();
    case 2: return welcomes(s);
    case 3:
    case 4:
    case 5: return s.says(bytes_of(make_.next()));
    case 6: return s.registers_all();
    case 7: return attach(in_.byte() & 1 ? "A" : "B");
    case 8: return detach(in_.byte());
    case 9: return submit(in_.byte());
    case 10: return bench_.wait(100ms * in_.byte());
    case 11:
      if (s.c) s.closes();
      return;
    case 12: s.beats = in_.byte() & 1; return;
    case 13: s.reads = in_.byte() & 1; return;
    case 14: s.listens = in_.byte() & 1; return;
    case 15: s.secret = in_.byte() & 1 ? test_secret() : link::cluster_secret("another"); return;
    case 16: return answer_all(s);
    case 17: return settle_receipt();
    default: { // in two pieces
      const byte_vector b = bytes_of(make_.next());
      const auto cut = b.begin() + static_cast<std::ptrdiff_t>(in_.two() % (b.size() + 1));
      s.says({b.begin(), cut});
      return s.says({cut, b.end()});
    }
    }
  }

  void welcomes(scripted_shard& s) {
    const unsigned what = in_.byte();
    if (what & 1) s.map[0].last = slot_count / 2 - 1;
    if (what & 2) s.map[0].first = slot_count / 2;
    s.welcomes();
    if (what & 4) s.says(make_frame(wire::frame_type::in_sync));
  }
  void attach(std::string_view id) {
    if (clients_.size() < 4) clients_.push_back(bench_.attach(id));
  }
  void detach(std::size_t k) {
    if (clients_.empty()) return;
    const auto at = clients_.begin() + static_cast<std::ptrdiff_t>(k % clients_.size());
    const handle h = *at;
    clients_.erase(at);
    if (bench_.lane.find(h)) bench_.detach(h);
  }
  void submit(std::size_t k) {
    if (clients_.empty()) return;
    const handle h = clients_[k % clients_.size()];
    if (!bench_.lane.find(h)) return; // it was kicked
    sender_of_[++tokens_] = h;
    const std::uint8_t how = in_.byte();
    bench_.submits(h, tokens_, how & 1 ? "A" : "B", how & 2);
  }
  void settle_receipt() {
    if (bench_.host.owes.empty()) return;
    const std::uint32_t receipt = bench_.host.owes.back();
    bench_.host.owes.pop_back();
    bench_.lane.settle_receipt(receipt, static_cast<wire::receipt>(in_.byte() % 4), bench_.now);
    bench_.turn_ends();
  }
  void answer_all(scripted_shard& s) {
    const auto what = static_cast<answer>(in_.byte() % answer_count);
    std::vector<wire::answer_record> all;
    for (heard_frame& f : s.frames)
      if (f.type() == wire::frame_type::message_qos1)
        all.push_back({static_cast<std::uint32_t>(f.message().number()), in_.byte(), what,
                       static_cast<std::uint8_t>(in_.byte() & 1)});
    s.frames.clear();
    if (!all.empty()) s.says(make_batch(wire::frame_type::answers, all));
  }

  void check() {
    for (scripted_shard& s : shards_)
      if (s.frames.size() > 1'000) s.frames.clear();
    const auto& c = bench_.lane.counters;
    proved_ = proved_ || c.link_connects.get() != 0;
    for (const std::string& t : bench_.told()) {
      if (t.starts_with("outcome ") || t.starts_with("receipt ")) { // both are as long
        const std::uint64_t token = std::stoull(t.substr(8));
        MUST_HOLD(sender_of_.erase(token) == 1); // one outcome, of something that was sent
      } else if (!t.starts_with("not ready")) {
        MUST_HOLD(proved_);
      }
    }
    if (!proved_) MUST_HOLD(c.messages_in.get() == 0 && c.registrations.get() == 0 && c.links_up.get() == 0);
    MUST_HOLD(bench_.pool.bytes_in_use() < 4 * limits::MiB && bench_.lane.clients() <= 4);
    bench_.host.log.clear();
  }

  // With nobody at the routers' places any more, each message of a client that lives gets its outcome.
  void settle() {
    for (scripted_shard& s : shards_) {
      s.listens = s.beats = false;
      s.reads = true;
      if (s.c) s.closes();
    }
    bench_.wait(limits::link_down_max + 5s);
    check();
    for (const auto& [token, sender] : sender_of_) MUST_HOLD(!bench_.lane.find(sender));
  }

  fuzz::input& in_;
  endpoint_bench bench_;
  scripted_shard shards_[2] = {{bench_, 1900}, {bench_, 2900}};
  fuzz::frame_maker make_;
  std::vector<handle> clients_;
  std::map<std::uint64_t, handle> sender_of_; // of messages without an outcome, by token
  std::uint64_t tokens_ = 0;
  bool to_the_end_, proved_ = false;
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::input in(data, size);
  const unsigned setup = in.byte();
  if (setup & 128)
    fuzz::speak_inside(
        in, [](lane_world& w, std::size_t k, const std::string& f) { return w.into_lane_link(k, f); });
  else lane_game(in, setup).play();
  return 0;
}
