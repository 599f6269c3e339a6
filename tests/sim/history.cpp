#include "tests/sim/history.hpp"

#include "common/base/limits.hpp"

#include <algorithm>
#include <utility>

namespace beeline::sim {

history::history(world& w, const settings& s) : w_(w), set_(s) {}

std::uint32_t history::open_session(std::uint32_t id, std::uint32_t edge, std::uint32_t life,
                                    std::uint32_t lane, bool v5) {
  session_record& r = sessions.emplace_back();
  r.id = id, r.edge = edge, r.edge_life = life, r.lane = lane, r.v5 = v5;
  r.opened = w_.now;
  const auto number = static_cast<std::uint32_t>(sessions.size() - 1);
  sessions_of[id].push_back(number);
  return number;
}

std::uint32_t history::published(std::uint32_t sender, std::uint32_t to, std::uint8_t qos, std::uint32_t flow,
                                 std::uint32_t size, bool last) {
  message_record& m = messages.emplace_back();
  m.sender = sender, m.to = to, m.qos = qos, m.flow = flow, m.size = size, m.last_exchange = last;
  m.published = w_.now;
  ++publishes;
  const auto number = static_cast<std::uint32_t>(messages.size() - 1);
  w_.say("s%u(%s) publishes m%u QoS %u to %s, flow %u", sender, ids[sessions[sender].id].c_str(), number, qos,
         ids[to].c_str(), flow);
  return number;
}

void history::received(std::uint32_t session, std::uint32_t number, std::uint8_t qos, std::string_view from) {
  session_record& s = sessions[session];
  if (number >= messages.size()) return w_.broken("MQTT", "s%u received a message nobody sent", session);
  message_record& m = messages[number];
  const session_record& sender = sessions[m.sender];
  w_.note(number, session);
  w_.say("s%u(%s) receives m%u from %s flow %u", session, ids[s.id].c_str(), number, ids[sender.id].c_str(),
         m.flow);
  if (s.id != m.to)
    return w_.broken("isolation", "m%u for %s was received by %s", number, ids[m.to].c_str(),
                     ids[s.id].c_str());
  if (from != ids[sender.id])
    return w_.broken("isolation", "m%u of %s arrived as from %.*s", number, ids[sender.id].c_str(),
                     static_cast<int>(from.size()), from.data());
  if (qos != m.qos)
    return w_.broken("MQTT", "m%u was published at QoS %u and arrived at %u", number, m.qos, qos);
  if (m.code == 0x10) return w_.broken("P1", "m%u was received after its sender was told 'nobody'", number);
  if (m.code == 0x97)
    return w_.broken("P1", "m%u was received after its sender was told 'queue full'", number);
  if (m.expired) return w_.broken("P1", "m%u was received after its sender was told 'expired'", number);
  judge_lateness(m, number);
  if (m.first_session != ~0u) judge_second_receipt(m, number, session);
  else {
    m.first_session = session;
    m.first_at = w_.now;
  }
  ++deliveries;
  auto [it, fresh] = s.newest.try_emplace(std::uint64_t{m.sender} << 1 | m.qos, m.flow);
  if (fresh) return;
  if (m.flow < it->second)
    return w_.broken("P3", "s%u received m%u (flow %u of s%u, QoS %u) after flow %u", session, number, m.flow,
                     m.sender, m.qos, it->second);
  it->second = m.flow;
}

void history::answered(std::uint32_t number, int code, std::string_view text) {
  message_record& m = messages[number];
  if (m.answered != never) return w_.broken("P1", "m%u was answered twice", number);
  m.code = code;
  m.answered = w_.now;
  w_.note(number, static_cast<std::uint64_t>(code));
  w_.say("s%u is told of m%u: 0x%02x %.*s", m.sender, number, static_cast<unsigned>(code),
         static_cast<int>(text.size()), text.data());
  std::size_t kind = 9;
  switch (code) {
  case 0x100: kind = 6; break;
  case 0x00: kind = 0; break;
  case 0x10: kind = 1; break;
  case 0x97: kind = 2; break;
  case 0x83:
    kind = text.starts_with("outcome unknown")       ? 3
           : text.starts_with("given up")            ? 4
           : text.starts_with("the message expired") ? 7
           : text.starts_with("taken, ")             ? 8
                                                     : 5;
    break;
  default: break;
  }
  ++outcomes[kind];
  if (kind == 9)
    return w_.broken("P1", "m%u got the reason 0x%02x, which has no reason here", number,
                     static_cast<unsigned>(code));
  if (kind == 3) judge_unknown(m, number);
  const bool no_link = text.find("no link") != text.npos; // a link that was down used up the lane's numbers
  if (kind == 4 && no_link && !any_fault) return w_.broken("P1", "m%u: 'no link' without any fault", number);
  if (kind == 4 && !no_link && !set_.tiny_links && !set_.little_memory())
    return w_.broken("P6", "m%u: given up because of a full queue, and no link's queue is small", number);
  if (kind == 5)
    return w_.broken("P6", "m%u: sent again until the bound, then refused (%.*s)", number,
                     static_cast<int>(text.size()), text.data());
  if (kind == 0 && m.asks_recipient && m.recipient_acked == never)
    return w_.broken("P1", "m%u: success before its recipient has acknowledged it", number);
  if (kind == 7 && w_.now - m.published + clock_doubt() < m.deadline)
    return w_.broken("P1", "m%u: told that it expired before its deadline", number);
  m.expired = kind == 7 || (kind == 8 && text.find("expired") != text.npos);
  // Another session may say so that is believed to have been the owner all the time (see the second receipt).
  // Where the origin itself or the first owner says so there is one copy.
  if (m.first_session != ~0u && (kind == 7 || ((kind == 2 || m.expired) && !another_took_part(m))))
    return w_.broken("P1", "m%u: 0x%02x %.*s, but s%u had received it", number, static_cast<unsigned>(code),
                     static_cast<int>(text.size()), text.data(), m.first_session);
  if (kind == 8) return judge_taken(m, number, text);
  const bool may_be_full = set_.queues_may_fill() || set_.receipts_max < limits::receipts_max;
  if (kind == 2 && !may_be_full && (m.last_exchange || wait_for(m.to) < set_.pending_max))
    return w_.broken("P6", "m%u was told that a queue is full, and none is small", number);
  if (m.last_exchange && kind > 2 && kind != 6)
    return w_.broken("P5", "m%u, sent at rest, was answered 0x%02x", number, static_cast<unsigned>(code));
  if (kind == 1) judge_nobody(m, number);
}

void history::acked(std::uint32_t number, std::uint32_t session) {
  message_record& m = messages[number];
  if (m.recipient_acked == never) m.recipient_acked = w_.now, m.acked_by = session;
  w_.note(number, session);
}

void history::server_end(std::uint32_t session, close_reason why) {
  session_record& s = sessions[session];
  if (s.server_end != never) return;
  s.server_end = w_.now;
  s.why = why;
  w_.say("s%u(%s) ends at the server: %s", session, ids[s.id].c_str(), name_of(why).data());
  switch (why) {
  case close_reason::taken_over: return judge_takeover(session);
  case close_reason::none: // the process died
  case close_reason::peer_closed:
  case close_reason::network_error:
  case close_reason::client_disconnect:
  case close_reason::keep_alive_timeout:
  case close_reason::not_registered:
  case close_reason::connect_timeout:
  case close_reason::client_write_stall:
  case close_reason::shutdown: break;
  case close_reason::drained:
  case close_reason::connect_refused:
    if (drain_since[s.edge] == never)
      w_.broken("P1", "the server closed s%u, and e%u does not drain: %s", session, s.edge,
                text_of(why).data());
    s.drain_began = drain_since[s.edge];
    break;
  case close_reason::registration_busy:
    if (set_.contested_max == limits::claims_contested_max)
      w_.broken("P6", "s%u was refused for claims that are too many, and they may be very many", session);
    break;
  case close_reason::incomplete_limit:
    if (!set_.little_memory())
      w_.broken("P6", "s%u was closed for want of memory, of which there is enough", session);
    break;
  default: w_.broken("MQTT", "the server closed s%u: %s", session, text_of(why).data());
  }
  // Behind a length that a flipped bit has made longer, everything waits for a while.
  if (why == close_reason::not_registered && (!flipped || w_.now >= last_fault + 20s) &&
      shard_of[s.id] != nobody && served_since[s.id] <= w_.now - 4s &&
      all_linked_since(shard_of[s.id], w_.now - 4s))
    w_.broken("P5", "s%u of %s was not registered, though all lanes were linked to its shard", session,
              ids[s.id].c_str());
  if (!any_fault && (why == close_reason::keep_alive_timeout || why == close_reason::not_registered ||
                     why == close_reason::connect_timeout || why == close_reason::shutdown))
    w_.broken("P1", "the server closed s%u without any fault: %s", session, text_of(why).data());
}

void history::in_sync(std::uint32_t lane, std::uint32_t shard, member_index link) {
  linked_record& l = linked[lane][shard];
  const bool yes = link != no_member, was = l.in_sync, same = link == l.link;
  const time_point seen = std::exchange(l.seen, w_.now);
  if (yes) l.link = link;
  if (was == yes && (!yes || same)) return;
  l.in_sync = yes;
  w_.say("lane e%u.%u is %sin sync at shard %u", lane / 2, lane % 2, yes ? "" : "no longer ", shard);
  if (!yes) {
    l.since = w_.now;
    return;
  }
  l.gaps.push_back({was ? seen : l.since, w_.now, l.restart}); // `was`: lost and back since it was looked at
  l.restart = never;
}

// The shard knows the lane again: should it be lost before it is in sync, it lingers from then on.
void history::syncing(std::uint32_t lane, std::uint32_t shard) {
  linked_record& l = linked[lane][shard];
  if (l.in_sync || !bridged({l.since, w_.now, l.restart}, w_.now)) return;
  if (l.since < w_.now) l.gaps.push_back({l.since, w_.now, l.restart});
  l.since = w_.now; // a warm-up waits no longer for who comes and registers nobody
}

void history::shard_started(std::uint32_t shard) {
  for (auto& lane : linked) {
    linked_record& l = lane[shard];
    if (std::exchange(l.in_sync, false)) l.since = w_.now;
    l.restart = std::min(l.restart, w_.now);
  }
}

} // namespace beeline::sim
