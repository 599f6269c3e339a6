#include "tests/support/lane_world.hpp"

#include "tests/support/reason_counters.hpp"

#include <algorithm>

namespace beeline::test {
namespace {
constexpr std::uint16_t router_port = 9000;
const link::cluster_secret secret{lane_world::secret_text};
} // namespace

// --- node: what the shell does for one core ---------------------------------------------------------------

template <class Core> node<Core>::~node() {
  for (auto& e : ends) {
    if (!e->open) continue;
    core->on_down(e->c, close_reason::shutdown, world.now()); // as the shell: once for each on_up
    if (e->peer) e->peer->peer = nullptr;
  }
  while (core->dirty().pop()) continue;
}

template <class Core> pipe_end& node<Core>::add(conn::kind_t k) {
  return *ends.emplace_back(std::make_unique<pipe_end>(k, *pool));
}

template <class Core> bool node<Core>::busy() const {
  if (!core->dirty().empty() || core->next_deadline() <= world.now()) return true;
  return std::any_of(ends.begin(), ends.end(), [](const auto& e) { return e->fresh && e->wants(); });
}

template <class Core> void node<Core>::turn() {
  const time_point now = world.now();
  core->begin_turn(now);
  for (std::size_t i = 0; i < ends.size(); ++i)
    if (ends[i]->open) present(*ends[i]);
  if (core->next_deadline() <= now) core->on_time(now);
  core->end_turn(now);
  while (conn* c = core->dirty().pop()) settle(*static_cast<pipe_end*>(c->shell));
  std::erase_if(ends, [](const auto& e) { return !e->open; });
}

template <class Core> void node<Core>::present(pipe_end& e) {
  if (!e.fresh || !e.wants()) return;
  e.fresh = false;
  if (!e.in.empty()) {
    const mutable_bytes bytes{reinterpret_cast<std::byte*>(e.in.data()), e.in.size()};
    std::size_t n = 0;
    const auto work = [&] { n = core->on_bytes(e.c, bytes, world.now()); };
    if (!e.client || !world.options_.client_work) work();
    else if (!world.options_.client_work(work)) return finish(e, close_reason::out_of_memory);
    CHECK_INVARIANT(n <= e.in.size());
    e.in.erase(0, n);
    if (e.in.empty()) e.in.shrink_to_fit();
  }
  if (!e.wants()) e.held = true;
  else if (e.peer_closed) finish(e, close_reason::peer_closed);
}

template <class Core> void node<Core>::settle(pipe_end& e) {
  if (!e.open) return;
  if (e.c.close_now) return finish(e, e.c.why);
  write(e);
  const bool empty = e.c.output_bytes() == 0;
  if (e.c.close_after_flush) {
    if (empty) finish(e, e.c.why);
    return;
  }
  if constexpr (std::is_same_v<Core, edge::lane>)
    if (e.c.move_to >= 0 && empty) return world.move(*this, e);
  if (e.held && e.wants()) e.held = false, e.fresh = true;
}

template <class Core> void node<Core>::write(pipe_end& e) {
  std::size_t wrote = 0;
  for (iovec iov[64]; e.takes && e.c.output_bytes();) {
    const std::size_t n = e.c.gather(iov, 64);
    std::size_t sent = 0;
    for (std::size_t i = 0; i < n && e.takes > sent; ++i) {
      const std::size_t k = std::min(iov[i].iov_len, e.takes - sent);
      const auto bytes = std::string_view(static_cast<const char*>(iov[i].iov_base), k);
      if (e.client) e.client->rx_ += bytes;
      else if (e.peer) e.peer->in += bytes;
      sent += k;
    }
    e.c.consume(sent);
    if (e.takes != SIZE_MAX) e.takes -= sent;
    wrote += sent;
  }
  if (e.peer && wrote) e.peer->fresh = true;
  if (wrote) core->on_drained(e.c, world.now());
}

template <class Core> void node<Core>::finish(pipe_end& e, close_reason why) {
  core->dirty().remove(e.c);
  core->on_down(e.c, why, world.now());
  core->dirty().remove(e.c);
  e.open = false;
  if (e.peer) e.peer->peer = nullptr, e.peer->peer_closed = e.peer->fresh = true;
  if (e.client) e.client->end_ = nullptr;
}

template class node<edge::lane>;
template class node<router::shard>;

// --- world
// ---------------------------------------------------------------------------------------------------

lane_world::lane_world(world_options o) : options_(std::move(o)), random_(options_.seed) {
  for (unsigned e = 0; e < options_.edges; ++e)
    for (unsigned l = 0; l < options_.lanes; ++l) {
      edge::lane_config c;
      c.link.secret = secret;
      c.link.who = {lane_id{random_()}, numbered("edge-", e + 1), static_cast<std::uint16_t>(l),
                    static_cast<std::uint16_t>(options_.lanes)};
      c.link.routers = {{"router", router_port}};
      c.link.make_nonce = [this] { return make_nonce(); };
      c.link.random_seed = random_();
      if (options_.lane) options_.lane(c);
      auto pool = std::make_unique<chunk_pool>();
      auto core = std::make_unique<edge::lane>(std::move(c), *pool, now_);
      lanes_.push_back(std::make_unique<lane_node>(*this, std::move(pool), std::move(core)));
    }
  if (options_.router) router_up();
  advance(options_.start);
}
lane_world::~lane_world() = default;

wire::nonce lane_world::make_nonce() {
  wire::nonce n;
  for (std::byte& b : n) b = static_cast<std::byte>(random_());
  return n;
}

void lane_world::router_up() {
  router::shard_config c;
  c.secret = secret;
  c.map = {{0, slot_count - 1, "router", router_port}};
  c.life = ++lives_;
  c.warm_up = duration::zero();
  c.make_nonce = [this] { return make_nonce(); };
  if (options_.shard) options_.shard(c);
  auto pool = std::make_unique<chunk_pool>();
  auto core = std::make_unique<router::shard>(std::move(c), *pool, now_);
  router_ = std::make_unique<shard_node>(*this, std::move(pool), std::move(core));
}

void lane_world::router_down() {
  for (auto& e : router_->ends)
    if (e->peer) e->peer->peer_closed = e->peer->fresh = true;
  router_.reset();
  run();
}

mqtt_client& lane_world::open(protocol_version v, std::size_t edge) {
  mqtt_client& c = clients_.emplace_back(*this, v, edge);
  reopen(c);
  return c;
}

void lane_world::reopen(mqtt_client& c) {
  CHECK_INVARIANT(c.closed());
  advance(std::chrono::milliseconds(1)); // which of two sessions came later is then certain
  lane_node& n = *lanes_[c.edge_ * options_.lanes];
  pipe_end& e = n.add(conn::kind_t::client);
  c.rx_.clear();
  c.lane_ = 0;
  c.end_ = &e;
  e.client = &c;
  n.core->on_up(e.c, now_);
  run();
}

mqtt_client& lane_world::connect(std::string_view id, connect_at at) {
  mqtt_client& c = open(at.v, at.edge);
  connect_options o;
  o.client_id = id;
  o.keep_alive = at.keep_alive;
  o.properties = at.properties;
  c.connect(o);
  if (const auto a = c.next_connack(); a.code != 0) throw unexpected(numbered("CONNACK refuses: ", a.code));
  return c;
}

void lane_world::dial(lane_node& n) {
  for (connect_request r; n.core->take_connect(r);) {
    if (r.port != router_port || !router_) {
      n.core->on_connect_failed(r.link, "connection refused", now_);
      continue;
    }
    pipe_end& mine = n.add(conn::kind_t::link);
    pipe_end& theirs = router_->add(conn::kind_t::link);
    mine.peer = &theirs;
    theirs.peer = &mine;
    mine.c.owner = r.link;
    n.core->on_up(mine.c, now_);
    router_->core->on_up(theirs.c, now_);
  }
}

void lane_world::move(lane_node& from, pipe_end& e) {
  const auto to = static_cast<std::size_t>(e.c.move_to);
  mqtt_client& c = *e.client;
  std::string rest = std::move(e.in);
  from.finish(e, close_reason::moved_lane);
  lane_node& n = *lanes_[c.edge_ * options_.lanes + to];
  pipe_end& fresh = n.add(conn::kind_t::client);
  fresh.client = &c;
  fresh.in = std::move(rest);
  fresh.fresh = true;
  fresh.peer_closed = e.peer_closed;
  c.end_ = &fresh;
  c.lane_ = to;
  n.core->on_up(fresh.c, now_);
}

bool lane_world::step() {
  bool moved = false;
  for (auto& n : lanes_) {
    dial(*n);
    if (!n->busy()) continue;
    n->turn();
    moved = true;
  }
  if (router_ && router_->busy()) router_->turn(), moved = true;
  return moved;
}

void lane_world::run() {
  for (int i = 0; step(); ++i)
    if (i > 1'000'000) throw unexpected("the world does not come to rest");
}

void lane_world::stand_still(duration d) {
  run();
  now_ += d;
  for (auto& n : lanes_) n->turn();
  if (router_) router_->turn();
  run();
}

void lane_world::advance(duration d) {
  using namespace std::chrono_literals;
  run();
  for (const time_point end = now_ + d; now_ < end;) {
    now_ += std::min<duration>(100ms, end - now_);
    for (auto& n : lanes_) n->turn();
    if (router_) router_->turn();
    run();
  }
}

bool lane_world::advance_until(const std::function<bool()>& done, duration most) {
  using namespace std::chrono_literals;
  const time_point end = now_ + most;
  while (!done()) {
    if (now_ >= end) return false;
    advance(std::min<duration>(500ms, end - now_));
  }
  return true;
}

pipe_end* lane_world::link_of(std::size_t edge, std::size_t lane) {
  for (auto& e : lanes_[edge * options_.lanes + lane]->ends)
    if (e->c.kind == conn::kind_t::link && e->open && !e->c.closing()) return e.get();
  return nullptr;
}

void lane_world::stall_link(std::size_t edge, bool stalled, std::size_t lane) {
  pipe_end* e = link_of(edge, lane);
  if (!e) return;
  e->takes = stalled ? 0 : SIZE_MAX;
  lanes_[edge * options_.lanes + lane]->touch(*e);
  run();
}

pipe_end* lane_world::shard_end_of(std::size_t edge) {
  pipe_end* e = link_of(edge, 0);
  return e ? e->peer : nullptr;
}

bool lane_world::into_lane_link(std::size_t edge, std::string_view bytes) {
  pipe_end* e = link_of(edge, 0);
  if (!e) return false;
  e->in += bytes;
  e->fresh = true;
  run();
  return link_of(edge, 0) == e;
}

bool lane_world::into_shard_link(std::size_t edge, std::string_view bytes) {
  pipe_end* e = link_of(edge, 0);
  if (!e || !e->peer) return false;
  e->peer->in += bytes;
  e->peer->fresh = true;
  run();
  return link_of(edge, 0) == e;
}

std::uint64_t lane_world::total(drop_reason r) const {
  std::uint64_t n = 0;
  for (const auto& l : lanes_) n += counter_of(l->core->counters.drops, r);
  return n;
}

} // namespace beeline::test
