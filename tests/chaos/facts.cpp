#include "tests/chaos/facts.hpp"

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace beeline::chaos {

using nlohmann::json;

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(process_end, name, at, asked, code, wanted)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(place, edge, lingering)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(edge_at_rest, clients, clients_at_router, links_in_sync, links_wanted,
                                   ready, safety_resends, unanswered, pending, gave_up, rss_bytes)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(rest_facts, reached, why_not, router_ready, router_rss_bytes, presence,
                                   shard_of, edges)

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(process_sample, at, name, rss_bytes, fds)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(figure, name, value, unit, least, most)

static void to_json(json& j, const fault_fact& f) {
  j = {{"kind", name_of(f.kind)}, {"edge", f.edge},    {"shard", f.shard}, {"begin", f.begin}, {"end", f.end},
       {"hits", f.hits},          {"client", f.client}};
}
static void from_json(const json& j, fault_fact& f) {
  const auto at = std::find(std::begin(fault_names), std::end(fault_names), j.at("kind").get<std::string>());
  if (at == std::end(fault_names)) throw std::runtime_error("no fault is called " + j.at("kind").dump());
  f.kind = static_cast<fault>(at - std::begin(fault_names));
  j.at("edge").get_to(f.edge);
  j.at("shard").get_to(f.shard);
  j.at("begin").get_to(f.begin);
  j.at("end").get_to(f.end);
  j.at("hits").get_to(f.hits);
  j.at("client").get_to(f.client);
}

// With defaults: what is added to the facts later does not make older runs unreadable.
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(run_facts, seed, scenario, figures, samples, broken, moments,
                                                rate, netns, sanitized, full, faults_wanted, drawn,
                                                small_queues, receipt_timeout, shards, ids, edges, groups,
                                                load_begin, load_end, final_begin, run_end, held_back, faults,
                                                ends, rest)

void write_facts(const std::string& path, const run_facts& f) {
  std::ofstream file(path);
  file << json(f).dump(1) << '\n';
  file.close();
  if (!file) throw std::runtime_error("cannot write " + path);
}

run_facts read_facts(const std::string& path) try {
  std::ifstream file(path);
  return json::parse(file).get<run_facts>();
} catch (const json::exception& e) {
  throw std::runtime_error(path + ": " + e.what());
}

} // namespace beeline::chaos
