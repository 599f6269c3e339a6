#include "tests/support/link_shard_tools.hpp"

namespace beeline::test {

router::shard_config shard_bench::warming() {
  router::shard_config c;
  c.secret = test_secret();
  c.map = {{0, slot_count - 1, "", 1900}};
  c.make_nonce = [n = 0u]() mutable { return nonce_of(++n); };
  return c;
}

router::shard_config shard_bench::in_service() {
  router::shard_config c = warming();
  c.warm_up = duration::zero();
  return c;
}

shard_bench::shard_bench(router::shard_config config) : shard(std::move(config), pool, now) {}

conn& shard_bench::open() {
  pipes_.push_back(std::make_unique<pipe>(pool));
  conn& c = pipes_.back()->c;
  shard.begin_turn(now);
  shard.on_up(c, now);
  shard.end_turn(now);
  turn_ends();
  return c;
}

void shard_bench::deliver(conn& c, byte_vector bytes) {
  pipe* p = nullptr;
  for (auto& x : pipes_)
    if (&x->c == &c) p = x.get();
  if (p->down) return;
  p->rest.insert(p->rest.end(), bytes.begin(), bytes.end());
  shard.begin_turn(now);
  const std::size_t n = shard.on_bytes(c, p->rest, now);
  p->rest.erase(p->rest.begin(), p->rest.begin() + static_cast<std::ptrdiff_t>(n));
  shard.end_turn(now);
  turn_ends();
}

void shard_bench::turn_ends() {
  if (hold) return;
  while (conn* c = shard.dirty().pop()) {
    if (c == stuck) continue;
    scripted_lane* at = nullptr;
    for (scripted_lane* l : lanes)
      if (l->c == c) at = l;
    if (!c->close_now && (!at || at->reads)) {
      byte_vector b = taken_bytes(*c);
      if (at) at->takes(std::move(b));
    }
    if (!c->closing()) continue;
    for (auto& x : pipes_)
      if (&x->c == c) x->down = true;
    if (at) at->closed = c->why, at->c = nullptr;
    shard.on_down(*c, c->why, now);
    c->link->clear();
  }
}

void shard_bench::wait(duration d) {
  for (const time_point end = now + d; now < end;) {
    now = std::min<time_point>(end, now + std::chrono::milliseconds(100));
    shard.begin_turn(now);
    shard.on_time(now);
    shard.end_turn(now);
    turn_ends();
    const auto all = lanes;
    for (scripted_lane* l : all)
      if (l->c && l->beats && l->index != no_member) l->beats_once();
  }
}

two_lanes::two_lanes(router::shard_config c) : bench(std::move(c)) {
  e1.hash_bits = e2.hash_bits = bench.shard.config().hash_bits;
}

scripted_lane::scripted_lane(shard_bench& b, std::string edge, std::uint64_t id, std::uint16_t number)
    : bench(b), who{lane_id{id}, std::move(edge), number, static_cast<std::uint16_t>(number + 1)} {
  bench.lanes.push_back(this);
}

void scripted_lane::takes(byte_vector b) {
  for (heard_frame& f : split_frames(std::move(b))) {
    if (handshake_.now() != link::lane_handshake::state::done && f.type() != wire::frame_type::error) {
      if (handshake_.on_frame({f.type(), f.bytes}, bench.shard.config().secret, who, clock(), last_shard_time,
                              writer_, out_) &&
          handshake_.now() == link::lane_handshake::state::done) {
        welcome = handshake_.welcome();
        index = welcome.index;
      }
      continue;
    }
    if (f.type() == wire::frame_type::registered)
      wire::for_each_record<wire::registered_client>(f.payload(),
                                                     [&](const auto& r) { registered_.push_back(r); });
    frames.push_back(std::move(f));
  }
}

void scripted_lane::opens() {
  c = nullptr;
  conn& fresh = bench.open();
  c = &fresh;
  index = no_member;
  closed = close_reason::none;
  handshake_ = link::lane_handshake(version);
  out_.clear();
  handshake_.start(nonce_of(77), writer_, out_);
}

// The challenge comes in `takes`, which writes the auth.
byte_vector scripted_lane::next_step() { return taken_bytes(out_); }

void scripted_lane::connects() {
  opens();
  says(next_step());
  if (c) says(next_step());
}

void scripted_lane::joins() {
  connects();
  is_in_sync();
  hears();
}

void scripted_lane::says(byte_vector b) {
  if (c) bench.deliver(*c, std::move(b));
}

void scripted_lane::drops(close_reason why) {
  conn* old = std::exchange(c, nullptr);
  closed = why;
  bench.shard.begin_turn(bench.now);
  bench.shard.dirty().remove(*old);
  bench.shard.on_down(*old, why, bench.now);
  bench.shard.dirty().remove(*old);
  bench.shard.end_turn(bench.now);
  old->close_now = true;
  old->link->clear();
  bench.turn_ends();
}

lines scripted_lane::hears() {
  lines all = words(frames);
  frames.clear();
  return all;
}

void scripted_lane::registers(handle h, std::string_view id, time_point connected_at, std::uint64_t since) {
  says(make_batch<wire::registration>(wire::frame_type::register_clients,
                                      {{h, to_us(connected_at - clock_behind), since, id}}));
}

void scripted_lane::unregisters(handle h, std::string_view id) {
  says(make_batch<wire::unregistration>(wire::frame_type::unregister, {{hash_of(id, hash_bits), h}}));
}

void scripted_lane::answers(std::uint32_t number, member_index origin, answer a) {
  says(make_batch<wire::answer_record>(wire::frame_type::answers, {{number, origin, a, 0}}));
}

void scripted_lane::identifies(handle h, std::string_view claimed, std::string_view own) {
  says(make_batch<wire::identity>(wire::frame_type::identity,
                                  {{hash_of(own, hash_bits), h, claimed == own, own}}));
}

void scripted_lane::beats_once() {
  wire::heartbeat b;
  b.sent_at = clock();
  b.value = floor;
  says(make(b));
}

std::uint64_t scripted_lane::since_of(handle h) const {
  std::uint64_t since = 0;
  for (const wire::registered_client& r : registered_)
    if (r.client == h) since = r.since;
  return since;
}

} // namespace beeline::test
