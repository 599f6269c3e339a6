#include "common/ops/drops_page.hpp"

#include "common/net/event_loop.hpp"
#include "common/ops/stats_page.hpp"

#include <nlohmann/json.hpp>

namespace beeline::ops {
using nlohmann::json;

std::size_t drops_limit(const query_map& query) {
  return static_cast<std::size_t>(query_number(query, "limit", limits::drops_kept, 1, limits::drops_kept));
}

json drops_json(const std::vector<drops_told>& cores, std::string_view part, std::size_t most) {
  struct place {
    const drop_record* record;
    std::size_t core;
  };
  std::vector<place> all;
  for (std::size_t k = 0; k < cores.size(); ++k)
    for (const drop_record& r : cores[k].newest) all.push_back({&r, k});
  std::stable_sort(all.begin(), all.end(),
                   [](const place& a, const place& b) { return a.record->at_us > b.record->at_us; });
  if (all.size() > most) all.resize(most);
  const std::uint64_t now = to_us(net::steady_now());
  const auto wall = std::chrono::system_clock::now();
  json out = json::array();
  for (const auto& [r, k] : all)
    out.push_back({{"at", utc_text(wall - std::chrono::microseconds(now - std::min(now, r->at_us)))},
                   {"what", drop_kind_names[static_cast<std::size_t>(r->kind)]},
                   {"reason", r->reason},
                   {"from", r->from()},
                   {"to", r->to()},
                   {"qos", r->qos == drop_record::no_qos ? json(nullptr) : json(r->qos)},
                   {"where", std::string(part) + " " + std::to_string(k)}});
  return out;
}

json drops_page(const std::vector<drops_told>& cores, std::string_view part, std::size_t most) {
  std::uint64_t recorded = 0;
  for (const drops_told& c : cores) recorded += c.recorded;
  return {{"drops", drops_json(cores, part, most)}, {"recorded", recorded}};
}

} // namespace beeline::ops
