#include "edge-server/admin.hpp"

#include "common/ops/gather.hpp"
#include "common/ops/stats_page.hpp"

#include <nlohmann/json.hpp>

namespace beeline::edge {
namespace {

using nlohmann::json;
using ops::http_responder;
constexpr std::string_view prefix = "beeline_edge_";

void tell_clients(ops::stats_part& p, const lane_counters& c) {
  p.gauge("ready", "1 while in sync with every shard", c.ready);
  p.gauge("connections", "MQTT connections", c.connections);
  p.gauge("clients", "Clients that have their CONNACK", c.sessions);
  p.gauge("prelogin_bytes", "Bytes kept of connections without CONNECT", c.prelogin_bytes);
  p.gauge("queue_bytes", "Memory of outputs", c.output_bytes);
  p.gauge("waiting_bytes", "Memory of messages that wait for their answer or recipient", c.waiting_bytes);
  p.counter("connects", "CONNECT packets", c.connects);
  p.counter("connects_refused", "CONNECT packets refused", c.connects_refused);
  p.counter("session_takeovers", "Sessions ended by a newer one on the same lane", c.takeovers);
  p.by_qos("publishes", "PUBLISH packets from clients", c.publishes);
  p.counter("publish_bytes", "Payload bytes from clients", c.publish_bytes);
  p.by_qos("deliveries", "PUBLISH packets to clients", c.deliveries);
  p.counter("delivery_bytes", "Payload bytes to clients", c.delivery_bytes);
  p.family("outcomes", "What QoS 1 publishers were told", "kind", answer_names, c.outcomes);
  p.counter("outcomes_untold", "Refusals that MQTT 3.1.1 has no way to tell", c.outcomes_untold);
  p.counter("pubacks_in", "PUBACK packets from clients", c.pubacks_in);
  p.counter("pubacks_unknown", "PUBACK packets for nothing that was sent", c.pubacks_unknown);
  p.gauge("pending_messages", "Messages that wait for recipients", c.pending);
  p.gauge("pending_bytes", "Bytes of messages that wait for recipients", c.pending_bytes);
  p.counter("subscribes", "SUBSCRIBE packets", c.subscribes);
  p.counter("subscriptions_refused", "Filters refused", c.subscriptions_refused);
  p.counter("reads_paused", "Times a client was not read for back pressure", c.reads_paused);
  p.counter("malformed_packets", "Malformed packets", c.malformed);
  p.family("client_closes", "Client connections ended, by reason", "reason", close_reason_names, c.closes);
}

void tell_links(ops::stats_part& p, const link::endpoint<lane>& e) {
  const link::endpoint_counters& c = e.counters;
  p.gauge("links", "Links to shards, wanted", c.links);
  p.gauge("links_up", "Links to shards in sync", c.links_up);
  p.counter("link_connects", "Links made", c.link_connects);
  p.counter("link_losses", "Links lost", c.link_losses);
  p.family("link_closes", "Links closed, by reason", "reason", close_reason_names, c.closes);
  p.greatest("link_round_trip_us", "Newest round trip of the slowest link", c.round_trip_us);
  p.counter("registrations", "Registrations of clients sent", c.registrations);
  p.counter("takeovers", "Sessions that lost their id to another lane", c.takeovers);
  p.counter("link_frames_in", "Frames from shards", c.frames_in);
  p.counter("messages_in", "Messages from shards for our clients", c.messages_in);
  p.counter("message_bytes_in", "Payload bytes of messages from shards", c.bytes_in);
  p.counter("messages_accepted", "QoS 1 messages taken by a session", c.accepted);
  p.counter("messages_accepted_qos0", "QoS 0 messages taken by a session", c.accepted_qos0);
  p.counter("messages_out_qos0", "QoS 0 messages sent to shards", c.frames_out_qos0);
}

void tell_windows(ops::stats_part& p, const link::endpoint<lane>& e) {
  const link::outbox_counters& o = e.outgoing.counters;
  p.gauge("unanswered_messages", "QoS 1 messages of our clients without an answer", o.messages);
  p.gauge("unanswered_bytes", "Bytes of QoS 1 messages of our clients without an answer", o.bytes);
  p.family("answers", "Answers received, by kind", "kind", answer_names, o.answers);
  p.counter("messages_out", "QoS 1 messages sent to shards, first copies", o.sent);
  p.counter("messages_resent", "QoS 1 messages sent again", o.resent);
  p.counter("safety_resends", "Of these, by the slow safety timer", o.safety_resends);
  p.counter("late_answers", "Answers to messages that had theirs", o.late_answers);
  const link::inbox_counters& i = e.incoming.counters;
  p.gauge("origins", "Lanes whose accepted messages are remembered", i.origins);
  p.gauge("accepted_window_bytes", "Memory of accepted numbers", i.memory_bytes);
  p.counter("duplicates", "Copies of accepted messages", i.duplicates);
  p.counter("late_copies", "Copies of settled messages, dropped", i.late_copies);
  p.counter("retries", "Messages answered retry", i.retries);
  p.counter("not_here", "Messages answered not here", i.not_here);
  p.counter("unknown", "Messages answered unknown", i.unknown);
}

ops::stats_part tell(const lane_place& place) {
  const lane& l = *place.core;
  const link::endpoint<lane>& e = l.endpoint();
  ops::stats_part p;
  tell_clients(p, l.counters);
  tell_links(p, e);
  tell_windows(p, e);
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
