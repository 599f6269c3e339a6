// What must hold at rest (P1 at QoS 0, P4 to P6), and the bounds that hold always.
#include "tests/sim/cluster.hpp"

#include "common/link/endpoint.ipp"

#include <algorithm>
#include <tuple>

namespace beeline::sim {
namespace {
std::string text(const char* format, ...) __attribute__((format(printf, 1, 2)));
std::string text(const char* format, ...) {
  char out[300];
  va_list args;
  va_start(args, format);
  std::vsnprintf(out, sizeof out, format, args);
  va_end(args);
  return out;
}
} // namespace

// The sessions that lanes hold are those that clients hold, one for each id at most.
std::string cluster::judge_sessions() {
  std::vector<std::tuple<std::string, unsigned, unsigned>> at_lanes, at_clients;
  for (auto& l : lanes_) {
    std::string waiting;
    std::size_t sessions = 0;
    l->n->core()->for_each_session([&](std::string_view id, bool live) {
      ++sessions;
      if (!live) waiting = id;
      at_lanes.emplace_back(id, l->edge, l->number);
    });
    if (!waiting.empty())
      return text("%s waits for its registration at e%u.%u", waiting.c_str(), l->edge, l->number);
    if (l->n->core()->counters.connections.get() != sessions)
      return text("e%u.%u has connections without a session", l->edge, l->number);
  }
  for (auto& d : devices) {
    if (!d->settled())
      return text("%s is not %s", d->name().c_str(), d->wants_online() ? "online" : "offline");
    if (!d->wants_online()) continue;
    const session_record& s = h_.sessions[d->newest()->number];
    at_clients.emplace_back(d->name(), s.edge, s.lane);
  }
  std::sort(at_lanes.begin(), at_lanes.end());
  std::sort(at_clients.begin(), at_clients.end());
  if (at_lanes == at_clients) return {};
  return text("P4: lanes hold %zu sessions, clients %zu, or not the same ones", at_lanes.size(),
              at_clients.size());
}

// The shards' tables are the union of the lanes' sessions, as sets, both ways (CAT-43, CAT-44): no entry, to
// which messages would go, outlives its session.
std::string cluster::judge_tables() {
  std::vector<std::tuple<id_hash, std::string, unsigned>> tables, sessions;
  for (auto& s : shards_)
    s->n->core()->for_each_entry([&](id_hash h, std::string_view edge, std::uint16_t lane, handle, bool) {
      tables.emplace_back(h, edge, lane);
    });
  for (auto& l : lanes_)
    l->n->core()->for_each_session([&](std::string_view id, bool) {
      sessions.emplace_back(hasher_(id), "e" + std::to_string(l->edge), l->number);
    });
  std::sort(tables.begin(), tables.end());
  std::sort(sessions.begin(), sessions.end());
  if (tables == sessions) return {};
  return text("P5: the tables have %zu entries, the lanes %zu sessions, or not the same ones", tables.size(),
              sessions.size());
}

std::string cluster::why_not_at_rest() {
  for (auto& p : processes_)
    if (!p->up || p->paused_until > w_.now) return p->name + " does not run";
  for (unsigned e = 0; e < set_.edges; ++e)
    if (edge_draining_[e]) return text("e%u drains", e);
  for (auto& s : shards_) {
    if (s->n->core()->warming_up()) return text("shard %u of r%u warms up", s->number, s->router);
    const auto known = s->n->core()->lanes().lanes;
    const auto synced =
        std::count_if(known.begin(), known.end(), [](const auto& l) { return l.state == "in sync"; });
    if (static_cast<std::size_t>(synced) != lanes_.size() || known.size() != lanes_.size())
      return text("shard %u of r%u has %d lanes in sync", s->number, s->router, static_cast<int>(synced));
    std::size_t left = 0;
    s->n->for_each_stream([&](conn& c, socket_end&) { left += c.output_bytes(); });
    if (left) return text("P6: shard %u of r%u has %zu bytes of output", s->number, s->router, left);
  }
  for (auto& l : lanes_) {
    edge::lane& core = *l->n->core();
    if (!core.endpoint().ready())
      return text("e%u.%u is not ready: %s", l->edge, l->number, core.endpoint().problem().c_str());
    if (!core.endpoint().outgoing.idle())
      return text("P6: e%u.%u has %zu messages without an answer", l->edge, l->number,
                  core.endpoint().outgoing.messages());
    if (const auto n = core.endpoint().receipt_counts.awaited.get())
      return text("P1: e%u.%u waits for %d receipts", l->edge, l->number, static_cast<int>(n));
    if (core.counters.pending.get())
      return text("P6: e%u.%u has %llu pending messages", l->edge, l->number,
                  static_cast<unsigned long long>(core.counters.pending.get()));
    std::size_t left = 0;
    l->n->for_each_stream([&](conn& c, socket_end&) { left += c.output_bytes(); });
    if (left) return text("P6: e%u.%u has %zu bytes of output", l->edge, l->number, left);
  }
  for (std::size_t i = first_open_; i < connections_.size(); ++i)
    for (const pipe& p : connections_[i]->way)
      if (const connection& c = *connections_[i]; c.over()) continue;
      else if (c.is_link && p.lost) return "the end of a link has not been noticed yet";
      else if (!c.is_link && !p.lost && p.written != p.taken)
        return text("the connection of s%u carries %llu bytes to the %s", c.session,
                    static_cast<unsigned long long>(p.written - p.taken), &p == c.way ? "server" : "client");
  for (auto& d : devices)
    if (const client_session* s = d->newest(); s && s->live() && s->unanswered())
      return text("P1: s%u has %zu publishes without an answer", s->number, s->unanswered());
  std::string why = judge_sessions();
  return why.empty() ? judge_tables() : why;
}

void cluster::judge_at_rest() {
  for (auto& l : lanes_) collect(*l);
  if (bad_frames && !h_.flipped)
    w_.broken("P6", "%llu links ended with a damaged frame, and nothing was damaged",
              static_cast<unsigned long long>(bad_frames));
  if (!h_.any_fault && safety_resends)
    w_.broken("P6", "%llu messages were sent again by the safety timer in a run without faults",
              static_cast<unsigned long long>(safety_resends));
  if (!h_.any_fault) judge_qos0();
}

// Nobody's life has ended, so the counters have seen all. Those of a shard, and some of a lane, are of QoS 0
// alone.
void cluster::judge_qos0() {
  history::qos0_drops all;
  const auto add = [&all](const counter* drops, drop_reason r) {
    const std::uint64_t n = drops[static_cast<std::size_t>(r)].get();
    if (r != drop_reason::nobody) (r == drop_reason::expired ? all.expired : all.shed) += n;
    return n;
  };
  for (auto& s : shards_)
    for (std::size_t r = 0; r < drop_reason_count; ++r)
      all.certain += add(s->n->core()->counters.drops, static_cast<drop_reason>(r));
  for (auto& l : lanes_) {
    edge::lane& core = *l->n->core();
    for (const counter* drops : {core.counters.drops, core.endpoint().counters.drops}) {
      for (const drop_reason r : {drop_reason::link_down, drop_reason::link_full, drop_reason::not_here,
                                  drop_reason::recipient_slow})
        all.certain += add(drops, r);
      for (const drop_reason r :
           {drop_reason::expired, drop_reason::too_large_for_recipient, drop_reason::memory_limit})
        add(drops, r);
    }
  }
  h_.judge_qos0(all);
}

// Clients whose sockets are not read, as others fill the memory, or nobody takes their messages.
void cluster::note_held_up() {
  for (auto& l : lanes_) {
    if (!l->n->alive()) continue;
    l->n->for_each_stream([&](conn& c, socket_end& e) {
      if (!c.link && !c.want_read) h_.sessions[e.of->session].held_up(w_.now);
    });
  }
}

// Limits are tested before a packet or frame is added, and one that is alone may be of any size.
void cluster::judge_bounds() {
  const std::size_t frame = set_.payload_max + 1'000;
  for (auto& s : shards_) {
    if (!s->n->alive()) continue;
    std::size_t data = 0; // answers are beside it, as many as lanes wait for
    s->n->for_each_stream([&](conn& c, socket_end&) {
      data += c.link->data.size();
      if (c.link->data.size() > set_.link_output_max)
        w_.broken("P6", "shard %u of r%u has %zu bytes queued for a link, the limit is %zu", s->number,
                  s->router, c.link->data.size(), set_.link_output_max);
    });
    if (data > set_.outputs_max + frame)
      w_.broken("P6", "shard %u of r%u has %zu bytes of outputs, the limit is %zu", s->number, s->router,
                data, set_.outputs_max);
    if (const auto n = s->n->core()->counters.contested.get(); n > set_.contested_max)
      w_.broken("P6", "shard %u of r%u has %llu ids claimed twice", s->number, s->router,
                static_cast<unsigned long long>(n));
  }
  for (auto& l : lanes_) {
    if (!l->n->alive()) continue;
    // Behind what it does not take a client may have one packet, and answers to what it has sent.
    const std::size_t behind = std::min<std::size_t>(frame + std::size_t{set_.inflight_max} * 128, 64 * 1024);
    std::size_t clients = 0, waits = l->n->core()->counters.pending_bytes.get();
    l->n->for_each_stream([&](conn& c, socket_end&) {
      if (c.link) return;
      ++clients;
      waits += c.out.size();
      if (c.out.size() > set_.client_output_max + behind)
        w_.broken("P6", "e%u.%u has %zu bytes queued for a client, the limit is %zu", l->edge, l->number,
                  c.out.size(), set_.client_output_max);
    });
    if (waits > set_.memory_max + clients * behind)
      w_.broken("P6", "e%u.%u has %zu bytes for its clients, the limit is %zu", l->edge, l->number, waits,
                set_.memory_max);
    // Who is to send no more was read once more in the turn that found it out.
    if (const std::size_t n = l->n->core()->memory_of_outputs();
        n > set_.memory_max + clients * (limits::read_bytes_max + behind))
      w_.broken("P6", "e%u.%u has %zu bytes of outputs and messages, the limit is %zu", l->edge, l->number, n,
                set_.memory_max);
    const link::outbox& out = l->n->core()->endpoint().outgoing;
    for (std::uint16_t k = 0, links = static_cast<std::uint16_t>(out.links()); k < links; ++k)
      if (const std::size_t n = out.bytes_in_flight(k); n > std::max(set_.link_window_bytes, frame))
        w_.broken("P6", "e%u.%u has %zu bytes in flight on a link, the limit is %zu", l->edge, l->number, n,
                  set_.link_window_bytes);
    const link::receipt_counters& receipts = l->n->core()->endpoint().receipt_counts;
    if (receipts.awaited.get() > set_.receipts_max || receipts.owed.get() > set_.receipts_max)
      w_.broken("P6", "e%u.%u waits for, or owes, more receipts than it may", l->edge, l->number);
    const std::uint64_t pending = l->n->core()->counters.pending.get();
    if (pending > set_.pending_max * l->n->core()->counters.connections.get())
      w_.broken("P6", "e%u.%u has %llu pending messages", l->edge, l->number,
                static_cast<unsigned long long>(pending));
    const std::uint64_t bytes = l->n->core()->counters.pending_bytes.get();
    if (bytes >
        (set_.pending_bytes_max + set_.payload_max + 1'000) * l->n->core()->counters.connections.get())
      w_.broken("P6", "e%u.%u has %llu bytes of pending messages", l->edge, l->number,
                static_cast<unsigned long long>(bytes));
  }
}

} // namespace beeline::sim
