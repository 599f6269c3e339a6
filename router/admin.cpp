#include "router/admin.hpp"

#include "common/base/client_id.hpp"
#include "common/base/utf8.hpp"
#include "common/ops/drops_page.hpp"
#include "common/ops/gather.hpp"
#include "router/dashboard.hpp"
#include "router/edges_page.hpp"

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>

namespace beeline::router {
namespace {

using nlohmann::json;
using ops::http_responder;
using wall_clock = std::chrono::system_clock;
using wall_time = wall_clock::time_point;

ops::http_response health(const router& r) {
  std::vector<std::string> stalled;
  for (std::size_t k = 0; k < r.shards().size(); ++k)
    if (r.shards()[k]->pulse.stalled()) stalled.push_back("shard " + std::to_string(k));
  return ops::health_page(stalled);
}

// --- /edges --------------------------------------------------------------------------------------

void edges(router& r, const router_stats& s, ops::idle_worker& pages, const ops::http_request& q,
           const http_responder& respond) {
  const edges_query wanted = read_edges_query(q.query);
  ops::respond_gathered(
      r.control(), pages, r.threads(), respond,
      [wanted](shard& x, time_point) { return x.lanes(wanted.after, wanted.limit); },
      [&s, wanted](const std::vector<shard::lanes_told>& all) {
        return edges_page(all, wanted, s.link_rates());
      });
}

// --- /clients/{id} ---------------------------------------------------------------------------------

// `asked`: about when the shard was; the page may be made later.
json client_json(const std::string& id, std::uint32_t slot, std::uint32_t k, const shard::whereabouts& w,
                 wall_time asked) {
  json page{{"id", id}, {"online", w.online}, {"slot", slot}, {"shard", k}};
  if (!w.online) return page;
  page["lingering"] = w.lingering;
  page["edge"] = w.edge;
  page["lane"] = w.lane;
  page["connected_for_seconds"] = std::chrono::duration<double>(w.connected_for).count();
  page["since"] = ops::utc_text(asked - w.connected_for);
  return page;
}

struct owner_place {
  std::uint32_t slot;
  std::uint32_t shard;
  std::vector<shard_thread*> thread; // one
};
owner_place owner_of(const router& r, const std::string& id) {
  if (!valid_utf8(id) || !valid_client_id(id))
    throw ops::http_error(400, "a client id has 1 to 128 bytes, without / + # and control characters");
  const std::uint32_t slot = r.slot(id);
  const shard_place* place = r.owner_of(slot);
  if (!place)
    throw ops::http_error(404, "slot " + std::to_string(slot) + " of this id is served by another router");
  return {slot, place->core->config().number, {place->thread.get()}};
}

void client(router& r, ops::idle_worker& pages, const std::string& id, const http_responder& respond) {
  const owner_place owner = owner_of(r, id);
  ops::respond_gathered(
      r.control(), pages, owner.thread, respond, [id](shard& s, time_point now) { return s.where(id, now); },
      [id, owner, asked = wall_clock::now()](const std::vector<shard::whereabouts>& one) {
        return ops::json_page(client_json(id, owner.slot, owner.shard, one[0], asked));
      });
}

// --- /drops, /explain/{id} -------------------------------------------------------------------------

void drops(router& r, ops::idle_worker& pages, const ops::http_request& q, const http_responder& respond) {
  const std::size_t most = ops::drops_limit(q.query);
  ops::respond_gathered(
      r.control(), pages, r.threads(), respond, [most](shard& s, time_point) { return s.drops(most); },
      [most](const std::vector<drops_told>& all) {
        return ops::json_page(ops::drops_page(all, "shard", most));
      });
}

struct told_by_shard {
  shard::whereabouts where;
  drops_told drops;
};

json explain_json(const std::string& id, const owner_place& owner, const told_by_shard& told,
                  wall_time asked) {
  json page = client_json(id, owner.slot, owner.shard, told.where, asked);
  for (const char* name : {"edge", "lane", "since", "connected_for_seconds"})
    if (!page.contains(name)) page[name] = nullptr;
  page["lingering"] = told.where.lingering;
  page["contested"] = told.where.contested;
  page["drops"] = ops::drops_json({told.drops}, "shard", limits::explained_drops_max);
  for (json& x : page["drops"]) x["where"] = "shard " + std::to_string(owner.shard);
  return page;
}

void explain(router& r, ops::idle_worker& pages, const std::string& id, const http_responder& respond) {
  const owner_place owner = owner_of(r, id);
  ops::respond_gathered(
      r.control(), pages, owner.thread, respond,
      [id](shard& s, time_point now) {
        return told_by_shard{s.where(id, now), s.drops(limits::explained_drops_max, id)};
      },
      [id, owner, asked = wall_clock::now()](const std::vector<told_by_shard>& one) {
        return ops::json_page(explain_json(id, owner, one[0], asked));
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
      ops::drain_route([&r] { r.ask_to_drain(); }, [&r] { return r.draining(); }),
      {"/edges", [&](const request& q, http_responder respond) { edges(r, s, pages, q, respond); }},
      {"/clients/{id}", [&](const request& q, http_responder respond) { client(r, pages, q.rest, respond); }},
      {"/drops", [&](const request& q, http_responder respond) { drops(r, pages, q, respond); }},
      {"/explain/{id}",
       [&](const request& q, http_responder respond) { explain(r, pages, q.rest, respond); }},
  };
  std::ranges::move(dashboard_routes(), std::back_inserter(routes));
  return routes;
}

} // namespace beeline::router
