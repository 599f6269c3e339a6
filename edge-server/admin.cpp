#include "edge-server/admin.hpp"

#include "common/ops/gather.hpp"
#include "common/ops/stats_page.hpp"

#include <nlohmann/json.hpp>

namespace beeline::edge {
namespace {

using nlohmann::json;
using ops::http_responder;
constexpr std::string_view prefix = "beeline_edge_";

constexpr auto gauge = ops::stat_kind::gauge, greatest = ops::stat_kind::greatest;

constexpr ops::stat<lane_counters> client_rows[] = {
    {"ready", "1 while in sync with every shard", &lane_counters::ready, gauge},
    {"connections", "MQTT connections", &lane_counters::connections, gauge},
    {"clients", "Clients that have their CONNACK", &lane_counters::sessions, gauge},
    {"prelogin_bytes", "Bytes kept of connections without CONNECT", &lane_counters::prelogin_bytes, gauge},
    {"queue_bytes", "Memory of outputs", &lane_counters::output_bytes, gauge},
    {"waiting_bytes", "Memory of messages that wait for their answer or recipient",
     &lane_counters::waiting_bytes, gauge},
    {"connects", "CONNECT packets", &lane_counters::connects},
    {"connects_refused", "CONNECT packets refused", &lane_counters::connects_refused},
    {"session_takeovers", "Sessions ended by a newer one on the same lane", &lane_counters::takeovers},
    {"publish_bytes", "Payload bytes from clients", &lane_counters::publish_bytes},
    {"delivery_bytes", "Payload bytes to clients", &lane_counters::delivery_bytes},
    {"outcomes_untold", "Refusals that MQTT 3.1.1 has no way to tell", &lane_counters::outcomes_untold},
    {"pubacks_in", "PUBACK packets from clients", &lane_counters::pubacks_in},
    {"pubacks_unknown", "PUBACK packets for nothing that was sent", &lane_counters::pubacks_unknown},
    {"pending_messages", "Messages that wait for recipients", &lane_counters::pending, gauge},
    {"pending_bytes", "Bytes of messages that wait for recipients", &lane_counters::pending_bytes, gauge},
    {"subscribes", "SUBSCRIBE packets", &lane_counters::subscribes},
    {"subscriptions_refused", "Filters refused", &lane_counters::subscriptions_refused},
    {"reads_paused", "Times a client was not read for back pressure", &lane_counters::reads_paused},
    {"malformed_packets", "Malformed packets", &lane_counters::malformed},
};

constexpr ops::stat<link::endpoint_counters> link_rows[] = {
    {"links", "Links to shards, wanted", &link::endpoint_counters::links, gauge},
    {"links_up", "Links to shards in sync", &link::endpoint_counters::links_up, gauge},
    {"link_connects", "Links made", &link::endpoint_counters::link_connects},
    {"link_losses", "Links lost", &link::endpoint_counters::link_losses},
    {"link_round_trip_us", "Newest round trip of the slowest link", &link::endpoint_counters::round_trip_us,
     greatest},
    {"registrations", "Registrations of clients sent", &link::endpoint_counters::registrations},
    {"takeovers", "Sessions that lost their id to another lane", &link::endpoint_counters::takeovers},
    {"link_frames_in", "Frames from shards", &link::endpoint_counters::frames_in},
    {"messages_in", "Messages from shards for our clients", &link::endpoint_counters::messages_in},
    {"message_bytes_in", "Payload bytes of messages from shards", &link::endpoint_counters::bytes_in},
    {"messages_accepted", "QoS 1 messages taken by a session", &link::endpoint_counters::accepted},
    {"messages_accepted_qos0", "QoS 0 messages taken by a session", &link::endpoint_counters::accepted_qos0},
    {"messages_out_qos0", "QoS 0 messages sent to shards", &link::endpoint_counters::frames_out_qos0},
};

constexpr ops::stat<link::outbox_counters> outbox_rows[] = {
    {"unanswered_messages", "QoS 1 messages of our clients without an answer",
     &link::outbox_counters::messages, gauge},
    {"unanswered_bytes", "Bytes of QoS 1 messages of our clients without an answer",
     &link::outbox_counters::bytes, gauge},
    {"messages_out", "QoS 1 messages sent to shards, first copies", &link::outbox_counters::sent},
    {"messages_resent", "QoS 1 messages sent again", &link::outbox_counters::resent},
    {"safety_resends", "Of these, by the slow safety timer", &link::outbox_counters::safety_resends},
    {"late_answers", "Answers to messages that had theirs", &link::outbox_counters::late_answers},
};

constexpr ops::stat<link::inbox_counters> inbox_rows[] = {
    {"origins", "Lanes whose accepted messages are remembered", &link::inbox_counters::origins, gauge},
    {"accepted_window_bytes", "Memory of accepted numbers", &link::inbox_counters::memory_bytes, gauge},
    {"duplicates", "Copies of accepted messages", &link::inbox_counters::duplicates},
    {"late_copies", "Copies of settled messages, dropped", &link::inbox_counters::late_copies},
    {"retries", "Messages answered retry", &link::inbox_counters::retries},
    {"not_here", "Messages answered not here", &link::inbox_counters::not_here},
    {"unknown", "Messages answered unknown", &link::inbox_counters::unknown},
};

void tell_clients(ops::stats_part& p, const lane_counters& c) {
  p.table(c, client_rows);
  p.by_qos("publishes", "PUBLISH packets from clients", c.publishes);
  p.by_qos("deliveries", "PUBLISH packets to clients", c.deliveries);
  p.family("outcomes", "What QoS 1 publishers were told", "kind", answer_names, c.outcomes);
  p.family("client_closes", "Client connections ended, by reason", "reason", close_reason_names, c.closes);
}

void tell_links(ops::stats_part& p, const link::endpoint_counters& c) {
  p.table(c, link_rows);
  p.family("link_closes", "Links closed, by reason", "reason", close_reason_names, c.closes);
}

void tell_windows(ops::stats_part& p, const link::outbox_counters& o, const link::inbox_counters& i) {
  p.table(o, outbox_rows);
  p.family("answers", "Answers received, by kind", "kind", answer_names, o.answers);
  p.table(i, inbox_rows);
}

ops::stats_part tell(const lane_place& place) {
  const lane& l = *place.core;
  const link::endpoint<lane>& e = l.endpoint();
  ops::stats_part p;
  tell_clients(p, l.counters);
  tell_links(p, e.counters);
  tell_windows(p, e.outgoing.counters, e.incoming.counters);
  for (const auto* drops : {&l.counters.drops, &e.counters.drops, &e.outgoing.counters.drops})
    p.family("drops", "Messages that went no further, by reason", "reason", drop_reason_names, *drops);
  ops::add_io(p, place.thread->counters());
  return p;
}

ops::http_response stats(const edge_server& e, const ops::admin_counters* admin) {
  json page = ops::program_json("beeline-edge");
  page["name"] = e.config().name;
  page["mqtt"] = {{"address", e.mqtt_address()},
                  {"open", e.open()},
                  {"connections", e.budget().open()},
                  {"connections_max", e.budget().max()}};
  ops::stats_part totals, http;
  bool ready = e.open();
  for (std::size_t k = 0; k < e.lanes().size(); ++k) {
    const lane_place& place = *e.lanes()[k];
    const ops::stats_part part = tell(place);
    totals.add(part);
    ready = ready && place.core->counters.ready.get() != 0;
    json x = part.json();
    x["lane"] = k;
    page["lanes"].push_back(std::move(x));
  }
  page["ready"] = ready;
  page["totals"] = totals.json();
  if (admin) {
    ops::add_admin(http, *admin);
    page["admin"] = http.json();
  }
  return ops::json_page(page);
}

ops::http_response metrics(const edge_server& e, const ops::admin_counters* admin) {
  ops::metrics_page page;
  ops::program_metrics(page, prefix);
  page.gauge(std::string(prefix) + "mqtt_open", "1 once the MQTT port is open", e.open() ? 1 : 0);
  page.gauge(std::string(prefix) + "connections_max", "MQTT connections allowed",
             static_cast<double>(e.budget().max()));
  for (std::size_t k = 0; k < e.lanes().size(); ++k)
    tell(*e.lanes()[k]).prometheus(page, prefix, {{"lane", std::to_string(k)}});
  if (admin) {
    ops::stats_part http;
    ops::add_admin(http, *admin);
    http.prometheus(page, prefix, {});
  }
  return {200, std::string(page.content_type), page.prometheus()};
}

ops::http_response health(const edge_server& e) {
  std::vector<std::string> stalled;
  for (std::size_t k = 0; k < e.lanes().size(); ++k)
    if (e.lanes()[k]->pulse.stalled()) stalled.push_back("lane " + std::to_string(k));
  return ops::health_page(stalled);
}

void ready(edge_server& e, const http_responder& respond) {
  for (std::size_t k = 0; k < e.lanes().size(); ++k)
    if (e.lanes()[k]->pulse.stalled())
      return respond(ops::ready_page("lane " + std::to_string(k) + " does not answer"));
  ops::gather(
      e.control(), e.threads(), [](lane& l, time_point) { return l.endpoint().problem(); },
      [&e, respond](const std::vector<std::string>& problems) {
        for (std::size_t k = 0; k < problems.size(); ++k)
          if (!problems[k].empty())
            return respond(ops::ready_page("lane " + std::to_string(k) + ": " + problems[k]));
        respond(ops::ready_page(e.open() ? "" : "the MQTT port is about to open"));
      });
}

} // namespace

std::vector<ops::http_route> admin_routes(edge_server& e,
                                          std::function<const ops::admin_counters*()> counters) {
  using request = ops::http_request;
  return {
      {"/stats", [&e, counters](const request&, http_responder respond) { respond(stats(e, counters())); }},
      {"/metrics",
       [&e, counters](const request&, http_responder respond) { respond(metrics(e, counters())); }},
      {"/healthz", [&e](const request&, http_responder respond) { respond(health(e)); }},
      {"/readyz", [&e](const request&, http_responder respond) { ready(e, respond); }},
  };
}

} // namespace beeline::edge
