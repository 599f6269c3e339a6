#include "router/stats.hpp"

#include "common/net/event_loop.hpp"
#include "common/ops/gather.hpp"

#include <vector>

namespace beeline::router {
namespace {

using ops::json_text;
// A part of each page, roughly: so that a page is allocated once.
constexpr std::size_t page_bytes = 8 * 1024, metrics_bytes = 32 * 1024;

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
    {"receipts", "Receipts of recipients passed on", &shard_counters::receipts},
    {"reports", "Reports of latencies from lanes", &shard_counters::reports},
    {"registrations", "Registrations of clients", &shard_counters::registrations},
    {"unregistrations", "Ends of sessions told by lanes", &shard_counters::unregistrations},
    {"takeovers", "Sessions kicked because their client connected elsewhere", &shard_counters::takeovers},
    {"hash_collisions", "Different ids with one hash", &shard_counters::collisions},
    {"claims_refused", "Registrations refused: at a limit, without memory, of a slot of another shard",
     &shard_counters::claims_refused},
    {"memory_short", "Times that memory became short: nobody new and no messages for a second",
     &shard_counters::memory_short},
    {"paths_lost", "Owner links that ended with messages perhaps on them", &shard_counters::path_lost},
    {"lingers_expired", "Lost lanes that did not come back in time", &shard_counters::linger_expired},
    {"warm_ups_incomplete", "Warm-ups that ended with a lane missing", &shard_counters::warm_ups_incomplete},
    {"clock_lifts", "Times that shard time was moved past that of an earlier life",
     &shard_counters::clock_lifts},
    {"handshakes", "Links let in", &shard_counters::handshakes},
    {"handshakes_refused", "Links refused", &shard_counters::handshakes_refused},
    {"handshakes_open", "Connections whose handshake is not done", &shard_counters::handshakes_open, gauge},
    {"handshakes_displaced", "Of these, the oldest, closed to make room for a new one",
     &shard_counters::handshakes_displaced},
    {"queue_bytes_high_water", "Most memory of outputs at the end of a turn, since the start",
     &shard_counters::output_bytes_high_water, greatest},
    {"link_queue_bytes_high_water", "Most bytes of messages that waited for one link, since the start",
     &shard_counters::queue_high_water, greatest},
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
  p.latency("publish_to_answer",
            "From a QoS 1 PUBLISH to the answer of the recipient's server, as reported by lanes",
            place.core->publish_to_answer);
  p.latency("link_round_trip", "Round trips of heartbeats on links", place.core->link_round_trip);
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

constexpr ops::rate_source rates[] = {
    {"messages_in", {{{"messages_in"}}}},
    {"messages_out", {{{"messages_out"}}}},
    {"message_bytes_in", {{{"message_bytes_in"}}}},
    {"message_bytes_out", {{{"message_bytes_out"}}}},
    {"answers_accepted", {{{"answers", "accepted"}}}},
    {"refused", {{{"answers"}}}, {"answers", "accepted"}},
    {"drops", {{{"drops"}}}},
    {"messages_resent_in", {{{"messages_resent_in"}}}},
    {"registrations", {{{"registrations"}}}},
    {"socket_bytes_in", {{{"socket_bytes_in"}}}},
    {"socket_bytes_out", {{{"socket_bytes_out"}}}},
};

void tell_part(json_text& out, const ops::stats_part& part) {
  part.tell(out);
  ops::tell_per_write(out, part, part.sum_of("messages_out"));
}

} // namespace

std::string why_not_ready(const router& r) {
  if (r.draining()) return "it is to end";
  for (std::size_t k = 0; k < r.shards().size(); ++k) {
    if (r.shards()[k]->pulse.stalled()) return "shard " + std::to_string(k) + " does not answer";
    if (r.shards()[k]->core->counters.warming_up.get())
      return "shard " + std::to_string(k) + " is warming up";
  }
  return {};
}

router_stats::router_stats(const router& r)
    : router_(r), rates_(rates, r.shards().size()), windows_(r.shards().size()) {}

void router_stats::sample() {
  const time_point now = net::steady_now();
  const auto tell_and_keep = [&](std::size_t k) {
    ops::stats_part part = tell(*router_.shards()[k]);
    windows_.sample(k, part, now);
    return part;
  };
  rates_.sample(tell_and_keep, now);
  sample_links();
}

void router_stats::sample_links() {
  if (std::exchange(asking_, true)) return; // a shard is stalled: one question at a time
  ops::gather(
      router_.control(), router_.threads(),
      [](const shard& s, time_point now) {
        return link_sample{now, s.link_totals()};
      },
      [this](const std::vector<link_sample>& shards) {
        asking_ = false;
        link_rates_.put(shards);
      });
}

void router_stats::tell_shard(json_text& out, std::size_t k, const ops::stats_part& part) const {
  const shard_place& place = *router_.shards()[k];
  out.object();
  out.value("shard", k);
  out.value("slots", slots_text(place.core->config().first_slot, place.core->config().last_slot));
  out.value("listen", place.address);
  tell_part(out, part);
  rates_.tell_part(out, k);
  out.end();
}

ops::http_response router_stats::page(const ops::admin_counters* admin) const {
  const router& r = router_;
  json_text out(page_bytes * (r.shards().size() + 2));
  out.object();
  ops::tell_program(out, "beeline-router");
  out.value("slots", slots_text(r.config().slots.first, r.config().slots.last));
  ops::tell_ready(out, why_not_ready(r));
  ops::stats_part totals;
  out.array("shards");
  for (std::size_t k = 0; k < r.shards().size(); ++k) {
    ops::stats_part part = tell(*r.shards()[k]);
    windows_.tell(k, part);
    totals.add(part);
    tell_shard(out, k, part);
  }
  out.end();
  out.object("totals");
  tell_part(out, totals);
  rates_.tell_all(out);
  out.end();
  const copies c(totals);
  if (c.messages) out.value("copies_per_message", c.ratio());
  else out.null("copies_per_message");
  out.object("copies");
  out.value("frames_written", c.written);
  out.value("messages", c.messages);
  out.end();
  ops::tell_admin(out, admin);
  out.end();
  return ops::json_page(std::move(out));
}

ops::http_response router_stats::metrics(const ops::admin_counters* admin) const {
  const router& r = router_;
  ops::metrics_page page("beeline_router_", metrics_bytes * (r.shards().size() + 1));
  ops::tell_program(page);
  ops::stats_part totals;
  std::vector<ops::labelled_part> parts;
  for (std::size_t k = 0; k < r.shards().size(); ++k) {
    parts.push_back({{{"shard", std::to_string(k)}}, tell(*r.shards()[k])});
    totals.add(parts.back().part);
  }
  ops::labelled_part::tell(page, parts);
  const copies c(totals);
  page.gauge("copies_frames_written", "Frames written to owner links for accepted messages, resends apart",
             static_cast<double>(c.written));
  page.gauge("copies_messages", "Distinct accepted messages", static_cast<double>(c.messages));
  if (c.messages) page.gauge("copies_per_message", "The one divided by the other; exact at rest", c.ratio());
  ops::tell_admin(page, admin);
  return ops::metrics_response(std::move(page));
}

} // namespace beeline::router
