#include "edge-server/stats.hpp"

#include "common/net/event_loop.hpp"

#include <vector>

namespace beeline::edge {
namespace {

using ops::json_text;
// A part of each page, roughly: so that a page is allocated once.
constexpr std::size_t page_bytes = 8 * 1024, metrics_bytes = 32 * 1024;

constexpr auto gauge = ops::stat_kind::gauge, greatest = ops::stat_kind::greatest;

constexpr ops::stat<lane_counters> client_rows[] = {
    {"ready", "1 while in sync with every shard", &lane_counters::ready, gauge},
    {"connections", "MQTT connections", &lane_counters::connections, gauge},
    {"clients", "Clients that have their CONNACK", &lane_counters::sessions, gauge},
    {"prelogin_bytes", "Bytes kept of connections without CONNECT", &lane_counters::prelogin_bytes, gauge},
    {"held_bytes", "Bytes of clients that wait for the rest of a packet, or until the client is read again",
     &lane_counters::held_bytes, gauge},
    {"incomplete_bytes", "Of these, for the client itself: for the rest of a packet, or for it to read",
     &lane_counters::incomplete_bytes, gauge},
    {"queue_bytes", "Memory of outputs", &lane_counters::output_bytes, gauge},
    {"waiting_bytes", "Memory of messages that wait for their answer or recipient",
     &lane_counters::waiting_bytes, gauge},
    {"queue_bytes_high_water", "Most memory of outputs at the end of a turn, since the start",
     &lane_counters::output_bytes_high_water, greatest},
    {"waiting_bytes_high_water", "Most memory of waiting messages at the end of a turn, since the start",
     &lane_counters::waiting_bytes_high_water, greatest},
    {"pending_messages_high_water", "Most messages that waited for recipients, since the start",
     &lane_counters::pending_high_water, greatest},
    {"connects", "Clients that got their CONNACK", &lane_counters::connects},
    {"draining", "1 while clients are told to go", &lane_counters::draining, gauge},
    {"sent_away", "CONNECT packets refused because this server is to end", &lane_counters::sent_away},
    {"connects_refused", "CONNECT packets refused", &lane_counters::connects_refused},
    {"session_takeovers", "Sessions ended by a newer one on the same lane", &lane_counters::takeovers},
    {"publish_bytes", "Payload bytes from clients", &lane_counters::publish_bytes},
    {"publishes_sent_away", "QoS 1 messages not taken and not answered because this server is to end",
     &lane_counters::publishes_sent_away},
    {"delivery_bytes", "Payload bytes to clients", &lane_counters::delivery_bytes},
    {"deliveries_unacknowledged", "QoS 1 messages to clients whose session ended before their PUBACK",
     &lane_counters::deliveries_unacknowledged},
    {"outcomes_taken",
     "QoS 1 publishers told that it was taken, and why its recipient has not acknowledged it",
     &lane_counters::outcomes_taken},
    {"outcomes_untold", "Refusals that MQTT 3.1.1 has no way to tell", &lane_counters::outcomes_untold},
    {"pubacks_in", "PUBACK packets from clients", &lane_counters::pubacks_in},
    {"pubacks_unknown", "PUBACK packets for nothing that was sent", &lane_counters::pubacks_unknown},
    {"pending_messages", "Messages that wait for recipients", &lane_counters::pending, gauge},
    {"pending_bytes", "Bytes of messages that wait for recipients", &lane_counters::pending_bytes, gauge},
    {"subscribes", "SUBSCRIBE packets", &lane_counters::subscribes},
    {"subscriptions_refused", "Filters refused", &lane_counters::subscriptions_refused},
    {"reads_paused", "Times a client was not read for back pressure", &lane_counters::reads_paused},
    {"malformed_packets", "Malformed packets", &lane_counters::malformed},
    {"memory_short", "Times that memory became short for what clients send or are sent",
     &lane_counters::memory_short},
};

constexpr ops::stat<link::endpoint_counters> link_rows[] = {
    {"links", "Links to shards, wanted", &link::endpoint_counters::links, gauge},
    {"links_up", "Links to shards in sync", &link::endpoint_counters::links_up, gauge},
    {"link_connects", "Links made", &link::endpoint_counters::link_connects},
    {"link_losses", "Links lost", &link::endpoint_counters::link_losses},
    {"link_round_trip_us", "Newest round trip of the slowest link", &link::endpoint_counters::round_trip_us,
     greatest},
    {"link_queue_bytes_high_water", "Most bytes that waited for one link, since the start",
     &link::endpoint_counters::queue_high_water, greatest},
    {"paths_lost", "Notices of shards that an owner's link was lost", &link::endpoint_counters::paths_lost},
    {"lanes_unremembered", "Lanes of routers that are not in service, forgotten for want of room",
     &link::endpoint_counters::lanes_unremembered},
    {"registrations", "Registrations of clients sent", &link::endpoint_counters::registrations},
    {"takeovers", "Sessions that lost their id to another lane", &link::endpoint_counters::takeovers},
    {"registrations_refused", "Registrations that a shard at a limit refused",
     &link::endpoint_counters::refused},
    {"link_frames_in", "Frames from shards", &link::endpoint_counters::frames_in},
    {"messages_in", "Messages from shards for our clients", &link::endpoint_counters::messages_in},
    {"message_bytes_in", "Payload bytes of messages from shards", &link::endpoint_counters::bytes_in},
    {"messages_accepted", "QoS 1 messages taken by a session", &link::endpoint_counters::accepted},
    {"messages_accepted_qos0", "QoS 0 messages taken by a session", &link::endpoint_counters::accepted_qos0},
    {"messages_out_qos0", "QoS 0 messages sent to shards", &link::endpoint_counters::frames_out_qos0},
    {"message_bytes_out_qos0", "Payload bytes of QoS 0 messages sent to shards",
     &link::endpoint_counters::bytes_out_qos0},
};

constexpr ops::stat<link::outbox_counters> outbox_rows[] = {
    {"unanswered_messages", "QoS 1 messages of our clients without an answer",
     &link::outbox_counters::messages, gauge},
    {"unanswered_bytes", "Bytes of QoS 1 messages of our clients without an answer",
     &link::outbox_counters::bytes, gauge},
    {"unanswered_messages_high_water", "Most QoS 1 messages that had no answer, since the start",
     &link::outbox_counters::messages_high_water, greatest},
    {"unanswered_bytes_high_water", "Most bytes of QoS 1 messages that had no answer, since the start",
     &link::outbox_counters::bytes_high_water, greatest},
    {"messages_out", "QoS 1 messages sent to shards, first copies", &link::outbox_counters::sent},
    {"message_bytes_out", "Payload bytes of QoS 1 messages sent to shards, first copies",
     &link::outbox_counters::bytes_sent},
    {"messages_resent", "QoS 1 messages sent again", &link::outbox_counters::resent},
    {"safety_resends", "Of these, by the slow safety timer", &link::outbox_counters::safety_resends},
    {"answered", "QoS 1 publishes that had their answer, from whichever server it came",
     &link::outbox_counters::answered},
    {"answered_late", "Of these, more than 1 s after the publish", &link::outbox_counters::answered_late},
    {"late_answers", "Answers to messages that had theirs", &link::outbox_counters::late_answers},
    {"outcomes_unheard", "QoS 1 messages not taken, or perhaps not, whose sender had left",
     &link::outbox_counters::outcomes_unheard},
};

constexpr ops::stat<link::receipt_counters> receipt_rows[] = {
    {"receipts_awaited", "Messages accepted whose senders wait for the recipient",
     &link::receipt_counters::awaited, gauge},
    {"receipts_owed", "Messages whose receipt our clients owe, or whose origin has not heard it",
     &link::receipt_counters::owed, gauge},
    {"receipt_timeouts", "Senders told that no receipt came in time", &link::receipt_counters::timeouts},
    {"receipt_owners_lost", "Senders told that the recipient's server was lost before its receipt",
     &link::receipt_counters::owners_lost},
    {"receipts_not_promised",
     "Senders told that no receipt is promised, because a server is at a limit or too old",
     &link::receipt_counters::not_promised},
    {"receipts_refused", "Receipts of our clients that were asked for above the limit",
     &link::receipt_counters::not_owed},
    {"receipts_unheard", "Receipts whose sender's session had ended", &link::receipt_counters::unheard},
    {"receipts_said_again", "Receipts said again over a new link", &link::receipt_counters::said_again},
    {"receipts_forgotten", "Receipts that no origin has heard", &link::receipt_counters::forgotten},
};

constexpr ops::stat<link::inbox_counters> inbox_rows[] = {
    {"origins", "Lanes whose accepted messages are remembered", &link::inbox_counters::origins, gauge},
    {"origins_forgotten", "Lanes forgotten for want of room: what they send again is answered unknown",
     &link::inbox_counters::origins_forgotten},
    {"accepted_window_bytes", "Memory of accepted numbers", &link::inbox_counters::memory_bytes, gauge},
    {"duplicates", "Copies of accepted messages", &link::inbox_counters::duplicates},
    {"late_copies", "Copies of settled messages, dropped", &link::inbox_counters::late_copies},
    {"retries", "Messages answered retry", &link::inbox_counters::retries},
    {"not_here", "Messages answered not here", &link::inbox_counters::not_here},
    {"unknown", "Messages answered unknown", &link::inbox_counters::unknown},
};

constexpr ops::stat<link::link_stats> per_link_rows[] = {
    {"shard_link_queue_bytes", "Bytes that wait for one link", &link::link_stats::queue_bytes, gauge},
    {"shard_link_queue_bytes_high_water",
     "Most bytes that waited for one link at the end of a turn, since the start",
     &link::link_stats::queue_high_water, greatest},
    {"shard_link_round_trip_us", "Newest round trip of one link", &link::link_stats::round_trip_us, gauge},
    {"shard_link_frames_in", "Frames that came over one link", &link::link_stats::frames_in},
    {"shard_link_bytes_in", "Bytes of frames that came over one link", &link::link_stats::bytes_in},
    {"shard_link_frames_out", "Frames queued for one link", &link::link_stats::frames_out},
    {"shard_link_bytes_out", "Bytes that one link took", &link::link_stats::bytes_out},
    {"shard_link_writes", "Writes in which one link took them", &link::link_stats::writes},
    {"shard_link_messages_in", "Messages that came over one link", &link::link_stats::messages_in},
    {"shard_link_messages_out", "Messages queued for one link, first copies",
     &link::link_stats::messages_out},
    {"shard_link_resends", "Further copies of messages queued for one link", &link::link_stats::resends},
    {"shard_link_connects", "Times that one link was made", &link::link_stats::connects},
    {"shard_link_losses", "Times that one link was lost", &link::link_stats::losses},
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

void tell_windows(ops::stats_part& p, const link::endpoint<lane>& e) {
  const link::outbox_counters& o = e.outgoing.counters;
  p.table(o, outbox_rows);
  p.family("answers", "Answers received, by kind", "kind", answer_names, o.answers);
  p.table(e.incoming.counters, inbox_rows);
  p.table(e.receipt_counts, receipt_rows);
  p.family("receipts", "What senders were told of the recipient itself, by kind", "kind", wire::receipt_names,
           e.receipt_counts.told);
}

ops::stats_part tell(const lane_place& place) {
  const lane& l = *place.core;
  const link::endpoint<lane>& e = l.endpoint();
  ops::stats_part p;
  tell_clients(p, l.counters);
  tell_links(p, e.counters);
  tell_windows(p, e);
  for (const auto* drops : {&l.counters.drops, &e.counters.drops, &e.outgoing.counters.drops})
    p.family("drops", "Messages that went no further, by reason", "reason", drop_reason_names, *drops);
  p.latency("publish_to_answer", "From a QoS 1 PUBLISH to its answer, from whichever server it came",
            e.outgoing.publish_to_answer);
  p.latency("link_round_trip", "Round trips of heartbeats on links", e.link_round_trip);
  ops::add_io(p, place.thread->counters());
  return p;
}

constexpr ops::rate_source rates[] = {
    {"accepts", {{{"socket_accepts"}}}},
    {"connects", {{{"connects"}}}},
    {"publishes", {{{"publishes"}}}},
    {"publish_bytes", {{{"publish_bytes"}}}},
    {"deliveries", {{{"deliveries"}}}},
    {"delivery_bytes", {{{"delivery_bytes"}}}},
    {"messages_in", {{{"messages_in"}}}},
    {"messages_out", {{{"messages_out"}, {"messages_out_qos0"}}}},
    {"message_bytes_in", {{{"message_bytes_in"}}}},
    {"message_bytes_out", {{{"message_bytes_out"}, {"message_bytes_out_qos0"}}}},
    {"messages_resent", {{{"messages_resent"}}}},
    {"answers_accepted", {{{"answers", "accepted"}}}},
    {"refused", {{{"outcomes"}}}, {"outcomes", "accepted"}},
    {"drops", {{{"drops"}}}},
    {"socket_bytes_in", {{{"socket_bytes_in"}}}},
    {"socket_bytes_out", {{{"socket_bytes_out"}}}},
};

void tell_part(json_text& out, const ops::stats_part& part) {
  part.tell(out);
  ops::tell_per_write(out, part,
                      part.sum_of("messages_out") + part.sum_of("messages_out_qos0") +
                          part.sum_of("messages_resent") + part.sum_of("deliveries"));
}

void tell_link(json_text& out, const link::link_stats& s) {
  constexpr std::size_t prefix_bytes = std::string_view("shard_link_").size();
  out.object();
  out.value("address", s.address);
  out.value("shard", s.shard);
  out.value("state", link::link_state_names[s.state.get()]);
  for (const ops::stat<link::link_stats>& r : per_link_rows)
    out.value(r.name.substr(prefix_bytes), (s.*r.value).get());
  ops::tell_mean(out, "bytes_per_write", s.bytes_out.get(), s.writes.get());
  out.end();
}

void tell_link_metrics(ops::metrics_page& page, const edge_server& e) {
  std::vector<ops::labelled_part> parts;
  std::vector<bool> up;
  for (std::size_t k = 0; k < e.lanes().size(); ++k)
    e.lanes()[k]->core->endpoint().board.for_each([&](const link::link_stats& s) {
      parts.push_back(
          {{{"lane", std::to_string(k)}, {"router", s.address}, {"shard", std::to_string(s.shard)}}, {}});
      parts.back().part.table(s, per_link_rows);
      up.push_back(s.state.get() == static_cast<std::uint64_t>(link::link_state::up));
    });
  ops::labelled_part::tell(page, parts);
  if (parts.empty()) return;
  page.family("shard_link_up", "1 while the link is in sync", ops::metric_type::gauge);
  for (std::size_t i = 0; i < parts.size(); ++i) page.sample(parts[i].labels, std::uint64_t{up[i]});
}

} // namespace

std::string why_not_ready(const edge_server& e) {
  if (e.draining()) return "it is to end, and its clients are told to go";
  for (std::size_t k = 0; k < e.lanes().size(); ++k) {
    const lane_place& lane = *e.lanes()[k];
    const std::string name = "lane " + std::to_string(k);
    if (lane.pulse.stalled()) return name + " does not answer";
    if (!lane.core->counters.ready.get()) return name + ": " + lane.problem.text();
  }
  return e.open() ? "" : "the MQTT port is about to open";
}

edge_stats::edge_stats(const edge_server& e)
    : edge_(e), rates_(rates, e.lanes().size()), windows_(e.lanes().size()) {}

void edge_stats::sample() {
  const time_point now = net::steady_now();
  const auto tell_and_keep = [&](std::size_t k) {
    ops::stats_part part = tell(*edge_.lanes()[k]);
    windows_.sample(k, part, now);
    return part;
  };
  rates_.sample(tell_and_keep, now);
}

void edge_stats::tell_lane(json_text& out, std::size_t k, const ops::stats_part& part) const {
  out.object();
  out.value("lane", k);
  tell_part(out, part);
  rates_.tell_part(out, k);
  out.array("per_link");
  edge_.lanes()[k]->core->endpoint().board.for_each([&](const link::link_stats& s) { tell_link(out, s); });
  out.end();
  out.end();
}

ops::http_response edge_stats::page(const ops::admin_counters* admin) const {
  const edge_server& e = edge_;
  json_text out(page_bytes * (e.lanes().size() + 2));
  out.object();
  ops::tell_program(out, "beeline-edge");
  out.value("name", e.config().name);
  out.object("mqtt");
  out.value("address", e.mqtt_address());
  out.value("open", e.open());
  out.value("connections", e.budget().open());
  out.value("connections_max", e.budget().max());
  out.end();
  ops::tell_ready(out, why_not_ready(e));
  ops::stats_part totals;
  out.array("lanes");
  for (std::size_t k = 0; k < e.lanes().size(); ++k) {
    ops::stats_part part = tell(*e.lanes()[k]);
    windows_.tell(k, part);
    totals.add(part);
    tell_lane(out, k, part);
  }
  out.end();
  out.object("totals");
  tell_part(out, totals);
  rates_.tell_all(out);
  out.end();
  ops::tell_admin(out, admin);
  out.end();
  return ops::json_page(std::move(out));
}

ops::http_response edge_stats::metrics(const ops::admin_counters* admin) const {
  const edge_server& e = edge_;
  ops::metrics_page page("beeline_edge_", metrics_bytes * (e.lanes().size() + 1));
  ops::tell_program(page);
  page.gauge("mqtt_open", "1 once the MQTT port is open", e.open() ? 1 : 0);
  page.gauge("connections_max", "MQTT connections allowed", static_cast<double>(e.budget().max()));
  std::vector<ops::labelled_part> parts;
  for (std::size_t k = 0; k < e.lanes().size(); ++k)
    parts.push_back({{{"lane", std::to_string(k)}}, tell(*e.lanes()[k])});
  ops::labelled_part::tell(page, parts);
  tell_link_metrics(page, e);
  ops::tell_admin(page, admin);
  return ops::metrics_response(std::move(page));
}

} // namespace beeline::edge
