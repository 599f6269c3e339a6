#include "tests/chaos/injector.hpp"

#include <algorithm>
#include <csignal>
#include <thread>

namespace beeline::chaos {
using namespace std::chrono_literals;

namespace {
std::optional<proxy::harm> damage_of(fault f) {
  switch (f) {
  case fault::link_flip: return proxy::harm::flip;
  case fault::link_lose_bytes: return proxy::harm::lose;
  case fault::link_replay: return proxy::harm::replay;
  case fault::link_replay_proof: return proxy::harm::replay_proof;
  default: return {};
  }
}
} // namespace

injector::injector(cluster& c, proxy* links, namespaces* nets, clock now)
    : cluster_(c), proxy_(links), nets_(nets), now_(std::move(now)) {}

void injector::wait_until(std::int64_t at) {
  while (now_() < at) {
    cluster_.look_for_dead(now_());
    std::this_thread::sleep_for(std::chrono::microseconds(std::clamp<std::int64_t>(at - now_(), 0, 20'000)));
  }
}

void injector::run(const std::vector<planned_fault>& plan, std::int64_t load_begin, std::int64_t load_end) {
  struct step {
    std::int64_t at;
    std::size_t fault;
    bool begins;
  };
  std::vector<step> steps;
  for (std::size_t i = 0; i < plan.size(); ++i) {
    steps.push_back({plan[i].begin, i, true});
    steps.push_back({plan[i].end, i, false});
  }
  std::stable_sort(steps.begin(), steps.end(), [](const step& a, const step& b) { return a.at < b.at; });
  told_.resize(plan.size());
  for (const step& s : steps) {
    wait_until(load_begin + s.at);
    const planned_fault& f = plan[s.fault];
    fault_fact& told = told_[s.fault];
    if (!s.begins) {
      end(f, told);
      told.end = now_();
      continue;
    }
    told = {f.kind, f.edge, f.shard, now_(), now_(), 0};
    told.hits = begin(f);
  }
  wait_until(load_end);
}

std::size_t injector::begin_now(const planned_fault& f, unsigned done) {
  begun_.push_back(f);
  told_.push_back({f.kind, f.edge, f.shard, now_(), now_(), 0, f.client});
  told_.back().hits = done ? done : begin(f);
  return told_.size() - 1;
}

void injector::end_now(std::size_t number) {
  end(begun_[number], told_[number]);
  told_[number].end = now_();
}

unsigned injector::begin(const planned_fault& f) {
  switch (scope_of(f.kind)) {
  case scope::links:
  case scope::clients:
    if (const auto how = damage_of(f.kind)) return damage(f, *how);
    return on_links(f, true);
  default: return f.kind == fault::net_down ? on_links(f, true) : on_process(f);
  }
}

void injector::end(const planned_fault& f, fault_fact& told) {
  using enum fault;
  switch (f.kind) {
  case link_cut:
  case link_reset:
  case link_flip:
  case link_lose_bytes:
  case link_replay:
  case link_replay_proof:
  case client_deaf:
  case clients_reset: return;
  case edge_kill:
  case edge_kill_long:
  case edge_term:
  case router_kill:
  case router_kill_long:
  case router_term:
    if (told.hits) cluster_.start(f.edge);
    return;
  case edge_pause:
  case router_pause:
    if (child* c = cluster_.process(f.edge)) c->signal(SIGCONT);
    return;
  default: (void)on_links(f, false);
  }
}

unsigned injector::on_links(const planned_fault& f, bool on) {
  using enum fault;
  const route_filter where{scope_of(f.kind) == scope::clients, f.edge, f.shard};
  const auto edge = static_cast<unsigned>(f.edge);
  switch (f.kind) {
  case link_cut: return proxy_->cut(where);
  case clients_reset:
  case link_reset: return proxy_->reset(where);
  case clients_stall:
  case link_stall: return proxy_->stall(where, proxy::way::both, on);
  case link_stall_up: return proxy_->stall(where, proxy::way::up, on);
  case link_stall_down: return proxy_->stall(where, proxy::way::down, on);
  case link_blackhole: return proxy_->swallow(where, on);
  case clients_trickle:
  case link_trickle: return proxy_->trickle(where, on);
  case dials_refused: return proxy_->refuse(where, on);
  case dials_hang: return proxy_->hang(where, on);
  case edge_cut_off: return proxy_->freeze(where, on);
  case net_blackhole:
    if (f.shard >= 0)
      return nets_->blackhole_port(edge, static_cast<std::uint16_t>(router_port + f.shard), on) ? 1 : 0;
    return nets_->blackhole(edge, true, on) ? 1 : 0;
  case net_one_way: return nets_->blackhole(edge, false, on) ? 1 : 0;
  case net_down: return nets_->down(edge, on) ? 1 : 0;
  default: return 0;
  }
}

// Waits a moment for bytes that can be damaged: a link that is down has none.
unsigned injector::damage(const planned_fault& f, proxy::harm how) {
  const unsigned before = proxy_->damaged();
  const std::int64_t until = now_() + 2'000'000;
  while (now_() < until) {
    if (proxy_->damage({false, f.edge, f.shard}, how) == 0) std::this_thread::sleep_for(50ms);
    for (int i = 0; i < 30 && proxy_->damaged() == before; ++i) std::this_thread::sleep_for(5ms);
    if (const unsigned done = proxy_->damaged() - before) return done;
  }
  return 0;
}

unsigned injector::on_process(const planned_fault& f) {
  using enum fault;
  child* c = cluster_.process(f.edge);
  if (!c || !c->running()) return 0;
  switch (f.kind) {
  case edge_pause:
  case router_pause: return c->signal(SIGSTOP) ? 1 : 0;
  case edge_term:
  case router_term: cluster_.end(f.edge, SIGTERM, 0, now_()); return 1;
  default: cluster_.end(f.edge, SIGKILL, 128 + SIGKILL, now_()); return 1;
  }
}

} // namespace beeline::chaos
