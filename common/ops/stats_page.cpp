#include "common/ops/stats_page.hpp"

#include "common/base/check.hpp"
#include "common/ops/build_info.hpp"

#include <algorithm>
#include <cmath>
#include <ctime>
#include <fmt/core.h>
#include <nlohmann/json.hpp>

namespace beeline::ops {
using nlohmann::json;

void stats_part::put(const sample& s) {
  for (sample& x : samples_) {
    if (x.name != s.name || x.key != s.key) continue;
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
  auto at = std::find_if(samples_.begin(), samples_.end(), [&](const sample& x) { return x.name == name; });
  const bool fresh = at == samples_.end();
  if (fresh) samples_.reserve(samples_.size() + keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (fresh) {
      samples_.push_back({stat_kind::counter, name, help, label, keys[i], keys[i], values[i].get()});
    } else {
      CHECK_INVARIANT(at != samples_.end() && at->name == name && at->key == keys[i]);
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
  for (std::size_t i = 0; i < other.samples_.size(); ++i) {
    const sample& s = other.samples_[i];
    // Parts of one program have the same samples in the same order.
    if (i < samples_.size() && samples_[i].name == s.name && samples_[i].key == s.key) {
      sample& x = samples_[i];
      x.value = s.kind == stat_kind::greatest ? std::max(x.value, s.value) : x.value + s.value;
    } else {
      put(s);
    }
  }
  for (const timed& t : other.latencies_) {
    const auto at =
        std::find_if(latencies_.begin(), latencies_.end(), [&](const timed& x) { return x.name == t.name; });
    if (at == latencies_.end()) latencies_.push_back(t);
    else at->values.merge(t.values);
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
json quantiles(const histogram_snapshot& h) {
  const std::uint64_t n = h.count();
  json out{{"count", n}, {"max_us", h.max_us}};
  out["mean_us"] = n ? std::round(static_cast<double>(h.sum_us) / static_cast<double>(n) * 10) / 10 : 0.0;
  for (const auto& [name, q] : {std::pair{"p50_us", 0.5}, std::pair{"p90_us", 0.9}, std::pair{"p99_us", 0.99},
                                std::pair{"p999_us", 0.999}})
    out[name] = h.quantile_us(q);
  return out;
}

// Powers of two of a microsecond, which are borders of the histogram: 64 µs to 34 s.
constexpr unsigned first_power = 6, last_power = 25;
void tell_histogram(metrics_page& page, const std::string& name, std::string_view help,
                    const metric_labels& labels, const histogram_snapshot& h) {
  std::vector<metrics_page::bucket> buckets;
  for (unsigned p = first_power; p <= last_power; ++p)
    buckets.push_back({static_cast<double>(std::uint64_t{1} << p) / 1e6, h.below_power(p)});
  page.histogram(name, help, labels, buckets, h.count(), static_cast<double>(h.sum_us) / 1e6);
}
} // namespace

json stats_part::json() const {
  auto out = nlohmann::json::object();
  for (const sample& s : samples_)
    if (s.key.empty()) out[std::string(s.name)] = s.value;
    else out[std::string(s.name)][std::string(s.key)] = s.value;
  for (const timed& t : latencies_) out["latency"][std::string(t.name)] = quantiles(t.values);
  return out;
}

void stats_part::prometheus(metrics_page& page, std::string_view prefix, const metric_labels& labels) const {
  for (const sample& s : samples_) {
    std::string name = std::string(prefix) + std::string(s.name);
    double value = static_cast<double>(s.value);
    if (s.name.ends_with("_us")) {
      name.replace(name.size() - 3, 3, "_seconds");
      value /= 1e6;
    }
    metric_labels all = labels;
    if (!s.label.empty()) all.emplace_back(s.label, std::string(s.label_value));
    if (s.kind != stat_kind::counter) page.gauge(name, s.help, all, value);
    else if (s.name.ends_with("_us")) page.counter(name, s.help, all, value);
    else page.counter(name, s.help, all, s.value);
  }
  for (const timed& t : latencies_)
    tell_histogram(page, std::string(prefix) + std::string(t.name) + "_duration_seconds", t.help, labels,
                   t.values);
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
  p.counter("socket_connects", "Connections made to others", io.connects_ok);
  p.counter("socket_connects_failed", "Connections that could not be made", io.connects_failed);
  p.gauge("sockets", "Sockets open now", io.streams);
  p.gauge("socket_rest_bytes", "Bytes kept of frames and packets that are incomplete", io.rest_bytes);
  p.family("socket_closes", "Sockets closed, by reason", "reason", close_reason_names, io.closed);
}

void add_per_write(json& out, const stats_part& part, std::uint64_t messages) {
  const auto writes = static_cast<double>(part.value_of("socket_writes"));
  const auto each = [&](std::uint64_t n) {
    return writes > 0 ? json(std::round(static_cast<double>(n) / writes * 10) / 10) : json(nullptr);
  };
  out["bytes_per_write"] = each(part.value_of("socket_bytes_out"));
  out["messages_per_write"] = each(messages);
}

void add_admin(stats_part& p, const admin_counters& c) {
  p.counter("admin_requests", "HTTP requests", c.requests);
  p.counter("admin_malformed", "HTTP requests that were malformed or above a limit", c.malformed);
  p.counter("admin_connections_refused", "HTTP connections above the limit", c.connections_refused);
  p.counter("admin_accept_failures", "HTTP connections that could not be accepted", c.accept_failures);
  p.counter("admin_answers_missing", "HTTP requests that no thread answered in time", c.answers_missing);
  p.counter("admin_handler_failures", "HTTP requests that failed inside", c.handler_failures);
  p.counter("admin_timeouts", "HTTP connections closed for taking too long", c.timeouts);
}

std::string utc_text(std::chrono::system_clock::time_point t) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(t.time_since_epoch()).count();
  const std::time_t seconds = static_cast<std::time_t>(ms / 1000);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900, parts.tm_mon + 1,
                     parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, ms % 1000);
}

json program_json(std::string_view program) {
  const process_stats s = read_process_stats();
  return {{"program", program},
          {"version", version()},
          {"build", build_text()},
          {"build_id", build_id()},
          {"started", utc_text(s.started)},
          {"uptime_seconds", s.uptime_seconds},
          {"process",
           {{"cpu_user_seconds", s.cpu_user_seconds},
            {"cpu_system_seconds", s.cpu_system_seconds},
            {"rss_bytes", s.rss_bytes},
            {"open_fds", s.open_fds}}}};
}

void program_metrics(metrics_page& page, std::string_view prefix) {
  const process_stats s = read_process_stats();
  const std::string p(prefix);
  page.gauge(p + "build_info", "Always 1; the labels say which build this is",
             {{"version", std::string(version())},
              {"compiler", std::string(compiler())},
              {"build_type", std::string(build_type())},
              {"build_id", build_id()},
              {"sanitizer", std::string(sanitizer())}},
             1);
  page.gauge(p + "uptime_seconds", "Time since the process started", s.uptime_seconds);
  page.counter(p + "process_cpu_seconds", "CPU time used", {{"mode", "user"}}, s.cpu_user_seconds);
  page.counter(p + "process_cpu_seconds", "CPU time used", {{"mode", "system"}}, s.cpu_system_seconds);
  page.gauge(p + "process_resident_memory_bytes", "Memory in use", static_cast<double>(s.rss_bytes));
  page.gauge(p + "process_open_fds", "File descriptors in use", static_cast<double>(s.open_fds));
}

http_response json_page(const json& page, unsigned status) {
  // Names come from peers: what is not UTF-8 is replaced, never a failure.
  return {status, "application/json", page.dump(2, ' ', false, json::error_handler_t::replace) + "\n"};
}

http_response ready_page(const std::string& why_not) {
  if (why_not.empty()) return json_page({{"ready", true}});
  return json_page({{"ready", false}, {"why", why_not}}, 503);
}

http_response health_page(const std::vector<std::string>& stalled) {
  if (stalled.empty()) return json_page({{"healthy", true}});
  return json_page({{"healthy", false}, {"stalled", stalled}}, 503);
}

} // namespace beeline::ops
