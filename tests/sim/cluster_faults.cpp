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

bool cluster::inject(fault f) {
  const auto silence = [&] { return w_.chance(50) ? w_.between(50ms, 1s) : w_.between(1s, 6s); };
  const auto say = [&](const std::string& whom) {
    w_.say("FAULT %s %s", fault_names[static_cast<std::size_t>(f)].data(), whom.c_str());
    h_.any_fault = true;
    h_.last_fault = w_.now;
    return true;
  };
  switch (f) {
  case fault::link_reset:
  case fault::link_stall:
  case fault::link_stall_one_way:
  case fault::link_bit_flip: {
    connection* c = draw_link();
    if (!c) return false;
    if (f == fault::link_bit_flip && !c->corrupt(0) && !c->corrupt(1)) return false;
    h_.flipped |= f == fault::link_bit_flip;
    say(processes_[static_cast<std::size_t>(c->process[0])]->name + "-" +
        processes_[static_cast<std::size_t>(c->process[1])]->name);
    if (f == fault::link_reset) c->reset(true, w_.chance(50) ? 20ms : 2s);
    const time_point until = w_.now + silence();
    if (f == fault::link_stall) c->stall(0, until), c->stall(1, until);
    if (f == fault::link_stall_one_way) c->stall(static_cast<int>(w_.random.below(2)), until);
    return true;
  }
  case fault::edge_cut_off: {
    process& p = edge_process(static_cast<unsigned>(w_.random.below(set_.edges)));
    const time_point until = w_.now + silence();
    say(p.name);
    for (std::size_t i = first_open_; i < connections_.size(); ++i)
      if (connection& c = *connections_[i]; c.is_link && c.process[0] == p.number)
        c.stall(0, until), c.stall(1, until);
    p.hangs_until = until;
    return true;
  }
  case fault::client_reset:
  case fault::client_vanish:
  case fault::client_stall: {
    client_session* s = draw_live_client();
    if (!s) return false;
    say("s" + std::to_string(s->number));
    if (f == fault::client_stall) {
      const time_point until = w_.now + w_.between(50ms, 3s);
      s->wire()->stall(0, until);
      s->wire()->stall(1, until);
    } else {
      s->crash(f == fault::client_vanish);
    }
    return true;
  }
  default: {
    const bool of_router = name_is_router(f);
    process& p = of_router ? router_process(static_cast<unsigned>(w_.random.below(set_.routers)))
                           : edge_process(static_cast<unsigned>(w_.random.below(set_.edges)));
    if (!p.up) return false;
    say(p.name);
    return hit_process(f, p);
  }
  }
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
  default: // clean shutdown
    for (auto& s : shards_)
      if (&s->n->home == &p) s->n->shut_down();
    for (auto& l : lanes_)
      if (&l->n->home == &p) l->n->shut_down();
    if (static_cast<unsigned>(p.number) >= set_.routers)
      edge_open_[static_cast<unsigned>(p.number) - set_.routers] = false;
    p.refuses_until = w_.now + 2s;
    w_.plan(w_.now + w_.between(20ms, 2s), *this, ev_kill,
            static_cast<std::uint64_t>(p.number) << 32 | p.life);
  }
  return true;
}

void cluster::heal() {
  w_.say("everything is healed");
  for (auto& c : connections_) c->heal();
  for (auto& p : processes_) {
    p->refuses_until = p->hangs_until = w_.now;
    p->turn_cost = 20us;
    if (!p->up) start_process(*p);
  }
  for (auto& d : devices) d->come_to_rest();
}

} // namespace beeline::sim
