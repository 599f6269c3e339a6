#include "router/admin.hpp"

#include "common/base/client_id.hpp"
#include "common/base/utf8.hpp"
#include "common/ops/drops_page.hpp"
#include "common/ops/gather.hpp"
#include "router/dashboard.hpp"

#include <algorithm>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>

namespace beeline::router {
namespace {

using nlohmann::json;
using ops::http_responder;

ops::http_response health(const router& r) {
  std::vector<std::string> stalled;
  for (std::size_t k = 0; k < r.shards().size(); ++k)
    if (r.shards()[k]->pulse.stalled()) stalled.push_back("shard " + std::to_string(k));
  return ops::health_page(stalled);
}

// --- /edges --------------------------------------------------------------------------------------

json edges_json(const std::vector<std::vector<shard::lane_info>>& shards) {
  std::map<std::string, json> edges; // a name -> its page
  for (std::size_t k = 0; k < shards.size(); ++k)
    for (const shard::lane_info& l : shards[k]) {
      json& e = edges[l.edge];
      e["edge"] = l.edge;
      const std::pair<const char*, std::uint64_t> sums[] = {
          {"clients", l.clients},   {"messages_in", l.messages_in}, {"messages_out", l.messages_out},
          {"bytes_in", l.bytes_in}, {"bytes_out", l.bytes_out},     {"queue_bytes", l.output_bytes},
          {"resends", l.resent_in}, {"answers_in", l.answers_in}};
      json link{{"shard", k}, {"lane", l.lane}, {"state", l.state}, {"round_trip_us", l.round_trip_us}};
      for (const auto& [name, value] : sums) {
        e[name] = e.value(name, std::uint64_t{0}) + value;
        link[name] = value;
      }
      link["queue_bytes_high_water"] = l.queue_high_water;
      e["queue_bytes_high_water"] =
          std::max(e.value("queue_bytes_high_water", std::uint64_t{0}), l.queue_high_water);
      e["round_trip_us"] = std::max(e.value("round_trip_us", std::uint64_t{0}), l.round_trip_us);
      e["links"].push_back(std::move(link));
    }
  json page = json::array();
  for (auto& [name, e] : edges) page.push_back(std::move(e));
  return page;
}

void edges(router& r, const http_responder& respond) {
  ops::gather(
      r.control(), r.threads(), [](shard& s, time_point) { return s.lanes(); },
      [respond](const std::vector<std::vector<shard::lane_info>>& all) {
        respond(ops::json_page({{"edges", edges_json(all)}}));
      });
}

// --- /clients/{id} ---------------------------------------------------------------------------------

json client_json(const std::string& id, std::uint32_t slot, std::uint32_t k, const shard::whereabouts& w) {
  json page{{"id", id}, {"online", w.online}, {"slot", slot}, {"shard", k}};
  if (!w.online) return page;
  page["lingering"] = w.lingering;
  page["edge"] = w.edge;
  page["lane"] = w.lane;
  page["connected_for_seconds"] = std::chrono::duration<double>(w.connected_for).count();
  page["since"] = ops::utc_text(std::chrono::system_clock::now() - w.connected_for);
  return page;
}

struct owner_place {
  std::uint32_t slot;
  shard_place* place;
};
owner_place owner_of(const router& r, const std::string& id) {
  if (!valid_utf8(id) || !valid_client_id(id))
    throw ops::http_error(400, "a client id has 1 to 128 bytes, without / + # and control characters");
  const std::uint32_t slot = r.slot(id);
  shard_place* place = r.owner_of(slot);
  if (!place)
    throw ops::http_error(404, "slot " + std::to_string(slot) + " of this id is served by another router");
  return {slot, place};
}

void client(router& r, const std::string& id, const http_responder& respond) {
  const auto [slot, place] = owner_of(r, id);
  place->thread->call([&r, id, slot = slot, respond](shard& s, time_point now) {
    r.control().post([id, slot, k = s.config().number, w = s.where(id, now), respond] {
      respond(ops::json_page(client_json(id, slot, k, w)));
    });
  });
}

// --- /drops, /explain/{id} -------------------------------------------------------------------------

void drops(router& r, const ops::http_request& q, const http_responder& respond) {
  const std::size_t most = ops::drops_limit(q.query);
  ops::gather(
      r.control(), r.threads(), [most](shard& s, time_point) { return s.drops(most); },
      [respond, most](const std::vector<drops_told>& all) {
        respond(ops::json_page(ops::drops_page(all, "shard", most)));
      });
}

json explain_json(const std::string& id, std::uint32_t slot, std::uint32_t k, const shard::whereabouts& w,
                  const drops_told& d) {
  json page = client_json(id, slot, k, w);
  for (const char* name : {"edge", "lane", "since", "connected_for_seconds"})
    if (!page.contains(name)) page[name] = nullptr;
  page["lingering"] = w.lingering;
  page["contested"] = w.contested;
  page["drops"] = ops::drops_json({d}, "shard", limits::explained_drops_max);
  for (json& x : page["drops"]) x["where"] = "shard " + std::to_string(k);
  return page;
}

void explain(router& r, const std::string& id, const http_responder& respond) {
  const auto [slot, place] = owner_of(r, id);
  place->thread->call([&r, id, slot = slot, respond](shard& s, time_point now) {
    r.control().post([id, slot, k = s.config().number, w = s.where(id, now),
                      d = s.drops(limits::explained_drops_max, id),
                      respond] { respond(ops::json_page(explain_json(id, slot, k, w, d))); });
  });
}

} // namespace

std::vector<ops::http_route> admin_routes(router& r, const router_stats& s, ops::idle_worker& pages,
                                          std::function<const ops::admin_counters*()> counters) {
  using request = ops::http_request;
  std::vector<ops::http_route> routes{
      {"/stats",
       [&, counters](const request&, http_responder respond) {
         respond_later(pages, respond, [&s, admin = counters()] { return s.page(admin); });
       }},
      {"/metrics",
       [&, counters](const request&, http_responder respond) {
         respond_later(pages, respond, [&s, admin = counters()] { return s.metrics(admin); });
       }},
      {"/healthz", [&r](const request&, http_responder respond) { respond(health(r)); }},
      {"/readyz",
       [&r](const request&, http_responder respond) { respond(ops::ready_page(why_not_ready(r))); }},
      {"/edges", [&r](const request&, http_responder respond) { edges(r, respond); }},
      {"/clients/{id}", [&r](const request& q, http_responder respond) { client(r, q.rest, respond); }},
      {"/drops", [&r](const request& q, http_responder respond) { drops(r, q, respond); }},
      {"/explain/{id}", [&r](const request& q, http_responder respond) { explain(r, q.rest, respond); }},
  };
  std::ranges::move(dashboard_routes(), std::back_inserter(routes));
  return routes;
}

} // namespace beeline::router
