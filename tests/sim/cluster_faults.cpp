// What goes wrong in the cluster: each kind of fault, and healing.
#include "tests/sim/cluster.hpp"

#include "common/link/endpoint.ipp"

#include <algorithm>

namespace beeline::sim {

connection* cluster::draw_link() {
  std::vector<connection*> open;
  for (std::size_t i = first_open_; i < connections_.size(); ++i) {
    connection& c = *connections_[i];
    if (c.is_link && !c.way[0].lost && !c.end[0].closed && !c.end[1].closed) open.push_back(&c);
  }
  return open.empty() ? nullptr : open[w_.random.below(open.size())];
}

client_session* cluster::draw_live_client() {
  std::vector<client_session*> all;
  for (auto& d : devices)
    if (client_session* s = d->newest(); s && !s->over() && s->wire()) all.push_back(s);
  return all.empty() ? nullptr : all[w_.random.below(all.size())];
}

void cluster::note_fault(const std::string& what) {
  w_.say("FAULT %s", what.c_str());
  h_.any_fault = true;
  h_.last_fault = w_.now;
}

bool cluster::inject(fault f) {
  const bool hit = try_to_inject(f);
  h_.fired[static_cast<std::size_t>(f)] |= hit;
  return hit;
}

bool cluster::try_to_inject(fault f) {
  using enum fault;
  const std::string name(fault_names[static_cast<std::size_t>(f)]);
  switch (f) {
  case link_reset:
  case link_stall:
  case link_stall_one_way:
  case link_bit_flip:
  case link_trickle:
  case link_lose_some:
  case link_repeat: return hit_link(f);
  case client_reset:
  case client_vanish:
  case client_stall: return hit_client(f);
  case takeover_storm: return note_fault(name), storm(), true;
  case restart_herd: return note_fault(name), herd(), true;
  case moved_and_lost: return move_and_lose();
  case slots_moved: return move_slots();
  case rolling_restart:
    if (rolling_.on) return false;
    return note_fault(name), begin_rolling_restart(), true;
  case edge_cut_off: {
    const auto e = static_cast<unsigned>(w_.random.below(set_.edges));
    const time_point until = w_.now + draw_silence();
    note_fault(name + " " + edge_process(e).name);
    return cut_off(e, until), true;
  }
  case path_one_way: {
    const auto e = static_cast<unsigned>(w_.random.below(set_.edges));
    const auto r = static_cast<unsigned>(w_.random.below(set_.routers));
    note_fault(name + " " + edge_process(e).name + "-" + router_process(r).name);
    return silence_path(e, r, w_.chance(50), w_.now + draw_silence()), true;
  }
  default: {
    const bool of_any = f == process_slow || f == clock_jump;
    const bool of_router = of_any ? w_.chance(50) : name_is_router(f);
    process& p = of_router ? router_process(static_cast<unsigned>(w_.random.below(set_.routers)))
                           : edge_process(static_cast<unsigned>(w_.random.below(set_.edges)));
    if (!p.up) return false;
    note_fault(name + " " + p.name);
    return hit_process(f, p);
  }
  }
}

duration cluster::draw_silence() { return w_.chance(50) ? w_.between(50ms, 1s) : w_.between(1s, 6s); }

bool cluster::hit_link(fault f) {
  using enum fault;
  connection* c = draw_link();
  if (!c) return false;
  if (f == link_bit_flip && !c->corrupt(0) && !c->corrupt(1)) return false;
  if (f == link_lose_some && !c->lose_some(0) && !c->lose_some(1)) return false;
  if (f == link_repeat && !c->repeat_frame(0) && !c->repeat_frame(1)) return false;
  h_.flipped |= f == link_bit_flip || f == link_lose_some || f == link_repeat;
  note_fault(std::string(fault_names[static_cast<std::size_t>(f)]) + " " +
             processes_[static_cast<std::size_t>(c->process[0])]->name + "-" +
             processes_[static_cast<std::size_t>(c->process[1])]->name);
  if (f == link_reset) c->reset(true, w_.chance(50) ? 20ms : 2s);
  const time_point until = w_.now + draw_silence();
  if (f == link_stall) c->stall(0, until), c->stall(1, until);
  if (f == link_stall_one_way) c->stall(static_cast<int>(w_.random.below(2)), until);
  if (f == link_trickle) {
    const std::uint64_t ways = w_.random.below(3);
    if (ways != 1) c->trickle(0, until);
    if (ways != 0) c->trickle(1, until);
  }
  return true;
}

bool cluster::hit_client(fault f) {
  client_session* s = draw_live_client();
  if (!s) return false;
  note_fault(std::string(fault_names[static_cast<std::size_t>(f)]) + " s" + std::to_string(s->number));
  if (f == fault::client_stall) {
    const time_point until = w_.now + w_.between(50ms, 3s);
    s->wire()->stall(0, until);
    s->wire()->stall(1, until);
  } else {
    s->crash(f == fault::client_vanish);
  }
  return true;
}

void cluster::cut_off(unsigned edge, time_point until) {
  process& p = edge_process(edge);
  for (std::size_t i = first_open_; i < connections_.size(); ++i)
    if (connection& c = *connections_[i]; c.is_link && c.process[0] == p.number)
      c.stall(0, until), c.stall(1, until);
  p.hangs_until = until;
}

// One direction carries nothing, so that no connect succeeds either.
void cluster::silence_path(unsigned edge, unsigned router, bool to_router, time_point until) {
  for (std::size_t i = first_open_; i < connections_.size(); ++i)
    if (connection& c = *connections_[i]; c.is_link && c.process[0] == edge_process(edge).number &&
                                          c.process[1] == router_process(router).number)
      c.stall(to_router ? 0 : 1, until);
  time_point& silent = path_silent_[std::size_t{edge} * set_.routers + router];
  silent = std::max(silent, until);
}

bool cluster::name_is_router(fault f) noexcept {
  using enum fault;
  return f == router_crash || f == router_crash_long || f == router_vanish || f == router_shutdown ||
         f == router_pause || f == dials_refused || f == dials_hang;
}

bool cluster::hit_process(fault f, process& p) {
  switch (f) {
  case fault::edge_crash:
  case fault::router_crash: kill_for(p, false, w_.between(1ms, 1s)); break;
  case fault::edge_crash_long:
  case fault::router_crash_long: kill_for(p, false, w_.between(1s, 5s)); break;
  case fault::edge_vanish:
  case fault::router_vanish: kill_for(p, true, w_.between(500ms, 6s)); break;
  case fault::edge_pause:
  case fault::router_pause: p.paused_until = w_.now + w_.between(100ms, 5s); break;
  case fault::dials_refused: p.refuses_until = w_.now + w_.between(100ms, 3s); break;
  case fault::dials_hang: p.hangs_until = w_.now + w_.between(100ms, 2s); break;
  case fault::edge_drain: drain_edge(static_cast<unsigned>(p.number) - set_.routers); break;
  case fault::process_slow: slow_down(p); break;
  case fault::clock_jump: jump(p); break;
  default: end_cleanly(p); // clean shutdown
  }
  return true;
}

void cluster::slow_down(process& p) {
  p.turn_cost = w_.between(5ms, 100ms);
  w_.plan(w_.now + w_.between(200ms, 3s), *this, ev_fast, static_cast<std::uint64_t>(p.number));
}

// The cores know no clock but a steady one; what can happen to them is that the next life's has another
// origin.
void cluster::jump(process& p) {
  const duration by = w_.chance(50) ? duration(1h) : duration(24h);
  p.clock_jump = w_.chance(50) ? -by : by;
  kill_for(p, false, w_.between(1ms, 50ms));
}

// Clients that connect while edges register those that were there.
void cluster::herd() {
  process& p = router_process(static_cast<unsigned>(w_.random.below(set_.routers)));
  if (p.up) kill_for(p, false, w_.between(1ms, 20ms));
  for (std::uint64_t n = 3 * devices.size(); n; --n)
    w_.plan(w_.now + w_.between(1ms, 400ms), *this, ev_herd, w_.random.below(devices.size()));
}

void cluster::storm() {
  for (auto& d : devices)
    for (std::uint64_t n = w_.between(0, 2); n; --n) d->connect_elsewhere();
}

// The routers are heard again over new links, once the silent ones are given up.
bool cluster::move_and_lose() {
  const auto from = static_cast<unsigned>(w_.random.below(set_.edges));
  const auto to = static_cast<unsigned>((from + 1 + w_.random.below(set_.edges - 1)) % set_.edges);
  if (!edge_process(from).up || !edge_process(to).up) return false;
  note_fault("moved_and_lost " + edge_process(from).name + " to " + edge_process(to).name);
  const time_point until = w_.now + w_.between(3'500ms, 6s);
  for (std::size_t i = first_open_; i < connections_.size(); ++i)
    if (connection& c = *connections_[i]; c.is_link && c.process[0] == edge_process(from).number)
      c.stall(1, until);
  for (auto& d : devices)
    if (d->newest() && d->newest()->live() && w_.chance(50)) d->moves_for_the_last_time(to);
  w_.plan(w_.now + w_.between(300ms, 2'500ms), *this, ev_lost, to);
  return true;
}

// Between two routers that are neighbours. Either is the first to start with its new slots, so that edges see
// slots that nobody has, or that two have.
bool cluster::move_slots() {
  if (set_.routers < 2) return false;
  const auto from = static_cast<unsigned>(w_.random.below(set_.routers - 1));
  const unsigned to = from + 1;
  if (has_old_slots(from) || has_old_slots(to)) return false;
  const std::uint32_t first = shards_[from * set_.shards]->first;
  const std::uint32_t slots = shards_[(to + 1) * set_.shards - 1]->last + 1 - first;
  const auto border = static_cast<std::uint32_t>(w_.between(slots / 10, slots - slots / 10));
  for (unsigned k = 0; k < set_.shards; ++k) {
    shard_place& a = *shards_[from * set_.shards + k];
    a.first = first + border * k / set_.shards;
    a.last = first + border * (k + 1) / set_.shards - 1;
    shard_place& b = *shards_[to * set_.shards + k];
    b.first = first + border + (slots - border) * k / set_.shards;
    b.last = first + border + (slots - border) * (k + 1) / set_.shards - 1;
  }
  note_fault("slots_moved " + router_process(from).name + " " + router_process(to).name);
  const bool other_way = w_.chance(50);
  start_with_new_slots(other_way ? to : from);
  w_.plan(w_.now + w_.between(1ms, 3s), *this, ev_new_slots, other_way ? from : to);
  return true;
}

bool cluster::has_old_slots(unsigned router) const {
  return std::any_of(shards_.begin(), shards_.end(), [&](const auto& s) {
    return s->router == router && (s->first != s->life_first || s->last != s->life_last);
  });
}

void cluster::start_with_new_slots(unsigned router) {
  process& p = router_process(router);
  if (has_old_slots(router) && p.up) kill_for(p, w_.chance(20), w_.between(1ms, 1s));
}

void cluster::heal() {
  w_.say("everything is healed");
  rolling_.on = false;
  for (unsigned r = 0; r < set_.routers; ++r)
    if (has_old_slots(r)) kill(router_process(r), false);
  for (auto& c : connections_) c->heal();
  for (time_point& t : path_silent_) t = w_.now;
  for (auto& p : processes_) {
    p->refuses_until = p->hangs_until = w_.now;
    p->turn_cost = 20us;
    if (!p->up) start_process(*p);
  }
  for (auto& d : devices) d->come_to_rest();
}

} // namespace beeline::sim
