#include "tests/chaos/outage.hpp"

#include <algorithm>
#include <compare>

namespace beeline::chaos {
namespace {

constexpr std::int64_t second = 1'000'000, window = 10 * second;

using times = std::vector<std::int64_t>;
struct stream_key {
  int from, to, shard; // edges; the shard of the recipient's id
  auto operator<=>(const stream_key&) const = default;
};

struct flows {
  std::map<stream_key, times> streams;
  std::vector<times> clients; // when it got a message or an answer

  explicit flows(const run_view& v) : clients(v.facts.ids.size()) {
    for (const session_view& s : v.sessions)
      for (const message_view& m : s.messages) take(v, s, m);
    for (auto& [key, t] : streams) std::sort(t.begin(), t.end());
    for (auto& t : clients) std::sort(t.begin(), t.end());
  }

private:
  void take(const run_view& v, const session_view& s, const message_view& m) {
    if (m.last) return;
    if (m.answered != never && m.code == 0) clients[s.client].push_back(m.answered);
    if (!m.receipts) return;
    clients[m.to].push_back(m.first.at);
    const auto shard = v.facts.rest.shard_of.find(v.facts.ids[m.to]);
    streams[{s.edge, v.sessions[m.first.session].edge,
             shard == v.facts.rest.shard_of.end() ? 0 : shard->second}]
        .push_back(m.first.at);
  }
};

struct gap {
  std::int64_t length = 0, end = 0;
};

// The longest time without an event that reaches into [from, to] and begins before `begins_by`.
gap longest(const times& t, std::int64_t from, std::int64_t begins_by, std::int64_t to) {
  auto at = std::lower_bound(t.begin(), t.end(), from);
  std::int64_t last = at == t.begin() ? from : *(at - 1);
  gap g;
  for (; at != t.end() && last <= begins_by; ++at) {
    const std::int64_t now = std::min(*at, to);
    if (now - last > g.length) g = {now - last, now};
    last = *at;
  }
  if (at == t.end() && last <= begins_by && to - last > g.length) g = {to - last, to};
  return g;
}

// A stream says something of a fault if it was flowing before, and if its clients stay where they are.
bool tells(const fault_fact& f, const times& t) {
  using enum fault;
  constexpr std::ptrdiff_t least = 10; // in the second before
  if (f.kind != edge_pause && (scope_of(f.kind) == scope::edge || scope_of(f.kind) == scope::clients))
    return false;
  return std::lower_bound(t.begin(), t.end(), f.begin) -
             std::lower_bound(t.begin(), t.end(), f.begin - second) >=
         least;
}

bool concerns(const fault_fact& f, const stream_key& k) {
  if (f.edge >= 0 && k.from != f.edge && k.to != f.edge) return false;
  return f.shard < 0 || f.shard == k.shard;
}

std::int64_t median(times& t) {
  if (t.empty()) return 0;
  std::nth_element(t.begin(), t.begin() + static_cast<std::ptrdiff_t>(t.size() / 2), t.end());
  return t[t.size() / 2];
}

// What stands still later than this after the fault does so for another reason.
constexpr std::int64_t aftermath = second / 2;

outage measure_one(const run_view& v, const flows& all, const fault_fact& f, std::int64_t until) {
  outage o;
  o.what = f;
  const std::int64_t begins_by = std::min(f.end + aftermath, until);
  times gaps;
  for (const auto& [key, t] : all.streams) {
    if (!concerns(f, key) || !tells(f, t)) continue;
    const gap g = longest(t, f.begin, begins_by, until);
    gaps.push_back(g.length);
    if (g.length > o.gap) o.gap = g.length, o.back = g.end - f.end;
  }
  o.streams = static_cast<unsigned>(gaps.size());
  o.gap_median = median(gaps);
  times by_client;
  for (std::uint32_t c = 0; c < all.clients.size(); ++c) {
    const auto& its = v.sessions_of[c];
    if (std::any_of(its.begin(), its.end(), [&](std::uint32_t i) {
          const session_view& s = v.sessions[i];
          return s.connack <= f.begin && s.end >= f.begin && (f.edge < 0 || s.edge == f.edge);
        }))
      by_client.push_back(longest(all.clients[c], f.begin, begins_by, until).length);
  }
  o.clients = static_cast<unsigned>(by_client.size());
  if (!by_client.empty()) o.client_gap_max = *std::max_element(by_client.begin(), by_client.end());
  o.client_gap_median = median(by_client);
  return o;
}

} // namespace

outages measure(const run_view& v) {
  const flows all(v);
  outages r;
  const auto& faults = v.facts.faults;
  fault_fact calm;
  calm.begin = v.facts.load_begin + second / 2;
  calm.end = faults.empty() ? v.facts.load_end : faults.front().begin;
  r.calm = measure_one(v, all, calm, calm.end);
  for (const fault_fact& f : faults) {
    // Until the load's end, or until another fault begins after this one.
    std::int64_t until = std::min(f.end + window, v.facts.load_end);
    bool overlapped = false;
    for (const fault_fact& x : faults) {
      if (&x == &f) continue;
      overlapped |= x.begin <= f.end + second / 2 && x.end + 3 * second / 2 >= f.begin;
      if (x.begin > f.end) until = std::min(until, x.begin);
    }
    r.faults.push_back(measure_one(v, all, f, until));
    r.faults.back().overlapped = overlapped;
  }
  return r;
}

series count_by_time(const run_view& v) {
  const std::int64_t begin = v.facts.load_begin;
  const auto bins =
      static_cast<std::size_t>(std::max<std::int64_t>(0, (v.facts.load_end - begin) / (second / 10)));
  series s{std::vector<unsigned>(bins), std::vector<unsigned>(bins), std::vector<unsigned>(bins),
           std::vector<unsigned>(bins)};
  const auto add = [&](std::vector<unsigned>& to, std::int64_t at) {
    const std::int64_t i = (at - begin) / (second / 10);
    if (at >= begin && i < static_cast<std::int64_t>(bins)) ++to[static_cast<std::size_t>(i)];
  };
  for (const session_view& x : v.sessions)
    for (const message_view& m : x.messages) {
      add(s.published, m.at);
      if (m.answered != never) add(m.code == 0 ? s.answered : s.refused, m.answered);
      if (m.receipts) add(s.received, m.first.at);
    }
  return s;
}

} // namespace beeline::chaos
