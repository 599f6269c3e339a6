#include "tests/sim/run.hpp"

#include "tests/sim/cluster.hpp"

#include <algorithm>

namespace beeline::sim {
namespace {

constexpr duration step = 50ms;    // how often bounds and rest are looked at
constexpr duration rest_max = 45s; // from healing to rest
constexpr duration last_exchange_max = 15s;

class faults_to_come final : public actor {
public:
  faults_to_come(world& w, const settings& s, cluster& c) : w_(w), set_(s), cluster_(c) {
    for (std::size_t k = 0; k < fault_count; ++k)
      if (s.fault_on[k])
        kinds_[(k >= faults_of_generation_1) + (k >= faults_of_generation_2) + (k >= faults_of_generation_3)]
            .push_back(static_cast<fault>(k));
    for (unsigned i = 0; i < s.faults; ++i) w_.plan(w_.now + w_.between(300ms, s.fault_phase), *this, 0, i);
    rng r(s.seed * 0x9fb21c651e98df25ull + 3);
    const auto room = static_cast<std::uint64_t>(to_us(s.fault_phase - 300ms));
    unsigned i = s.faults;
    for (const unsigned end = i + s.later_faults[0]; i < end; ++i)
      w_.plan(w_.now + 300ms + duration(static_cast<duration::rep>(r.below(room))), *this, 0, i);
    for (; i < s.all_faults(); ++i) // early: they take some seconds
      w_.plan(w_.now + 600ms + duration(static_cast<duration::rep>(r.below(room / 3))), *this, 0, i);
  }
  void on_event(std::uint32_t, std::uint64_t number) override {
    if (over || std::find(set_.without.begin(), set_.without.end(), number) != set_.without.end()) return;
    std::size_t generation = 0;
    for (std::uint64_t end = set_.faults; number >= end; end += set_.later_faults[generation++]) {
    }
    const std::vector<fault>& kinds = kinds_[generation];
    for (int tries = 0; tries < 4; ++tries) {
      const fault f = kinds[w_.random.below(kinds.size())];
      if (!cluster_.inject(f)) continue;
      ++fired[static_cast<std::size_t>(f)];
      return;
    }
  }
  std::array<std::uint32_t, fault_count> fired{};
  bool over = false;

private:
  world& w_;
  const settings& set_;
  cluster& cluster_;
  std::array<std::vector<fault>, 4> kinds_; // by generation
};

// Everybody who is online writes to everybody (of a crowd: to the next ones), whether online or not, and to
// itself: to so few at a time that no window fills.
void last_exchange(world& w, const settings& s, cluster& c) {
  constexpr unsigned at_once = 3, crowd = 100;
  const unsigned all = s.ids < crowd ? s.ids : at_once;
  for (unsigned first = 0; first < all && w.violation.empty(); first += at_once) {
    for (unsigned from = 0; from < s.ids; ++from)
      for (unsigned k = first; k < std::min(first + at_once, all); ++k)
        if (c.devices[from]->wants_online()) c.devices[from]->newest()->publish((from + k) % s.ids, 1, true);
    w.run_until(w.now + step);
    come_to_rest(w, c, last_exchange_max, "after the last exchange");
  }
}

} // namespace

void come_to_rest(world& w, cluster& c, duration at_most, const char* when) {
  const time_point end = w.now + at_most;
  std::string why;
  while (w.violation.empty()) {
    why = c.why_not_at_rest();
    if (why.empty()) return;
    if (w.now >= end) {
      const bool named = why.size() > 3 && why[0] == 'P' && why[2] == ':';
      return w.broken(named ? why.substr(0, 2).c_str() : "liveness", "not at rest %s: %s", when, why.c_str());
    }
    w.run_until(w.now + step);
    c.note_held_up();
    c.judge_bounds();
  }
}

void heal_and_judge(world& w, const settings& s, history& h, cluster& c) {
  if (w.violation.empty()) c.heal();
  come_to_rest(w, c, rest_max, "after healing");
  if (w.violation.empty()) w.run_until(w.now + 500ms);
  if (w.violation.empty()) last_exchange(w, s, c);
  // Links are never silent, so that their last message is on its way for as long as it may be at most.
  const pipe_settings& l = s.link;
  const auto full = std::chrono::microseconds(l.capacity * 1'000'000 / l.bytes_per_second);
  if (w.violation.empty()) w.run_until(w.now + 2 * (l.delay + l.jitter + full));
  if (w.violation.empty()) c.judge_at_rest();
  if (w.violation.empty()) h.judge_at_rest();
}

run_result run_seed(const run_options& o) {
  world w(o.draw.seed, o.trace);
  const settings s = draw_settings(w, o.draw);
  w.say("seed %llu: %u routers of %u shards, %u edges, %u ids, %u hash bits, %u faults, window %llu, in "
        "flight %u",
        static_cast<unsigned long long>(s.seed), s.routers, s.shards, s.edges, s.ids, s.hash_bits, s.faults,
        static_cast<unsigned long long>(s.window_messages), s.inflight_max);
  history h(w, s);
  cluster c(w, s, h);
  c.start();
  if (!w.chance(10)) // mostly, the first warm-up is over when clients come
    while (!c.in_service()) w.run_until(w.now + step);
  c.let_clients_in();
  faults_to_come faults(w, s, c);
  const time_point end = w.now + std::min(s.fault_phase, s.stop_after);
  while (w.now < end && w.violation.empty()) {
    w.run_until(std::min(end, w.now + step));
    c.note_held_up();
    c.judge_bounds();
  }
  faults.over = true;
  heal_and_judge(w, s, h, c);

  run_result r;
  r.seed = s.seed;
  r.violation = w.violation;
  r.deliveries = h.deliveries;
  r.publishes = h.publishes;
  r.sessions = h.sessions.size();
  r.until = w.now.time_since_epoch();
  r.faults_planned = s.all_faults();
  r.processes = s.routers + s.edges;
  r.clients = s.ids;
  r.events = w.events();
  r.resent = c.resent;
  r.safety_resends = c.safety_resends;
  r.fired = faults.fired;
  for (const std::uint32_t n : r.fired) r.faults += n;
  r.outcomes = h.outcomes;
  r.hash = w.hash();
  return r;
}

} // namespace beeline::sim
