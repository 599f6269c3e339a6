// The shard's hot path: a message comes in, its owner's link takes it; an answer goes back.
#include "common/base/refusable_work.hpp"
#include "router/shard.hpp"

#include <new>

namespace beeline::router {
namespace {
constexpr std::size_t ix(answer a) { return static_cast<std::size_t>(a); }
constexpr std::size_t ix(drop_reason r) { return static_cast<std::size_t>(r); }
} // namespace

shard::route shard::route_of(const wire::message_view& m) const {
  const auto e = table_.find(m.hash());
  if (!e || absent(e->link)) return {};
  if (e->link != contested_mark) return {e->link, e->owner_handle};
  const claim* guess = nullptr;
  for (const claim& c : contests_.at(m.hash())) {
    if (absent(c.link)) continue;
    // A session that waits may have been reachable before this shard started: whether it is the owner
    // is known as soon as its rival has said its id.
    if (c.id == m.destination()) return {c.waits ? contested_mark : c.link, c.h};
    if (c.waits) continue;
    if (c.id.empty()) guess = &c; // may be the one; its owner compares the id
  }
  return guess ? route{guess->link, guess->h} : route{};
}

void shard::on_message(peer& p, wire::message_view m, time_point now) {
  const bool qos1 = m.qos1();
  counters.messages_in[qos1].add();
  counters.bytes_in[qos1].add(m.size());
  ++p.messages_in;
  p.bytes_in += m.size();
  if (m.flags() & wire::flag_resent) counters.resent_in.add(), ++p.resent_in;
  if (!table_.owns(m.hash())) return answer_message(p, m, answer::moved, drop_reason::moved);
  if (warming_ && !plant.forward_while_warming)
    return answer_message(p, m, answer::later_warm_up, drop_reason::warming_up);
  if (m.deadline() && p.has_deadlines() && wire::ttl_of(m.deadline(), to_us(now)) == 0)
    return answer_message(p, m, answer::expired, drop_reason::expired);
  const route to = route_of(m);
  if (to.link == no_member) {
    if (warming_) return answer_message(p, m, answer::later_warm_up, drop_reason::warming_up);
    return answer_message(p, m, answer::nobody, drop_reason::nobody);
  }
  if (to.link == contested_mark) return answer_message(p, m, answer::busy, drop_reason::owner_lingering);
  peer* owner = members_[to.link].p;
  if (!owner) return answer_message(p, m, answer::later_lane, drop_reason::owner_lingering, to.link);
  if (memory_is_short() || (pool_.bytes_in_use() > config_.outputs_max && !plant.outputs_max_ignored))
    return answer_message(p, m, answer::busy, drop_reason::memory_limit);
  if (!has_room(*owner, m.size())) return answer_message(p, m, answer::busy, drop_reason::link_full);
  if (plant.answer_when_forwarded && m.qos1()) answer_message(p, m, answer::accepted, drop_reason::nobody);
  if (!forward(p, *owner, to.h, m, now)) answer_message(p, m, answer::busy, drop_reason::memory_limit);
}

// Back pressure of a shard, which always reads: an owner that does not take what it is sent has its own queue
// full, and only those who write to its clients hear of it.
bool shard::has_room(const peer& owner, std::size_t bytes) const noexcept {
  return owner.c->link->data.size() + bytes <= config_.link_output_max;
}

// The system has no memory, or so little that the reserve was touched: for a while nobody new is registered
// and nothing more is queued. What is there drains, and is answered.
void shard::on_memory_short(time_point now) {
  if (now >= memory_short_until_) counters.memory_short.add();
  memory_short_until_ = now + limits::memory_short_min;
}

// False: there is no memory for it, and nothing of it is queued.
bool shard::forward(peer& from, peer& to, handle h, wire::message_view m, time_point now) {
  const bool qos1 = m.qos1();
  if (m.deadline() && from.has_deadlines() != to.has_deadlines()) // each in its own version's words
    m.set_time_limit(to.has_deadlines() ? wire::deadline_of(m.ttl_ms(), to_us(now))
                                        : std::max(wire::ttl_of(m.deadline(), to_us(now)), 1u));
  m.route(h, from.index);
  try {
    const refusable_work may_be_refused;
    to.c->link->data.append(m.bytes());
  } catch (const std::bad_alloc&) {
    on_memory_short(now);
    return false;
  }
  dirty_.mark(*to.c);
  ++to.messages_out;
  to.bytes_out += m.size();
  const std::uint64_t queued = to.c->link->data.size();
  if (queued > to.queue_high_water) {
    to.queue_high_water = queued;
    counters.queue_high_water.see(queued);
  }
  counters.messages_out[qos1].add();
  counters.bytes_out[qos1].add(m.size());
  if (m.flags() & wire::flag_resent) counters.resent_out.add();
  return true;
}

// What the shard itself has to say of a message: QoS 1 is answered, QoS 0 dropped and counted.
void shard::answer_message(peer& p, const wire::message_view& m, answer a, drop_reason if_qos0,
                           member_index about) {
  const auto remember = [&](drop_kind kind, std::string_view why) {
    drops_.put(kind, why, m.sender(), m.destination(), m.qos1(), last_turn_);
  };
  if (!m.qos1()) {
    if (plant.drop_not_counted && if_qos0 != drop_reason::nobody) return;
    remember(drop_kind::drop, name_of(if_qos0));
    return counters.drops[ix(if_qos0)].add();
  }
  if (is_final(a)) remember(drop_kind::refusal, name_of(a));
  counters.answers[ix(a)].add();
  wire::answer_record r;
  r.number = static_cast<std::uint32_t>(m.number());
  r.lane = about;
  r.what = a;
  r.put(p.answers.next(p.urgent()));
  touch(p);
}

// Answers of an owner, passed on to the origins they name.
bool shard::on_answers(peer& p, const_bytes payload) {
  return wire::for_each_record<wire::answer_record>(payload, [&](wire::answer_record& r) {
    counters.answers[ix(r.what)].add();
    ++p.answers_in;
    if (is_final(r.what) && r.what != answer::accepted) counters.refused_by_owner.add();
    peer* origin = r.lane < members_.size() ? members_[r.lane].p : nullptr;
    if (!origin) return; // its link is gone: it sends again, and the owner repeats its answer
    r.lane = r.detail ? p.index : no_member; // who gives the receipt
    r.put(origin->answers.next(origin->urgent()));
    touch(*origin);
  });
}

// Between two lanes, both ways: each names the other. What cannot be passed on is said again by the owner
// when the lane has a new link.
bool shard::on_receipts(peer& p, const_bytes payload) {
  if (!p.has_receipts()) return false;
  return wire::for_each_record<wire::receipt_record>(payload, [&](wire::receipt_record& r) {
    peer* to = r.lane < members_.size() ? members_[r.lane].p : nullptr;
    if (!to || !to->has_receipts()) return;
    if (r.what != wire::receipt::heard) counters.receipts.add();
    r.lane = p.index;
    r.put(to->receipts.next(to->urgent()));
    touch(*to);
  });
}

} // namespace beeline::router
