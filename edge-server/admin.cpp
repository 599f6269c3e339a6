#include "edge-server/admin.hpp"

#include "common/ops/drops_page.hpp"
#include "common/ops/gather.hpp"
#include "edge-server/mqtt/topic.hpp"

#include <nlohmann/json.hpp>

namespace beeline::edge {
namespace {

using nlohmann::json;
using ops::http_responder;
using wall_clock = std::chrono::system_clock;
using wall_time = wall_clock::time_point;

ops::http_response health(const edge_server& e) {
  std::vector<std::string> stalled;
  for (std::size_t k = 0; k < e.lanes().size(); ++k)
    if (e.lanes()[k]->pulse.stalled()) stalled.push_back("lane " + std::to_string(k));
  return ops::health_page(stalled);
}

// --- /drops ----------------------------------------------------------------------------------------

void drops(edge_server& e, ops::idle_worker& pages, const ops::http_request& q,
           const http_responder& respond) {
  const std::size_t most = ops::drops_limit(q.query);
  ops::respond_gathered(
      e.control(), pages, e.threads(), respond, [most](lane& l, time_point) { return l.drops(most); },
      [most](const std::vector<drops_told>& all) {
        return ops::json_page(ops::drops_page(all, "lane", most));
      });
}

// --- /clients ---------------------------------------------------------------------------------------

// `asked`: about when the lane was; the page may be made later.
void put_session(json& x, const lane::session_info& s, wall_time asked) {
  x["state"] = s.live ? "live" : "registering";
  x["protocol"] = s.v5 ? "5.0" : "3.1.1";
  x["connected_for_seconds"] = std::chrono::duration<double>(s.connected_for).count();
  x["since"] = ops::utc_text(asked - s.connected_for);
}

// Goes from lane to lane, a bounded walk in each turn, until the page is full. Its place is (lane, index);
// a session keeps its index while it lives, so that none is told twice or left out while pages are turned.
struct clients_walk {
  struct client {
    std::size_t lane;
    lane::session_info session;
  };
  edge_server& e;
  ops::idle_worker& pages;
  http_responder respond;
  std::size_t most;
  wall_time asked = wall_clock::now();
  std::size_t lane_number = 0;
  std::uint32_t index = 0;
  std::size_t walks = 0;
  bool more_here = false; // the lane has more behind `index`
  std::vector<client> clients = {};

  // A full page goes on looking for one more client, so that `next` does not lead to an empty page.
  bool over() const {
    return lane_number >= e.threads().size() || (clients.size() >= most && more_here) ||
           walks >= limits::clients_walks_max;
  }
  ops::http_response page() const {
    json list = json::array();
    for (const auto& [k, s] : clients) {
      json x{{"id", s.id},
             {"lane", k},
             {"in_flight", s.in_flight},
             {"pending_messages", s.pending_messages},
             {"output_bytes", s.output_bytes}};
      put_session(x, s, asked);
      list.push_back(std::move(x));
    }
    const bool more = lane_number < e.threads().size();
    const std::string next = std::to_string(lane_number) + "-" + std::to_string(index);
    return ops::json_page({{"clients", std::move(list)}, {"next", more ? json(next) : json(nullptr)}});
  }
  void take(const lane::session_page& told) { // copied: gather.hpp says why
    for (const lane::session_info& s : told.sessions) clients.push_back({lane_number, s});
    ++walks;
    more_here = told.next != none;
    index = more_here ? told.next : 0;
    if (!more_here) ++lane_number;
  }
  static void go_on(const std::shared_ptr<clients_walk>& w) {
    if (w->over()) return respond_later(w->pages, w->respond, [w] { return w->page(); });
    w->e.threads()[w->lane_number]->call(
        [w, from = w->index, most = w->most - w->clients.size()](lane& l, time_point now) {
          w->e.control().post([w, told = l.sessions(from, std::min(most, limits::clients_step_max), now)] {
            w->take(told);
            go_on(w);
          });
        });
  }
};

// "LANE-INDEX", as it was given.
void read_cursor(const ops::query_map& query, clients_walk& w) {
  const auto at = query.find("after");
  if (at == query.end()) return;
  const std::size_t dash = at->second.find('-');
  const ops::query_map halves{{"lane", at->second.substr(0, dash)},
                              {"index", dash == std::string::npos ? "" : at->second.substr(dash + 1)}};
  try {
    w.lane_number = static_cast<std::size_t>(ops::query_number(halves, "lane", 0, 0, limits::lanes_max));
    w.index = static_cast<std::uint32_t>(ops::query_number(halves, "index", 0, 0, none - 1));
  } catch (const ops::http_error&) {
    throw ops::http_error(400, "'after' is not what 'next' of an earlier answer said");
  }
}

void clients(edge_server& e, ops::idle_worker& pages, const ops::http_request& q,
             const http_responder& respond) {
  const auto most = static_cast<std::size_t>(
      ops::query_number(q.query, "limit", limits::clients_page, 1, limits::clients_page_max));
  auto w = std::make_shared<clients_walk>(clients_walk{e, pages, respond, most});
  read_cursor(q.query, *w);
  clients_walk::go_on(w);
}

// --- /explain/{id} -----------------------------------------------------------------------------------

struct told_by_lane {
  lane::explanation about;
  drops_told drops;
};

json explain_json(const edge_server& e, const std::string& id, const std::vector<told_by_lane>& all,
                  wall_time asked) {
  const std::size_t k = e.lane_of(id);
  const lane::explanation& x = all[k].about;
  json page{{"id", id},          {"slot", e.slot(id)}, {"here", x.here},
            {"router", nullptr}, {"shard", nullptr},   {"link_state", nullptr}};
  if (!x.router.empty()) {
    page["router"] = x.router;
    page["shard"] = x.shard;
    page["link_state"] = link::link_state_names[static_cast<std::size_t>(x.link)];
  }
  std::vector<drops_told> drops;
  for (const told_by_lane& t : all) drops.push_back(t.drops);
  page["drops"] = ops::drops_json(drops, "lane", limits::explained_drops_max);
  if (!x.here) return page;
  const lane::session_info& s = x.session;
  put_session(page, s, asked);
  page["lane"] = k;
  page["registered"] = x.registered;
  page["window"] = {{"in_flight", s.in_flight}, {"max", s.in_flight_max}};
  page["queue"] = {{"messages", s.pending_messages}, {"bytes", s.pending_bytes}};
  page["output_bytes"] = s.output_bytes;
  page["unanswered_messages"] = s.unanswered;
  return page;
}

// Every lane is asked: the client's own knows its session, any may have dropped what was for it.
void explain(edge_server& e, ops::idle_worker& pages, const std::string& id, const http_responder& respond) {
  if (!mqtt::valid_client_id(id))
    throw ops::http_error(400, "a client id has 1 to 128 bytes, without / + # and control characters");
  ops::respond_gathered(
      e.control(), pages, e.threads(), respond,
      [id](lane& l, time_point now) {
        return told_by_lane{l.explain(id, now), l.drops(limits::explained_drops_max, id)};
      },
      [&e, id, asked = wall_clock::now()](const std::vector<told_by_lane>& all) {
        return ops::json_page(explain_json(e, id, all, asked));
      });
}

} // namespace

std::vector<ops::http_route> admin_routes(edge_server& e, const edge_stats& s, ops::idle_worker& pages,
                                          std::function<const ops::admin_counters*()> counters) {
  using request = ops::http_request;
  return {
      {"/stats",
       [&, counters](const request&, http_responder respond) {
         respond_later(pages, respond, [&s, admin = counters()] { return s.page(admin); });
       }},
      {"/metrics",
       [&, counters](const request&, http_responder respond) {
         respond_later(pages, respond, [&s, admin = counters()] { return s.metrics(admin); });
       }},
      {"/healthz", [&e](const request&, http_responder respond) { respond(health(e)); }},
      {"/readyz",
       [&e](const request&, http_responder respond) { respond(ops::ready_page(why_not_ready(e))); }},
      ops::drain_route([&e] { e.ask_to_drain(); }, [&e] { return e.draining(); }),
      {"/drops", [&](const request& q, http_responder respond) { drops(e, pages, q, respond); }},
      {"/clients", [&](const request& q, http_responder respond) { clients(e, pages, q, respond); }},
      {"/explain/{id}",
       [&](const request& q, http_responder respond) { explain(e, pages, q.rest, respond); }},
  };
}

} // namespace beeline::edge
