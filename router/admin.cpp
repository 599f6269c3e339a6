#include "router/admin.hpp"

#include "common/ops/gather.hpp"
#include "common/ops/stats_page.hpp"

#include <map>
#include <nlohmann/json.hpp>

namespace beeline::router {
namespace {

using nlohmann::json;
using ops::http_responder;
constexpr std::string_view prefix = "beeline_router_";

constexpr auto gauge = ops::stat_kind::gauge, greatest = ops::stat_kind::greatest;

constexpr ops::stat<shard_counters> shard_rows[] = {
    {"warming_up", "1 while the shard does not yet know who is offline", &shard_counters::warming_up, gauge},
    {"clients", "Client ids registered", &shard_counters::clients, gauge},
    {"clients_contested", "Client ids or hashes that two sessions claim", &shard_counters::contested, gauge},
    {"links", "Links of lanes that are up", &shard_counters::links, gauge},
    {"lanes", "Lanes known, lingering ones included", &shard_counters::members, gauge},
    {"table_bytes", "Memory of the presence table", &shard_counters::table_bytes, gauge},
    {"queue_bytes", "Memory of outputs that wait for links", &shard_counters::output_bytes, gauge},
    {"messages_resent_in", "QoS 1 messages from lanes that had been sent before", &shard_counters::resent_in},
    {"messages_resent_out", "Of the messages written to owner links, those that had been sent before",
     &shard_counters::resent_out},
    {"messages_refused_by_owner", "Final answers of owners other than accepted",
     &shard_counters::refused_by_owner},
    {"registrations", "Registrations of clients", &shard_counters::registrations},
    {"unregistrations", "Ends of sessions told by lanes", &shard_counters::unregistrations},
    {"takeovers", "Sessions kicked because their client connected elsewhere", &shard_counters::takeovers},
    {"hash_collisions", "Different ids with one hash", &shard_counters::collisions},
    {"claims_refused", "Registrations refused at a limit", &shard_counters::claims_refused},
    {"paths_lost", "Owner links that ended with messages perhaps on them", &shard_counters::path_lost},
    {"lingers_expired", "Lost lanes that did not come back in time", &shard_counters::linger_expired},
    {"warm_ups_incomplete", "Warm-ups that ended with a lane missing", &shard_counters::warm_ups_incomplete},
    {"clock_lifts", "Times that shard time was moved past that of an earlier life",
     &shard_counters::clock_lifts},
    {"handshakes", "Links let in", &shard_counters::handshakes},
    {"handshakes_refused", "Links refused", &shard_counters::handshakes_refused},
    {"link_round_trip_us", "Newest round trip of the slowest link", &shard_counters::round_trip_us, greatest},
};

ops::stats_part tell(const shard_place& place) {
  const shard_counters& c = place.core->counters;
  ops::stats_part p;
  p.table(c, shard_rows);
  p.by_qos("messages_in", "Messages from lanes", c.messages_in);
  p.by_qos("message_bytes_in", "Bytes of messages from lanes, whole frames", c.bytes_in);
  p.by_qos("messages_out", "Messages written to owner links", c.messages_out);
  p.by_qos("message_bytes_out", "Bytes of messages written to owner links, whole frames", c.bytes_out);
  p.family("answers", "Answers to QoS 1 messages, the shard's own and those passed on", "kind", answer_names,
           c.answers);
  p.family("drops", "QoS 0 messages that went no further", "reason", drop_reason_names, c.drops);
  p.family("link_closes", "Links closed, by reason", "reason", close_reason_names, c.closes);
  ops::add_io(p, place.thread->counters());
  return p;
}

// Frames written to owner links for distinct accepted messages, resends apart, and those messages.
// Messages in flight are in the first number only: it is exact at rest. QoS 0 counts as accepted
// when it was written.
struct copies {
  std::uint64_t written = 0, messages = 0;
  explicit copies(const ops::stats_part& totals) {
    const std::uint64_t qos0 = totals.value_of("messages_out", "qos0");
    const std::uint64_t all = qos0 + totals.value_of("messages_out", "qos1");
    const std::uint64_t apart =
        totals.value_of("messages_resent_out") + totals.value_of("messages_refused_by_owner");
    written = all > apart ? all - apart : 0;
    messages = qos0 + totals.value_of("answers", "accepted");
  }
  double ratio() const { return static_cast<double>(written) / static_cast<double>(messages); }
};

std::string slots_text(std::uint32_t first, std::uint32_t last) {
  return std::to_string(first) + "-" + std::to_string(last);
}

// Empty: ready.
std::string why_not_ready(const router& r) {
  for (std::size_t k = 0; k < r.shards().size(); ++k) {
    if (r.shards()[k]->pulse.stalled()) return "shard " + std::to_string(k) + " does not answer";
    if (r.shards()[k]->core->counters.warming_up.get())
      return "shard " + std::to_string(k) + " is warming up";
  }
  return {};
}

ops::http_response stats(const router& r, const ops::admin_counters* admin) {
  json page = ops::program_json("beeline-router");
  page["slots"] = slots_text(r.config().slots.first, r.config().slots.last);
  page["ready"] = why_not_ready(r).empty();
  ops::stats_part totals, http;
  for (std::size_t k = 0; k < r.shards().size(); ++k) {
    const shard_place& place = *r.shards()[k];
    const ops::stats_part part = tell(place);
    totals.add(part);
    json x = part.json();
    x["shard"] = k;
    x["slots"] = slots_text(place.core->config().first_slot, place.core->config().last_slot);
    x["listen"] = place.address;
    page["shards"].push_back(std::move(x));
  }
  page["totals"] = totals.json();
  const copies c(totals);
  page["copies_per_message"] = c.messages ? json(c.ratio()) : json(nullptr);
  page["copies"] = {{"frames_written", c.written}, {"messages", c.messages}};
  if (admin) {
    ops::add_admin(http, *admin);
    page["admin"] = http.json();
  }
  return ops::json_page(page);
}

ops::http_response metrics(const router& r, const ops::admin_counters* admin) {
  ops::metrics_page page;
  ops::program_metrics(page, prefix);
  ops::stats_part totals, http;
  for (std::size_t k = 0; k < r.shards().size(); ++k) {
    const ops::stats_part part = tell(*r.shards()[k]);
    totals.add(part);
    part.prometheus(page, prefix, {{"shard", std::to_string(k)}});
  }
  const copies c(totals);
  page.gauge(std::string(prefix) + "copies_frames_written",
             "Frames written to owner links for accepted messages, resends apart",
             static_cast<double>(c.written));
  page.gauge(std::string(prefix) + "copies_messages", "Distinct accepted messages",
             static_cast<double>(c.messages));
  if (c.messages)
    page.gauge(std::string(prefix) + "copies_per_message", "The one divided by the other; exact at rest",
               c.ratio());
  if (admin) {
    ops::add_admin(http, *admin);
    http.prometheus(page, prefix, {});
  }
  return {200, std::string(page.content_type), page.prometheus()};
}

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
          {"bytes_in", l.bytes_in}, {"bytes_out", l.bytes_out},     {"queue_bytes", l.output_bytes}};
      json link{{"shard", k}, {"lane", l.lane}, {"state", l.state}, {"round_trip_us", l.round_trip_us}};
      for (const auto& [name, value] : sums) {
        e[name] = e.value(name, std::uint64_t{0}) + value;
        link[name] = value;
      }
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

bool valid_id(std::string_view id) noexcept {
  if (id.empty() || id.size() > limits::client_id_bytes_max) return false;
  for (const char c : id)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f || c == '/' || c == '+' || c == '#') return false;
  return true;
}

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

void client(router& r, const std::string& id, const http_responder& respond) {
  if (!valid_id(id))
    throw ops::http_error(400, "a client id has 1 to 128 bytes, without / + # and control characters");
  const std::uint32_t slot = r.slot(id);
  shard_place* place = r.owner_of(slot);
  if (!place)
    throw ops::http_error(404, "slot " + std::to_string(slot) + " of this id is served by another router");
  place->thread->call([&r, id, slot, respond](shard& s, time_point now) {
    r.control().post([id, slot, k = s.config().number, w = s.where(id, now), respond] {
      respond(ops::json_page(client_json(id, slot, k, w)));
    });
  });
}

} // namespace

std::vector<ops::http_route> admin_routes(router& r, std::function<const ops::admin_counters*()> counters) {
  using request = ops::http_request;
  return {
      {"/stats", [&r, counters](const request&, http_responder respond) { respond(stats(r, counters())); }},
      {"/metrics",
       [&r, counters](const request&, http_responder respond) { respond(metrics(r, counters())); }},
      {"/healthz", [&r](const request&, http_responder respond) { respond(health(r)); }},
      {"/readyz",
       [&r](const request&, http_responder respond) { respond(ops::ready_page(why_not_ready(r))); }},
      {"/edges", [&r](const request&, http_responder respond) { edges(r, respond); }},
      {"/clients/{id}", [&r](const request& q, http_responder respond) { client(r, q.rest, respond); }},
  };
}

} // namespace beeline::router
