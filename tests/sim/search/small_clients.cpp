// The clients of the small world: MQTT bytes that arrive at once.
#include "tests/sim/search/small_world.hpp"

#include "common/link/endpoint.ipp"

#include <algorithm>

namespace beeline::search {

small_world::client* small_world::newest(std::uint32_t who) const {
  for (std::size_t i = clients_.size(); i--;)
    if (clients_[i]->id == who) return clients_[i].get();
  return nullptr;
}
bool small_world::can_publish(std::uint32_t who) const {
  const client* c = newest(who);
  return published_[who] < messages_of[who] && c && c->live;
}
bool small_world::can_connect(std::uint32_t who) const {
  const client* c = newest(who);
  return (!c || !c->c) && lanes_[wants_edge_[who]].core->endpoint().ready();
}

void small_world::connect(std::uint32_t who, unsigned edge) {
  auto& c = *clients_.emplace_back(std::make_unique<client>());
  c.id = who;
  c.edge = edge;
  place<edge::lane>& p = lanes_[edge];
  w.now = time_of(p.stamp + 1);
  c.session = h_.open_session(who, edge, static_cast<std::uint32_t>(p.lives), 0, true);
  c.c = std::make_unique<conn>(conn::kind_t::client, *p.pool);
  c.c->shell = &c;
  turn(p, 20 + who, [&](time_point now) { p.core->on_up(*c.c, now); });
  test::connect_options o;
  o.client_id = h_.ids[who];
  o.keep_alive = 600;
  h_.sessions[c.session].attached = w.now;
  feed(c, test::encode_connect(o));
}

void small_world::publish(std::uint32_t who) {
  client& c = *newest(who);
  place<edge::lane>& p = lanes_[c.edge];
  w.now = time_of(p.stamp + 1);
  const std::uint32_t m = h_.published(c.session, 1 - who, 1, ++published_[who], 4, false);
  char payload[4];
  store_le(payload, m);
  test::publish_options o;
  const std::string topic = "@/" + h_.ids[1 - who];
  o.topic = topic;
  o.payload = {payload, 4};
  o.qos = 1;
  o.packet_id = c.next_id++;
  c.unanswered[o.packet_id] = m;
  std::string bytes;
  test::append_publish(bytes, o);
  feed(c, bytes);
}

void small_world::feed(client& c, std::string_view bytes) {
  std::string in(bytes);
  turn(lanes_[c.edge], 30 + c.session, [&](time_point now) {
    const mutable_bytes b(reinterpret_cast<std::byte*>(in.data()), in.size());
    const std::size_t n = lanes_[c.edge].core->on_bytes(*c.c, b, now);
    CHECK_INVARIANT(n == in.size());
  });
}

// Reads what the lane has written to the client, and acknowledges it in the same breath.
void small_world::hear(client& c) {
  place<edge::lane>& p = lanes_[c.edge];
  for (iovec iov[64]; c.c->output_bytes() && !c.c->close_now;) {
    const std::size_t n = c.c->gather(iov, 64);
    std::size_t sent = 0;
    for (std::size_t i = 0; i < n; ++i) {
      const auto* from = static_cast<const std::byte*>(iov[i].iov_base);
      c.in.insert(c.in.end(), from, from + iov[i].iov_len);
      sent += iov[i].iov_len;
    }
    c.c->consume(sent);
    p.core->on_drained(*c.c, w.now);
  }
  if (c.c->closing()) h_.server_end(c.session, c.c->why);
  std::size_t at = 0;
  for (mqtt::packet packet; mqtt::next_packet(const_bytes(c.in).subspan(at), limits::packet_bytes_max,
                                              packet) == mqtt::parse::done;
       at += packet.total)
    on_packet(c, packet);
  c.in.erase(c.in.begin(), c.in.begin() + static_cast<std::ptrdiff_t>(at));
  if (!c.c->closing()) return;
  finish(p, *c.c, c.c->why);
  end_client(c);
}

void small_world::end_client(client& c) {
  c.live = false;
  h_.sessions[c.session].client_end = w.now;
  c.c.reset();
}

void small_world::on_packet(client& c, const mqtt::packet& p) {
  switch (p.type()) {
  case mqtt::packet_type::connack: {
    test::connack_packet a;
    test::decode_connack(p, test::v5, a);
    if (a.code) return;
    c.live = true;
    h_.sessions[c.session].connack = w.now;
    return;
  }
  case mqtt::packet_type::publish: {
    mqtt::publish_packet m;
    test::decode_publish(p, test::v5, m);
    const auto n = load_le<std::uint32_t>(m.payload.data());
    h_.received(c.session, n, m.qos, m.topic.substr(2));
    std::string ack;
    test::append_puback(ack, m.packet_id);
    c.out += ack;
    return;
  }
  case mqtt::packet_type::puback: {
    mqtt::ack_packet a;
    test::decode_ack(p, test::v5, a);
    const auto it = c.unanswered.find(a.packet_id);
    if (it == c.unanswered.end()) return w.broken("P1", "a PUBACK for a packet that is not in flight");
    h_.answered(it->second, static_cast<int>(a.code), a.reason_string);
    c.unanswered.erase(it);
    return;
  }
  default: return;
  }
}

} // namespace beeline::search
