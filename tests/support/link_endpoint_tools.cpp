#include "tests/support/link_endpoint_tools.hpp"

#include "common/link/endpoint.ipp"

namespace beeline::link {
template class endpoint<test::tiny_host>;
}

namespace beeline::test {

void tiny_host::on_kicked(handle h, close_reason why, time_point now) {
  told.push_back("kicked " + text_of_handle(h) + " " + std::string(name_of(why)));
  bench->lane.detach(h, now);
}

// --- bench ------------------------------------------------------------------------------------------

link::endpoint_config endpoint_bench::config(unsigned routers) {
  link::endpoint_config c;
  c.secret = test_secret();
  c.who = {lane_id{77}, "edge-1", 0, 1};
  for (unsigned r = 0; r < routers; ++r)
    c.routers.push_back({"router", static_cast<std::uint16_t>(1900 + 1000 * r)});
  c.make_nonce = [n = 0u]() mutable { return nonce_of(++n); };
  return c;
}

endpoint_bench::endpoint_bench(link::endpoint_config c) : lane(std::move(c), host, pool, blocks, dirty, now) {
  host.bench = this;
}
endpoint_bench::~endpoint_bench() = default;

void endpoint_bench::turn_ends() {
  lane.end_turn(now);
  for (bool more = true; more;) {
    more = false;
    connect_request q;
    while (lane.take_connect(q, now)) {
      more = true;
      const auto at = shards.find(q.port);
      if (at != shards.end()) ++at->second->dials, at->second->dialled_at.push_back(now);
      if (at == shards.end() || !at->second->listens) {
        lane.on_connect_failed(q.link, "connection refused", now);
        continue;
      }
      scripted_shard& s = *at->second;
      conns_.push_back(std::make_unique<conn>(conn::kind_t::link, pool));
      s.c = conns_.back().get();
      s.c->owner = s.link = q.link;
      s.closed = close_reason::none;
      s.handshake_ = link::shard_handshake(s.version);
      s.rest.clear();
      lane.on_up(*s.c, now);
    }
    while (conn* c = dirty.pop()) {
      more = true;
      scripted_shard* s = nullptr;
      for (auto& [port, x] : shards)
        if (x->c == c) s = x;
      if (s && s->reads && !c->close_now)
        for (heard_frame& f : split_frames(taken_bytes(*c))) s->frames.push_back(std::move(f));
      if (!c->closing()) {
        if (s && s->reads) lane.on_drained(*c, now);
        continue;
      }
      if (s) s->closed = c->why, s->c = nullptr;
      lane.on_down(*c, c->why, now);
      c->link->clear();
    }
    if (more) lane.end_turn(now);
  }
}

void endpoint_bench::wait(duration d) {
  for (const time_point end = now + d; now < end;) {
    now = std::min<time_point>(end, now + std::chrono::milliseconds(100));
    lane.begin_turn(now);
    lane.on_time(now);
    turn_ends();
    for (auto& [port, s] : shards)
      if (s->c && s->beats && s->handshake_.now() == link::shard_handshake::state::proved) s->beats_once();
  }
}

handle endpoint_bench::attach(std::string_view id) {
  lane.begin_turn(now);
  const handle h = lane.attach(id, now);
  turn_ends();
  return h;
}
void endpoint_bench::detach(handle h) {
  lane.begin_turn(now);
  lane.detach(h, now);
  turn_ends();
}
void endpoint_bench::submits(handle sender, std::uint64_t token, std::string_view to, bool receipt) {
  wire::message_parts m;
  m.receipt = receipt;
  const std::string payload = std::to_string(token);
  m.hash = lane.hash(to), m.destination = to, m.sender = "ann", m.payload = as_bytes(payload);
  lane.begin_turn(now);
  lane.send_qos1(sender, token, m, now);
  turn_ends();
}
lines endpoint_bench::told() { return std::exchange(host.told, {}); }

// --- shard ------------------------------------------------------------------------------------------

scripted_shard::scripted_shard(endpoint_bench& b, std::uint16_t p, std::uint16_t n, std::uint16_t all)
    : bench(b), port(p), number(n), shards(all) {
  map[0].port = p;
  bench.shards[p] = this;
}

void scripted_shard::says(byte_vector b) {
  if (!c) return;
  rest.insert(rest.end(), b.begin(), b.end());
  bench.lane.begin_turn(bench.now);
  if (!c->closing()) {
    const std::size_t n = bench.lane.on_bytes(*c, rest, bench.now);
    rest.erase(rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(n));
  }
  bench.turn_ends();
}

bool scripted_shard::step(wire::frame_type wanted) {
  for (std::size_t i = 0; i < frames.size(); ++i) {
    if (frames[i].type() != wanted) continue;
    const heard_frame f = frames[i];
    frames.erase(frames.begin() + static_cast<std::ptrdiff_t>(i));
    heard_frame copy = f;
    return handshake_.on_frame({copy.type(), copy.bytes}, secret, nonce_of(200), 9, bench.now, writer_, out_);
  }
  return false;
}

void scripted_shard::answers_hello() {
  if (step(wire::frame_type::hello)) says(taken_bytes(out_));
}
void scripted_shard::answers_auth() {
  if (!step(wire::frame_type::auth)) return;
  wire::welcome w;
  w.index = 0, w.shard_number = number, w.shards = shards;
  w.shard_time = to_us(bench.now) + shard_time_ahead;
  w.warming_up = warming;
  handshake_.accept(secret, w, writer_, out_);
  says(taken_bytes(out_));
}

void scripted_shard::welcomes() {
  answers_hello();
  answers_auth();
  std::vector<wire::slot_range> ranges;
  for (const link::shard_address& a : map) ranges.push_back({a.first, a.last, a.port, a.host});
  says(make_batch(wire::frame_type::slot_map, ranges));
  const link::lane_identity& who = bench.lane.who();
  says_members({{0, 1, who.id, who.number, who.edge_name}});
}

void scripted_shard::registers_all() {
  std::vector<wire::registered_client> all;
  for (heard_frame& f : frames)
    if (f.type() == wire::frame_type::register_clients)
      wire::for_each_record<wire::registration>(f.payload(), [&](const wire::registration& r) {
        all.push_back({r.client, to_us(bench.now) + shard_time_ahead});
      });
  frames.clear();
  if (!all.empty()) says(make_batch(wire::frame_type::registered, all));
}

lines scripted_shard::hears(bool with_heartbeats) {
  lines all = words(frames, with_heartbeats);
  frames.clear();
  return all;
}

void scripted_shard::closes(close_reason why) {
  conn* old = std::exchange(c, nullptr);
  closed = why;
  bench.lane.begin_turn(bench.now);
  bench.lane.on_down(*old, why, bench.now);
  old->link->clear();
  bench.turn_ends();
}

void scripted_shard::beats_once() {
  wire::heartbeat h;
  h.sent_at = to_us(bench.now);
  h.value = h.sent_at + shard_time_ahead;
  says(make(h));
}

std::string id_in(std::uint32_t first, std::uint32_t last) {
  for (int i = 0;; ++i)
    if (std::string s = "id" + std::to_string(i); slot_of(hash_of(s)) >= first && slot_of(hash_of(s)) <= last)
      return s;
}

} // namespace beeline::test
