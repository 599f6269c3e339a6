// Processes that end cleanly: at once, after a drain, and all of them one after the other.
#include "tests/sim/cluster.hpp"

#include "common/link/endpoint.ipp"

#include <algorithm>

namespace beeline::sim {
namespace {
constexpr duration look = 50ms;         // how often a rolling restart looks whether it can go on
constexpr duration roll_patience = 20s; // for one process
} // namespace

void cluster::end_cleanly(process& p) {
  p.ending = true;
  for (auto& s : shards_)
    if (&s->n->home == &p) s->n->shut_down();
  for (auto& l : lanes_)
    if (&l->n->home == &p) l->n->shut_down();
  if (static_cast<unsigned>(p.number) >= set_.routers)
    edge_open_[static_cast<unsigned>(p.number) - set_.routers] = false;
  p.refuses_until = w_.now + 2s;
  w_.plan(w_.now + w_.between(20ms, 2s), *this, ev_kill, static_cast<std::uint64_t>(p.number) << 32 | p.life);
}

// --- drain (edge-server/edge.cpp) ----------------------------------------------------------------------

void cluster::drain_edge(unsigned edge) {
  process& p = edge_process(edge);
  if (!p.up || p.ending || edge_draining_[edge]) return;
  w_.say("e%u drains", edge);
  edge_draining_[edge] = true;
  edge_open_[edge] = false; // its port is closed
  h_.drain_since[edge] = w_.now;
  for (auto& l : lanes_)
    if (l->edge == edge) l->n->drain();
  w_.plan(w_.now + set_.drain_max, *this, ev_drain_over, static_cast<std::uint64_t>(p.number) << 32 | p.life);
}

void cluster::lane_drained(lane_place& l) {
  l.drained = true;
  w_.say("e%u.%u is drained", l.edge, l.number);
  if (std::all_of(lanes_.begin(), lanes_.end(), [&](auto& x) { return x->edge != l.edge || x->drained; }))
    end_drain(l.n->home);
}

void cluster::end_drain(process& p) {
  if (!p.ending) end_cleanly(p);
}

// --- rolling restart ---------------------------------------------------------------------------------------

void cluster::begin_rolling_restart() {
  if (std::exchange(rolling_.on, true)) return;
  rolling_.at = 0;
  roll_next();
  w_.plan(w_.now + look, *this, ev_roll);
}

// Routers first, then edges, each as its operator would: a signal, and then it is waited for.
void cluster::roll_next() {
  process& p = *processes_[rolling_.at];
  rolling_.life = p.life;
  rolling_.give_up = w_.now + roll_patience;
  if (!p.up || p.ending) return; // it comes back anyway
  if (rolling_.at < set_.routers) end_cleanly(p);
  else drain_edge(static_cast<unsigned>(rolling_.at) - set_.routers);
}

bool cluster::serves(const process& p) const {
  if (!p.up || p.ending) return false;
  if (static_cast<unsigned>(p.number) >= set_.routers)
    return edge_open_[static_cast<unsigned>(p.number) - set_.routers];
  return std::none_of(shards_.begin(), shards_.end(),
                      [&](auto& s) { return &s->n->home == &p && s->n->core()->warming_up(); });
}

void cluster::roll() {
  if (!rolling_.on) return;
  const process& p = *processes_[rolling_.at];
  if ((p.life != rolling_.life && serves(p)) || w_.now >= rolling_.give_up) {
    if (++rolling_.at == processes_.size()) {
      rolling_.on = false;
      return w_.say("the rolling restart is over");
    }
    roll_next();
  }
  w_.plan(w_.now + look, *this, ev_roll);
}

} // namespace beeline::sim
