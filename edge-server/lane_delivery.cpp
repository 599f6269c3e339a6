// Messages to clients: the recipient's window and queue.
#include "edge-server/lane.hpp"

#include "common/link/endpoint.ipp"

#include <algorithm>

namespace beeline::edge {
namespace {
// `@/X` always names the other party: the recipient sees the sender there, on the same channel.
mqtt::publish_message publish_of(const wire::message_view& m, const_bytes& properties) {
  mqtt::publish_message p;
  const std::string_view channel = m.channel();
  p.topic = {"@/", m.sender(), channel.empty() ? std::string_view{} : std::string_view{"/"}, channel};
  properties = m.properties();
  if (!properties.empty()) p.forward_properties = {&properties, 1};
  p.payload = m.payload();
  return p;
}
} // namespace

answer lane::deliver(handle h, const wire::message_view& m, std::uint32_t receipt, time_point now) {
  const std::uint32_t i = session_of(h);
  const std::uint8_t qos = m.qos1();
  if (i == none || sessions_[i].st != session::state::live || (qos && sessions_[i].going)) {
    if (qos == 0) drop(m, drop_reason::not_here, now); // QoS 1 comes again
    return answer::not_here;
  }
  session& s = sessions_[i];
  try {
    const refusable_work may_be_refused;
    return deliver_to(s, m, receipt, now);
  } catch (const std::bad_alloc&) {
    on_memory_short(now);
    drop(m, drop_reason::memory_limit, now);
    return answer::full;
  }
}

answer lane::deliver_to(session& s, const wire::message_view& m, std::uint32_t receipt, time_point now) {
  const std::uint8_t qos = m.qos1();
  const_bytes properties;
  mqtt::publish_message p = publish_of(m, properties);
  p.qos = qos;
  if (m.ttl_ms()) p.message_expiry = m.ttl_ms() / 1000;
  if (mqtt::publish_size(p, s.version) > s.packet_bytes_max) {
    drop(m, drop_reason::too_large_for_recipient, now);
    return answer::refused;
  }
  const time_point expires = m.ttl_ms() ? now + std::chrono::milliseconds(m.ttl_ms()) : never;
  if (memory_of_outputs() > config_.memory_max &&
      !plant.memory_max_ignored) { // not even for who has nothing in its output
    drop(m, drop_reason::memory_limit, now);
    return answer::full;
  }
  if (qos == 0) {
    if (receiving_full_ && !s.c->out.empty()) {
      drop(m, drop_reason::memory_limit, now);
      return answer::full;
    }
    if (s.c->out.size() >= unsent_max(expires)) {
      drop(m, drop_reason::recipient_slow, now);
      return answer::full;
    }
    write_publish(s, m, 0, now, expires);
    return answer::accepted;
  }
  if ((!s.pending || s.pending->empty()) && can_write(s, expires)) {
    write_publish(s, m, 1, now, expires, receipt);
    return answer::accepted;
  }
  const std::size_t waiting = s.pending ? s.pending->size() : 0; // alone, a message may be of any size
  if (waiting >= config_.pending_max ||
      (waiting && s.pending_bytes + m.size() > config_.pending_bytes_max && !plant.pending_bytes_ignored)) {
    drop(m, drop_reason::recipient_full, now);
    return answer::full;
  }
  if (receiving_full_) {
    drop(m, drop_reason::memory_limit, now);
    return answer::full;
  }
  if (!s.pending) s.pending = std::make_unique<std::deque<pending_message>>();
  s.pending->push_back({nullptr, static_cast<std::uint32_t>(m.size()), expires, receipt});
  try {
    s.pending->back().block = blocks_.take(m.size());
  } catch (const std::bad_alloc&) {
    s.pending->pop_back();
    throw;
  }
  std::memcpy(s.pending->back().block, m.bytes().data(), m.size());
  s.pending_bytes += m.size();
  s.pending_expiring += expires != never;
  counters.pending.add();
  counters.pending_high_water.see(counters.pending.get());
  counters.pending_bytes.add(m.size());
  return answer::accepted;
}

// All of it, or std::bad_alloc and nothing has changed.
void lane::write_publish(session& s, const wire::message_view& m, std::uint8_t qos, time_point now,
                         time_point expires, std::uint32_t receipt) {
  const std::size_t before = s.c->out.size();
  const_bytes properties;
  mqtt::publish_message p = publish_of(m, properties);
  p.qos = qos;
  // What is left of it [MQTT-3.3.2-6], to the nearest second: servers compare their clocks to half a round
  // trip, and who rounds up tells the recipient more than the sender said.
  if (expires != never)
    p.message_expiry = static_cast<std::uint32_t>(
        std::max<std::int64_t>(1, std::chrono::round<std::chrono::seconds>(expires - now).count()));
  if (qos) {
    do {
      p.packet_id = s.next_packet_id++;
    } while (p.packet_id == 0 || s.in_flight.contains(p.packet_id));
    s.in_flight.emplace(p.packet_id, receipt);
  }
  try {
    mqtt::encode_publish(s.c->out, p, s.version);
  } catch (const std::bad_alloc&) { // nobody will acknowledge it, or settle its receipt
    s.c->out.cut(before);
    if (qos) s.in_flight.erase(p.packet_id);
    throw;
  }
  dirty_.mark(*s.c);
  counters.deliveries[qos].add();
  counters.delivery_bytes.add(p.payload.size());
}

// Its sender hears of it if it waits for a receipt.
void lane::end_expired(session& s, const pending_message& w, time_point now) noexcept {
  drop(wire::message_view({w.block, w.size}), drop_reason::expired, now);
  settle(w.receipt, wire::receipt::expired);
  forget_pending(s, w);
}

// What has expired leaves the queue wherever it stands: it takes the room of what has not. Walks the queue.
void lane::expire_pending(session& s, time_point now) {
  if (s.pending_expiring == 0) return;
  std::erase_if(*s.pending, [&](const pending_message& w) {
    if (w.expires > now) return false;
    end_expired(s, w, now);
    return true;
  });
  if (s.pending->empty()) s.pending.reset();
}

void lane::pump_pending(session& s, time_point now) {
  if (!s.pending) return;
  while (!s.pending->empty() && can_write(s, s.pending->front().expires)) {
    const pending_message w = s.pending->front();
    if (w.expires <= now) {
      end_expired(s, w, now);
    } else {
      write_publish(s, wire::message_view({w.block, w.size}), 1, now, w.expires, w.receipt);
      forget_pending(s, w);
    }
    s.pending->pop_front();
  }
  if (s.pending->empty()) s.pending.reset();
}

void lane::forget_pending(session& s, const pending_message& w) noexcept {
  s.pending_bytes -= w.size;
  s.pending_expiring -= w.expires != never;
  counters.pending.sub();
  counters.pending_bytes.sub(w.size);
  blocks_.give(w.block, w.size);
}

// What an ended session had accepted and not yet sent is lost with it, and counted.
void lane::drop_pending(session& s) noexcept {
  if (!s.pending) return;
  for (const pending_message& w : *s.pending) {
    drop(wire::message_view({w.block, w.size}), drop_reason::recipient_gone, last_time_);
    settle(w.receipt, wire::receipt::session_ended);
    forget_pending(s, w);
  }
  s.pending.reset();
}

} // namespace beeline::edge
