#include "tests/population/crowd.hpp"

#include "common/base/rng.hpp"
#include "common/link/endpoint.ipp"
#include "common/net/event_loop.hpp"
#include "common/net/random.hpp"

#include <algorithm>

namespace beeline::population {
namespace {

link::endpoint_config link_config(const run_options& o, const router_process& router, unsigned lane) {
  link::endpoint_config e;
  e.secret = link::cluster_secret(router.secret());
  e.who.id = lane_id{net::random_number()};
  e.who.edge_name = "e" + std::to_string(lane / o.lanes + 1);
  e.who.number = static_cast<std::uint16_t>(lane % o.lanes);
  e.who.lanes = static_cast<std::uint16_t>(o.lanes);
  e.routers.push_back({router.address(), router.port()});
  e.make_nonce = [] { return net::random_bytes<sizeof(wire::nonce)>(); };
  e.random_seed = net::random_number();
  return e;
}

} // namespace

crowd::crowd(const run_options& o, const router_process& router) : options_(o) {
  for (unsigned k = 0; k < o.edges_lanes(); ++k) {
    auto core = std::make_unique<sim_lane>(
        sim_lane_settings{link_config(o, router, k), k, o.edges_lanes(), &received_}, net::steady_now());
    place& p = lanes_.emplace_back();
    p.core = core.get();
    net::core_loop_options loop;
    loop.accepted = conn::kind_t::link;
    p.runs = std::make_unique<thread>("lane-" + std::to_string(k), std::move(core), std::move(loop));
    p.runs->start();
  }
}
crowd::~crowd() { stop(); }

void crowd::stop() {
  for (place& p : lanes_) p.runs->stop();
  for (place& p : lanes_) p.runs->join();
}

template <class F> void crowd::ask_all(F f) {
  for (place& p : lanes_)
    if (!p.dead) p.runs->ask([&](sim_lane& l, time_point now) { f(l, now); }).get();
}

// --- clients ------------------------------------------------------------------------------------------

void crowd::grow_to(std::uint32_t clients) {
  const auto lanes = static_cast<std::uint32_t>(lanes_.size());
  for (std::uint32_t k = 0; k < lanes; ++k) {
    const auto before = (clients_ + lanes - 1 - k) / lanes, after = (clients + lanes - 1 - k) / lanes;
    lanes_[k].runs->call([n = after - before](sim_lane& l) { l.grow(n); });
  }
  clients_ = numbers_ = clients;
}

bool crowd::all_registered() const {
  const auto ready = [](const place& p) { return p.dead || p.core->figures.ready.get(); };
  return std::all_of(lanes_.begin(), lanes_.end(), ready) && sum(&lane_figures::registered) == clients_;
}

std::uint32_t crowd::clients_of(unsigned edge) const noexcept {
  std::uint64_t n = 0;
  for (unsigned k = 0; k < lanes_.size(); ++k)
    if (edge_of(k) == edge) n += lanes_[k].core->figures.attached.get();
  return static_cast<std::uint32_t>(n);
}

void crowd::kill_edge(unsigned edge, duration jitter) {
  const auto lanes = static_cast<std::uint32_t>(lanes_.size());
  std::vector<std::uint32_t> homeless;
  for (std::uint32_t k = 0; k < lanes; ++k) {
    if (edge_of(k) != edge) continue;
    for (std::uint32_t i = 0, n = static_cast<std::uint32_t>(lanes_[k].core->figures.attached.get()); i < n;
         ++i)
      homeless.push_back(i * lanes + k);
    lanes_[k].dead = true;
  }
  for (place& p : lanes_)
    if (p.dead && !p.core->dead()) p.runs->ask([](sim_lane& l) { l.die(); }).get();
  if (jitter == duration::zero()) {
    clients_ -= static_cast<std::uint32_t>(homeless.size());
    return;
  }
  rng random(net::random_number());
  const time_point now = net::steady_now();
  std::vector<std::vector<sim_lane::arrival>> to(lanes);
  for (const std::uint32_t number : homeless) {
    std::uint32_t k;
    do k = static_cast<std::uint32_t>(random.below(lanes));
    while (lanes_[k].dead);
    to[k].push_back({now + duration(static_cast<std::int64_t>(random.below(to_us(jitter)))), number});
  }
  for (std::uint32_t k = 0; k < lanes; ++k) {
    std::ranges::sort(to[k], {}, &sim_lane::arrival::at);
    if (!lanes_[k].dead)
      lanes_[k].runs->call([all = std::move(to[k])](sim_lane& l) { l.receive_later(all); });
  }
}

// --- messages -----------------------------------------------------------------------------------------

// Flow number k of a lane: from its own client 2k * stride to client (2k + 1) * stride of another lane, which
// is a different one for each origin lane: no two flows share an end. Flow f begins on lane f % lanes, as
// clients do.
std::vector<std::vector<sent_flow>> crowd::plan_flows(unsigned victim, unsigned left_out) {
  const auto lanes = static_cast<std::uint32_t>(lanes_.size());
  std::vector<std::uint32_t> part;
  for (std::uint32_t k = 0; k < lanes; ++k)
    if (edge_of(k) != left_out && !lanes_[k].dead) part.push_back(k);
  if (part.size() < 2) throw std::logic_error("a flow needs two lanes that live");
  const std::uint32_t each = options_.flows / static_cast<std::uint32_t>(part.size());
  const std::uint32_t stride = clients_ / lanes / (2 * each + 2);
  std::vector<std::vector<sent_flow>> flows(lanes);
  received_.assign(std::size_t{each} * lanes, {});
  for (std::size_t i = 0; i < part.size(); ++i)
    for (std::uint32_t k = 0; k < each; ++k) {
      const std::uint32_t from = part[i], to = part[(i + 1 + k % (part.size() - 1)) % part.size()];
      sent_flow& f = flows[from].emplace_back();
      f.id = k * lanes + from;
      f.sender = 2 * k * stride * lanes + from;
      f.recipient = ((2 * k + 1) * stride) * lanes + to;
      f.to_victim = edge_of(to) == victim;
      received_[f.id].recipient = f.recipient;
      received_[f.id].to_victim = f.to_victim;
    }
  return flows;
}

void crowd::begin_load(unsigned victim, unsigned left_out) {
  auto flows = plan_flows(victim, left_out);
  senders_.clear();
  for (std::size_t k = 0; k < lanes_.size(); ++k)
    if (!flows[k].empty()) senders_.push_back(k);
  load_begun_ = net::steady_now();
  for (std::size_t k = 0; k < lanes_.size(); ++k)
    if (!flows[k].empty())
      lanes_[k]
          .runs
          ->ask([&](sim_lane& l, time_point now) {
            l.begin_load(std::move(flows[k]), options_.rate / static_cast<double>(senders_.size()), now);
          })
          .get();
}

void crowd::end_load() {
  const auto living =
      std::count_if(senders_.begin(), senders_.end(), [&](std::size_t k) { return !lanes_[k].dead; });
  messages_due_ = options_.rate * std::chrono::duration<double>(net::steady_now() - load_begun_).count() *
                  static_cast<double>(living) / static_cast<double>(senders_.size());
  ask_all([](sim_lane& l, time_point) { l.end_load(); });
}

void crowd::begin_probe(std::uint32_t count, std::uint32_t absent) {
  std::vector<place*> living;
  for (place& p : lanes_)
    if (!p.dead) living.push_back(&p);
  ask_all([](sim_lane& l, time_point) { l.forget_probes(); });
  const auto n = static_cast<std::uint32_t>(living.size());
  const std::uint32_t step = numbers_ / count;
  probes_ = count + absent;
  for (std::uint32_t i = 0; i < n; ++i) // each takes every n-th
    living[i]->runs->call([=, first = numbers_](sim_lane& l) {
      l.probe(i * step, n * step, count / n + (i < count % n));
      l.probe(first + i, n, absent / n + (i < absent % n));
    });
}

// --- figures ------------------------------------------------------------------------------------------

std::uint64_t crowd::sum(counter lane_figures::*what) const {
  std::uint64_t n = 0;
  for (const place& p : lanes_) n += (p.core->figures.*what).get();
  return n;
}
std::uint64_t crowd::most(counter lane_figures::*what) const {
  std::uint64_t n = 0;
  for (const place& p : lanes_)
    if (!p.dead) n = std::max(n, (p.core->figures.*what).get());
  return n;
}
std::uint64_t crowd::least(counter lane_figures::*what) const {
  std::uint64_t n = ~0ull;
  for (const place& p : lanes_)
    if (!p.dead) n = std::min(n, (p.core->figures.*what).get());
  return n;
}

crowd::heard crowd::heard_from_router() const {
  heard h;
  for (const place& p : lanes_) {
    if (p.dead) continue;
    p.core->endpoint().board.for_each([&](const link::link_stats& s) {
      h.frames += s.frames_in.get(), h.bytes += s.bytes_in.get(), ++h.links;
    });
  }
  return h;
}

void crowd::forget_marks() {
  ask_all([](sim_lane& l, time_point) { l.forget_marks(); });
}

crowd::latency crowd::latency_between(std::uint64_t from_us, std::uint64_t to_us, bool to_victim) {
  latency all;
  ask_all([&](sim_lane& l, time_point) {
    all.answered.merge(l.answered[to_victim].between(from_us, to_us));
    all.delivered.merge(l.delivered[to_victim].between(from_us, to_us));
  });
  return all;
}

std::string crowd::problems() {
  std::string text;
  ask_all([&](sim_lane& l, time_point) {
    for (const std::string& line : l.news) text += "  " + line + "\n";
    if (!l.endpoint().ready()) text += "  not ready: " + l.endpoint().problem() + "\n";
  });
  return text;
}

verdict crowd::judge() const {
  verdict v;
  for (const place& p : lanes_)
    for (const sent_flow& f : p.core->sent()) v.judge(f, received_[f.id], !p.dead);
  return v;
}

} // namespace beeline::population
