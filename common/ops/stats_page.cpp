#include "common/ops/stats_page.hpp"

#include "common/base/check.hpp"
#include "common/ops/build_info.hpp"
#include "common/ops/number_text.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <ctime>
#include <fmt/core.h>
#include <nlohmann/json.hpp>

namespace beeline::ops {
using nlohmann::json;

namespace {
// Names are literals and nearly always the same ones.
bool same(std::string_view a, std::string_view b) {
  return a.size() == b.size() && (a.data() == b.data() || a == b);
}
} // namespace

void stats_part::put(const sample& s) {
  for (sample& x : samples_) {
    if (!same(x.name, s.name) || !same(x.key, s.key)) continue;
    if (s.kind == stat_kind::greatest) x.value = std::max(x.value, s.value);
    else x.value += s.value;
    return;
  }
  samples_.push_back(s);
}

void stats_part::family(std::string_view name, std::string_view help, std::string_view label,
                        std::span<const std::string_view> keys, std::span<const beeline::counter> values) {
  CHECK_INVARIANT(keys.size() == values.size());
  // One search for the whole family: its samples stand together, in the order of its keys.
  auto at =
      std::find_if(samples_.begin(), samples_.end(), [&](const sample& x) { return same(x.name, name); });
  const bool fresh = at == samples_.end();
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (fresh) {
      samples_.push_back({stat_kind::counter, name, help, label, keys[i], keys[i], values[i].get()});
    } else {
      CHECK_INVARIANT(at != samples_.end() && same(at->name, name) && same(at->key, keys[i]));
      (at++)->value += values[i].get();
    }
  }
}

void stats_part::by_qos(std::string_view name, std::string_view help,
                        std::span<const beeline::counter> values) {
  static constexpr std::string_view numbers[] = {"0", "1", "2"}, keys[] = {"qos0", "qos1", "qos2"};
  CHECK_INVARIANT(values.size() <= std::size(numbers));
  for (std::size_t i = 0; i < values.size(); ++i)
    put({stat_kind::counter, name, help, "qos", numbers[i], keys[i], values[i].get()});
}

void stats_part::add(const stats_part& other) {
  if (samples_.empty() && latencies_.empty()) {
    *this = other;
    return;
  }
  for (std::size_t i = 0; i < other.samples_.size(); ++i) {
    const sample& s = other.samples_[i];
    // Parts of one program have the same samples in the same order.
    if (i < samples_.size() && same(samples_[i].name, s.name) && same(samples_[i].key, s.key)) {
      sample& x = samples_[i];
      x.value = s.kind == stat_kind::greatest ? std::max(x.value, s.value) : x.value + s.value;
    } else {
      put(s);
    }
  }
  for (const timed& t : other.latencies_) {
    const auto at =
        std::find_if(latencies_.begin(), latencies_.end(), [&](const timed& x) { return x.name == t.name; });
    if (at == latencies_.end()) {
      latencies_.push_back(t);
      continue;
    }
    at->values.merge(t.values);
    CHECK_INVARIANT(at->windows.size() == t.windows.size());
    for (std::size_t i = 0; i < t.windows.size(); ++i) at->windows[i].values.merge(t.windows[i].values);
  }
}

std::uint64_t stats_part::sum_of(std::string_view name) const {
  std::uint64_t sum = 0;
  bool known = false;
  for (const sample& s : samples_)
    if (s.name == name) sum += s.value, known = true;
  CHECK_INVARIANT(known);
  return sum;
}

std::uint64_t stats_part::value_of(std::string_view name, std::string_view key) const {
  const auto at = std::find_if(samples_.begin(), samples_.end(),
                               [&](const sample& s) { return s.name == name && s.key == key; });
  CHECK_INVARIANT(at != samples_.end());
  return at->value;
}

namespace {

double tenths(double v) { return std::round(v * 10) / 10; }

void tell_quantiles(json_text& out, const histogram_snapshot& h) {
  const std::uint64_t n = h.count();
  const auto q = h.quantiles_us({0.5, 0.9, 0.99, 0.999});
  out.value("count", n);
  out.value("max_us", h.max_us);
  out.value("mean_us", n ? tenths(static_cast<double>(h.sum_us) / static_cast<double>(n)) : 0.0);
  out.value("count_within_1s", h.count_within(to_us(limits::answer_goal)));
  out.value("p50_us", q[0]);
  out.value("p90_us", q[1]);
  out.value("p99_us", q[2]);
  out.value("p999_us", q[3]);
}

// Powers of two of a microsecond, which are borders of the histogram: 64 µs to 34 s.
constexpr unsigned first_power = 6, last_power = 25;
using bucket_list = std::array<metrics_page::bucket, last_power - first_power + 1>;

bucket_list buckets_of(const histogram_snapshot& h) {
  static const std::array<std::string, std::tuple_size_v<bucket_list>> bounds = [] {
    std::array<std::string, std::tuple_size_v<bucket_list>> texts;
    for (unsigned p = first_power; p <= last_power; ++p)
      append_number(texts[p - first_power], static_cast<double>(std::uint64_t{1} << p) / 1e6);
    return texts;
  }();
  bucket_list out;
  std::uint64_t n = 0;
  std::size_t bucket = 0;
  for (std::size_t i = 0; i < out.size(); ++i) {
    for (const auto end = histogram_shape::bucket_of(std::uint64_t{1} << (first_power + i)); bucket < end;
         ++bucket)
      n += h.counts[bucket];
    out[i] = {bounds[i], n};
  }
  return out;
}

} // namespace

void stats_part::tell(json_text& out) const {
  std::string_view family;
  for (const sample& s : samples_) {
    if (!family.empty() && !same(family, s.name)) out.end(), family = {};
    if (s.key.empty()) {
      out.value(s.name, s.value);
    } else {
      if (family.empty()) out.object(s.name), family = s.name;
      out.value(s.key, s.value);
    }
  }
  if (!family.empty()) out.end();
  if (latencies_.empty()) return;
  out.object("latency");
  for (const timed& t : latencies_) {
    out.object(t.name);
    tell_quantiles(out, t.values);
    for (const window& w : t.windows) {
      out.object(w.name);
      tell_quantiles(out, w.values);
      out.end();
    }
    out.end();
  }
  out.end();
}

void labelled_part::tell_family(metrics_page& page, std::span<const labelled_part> parts, std::size_t first,
                                std::size_t end) {
  const stats_part::sample& s = parts[0].part.samples_[first];
  const bool time = s.name.ends_with("_us");
  std::string name(s.name);
  if (time) name.replace(name.size() - 3, 3, "_seconds");
  page.family(name, s.help, s.kind == stat_kind::counter ? metric_type::counter : metric_type::gauge);
  for (const labelled_part& p : parts)
    for (std::size_t i = first; i < end; ++i) {
      const stats_part::sample& x = p.part.samples_[i];
      CHECK_INVARIANT(same(x.name, s.name));
      if (time) page.sample(p.labels, {x.label, x.label_value}, static_cast<double>(x.value) / 1e6);
      else page.sample(p.labels, {x.label, x.label_value}, x.value);
    }
}

void labelled_part::tell(metrics_page& page, std::span<const labelled_part> parts) {
  if (parts.empty()) return;
  const auto& samples = parts[0].part.samples_;
  for (const labelled_part& p : parts)
    CHECK_INVARIANT(p.part.samples_.size() == samples.size() &&
                    p.part.latencies_.size() == parts[0].part.latencies_.size());
  for (std::size_t first = 0, end; first < samples.size(); first = end) {
    for (end = first + 1; end < samples.size() && same(samples[end].name, samples[first].name);) ++end;
    tell_family(page, parts, first, end);
  }
  for (std::size_t k = 0; k < parts[0].part.latencies_.size(); ++k) {
    const stats_part::timed& t = parts[0].part.latencies_[k];
    page.family(std::string(t.name) + "_duration_seconds", t.help, metric_type::histogram);
    for (const labelled_part& p : parts) {
      const histogram_snapshot& h = p.part.latencies_[k].values;
      page.histogram(p.labels, buckets_of(h), h.count(), static_cast<double>(h.sum_us) / 1e6);
    }
  }
}

void add_io(stats_part& p, const net::io_counters& io) {
  p.counter("loop_turns", "Turns of the event loop", io.turns);
  p.counter("socket_reads", "Reads from sockets", io.reads);
  p.counter("socket_writes", "Writes to sockets", io.writes);
  p.counter("socket_partial_writes", "Writes of which the kernel took less than there was",
            io.partial_writes);
  p.counter("socket_bytes_in", "Bytes read from sockets", io.bytes_in);
  p.counter("socket_bytes_out", "Bytes written to sockets", io.bytes_out);
  p.counter("socket_accepts", "Connections accepted", io.accepts);
  p.counter("socket_accept_errors", "Accepts that failed", io.accept_errors);
  p.counter("socket_accepts_held_back", "Times that connections had to wait, as too many came in a second",
            io.accepts_held_back);
  p.counter("socket_connects", "Connections made to others", io.connects_ok);
  p.counter("socket_connects_failed", "Connections that could not be made", io.connects_failed);
  p.gauge("sockets", "Sockets open now", io.streams);
  p.gauge("socket_rest_bytes", "Bytes kept of frames and packets that are incomplete", io.rest_bytes);
  p.family("socket_closes", "Sockets closed, by reason", "reason", close_reason_names, io.closed);
}

void tell_mean(json_text& out, std::string_view name, std::uint64_t sum, std::uint64_t of) {
  if (of > 0) out.value(name, tenths(static_cast<double>(sum) / static_cast<double>(of)));
  else out.null(name);
}

void tell_per_write(json_text& out, const stats_part& part, std::uint64_t messages) {
  const std::uint64_t writes = part.value_of("socket_writes");
  tell_mean(out, "bytes_per_write", part.value_of("socket_bytes_out"), writes);
  tell_mean(out, "messages_per_write", messages, writes);
}

namespace {
stats_part part_of(const admin_counters& c) {
  stats_part p;
  p.counter("admin_requests", "HTTP requests", c.requests);
  p.counter("admin_malformed", "HTTP requests that were malformed or above a limit", c.malformed);
  p.counter("admin_connections_refused", "HTTP connections above the limit", c.connections_refused);
  p.counter("admin_accept_failures", "HTTP connections that could not be accepted", c.accept_failures);
  p.counter("admin_answers_missing", "HTTP requests that no thread answered in time", c.answers_missing);
  p.counter("admin_handler_failures", "HTTP requests that failed inside", c.handler_failures);
  p.counter("admin_pages_late", "HTTP pages that the main thread made, as the thread for pages had no time",
            c.pages_late);
  p.counter("admin_timeouts", "HTTP connections closed for taking too long", c.timeouts);
  return p;
}
} // namespace

void tell_admin(json_text& out, const admin_counters* admin) {
  if (!admin) return;
  out.object("admin");
  part_of(*admin).tell(out);
  out.end();
}
void tell_admin(metrics_page& page, const admin_counters* admin) {
  if (!admin) return;
  const labelled_part one{{}, part_of(*admin)};
  labelled_part::tell(page, {&one, 1});
}

std::string utc_text(std::chrono::system_clock::time_point t) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(t.time_since_epoch()).count();
  const std::time_t seconds = static_cast<std::time_t>(ms / 1000);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900, parts.tm_mon + 1,
                     parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, ms % 1000);
}

void tell_program(json_text& out, std::string_view program) {
  const process_stats s = read_process_stats();
  static const std::string build = build_text(), id = build_id();
  out.value("program", program);
  out.value("version", version());
  out.value("build", build);
  out.value("build_id", id);
  out.value("started", utc_text(s.started));
  out.value("uptime_seconds", s.uptime_seconds);
  out.object("process");
  out.value("cpu_user_seconds", s.cpu_user_seconds);
  out.value("cpu_system_seconds", s.cpu_system_seconds);
  out.value("rss_bytes", s.rss_bytes);
  out.value("open_fds", s.open_fds);
  out.end();
}

void tell_ready(json_text& out, const std::string& why_not) {
  out.value("ready", why_not.empty());
  if (why_not.empty()) out.null("why_not_ready");
  else out.value("why_not_ready", why_not);
}

void tell_program(metrics_page& page) {
  const process_stats s = read_process_stats();
  static const metric_labels build{{"version", version()},
                                   {"compiler", compiler()},
                                   {"build_type", build_type()},
                                   {"build_id", build_id()},
                                   {"sanitizer", sanitizer()}};
  page.family("build_info", "Always 1; the labels say which build this is", metric_type::gauge);
  page.sample(build, std::uint64_t{1});
  page.gauge("uptime_seconds", "Time since the process started", s.uptime_seconds);
  // As Prometheus' own client libraries name them, so that dashboards and alerts that exist find them.
  page.family_as_is("process_cpu_seconds_total", "CPU time used, user and system", metric_type::counter);
  page.sample({}, s.cpu_user_seconds + s.cpu_system_seconds);
  page.family_as_is("process_resident_memory_bytes", "Memory in use", metric_type::gauge);
  page.sample({}, s.rss_bytes);
  page.family_as_is("process_open_fds", "File descriptors in use", metric_type::gauge);
  page.sample({}, s.open_fds);
  page.family_as_is("process_max_fds", "File descriptors that the process may use", metric_type::gauge);
  page.sample({}, s.fds_max);
  page.family_as_is("process_start_time_seconds", "When the process started, since 1970", metric_type::gauge);
  page.sample({}, std::chrono::duration<double>(s.started.time_since_epoch()).count());
}

http_response json_page(const json& page, unsigned status) {
  // Names come from peers: what is not UTF-8 is replaced, never a failure.
  return {status, "application/json", page.dump(2, ' ', false, json::error_handler_t::replace) + "\n"};
}

http_response json_page(json_text&& page) { return {200, "application/json", page.take()}; }
http_response metrics_response(metrics_page&& page) {
  return {200, std::string(page.content_type), page.take()};
}

http_response ready_page(const std::string& why_not) {
  if (why_not.empty()) return json_page({{"ready", true}});
  return json_page({{"ready", false}, {"why", why_not}}, 503);
}

http_response health_page(const std::vector<std::string>& stalled) {
  if (stalled.empty()) return json_page({{"healthy", true}});
  return json_page({{"healthy", false}, {"stalled", stalled}}, 503);
}

http_route drain_route(std::function<void()> ask, std::function<bool()> draining) {
  return {
      "/drain",
      [ask = std::move(ask), draining = std::move(draining)](const http_request& q, http_responder respond) {
        const bool post = q.method == "POST";
        if (post) ask();
        respond(json_page({{"draining", post || draining()}}));
      },
      {"GET", "HEAD", "POST"}};
}

} // namespace beeline::ops
