#include "tests/sim/cluster.hpp"

#include "common/link/endpoint.ipp"
#include "tests/sim/nonces.hpp"
#include "tests/sim/plants.hpp"

#include <algorithm>
#include <utility>

namespace beeline::sim {
namespace {

constexpr std::uint16_t port_base = 7000; // shard k listens at port + k

} // namespace

cluster::cluster(world& w, const settings& s, history& h)
    : w_(w), set_(s), h_(h), hasher_{secret_.id_key(), s.hash_bits} {}

// --- what there is -----------------------------------------------------------------------------------

void cluster::build() {
  for (unsigned i = 0; i < set_.routers + set_.edges; ++i) {
    auto& p = *processes_.emplace_back(std::make_unique<process>());
    p.number = static_cast<int>(i);
    p.name = i < set_.routers ? "r" + std::to_string(i) : "e" + std::to_string(i - set_.routers);
    p.clock = w_.between(1s, 500'000s) + set_.clock_shift;
    if (set_.slow_machines && w_.chance(50)) p.turn_cost = w_.between(200us, 20ms);
  }
  const unsigned all = set_.routers * set_.shards;
  for (unsigned k = 0; k < all; ++k) {
    auto& s = *shards_.emplace_back(std::make_unique<shard_place>());
    s.router = k / set_.shards;
    s.number = k % set_.shards;
    s.first = slot_count * k / all;
    s.last = slot_count * (k + 1) / all - 1;
    s.n = std::make_unique<shard_node>(w_, router_process(s.router));
    s.n->read_cut_percent = set_.read_cut_percent;
    s.n->partly_written_forgotten = set_.plant == "partly_written_forgotten";
    set_hooks(s);
  }
  for (unsigned e = 0; e < set_.edges; ++e)
    for (unsigned k = 0; k < set_.lanes[e]; ++k) {
      auto& l = *lanes_.emplace_back(std::make_unique<lane_place>());
      l.edge = e;
      l.number = k;
      l.n = std::make_unique<lane_node>(w_, edge_process(e));
      l.n->read_cut_percent = set_.read_cut_percent;
      l.n->partly_written_forgotten = set_.plant == "partly_written_forgotten";
      set_hooks(l);
    }
  edge_open_.assign(set_.edges, false);
  edge_draining_.assign(set_.edges, false);
  path_silent_.assign(std::size_t{set_.edges} * set_.routers, time_point{});
}

void cluster::start() {
  build();
  h_.restarts.resize(set_.routers);
  h_.linked.assign(set_.edges * 2, std::vector<linked_record>(shards_.size()));
  h_.sessions_of.resize(set_.ids);
  h_.drain_since.assign(set_.edges, never);
  for (unsigned i = 0; i < set_.ids; ++i) {
    std::string id = "c" + std::to_string(i);
    for (unsigned k = 0; set_.one_slot && slot_of(hasher_(id)) >> 1 != 77; ++k)
      id = "c" + std::to_string(i) + "-" + std::to_string(k);
    h_.ids.push_back(id);
    h_.hash_of.push_back(hasher_(id));
  }
  h_.routers_of.assign(set_.ids, 0);
  h_.shard_of.assign(set_.ids, history::nobody);
  h_.served_since.assign(set_.ids, w_.now);
  h_.claimed_by_two.assign(set_.ids, never);
  claims_.assign(set_.ids, 1);
  for (auto& p : processes_) start_process(*p);
}

// By the slots that shards announce in their present lives, or did in the last. Of two that claim a slot the
// one that had it before still knows who is there.
void cluster::note_who_serves() {
  for (std::size_t i = 0; i < h_.ids.size(); ++i) {
    const std::uint32_t slot = slot_of(h_.hash_of[i]);
    std::vector<unsigned> all;
    for (unsigned k = 0; k < shards_.size(); ++k)
      if (shards_[k]->life_first <= slot && slot <= shards_[k]->life_last) all.push_back(k);
    const unsigned before = h_.shard_of[i];
    unsigned now = all.empty() ? history::nobody : all[0];
    if (all.size() > 1)
      now = std::find(all.begin(), all.end(), before) == all.end() ? history::nobody : before;
    h_.shard_of[i] = now;
    for (const unsigned k : all) h_.routers_of[i] |= 1u << shards_[k]->router;
    if (std::exchange(claims_[i], all.size()) <= 1 && all.size() > 1) h_.claimed_by_two[i] = w_.now;
    if (all.size() != 1 || !shards_[now]->n->home.up) h_.served_since[i] = never;
    else if (now != before || h_.served_since[i] == never) h_.served_since[i] = w_.now;
  }
}

void cluster::let_clients_in() {
  for (unsigned i = 0; i < set_.ids; ++i) devices.push_back(std::make_unique<device>(w_, i, set_, h_, *this));
}

bool cluster::in_service() const {
  return std::none_of(shards_.begin(), shards_.end(), [](auto& s) { return s->n->core()->warming_up(); });
}

void cluster::set_hooks(shard_place& s) {
  s.n->stream_ended = [&s](connection&, close_reason) { s.sampled = time_point{}; };
  s.n->after_turn = [this, &s] {
    if (w_.now - s.sampled >= 50ms) sample(s);
  };
}

void cluster::set_hooks(lane_place& l) {
  l.n->dial = [this, &l](const connect_request& r) { dial_shard(l, r); };
  l.n->move = [this, &l](int to, socket_end& e, std::vector<std::byte> rest) {
    for (auto& x : lanes_)
      if (x->edge == l.edge && static_cast<int>(x->number) == to)
        return x->n->adopt_moved(e, std::move(rest));
  };
  l.n->stream_ended = [this](connection& c, close_reason why) {
    if (!c.is_link && why != close_reason::moved_lane) h_.server_end(c.session, why);
  };
  l.n->stopped_reading = [this](connection& c) {
    if (c.is_link) return;
    session_record& s = h_.sessions[c.session];
    if (s.attached == never) s.attached = w_.now;
    else s.held_up(w_.now);
  };
}

// Which lanes the shard says are in sync.
void cluster::sample(shard_place& s) {
  s.sampled = w_.now;
  const auto k = static_cast<std::uint32_t>(s.router * set_.shards + s.number);
  std::vector<member_index> link_in_sync(set_.edges * 2, no_member);
  for (const auto& l : s.n->core()->lanes().lanes) {
    const auto lane = static_cast<std::uint32_t>(l.edge[1] - '0') * 2 + l.lane;
    if (l.state == "in sync") link_in_sync[lane] = l.link;
    else if (l.state == "syncing") h_.syncing(lane, k);
  }
  for (std::uint32_t i = 0; i < link_in_sync.size(); ++i) h_.in_sync(i, k, link_in_sync[i]);
}

// --- processes ---------------------------------------------------------------------------------------

template <class F> void cluster::each_node_of(process& p, F&& f) {
  for (auto& s : shards_)
    if (&s->n->home == &p) f(static_cast<node_base&>(*s->n));
  for (auto& l : lanes_)
    if (&l->n->home == &p) f(static_cast<node_base&>(*l->n));
}

void cluster::start_process(process& p) {
  if (p.up) return;
  w_.say("%s starts, life %u", p.name.c_str(), p.life);
  p.up = true;
  if (p.life && w_.chance(25)) p.clock = w_.between(1s, 500'000s); // on another machine
  const duration jump = std::exchange(p.clock_jump, duration(0));
  p.clock += p.clock + jump > 1s ? jump : -jump; // no machine is that young
  p.ending = false;
  if (std::exchange(p.machine_gone, false))
    for (auto& c : connections_) // it knows nothing of the old connections, and says so when asked
      for (int s = 0; s < 2; ++s)
        if (c->process[s] == p.number && c->way[0].lost && !c->over())
          c->fail(1 - s, w_.now + w_.between(1ms, 900ms));
  for (auto& s : shards_)
    if (&s->n->home == &p) start_shard(*s);
  for (auto& l : lanes_)
    if (&l->n->home == &p) start_lane(*l);
  const auto number = static_cast<unsigned>(p.number);
  if (number < set_.routers) h_.restarts[number].push_back(w_.now), note_who_serves();
  else edge_open_[number - set_.routers] = edge_draining_[number - set_.routers] = false;
}

void cluster::start_shard(shard_place& s) {
  router::shard_config c;
  c.secret = secret_;
  c.number = static_cast<std::uint16_t>(s.number);
  c.shards = static_cast<std::uint16_t>(set_.shards);
  c.first_slot = s.life_first = s.first;
  c.last_slot = s.life_last = s.last;
  for (const auto& x : shards_)
    if (x->router == s.router)
      c.map.push_back({static_cast<std::uint16_t>(x->first), static_cast<std::uint16_t>(x->last), "",
                       static_cast<std::uint16_t>(port_base + x->number)});
  c.hash_bits = set_.hash_bits;
  c.life = w_.random();
  c.make_nonce = nonces(w_.random());
  c.link_output_max = set_.link_output_max;
  c.outputs_max = set_.outputs_max;
  c.contested_max = set_.contested_max;
  h_.shard_started(static_cast<std::uint32_t>(s.router * set_.shards + s.number));
  s.n->start([&](chunk_pool& pool, time_point now) {
    auto core = std::make_unique<router::shard>(c, pool, now);
    plant_in_shard(*core, set_.plant);
    return core;
  });
}

void cluster::start_lane(lane_place& l) {
  edge::lane_config c;
  c.link.secret = secret_;
  c.link.who = {lane_id{w_.random()}, "e" + std::to_string(l.edge), static_cast<std::uint16_t>(l.number),
                static_cast<std::uint16_t>(set_.lanes[l.edge])};
  for (unsigned r = 0; r < set_.routers; ++r) c.link.routers.push_back({"r" + std::to_string(r), port_base});
  c.link.hash_bits = set_.hash_bits;
  c.link.make_nonce = nonces(w_.random());
  c.link.random_seed = w_.random();
  c.link.window = {set_.window_messages, set_.link_window_bytes};
  c.link.sync_output_max = set_.sync_output_max;
  c.link.receipt_timeout = set_.receipt_timeout;
  c.link.link_output_high = set_.link_output_high;
  c.link.link_output_low = set_.link_output_high / 4;
  c.link.receipts_max = set_.receipts_max;
  c.inflight_max = set_.inflight_max;
  c.inflight_bytes_max = set_.inflight_bytes_max;
  c.pending_max = set_.pending_max;
  c.pending_bytes_max = set_.pending_bytes_max;
  c.memory_max = set_.memory_max;
  c.client_output_max = set_.client_output_max;
  c.on_ready = [this, &l](bool ready) {
    l.ready = ready;
    if (std::all_of(lanes_.begin(), lanes_.end(), [&](auto& x) { return x->edge != l.edge || x->ready; }))
      edge_open_[l.edge] = !edge_draining_[l.edge]; // and it stays open, until it drains
  };
  c.drain_rate = set_.drain_rate;
  c.on_drained = [this, &l] { lane_drained(l); };
  if (w_.tracing)
    c.on_event = [this, &l](link::event_level, std::string_view line) {
      w_.say("e%u.%u: %.*s", l.edge, l.number, static_cast<int>(line.size()), line.data());
    };
  l.ready = l.drained = false;
  l.n->start([&](chunk_pool& pool, time_point now) {
    auto core = std::make_unique<edge::lane>(c, pool, now);
    plant_in_lane(*core, set_.plant);
    return core;
  });
}

// What a life of a lane has counted.
void cluster::collect(lane_place& l) {
  const auto& e = l.n->core()->endpoint();
  resent += e.outgoing.counters.resent.get();
  safety_resends += e.outgoing.counters.safety_resends.get();
  bad_frames += e.counters.closes[static_cast<std::size_t>(close_reason::link_bad_frame)].get();
}

void cluster::kill(process& p, bool silent) {
  if (!p.up) return;
  w_.say("%s dies%s", p.name.c_str(), silent ? " without a word" : "");
  p.up = false;
  p.machine_gone = silent;
  p.paused_until = w_.now;
  ++p.life;
  note_who_serves();
  for (auto& l : lanes_)
    if (&l->n->home == &p && l->n->alive()) collect(*l);
  each_node_of(p, [](node_base& n) { n.kill(); });
  const bool drop = w_.chance(60);
  for (std::size_t i = first_open_; i < connections_.size(); ++i) {
    connection& c = *connections_[i];
    for (int s = 0; s < 2; ++s) {
      if (c.process[s] != p.number || c.over()) continue;
      c.end[s].closed = true;
      c.end[s].user = nullptr;
      if (silent) c.vanish();
      else c.reset(drop, 30ms);
    }
  }
}

void cluster::kill_for(process& p, bool silent, duration how_long) {
  kill(p, silent);
  restart_later(p, how_long);
}

// --- dialling ----------------------------------------------------------------------------------------

connection& cluster::connect(int from, int to, const pipe_settings& s) {
  while (first_open_ < connections_.size() && connections_[first_open_]->over()) ++first_open_;
  return *connections_.emplace_back(
      std::make_unique<connection>(w_, static_cast<std::uint32_t>(connections_.size()), s, from, to));
}

void cluster::dial_shard(lane_place& l, const connect_request& r) {
  dial d;
  d.from = l.n.get();
  d.from_life = l.n->home.life;
  d.link = r.link;
  const auto router = static_cast<unsigned>(r.host[1] - '0');
  d.to = shards_[router * set_.shards + (r.port - port_base)].get();
  dials_.push_back(d);
  w_.plan(w_.now + set_.link.delay + w_.between(duration(0), set_.link.jitter), *this, ev_dial_arrives,
          dials_.size() - 1);
}

void cluster::dial_edge(std::uint32_t edge, client_session& s) {
  dial d;
  d.client = &s;
  d.edge = edge;
  dials_.push_back(d);
  w_.plan(w_.now + set_.client.delay + w_.between(duration(0), set_.client.jitter), *this, ev_dial_arrives,
          dials_.size() - 1);
}

bool cluster::path_is_silent(const dial& d) const {
  if (d.client) return false;
  const auto edge = static_cast<unsigned>(d.from->home.number) - set_.routers;
  return path_silent_[edge * set_.routers + d.to->router] > w_.now;
}

void cluster::dial_arrives(dial& d, std::uint64_t number) {
  process& p = d.client ? edge_process(d.edge) : d.to->n->home;
  const pipe_settings& s = d.client ? set_.client : set_.link;
  if (p.machine_gone || p.hangs_until > w_.now || path_is_silent(d))
    return w_.plan(w_.now + 3s, *this, ev_dial_ends, number);
  const bool open = p.up && p.refuses_until <= w_.now && (!d.client || edge_open_[d.edge]);
  if (!open) return w_.plan(w_.now + s.delay, *this, ev_dial_ends, number);
  d.made = &connect(d.client ? -1 : d.from->home.number, p.number, s);
  d.made->is_link = !d.client;
  if (on_connect) on_connect(*d.made);
  if (d.client) d.made->session = d.client->number;
  if (d.client) {
    std::vector<lane_node*> of_edge;
    for (auto& l : lanes_)
      if (l->edge == d.edge) of_edge.push_back(l->n.get());
    of_edge[w_.random.below(of_edge.size())]->accept(d.made->end[1]);
  } else {
    d.to->n->accept(d.made->end[1]);
  }
  w_.plan(w_.now + s.delay, *this, ev_dial_ends, number);
}

void cluster::dial_ends(dial& d) {
  socket_end* e = d.made ? &d.made->end[0] : nullptr;
  if (d.client) return d.client->dialled(e);
  if (d.from->alive() && d.from->home.life == d.from_life) d.from->dialled(d.link, e);
  else if (e) e->close();
}

std::pair<std::uint32_t, unsigned> cluster::draw_edge() {
  auto e = static_cast<std::uint32_t>(w_.random.below(set_.edges));
  if (!edge_open_[e]) e = static_cast<std::uint32_t>(w_.random.below(set_.edges));
  return {e, edge_process(e).life};
}
std::uint32_t cluster::home_lane(std::uint32_t id, std::uint32_t edge) const {
  return static_cast<std::uint32_t>(h_.hash_of[id] % set_.lanes[edge]);
}

connection* cluster::link_of(unsigned edge) {
  for (std::size_t i = connections_.size(); i-- > first_open_;)
    if (connection& c = *connections_[i];
        c.is_link && c.process[0] == edge_process(edge).number && !c.way[0].lost && !c.end[0].closed)
      return &c;
  return nullptr;
}

edge::lane& cluster::lane(unsigned edge, unsigned number) {
  const auto it = std::find_if(lanes_.begin(), lanes_.end(),
                               [&](auto& l) { return l->edge == edge && l->number == number; });
  return *(*it)->n->core();
}

void cluster::on_event(std::uint32_t what, std::uint64_t argument) {
  switch (what) {
  case ev_dial_arrives: return dial_arrives(dials_[argument], argument);
  case ev_dial_ends: return dial_ends(dials_[argument]);
  case ev_restart: {
    process& p = *processes_[argument >> 32];
    if (p.life == (argument & 0xffffffff)) start_process(p);
    return;
  }
  case ev_kill: { // a clean shutdown is over
    process& p = *processes_[argument >> 32];
    if (p.life == (argument & 0xffffffff) && p.up) kill_for(p, false, w_.between(1ms, 2s));
    return;
  }
  case ev_drain_over: {
    process& p = *processes_[argument >> 32];
    if (p.life == (argument & 0xffffffff) && p.up) end_drain(p);
    return;
  }
  case ev_herd: return devices[argument]->connect_elsewhere();
  case ev_lost:
    if (process& p = edge_process(static_cast<unsigned>(argument)); p.up)
      kill_for(p, false, w_.between(1ms, 500ms));
    return;
  case ev_new_slots: return start_with_new_slots(static_cast<unsigned>(argument));
  case ev_fast: processes_[argument]->turn_cost = 20us; return;
  default: return roll();
  }
}

} // namespace beeline::sim
