// What must hold at rest, and whether a run counts.
#include "tests/chaos/judge.hpp"

#include <algorithm>

namespace beeline::chaos {
namespace {

constexpr std::int64_t second = 1'000'000;
// A router and edges with some dozen clients: what they keep is bounded by windows and queues, far below
// this.
constexpr std::uint64_t rss_max = 256ull << 20, rss_max_sanitized = 2048ull << 20;

void judge_processes(const run_facts& f, findings& wrong) {
  for (const process_end& e : f.ends) {
    const std::string text = e.name + " at " + std::to_string(static_cast<double>(e.at) / 1e6) +
                             " s, exit code " + std::to_string(e.code);
    if (!e.asked) wrong.add("P6", "a process ended by itself: " + text);
    else if (e.code != e.wanted) wrong.add("P6", "a process did not end as it was asked to: " + text);
  }
}

// Who is where, as the clients see it: sessions that have their CONNACK and have not ended.
std::map<std::string, std::vector<int>> live_sessions(const run_view& v) {
  std::map<std::string, std::vector<int>> live;
  for (const session_view& s : v.sessions)
    if (s.client != nobody && s.live()) live[v.facts.ids[s.client]].push_back(s.edge);
  return live;
}

void judge_presence(const run_view& v, findings& wrong) {
  const auto live = live_sessions(v);
  std::map<std::string, std::vector<int>> told;
  for (std::size_t e = 0; e < v.facts.rest.edges.size(); ++e)
    for (const std::string& id : v.facts.rest.edges[e].clients) told[id].push_back(static_cast<int>(e));
  for (const auto& [id, edges] : told)
    if (edges.size() > 1)
      wrong.add("P4", "at rest " + id + " has " + std::to_string(edges.size()) + " sessions");
  for (const auto& [id, edges] : live)
    if (edges.size() > 1)
      wrong.add("P4", "at rest " + id + " has " + std::to_string(edges.size()) + " connections that live");
  const auto& router = v.facts.rest.presence;
  for (const auto& [id, edges] : told) {
    const auto at = router.find(id);
    if (at == router.end()) wrong.add("P5", "an edge has " + id + ", the router does not know it");
    else if (at->second.edge != edges.front() || at->second.lingering)
      wrong.add("P5", "the router has " + id + " at e" + std::to_string(at->second.edge + 1) +
                          (at->second.lingering ? ", lingering" : "") + "; it is at e" +
                          std::to_string(edges.front() + 1));
  }
  for (const auto& [id, at] : router)
    if (!told.contains(id)) wrong.add("P5", "a ghost: the router has " + id + ", no edge does");
  for (const auto& [id, edges] : live)
    if (!told.contains(id) || told[id] != edges)
      wrong.add("P5", "the client " + id + " is connected elsewhere than its edge says");
  for (const auto& [id, edges] : told)
    if (!live.contains(id)) wrong.add("P5", "an edge has " + id + ", which is not connected");
}

void judge_edges(const run_view& v, findings& wrong) {
  const run_facts& f = v.facts;
  if (f.rest.edges.size() != f.edges.size()) wrong.add("P5", "edges are missing at rest");
  for (std::size_t e = 0; e < f.rest.edges.size(); ++e) {
    const edge_at_rest& x = f.rest.edges[e];
    const std::string name = "e" + std::to_string(e + 1);
    if (!x.ready) wrong.add("P5", name + " is not ready at rest");
    if (x.links_in_sync != x.links_wanted)
      wrong.add("P5", name + " has " + std::to_string(x.links_in_sync) + " links in sync at rest, not " +
                          std::to_string(x.links_wanted));
    if (x.clients_at_router != x.clients.size())
      wrong.add("P5", "the router counts " + std::to_string(x.clients_at_router) + " clients at " + name +
                          ", it has " + std::to_string(x.clients.size()));
    if (x.unanswered || x.pending)
      wrong.add("P6", name + " keeps " + std::to_string(x.unanswered) + " unanswered and " +
                          std::to_string(x.pending) + " pending messages at rest");
    if (f.faults.empty() && x.safety_resends)
      wrong.add("P6", name + " made " + std::to_string(x.safety_resends) + " safety resends without a fault");
    if (x.rss_bytes > (f.sanitized ? rss_max_sanitized : rss_max))
      wrong.add("P6", name + " uses " + std::to_string(x.rss_bytes >> 20) + " MiB at rest");
  }
  if (f.rest.router_rss_bytes > (f.sanitized ? rss_max_sanitized : rss_max))
    wrong.add("P6", "the router uses " + std::to_string(f.rest.router_rss_bytes >> 20) + " MiB at rest");
  if (!f.rest.router_ready) wrong.add("P5", "the router is not in service at rest");
}

// At rest everyone reaches everyone who is there, and nobody else.
void judge_last_exchange(const run_view& v, findings& wrong) {
  std::uint64_t sent = 0;
  for (std::uint32_t s = 0; s < v.sessions.size(); ++s) {
    const session_view& from = v.sessions[s];
    for (std::uint32_t n = 0; n < from.messages.size(); ++n) {
      const message_view& m = from.messages[n];
      if (!m.last) continue;
      ++sent;
      const auto& to = v.sessions_of[m.to];
      const bool there =
          std::any_of(to.begin(), to.end(), [&](std::uint32_t i) { return v.sessions[i].live(); });
      if (there && (m.receipts != 1 || m.code != 0))
        wrong.add("P5", "sent at rest to one who is there, received " + std::to_string(m.receipts) +
                            " times, answered " + std::to_string(m.code) + ": " + v.name(s, n));
      if (!there && (m.receipts || (from.v5 && m.code != 0x10)))
        wrong.add("P5", "sent at rest to one who is not there, answered " + std::to_string(m.code) + ": " +
                            v.name(s, n));
    }
  }
  if (v.facts.rest.reached && sent == 0) wrong.add("history", "nobody sent anything at rest");
}

} // namespace

void judge_rest(const run_view& v, findings& wrong) {
  judge_processes(v.facts, wrong);
  if (!v.facts.rest.reached) wrong.add("P5", "the cluster did not come to rest: " + v.facts.rest.why_not);
  judge_presence(v, wrong);
  judge_edges(v, wrong);
  judge_last_exchange(v, wrong);
}

void judge(const run_view& v, findings& wrong) {
  judge_messages(v, wrong);
  judge_sessions(v, wrong);
  judge_rest(v, wrong);
}

std::optional<std::string> why_void(const run_view& v) {
  constexpr std::int64_t calm_after = 3 * second;
  constexpr double answered_least = 0.6, of_all_least = 0.25;
  const run_facts& f = v.facts;
  if (!f.scenario.empty()) return {}; // it says itself what it needs
  if (f.faults.size() < f.faults_wanted) return "a fault was not begun, or found no place";
  for (const fault_fact& x : f.faults)
    if (x.hits == 0) return std::string(name_of(x.kind)) + " did not happen";
  // Bins of 100 ms in which no fault is, nor was shortly before.
  constexpr std::int64_t bin = second / 10;
  const auto bins = static_cast<std::size_t>(std::max<std::int64_t>(0, (f.load_end - f.load_begin) / bin));
  std::vector<bool> calm(bins, true);
  std::size_t calm_bins = 0;
  for (std::size_t i = 0; i < bins; ++i) {
    const std::int64_t at = f.load_begin + static_cast<std::int64_t>(i) * bin;
    calm[i] = !any_fault(f, at, at + bin, calm_after, [](const fault_fact&) { return true; });
    calm_bins += calm[i];
  }
  std::uint64_t answered = 0, all = 0;
  for (const session_view& s : v.sessions)
    for (const message_view& m : s.messages) {
      if (m.last || (m.qos1 && m.answered == never)) continue;
      ++all;
      const std::int64_t i = (m.at - f.load_begin) / bin;
      if (i >= 0 && i < static_cast<std::int64_t>(bins)) answered += calm[static_cast<std::size_t>(i)];
    }
  const double wanted = f.rate * static_cast<double>(calm_bins) / 10;
  if (static_cast<double>(answered) < answered_least * wanted)
    return "too little load: " + std::to_string(answered) + " of " +
           std::to_string(static_cast<std::uint64_t>(wanted)) + " messages in calm moments";
  const double least = of_all_least * f.rate * static_cast<double>(f.load_end - f.load_begin) / 1e6;
  if (static_cast<double>(all) < least) return "too little load: " + std::to_string(all) + " messages in all";
  return {};
}

} // namespace beeline::chaos
