#include "tests/sim/search/small_world.hpp"

#include "common/link/endpoint.ipp"
#include "tests/sim/nonces.hpp"
#include "tests/sim/plants.hpp"

#include <algorithm>

namespace beeline::search {
namespace {

constexpr std::uint16_t port = 7000;
const link::cluster_secret secret{"a secret for a search"};

std::uint64_t hash_of(const_bytes b) noexcept {
  std::uint64_t h = b.size();
  for (const std::byte x : b) h = (h ^ std::to_integer<std::uint64_t>(x)) * 0x100000001b3ull;
  return mix(h, 7);
}

} // namespace

std::string action::text() const {
  constexpr const char* names[] = {"deliver",      "connect client",    "publish of client",
                                   "time",         "reset, lose: wire", "reset, keep: wire",
                                   "restart edge", "restart router",    "move client"};
  std::string s = names[kind];
  if (kind == deliver)
    return s + " wire " + std::to_string(which / 2) + (which % 2 ? " to the lane" : " to the shard");
  return kind == time || kind == restart_router ? s : s + " " + std::to_string(which);
}

small_world::small_world(std::string_view plant, bool tracing) : w(1, tracing), h_(w, set_), plant_(plant) {
  set_.ids = 2;
  h_.restarts.resize(1);
  h_.restarts[0].push_back(base_);
  h_.linked.assign(4, std::vector<sim::linked_record>(1));
  h_.sessions_of.resize(2);
  h_.drain_since.assign(2, never);
  const id_hasher hasher{secret.id_key(), 64};
  for (const char* id : {"A", "B"}) {
    h_.ids.push_back(id);
    h_.hash_of.push_back(hasher(id));
    h_.shard_of.push_back(0), h_.routers_of.push_back(1), h_.served_since.push_back(time_point{});
    h_.claimed_by_two.push_back(never);
  }
  start_shard();
  for (unsigned e : {0u, 1u}) start_lane(e);
  // The beginning is always the same: all links are up, both clients online, nothing is on its way.
  std::vector<action> all;
  const auto ready = [&] {
    return newest(0) && newest(0)->live && newest(1) && newest(1)->live && !shard_.core->warming_up();
  };
  for (int steps = 0; !ready() && steps < 2'000 && w.violation.empty(); ++steps) {
    actions(all);
    std::erase_if(all, [](const action& a) { return a.kind == action::publish || a.is_fault(); });
    take(all.front());
  }
  if (!ready()) w.broken("liveness", "the beginning was not reached");
  // Until lanes know of a shard time behind these registrations: before that, what is sent again is in doubt.
  for (const time_point end = w.now + 2 * limits::heartbeat_interval;
       w.violation.empty() && (w.now < end || frames_under_way());) {
    actions(all);
    std::erase_if(all, [](const action& a) { return a.kind == action::publish || a.is_fault(); });
    take(all.front());
  }
}
small_world::~small_world() {
  for (auto& p : lanes_) p.core.reset(); // before the connections and pools that they know
  shard_.core.reset();
}

// --- cores ---------------------------------------------------------------------------------------------

void small_world::start_lane(unsigned e) {
  place<edge::lane>& p = lanes_[e];
  const std::uint64_t life = ++p.lives;
  edge::lane_config c;
  c.link.secret = secret;
  c.link.who = {lane_id{1000 * (e + 1) + life}, "e" + std::to_string(e), 0, 1};
  c.link.routers = {{"r0", port}};
  c.link.make_nonce = sim::nonces(100 * (e + 1) + life);
  c.link.random_seed = 10 * (e + 1) + life;
  p.pool = std::make_unique<chunk_pool>();
  p.core = std::make_unique<edge::lane>(c, *p.pool, time_of(p.stamp));
  sim::plant_in_lane(*p.core, plant_);
}

void small_world::start_shard() {
  router::shard_config c;
  c.secret = secret;
  c.map = {{0, slot_count - 1, "", port}};
  c.life = ++shard_.lives;
  if (c.life == 1) c.warm_up = duration::zero(); // it has no past; its later lives have
  c.make_nonce = sim::nonces(c.life);
  shard_.pool = std::make_unique<chunk_pool>();
  shard_.core = std::make_unique<router::shard>(c, *shard_.pool, time_of(shard_.stamp));
  sim::plant_in_shard(*shard_.core, plant_);
}

void small_world::after_turn(place<edge::lane>& p) {
  dial(edge_of(p));
  for (std::size_t i = 0; i < clients_.size(); ++i) // what clients say to what they were told
    if (client& c = *clients_[i]; c.c && c.edge == edge_of(p) && !c.out.empty())
      feed(c, std::exchange(c.out, {}));
}

// What the core has written to a link, frame by frame.
template <class Core> void small_world::send(place<Core>& p, wire_t& x, conn& c, int way) {
  std::vector<std::byte> all;
  for (iovec iov[64]; c.output_bytes();) {
    const std::size_t n = c.gather(iov, 64);
    std::size_t sent = 0;
    for (std::size_t i = 0; i < n; ++i) {
      const auto* from = static_cast<const std::byte*>(iov[i].iov_base);
      all.insert(all.end(), from, from + iov[i].iov_len);
      sent += iov[i].iov_len;
    }
    c.consume(sent);
  }
  if (all.empty()) return;
  if (way == 0 ? x.shard_has || !x.way[0].empty() : x.lane_has)
    for (std::size_t at = 0; at < all.size();) {
      const std::uint32_t n = load_le<std::uint32_t>(all.data() + at) & 0xffffff;
      x.way[way].push_back(
          {{all.begin() + static_cast<std::ptrdiff_t>(at), all.begin() + static_cast<std::ptrdiff_t>(at + n)},
           ++next_age_,
           p.stamp});
      at += n;
    }
  p.core->on_drained(c, w.now);
}

void small_world::settle(place<router::shard>& p, conn& c) {
  auto& x = *static_cast<wire_t*>(c.shell);
  if (!x.shard_has) return;
  if (!c.close_now) send(p, x, c, 1);
  if (!c.closing()) return;
  finish(p, c, c.why);
  x.shard_has = false;
  x.way[0].clear();
  if (x.lane_has) x.way[1].push_back({{}, ++next_age_, p.stamp, true});
}

void small_world::settle(place<edge::lane>& p, conn& c) {
  if (c.kind == conn::kind_t::client) {
    auto& who = *static_cast<client*>(c.shell);
    if (who.c.get() != &c) return;
    return hear(who);
  }
  auto& x = *static_cast<wire_t*>(c.shell);
  if (!x.lane_has) return;
  if (!c.close_now) send(p, x, c, 0);
  if (!c.closing()) return;
  finish(p, c, c.why);
  x.lane_has = false;
  x.way[1].clear();
  x.way[0].push_back({{}, ++next_age_, p.stamp, true});
}

// --- links ---------------------------------------------------------------------------------------------

void small_world::dial(unsigned e) {
  place<edge::lane>& p = lanes_[e];
  for (connect_request r; p.core->take_connect(r);) {
    auto& x = *wires_.emplace_back(std::make_unique<wire_t>());
    x.edge = e;
    x.at_lane = std::make_unique<conn>(conn::kind_t::link, *p.pool);
    x.at_lane->shell = &x;
    x.at_lane->owner = r.link;
    x.way[0].push_back({{}, ++next_age_, p.stamp, false, true});
    turn(p, 1, [&](time_point now) { p.core->on_up(*x.at_lane, now); });
  }
}

void small_world::deliver(std::uint32_t which) {
  wire_t& x = *wires_[which / 2];
  const int way = which % 2;
  unit u = std::move(x.way[way].front());
  x.way[way].pop_front();
  const auto give = [&](auto& p, conn& c) {
    p.stamp = std::max(p.stamp, u.stamp);
    turn(p, hash_of(u.bytes) + which, [&](time_point now) { p.core->on_bytes(c, u.bytes, now); });
  };
  if (way == 0 && u.open) {
    shard_.stamp = std::max(shard_.stamp, u.stamp);
    x.at_shard = std::make_unique<conn>(conn::kind_t::link, *shard_.pool);
    x.at_shard->shell = &x;
    x.shard_has = true;
    turn(shard_, which + 3, [&](time_point now) { shard_.core->on_up(*x.at_shard, now); });
  } else if (u.end) {
    end_of_wire(x, way);
  } else if (way == 0 && x.shard_has) {
    give(shard_, *x.at_shard);
  } else if (way == 1 && x.lane_has) {
    give(lanes_[x.edge], *x.at_lane);
  }
}

// The shard's end (way 0) or the lane's (way 1) hears that there is no more.
void small_world::end_of_wire(wire_t& x, int way) {
  if (way == 0 && x.shard_has) {
    x.shard_has = false;
    turn(shard_, 5, [&](time_point) { finish(shard_, *x.at_shard, close_reason::network_error); });
  } else if (way == 1 && x.lane_has) {
    x.lane_has = false;
    turn(lanes_[x.edge], 5,
         [&](time_point) { finish(lanes_[x.edge], *x.at_lane, close_reason::network_error); });
  }
}

void small_world::cut(std::uint32_t wire, bool lose) {
  wire_t& x = *wires_[wire];
  for (auto& way : x.way) {
    if (lose) std::erase_if(way, [](const unit& u) { return !u.open; });
    way.push_back({{}, ++next_age_, 0, true});
  }
}

void small_world::restart_edge(unsigned e) {
  place<edge::lane>& p = lanes_[e];
  p.core.reset();
  for (auto& c : clients_)
    if (c->c && c->edge == e) h_.server_end(c->session, close_reason::none), end_client(*c);
  for (auto& x : wires_)
    if (x->edge == e) x->at_lane.reset(); // before its pool goes
  for (auto& x : wires_)
    if (x->edge == e && x->lane_has) {
      x->lane_has = false;
      x->way[1].clear();
      x->way[0].push_back({{}, ++next_age_, p.stamp, true});
    }
  start_lane(e);
  turn(p, 9, [](time_point) {});
}

void small_world::restart_router() {
  shard_.core.reset();
  for (auto& x : wires_) {
    x->at_shard.reset();
    if (!x->shard_has && x->way[0].empty()) continue;
    x->shard_has = false;
    x->way[0].clear();
    if (x->lane_has) x->way[1].push_back({{}, ++next_age_, shard_.stamp, true});
  }
  w.now = time_of(shard_.stamp + 1);
  h_.shard_started(0);
  h_.restarts[0].push_back(w.now);
  start_shard();
  turn(shard_, 9, [](time_point) {});
}

// --- time ----------------------------------------------------------------------------------------------

// To the next moment at which something is due, in whole milliseconds, so that it does not tell how many
// steps were taken before.
void small_world::pass_time() {
  time_point least = std::min(shard_.core->next_deadline(), never), latest = time_of(shard_.stamp);
  for (auto& p : lanes_)
    least = std::min(least, p.core->next_deadline()), latest = std::max(latest, time_of(p.stamp));
  const auto next = std::max(least, latest) + 999us;
  base_ = time_point(std::chrono::duration_cast<std::chrono::milliseconds>(next.time_since_epoch()));
  for (auto& x : wires_)
    for (auto& way : x->way)
      for (unit& u : way) u.stamp = 0;
  const auto at = static_cast<std::uint64_t>(to_us(base_.time_since_epoch()));
  shard_.stamp = lanes_[0].stamp = lanes_[1].stamp = 0;
  turn(shard_, at, [](time_point) {});
  for (auto& p : lanes_) turn(p, at, [](time_point) {});
}

} // namespace beeline::search
