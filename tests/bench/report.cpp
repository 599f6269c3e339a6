#include "tests/bench/report.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <numeric>

namespace beeline::bench {
namespace {

using nlohmann::json;

double sum(const std::vector<double>& v) { return std::accumulate(v.begin(), v.end(), 0.0); }

// Figures by name, of which medians are taken.
json figures_of(const settings& s, const result& r) {
  json f;
  if (has_load(s.what)) {
    f["messages_per_second"] = r.a_second();
    f["server_us"] = sum(r.cpu_us);
    for (std::size_t i = 0; i < r.cpu_us.size(); ++i) f["server_us " + s.servers[i].name] = r.cpu_us[i];
    f["generator_us"] = r.own_us;
    f["p50_us"] = static_cast<double>(r.latency.quantile_ns(0.5)) / 1000;
    f["p99_us"] = static_cast<double>(r.latency.quantile_ns(0.99)) / 1000;
    f["p999_us"] = static_cast<double>(r.latency.quantile_ns(0.999)) / 1000;
    f["max_us"] = static_cast<double>(r.latency.max_ns()) / 1000;
  } else {
    f["connects_per_second"] = s.clients / std::max(1e-9, r.connect_seconds);
    f["connect_us"] = sum(r.connect_cpu_us);
    double grown = 0;
    for (std::size_t i = 0; i < r.rss_after.size(); ++i) {
      const double bytes = static_cast<double>(r.rss_after[i]) - static_cast<double>(r.rss_before[i]);
      f["connect_us " + s.servers[i].name] = r.connect_cpu_us[i];
      f["bytes_per_client " + s.servers[i].name] = bytes / s.clients;
      grown += bytes;
    }
    f["bytes_per_client"] = grown / s.clients;
  }
  for (std::size_t i = 0; i < r.rss_after.size(); ++i)
    f["rss_mib " + s.servers[i].name] = static_cast<double>(r.rss_after[i]) / (1 << 20);
  return f;
}

json counts_of(const result& r) {
  return {{"sent", r.sent},     {"lost", r.lost},       {"doubled", r.doubled}, {"reordered", r.reordered},
          {"astray", r.astray}, {"damaged", r.damaged}, {"refused", r.refused}, {"unanswered", r.unanswered}};
}

double median(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  const std::size_t n = v.size();
  return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

} // namespace

json to_json(const settings& s, const std::vector<result>& runs) {
  json j{{"workload", name_of(s.what)}, {"protocol", s.protocol}};
  if (has_load(s.what)) j.update({{"qos", s.qos}, {"payload", s.payload}, {"seconds", s.seconds}});
  else j["clients"] = s.clients;
  if (s.what == workload::trunk) j.update({{"pairs", s.pairs}, {"window", s.window}});
  if (s.what == workload::crowd) j.update({{"senders", s.senders}, {"receivers", s.receivers}});
  if (s.what == workload::crowd || s.what == workload::steady) j["rate"] = s.rate;
  json list = json::array();
  bool held = true;
  for (const result& r : runs) {
    const auto wrong = problems(s, r);
    held = held && wrong.empty();
    list.push_back({{"figures", figures_of(s, r)}, {"counts", counts_of(r)}, {"problems", wrong}});
  }
  json middle, least, most;
  for (const auto& [name, unused] : list[0]["figures"].items()) {
    std::vector<double> v;
    for (const json& r : list) v.push_back(r["figures"][name]);
    middle[name] = median(v);
    least[name] = *std::min_element(v.begin(), v.end());
    most[name] = *std::max_element(v.begin(), v.end());
  }
  j.update({{"median", middle}, {"least", least}, {"most", most}, {"runs", list}, {"held", held}});
  return j;
}

std::string to_table(const json& j) {
  std::string out = fmt::format("{}, {}", j["workload"].get<std::string>(), j["protocol"].get<std::string>());
  for (const char* name : {"qos", "payload", "pairs", "window", "senders", "receivers", "rate", "clients"})
    if (j.contains(name)) out += fmt::format(", {} {}", name, j[name].dump());
  const std::size_t runs = j["runs"].size();
  out += fmt::format("; {} {}\n{:<32}{:>14}{:>14}{:>14}\n", runs, runs == 1 ? "run" : "runs", "", "median",
                     "least", "most");
  for (const auto& [name, value] : j["median"].items())
    out += fmt::format("{:<32}{:>14.3f}{:>14.3f}{:>14.3f}\n", name, value.get<double>(),
                       j["least"][name].get<double>(), j["most"][name].get<double>());
  for (std::size_t i = 0; i < runs; ++i)
    for (const auto& line : j["runs"][i]["problems"])
      out += fmt::format("run {}: {}\n", i + 1, line.get<std::string>());
  return out;
}

} // namespace beeline::bench
