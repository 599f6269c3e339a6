// beeline top: the cluster live. Rates are differences between two looks.
#include "common/cli/cluster_view.hpp"
#include "common/ops/stats_page.hpp"

#include <algorithm>
#include <map>
#include <thread>
#include <unistd.h>

namespace beeline::cli {
namespace {

struct numbers {
  maybe accepts, in, out, bytes_out, refused, drops, cpu;
};

numbers read(const server_view& v) {
  const json& totals = at(v.stats.body, {"totals"});
  const bool router = v.is_router();
  numbers n;
  n.accepts = number(totals, {"socket_accepts"});
  n.in = number(totals, {router ? "messages_in" : "publishes"});
  n.out = number(totals, {router ? "messages_out" : "deliveries"});
  n.bytes_out = number(totals, {router ? "message_bytes_out" : "delivery_bytes"});
  n.refused = refused(v);
  n.drops = number(totals, {"drops"});
  const maybe user = number(v.stats.body, {"process", "cpu_user_seconds"});
  const maybe system = number(v.stats.body, {"process", "cpu_system_seconds"});
  if (user && system) n.cpu = *user + *system;
  return n;
}

// A second; nothing when one of them is not known or the server was started anew in between.
maybe a_second(maybe before, maybe now, double seconds) {
  if (!before || !now || *now < *before || seconds <= 0) return {};
  return (*now - *before) / seconds;
}

numbers rates(const server_view& before, const server_view& now) {
  const double s = std::chrono::duration<double>(now.when - before.when).count();
  const bool same_life = text(before.stats.body, {"started"}) == text(now.stats.body, {"started"});
  if (!before.reachable() || !now.reachable() || !same_life) return {};
  const numbers a = read(before), b = read(now);
  return {a_second(a.accepts, b.accepts, s), a_second(a.in, b.in, s),
          a_second(a.out, b.out, s),         a_second(a.bytes_out, b.bytes_out, s),
          a_second(a.refused, b.refused, s), a_second(a.drops, b.drops, s),
          a_second(a.cpu, b.cpu, s)};
}

std::string block(const std::vector<server_view>& before, const std::vector<server_view>& now) {
  table t({"SERVER", "ADMIN", "STATE", ">CLIENTS", ">CONN/S", ">IN/S", ">OUT/S", ">BYTES OUT/S", ">REFUSED/S",
           ">DROPS/S", ">QUEUE", ">P50", ">P99", ">IN 1 S", ">CPU", ">MEMORY"});
  for (std::size_t i = 0; i < now.size(); ++i) {
    const server_view& v = now[i];
    const numbers r = rates(before[i], v);
    t.row({v.name(), v.admin, v.state(), count_text(number(v.stats.body, {"totals", "clients"})),
           rate_text(r.accepts), rate_text(r.in), rate_text(r.out), bytes_text(r.bytes_out),
           rate_text(r.refused), rate_text(r.drops),
           bytes_text(number(v.stats.body, {"totals", "queue_bytes"})),
           microseconds_text(answer_time(v, "p50_us")), microseconds_text(answer_time(v, "p99_us")),
           share_text(answered_in_time(v)), r.cpu ? count_text(*r.cpu * 100) + "%" : "-",
           bytes_text(number(v.stats.body, {"process", "rss_bytes"}))});
  }
  std::string out = ops::utc_text(std::chrono::system_clock::now()) + "\n" + t.text();
  for (const std::string& remark : remarks(now)) out += printable(remark) + "\n";
  return out;
}

json line(const std::vector<server_view>& before, const std::vector<server_view>& now) {
  json servers = json::array();
  for (std::size_t i = 0; i < now.size(); ++i) {
    const numbers r = rates(before[i], now[i]);
    const server_view& v = now[i];
    const auto put = [](maybe n) { return n ? json(*n) : json(nullptr); };
    servers.push_back({{"admin", v.admin},
                       {"server", v.name()},
                       {"state", v.state()},
                       {"clients", put(number(v.stats.body, {"totals", "clients"}))},
                       {"accepts_per_second", put(r.accepts)},
                       {"in_per_second", put(r.in)},
                       {"out_per_second", put(r.out)},
                       {"bytes_out_per_second", put(r.bytes_out)},
                       {"refused_per_second", put(r.refused)},
                       {"drops_per_second", put(r.drops)},
                       {"queue_bytes", put(number(v.stats.body, {"totals", "queue_bytes"}))},
                       {"cpu", put(r.cpu)},
                       {"rss_bytes", put(number(v.stats.body, {"process", "rss_bytes"}))},
                       {"p50_us", put(answer_time(v, "p50_us"))},
                       {"p99_us", put(answer_time(v, "p99_us"))},
                       {"share_within_1s", put(answered_in_time(v))}});
    if (!v.why_not_ready.empty()) servers.back()["why"] = v.why_not_ready;
  }
  return {{"at", ops::utc_text(std::chrono::system_clock::now())},
          {"remarks", remarks(now)},
          {"servers", servers}};
}

void show(const std::string& text, bool terminal, bool first) {
  if (!terminal) return print((first ? "" : "\n") + text);
  std::string screen = first
                           ? "\x1b[2J\x1b[H"
                           : "\x1b[H"; // home; each line is cleared behind its text, then what is left below
  for (const char c : text) screen += c == '\n' ? std::string("\x1b[K\n") : std::string(1, c);
  print(screen + "\x1b[J");
}

int run(const arguments& a) {
  const auto servers = admin_servers(a.options);
  const auto interval = a.options.time("interval", std::chrono::milliseconds(100), std::chrono::hours(1));
  const auto count = a.options.count("count", 0, 1'000'000'000);
  const bool as_json = a.options.flag("json"), terminal = !as_json && ::isatty(STDOUT_FILENO);
  auto before = look(servers);
  auto due = std::chrono::steady_clock::now();
  for (std::uint64_t k = 0; count == 0 || k < count; ++k) {
    // Looks that a stall has made us miss are left out: they would all see the same moment.
    due = std::max(due + interval, std::chrono::steady_clock::now());
    std::this_thread::sleep_until(due);
    auto now = look(servers);
    if (as_json) print_json(line(before, now));
    else show(block(before, now), terminal, k == 0);
    if (!written()) return ops::exit_fault;
    before = std::move(now);
  }
  return all_ready(before) ? exit_ok : ops::exit_fault;
}

void declare(po::options_description& o) {
  o.add_options()("interval,i", ops::value("TIME", "1s"), "between two looks")(
      "count,n", ops::value("N", "0"), "end after N looks; 0 = go on until interrupted");
  declare_admin(o);
}

} // namespace

const command top_command{
    "top",
    "",
    0,
    0,
    "messages, bytes, refusals and drops a second, live",
    "Looks at each server every second and shows what went through it in between. CONN are connections\n"
    "taken: a router's of edges, an edge's of clients. IN and OUT of a router are messages from and to\n"
    "edges, those of an edge from and to its clients. REFUSED, DROPS, P50 and P99 mean what they do in\n"
    "`beeline status`: QoS 1 messages answered with anything but accepted, messages that went no further,\n"
    "and the time from a QoS 1 publish to its answer over the last 10 s, \"-\" if there were none. IN 1 S\n"
    "is the share of them that took at most a second. When standard output is no terminal, blocks follow\n"
    "each other.",
    "  beeline top --admin 127.0.0.1:7480,127.0.0.1:7481,127.0.0.1:7482\n"
    "  beeline top --interval 5s --count 12 > minute.txt\n"
    "  beeline top --json | jq -c '.servers[] | [.server, .in_per_second]'\n",
    declare,
    run};

} // namespace beeline::cli
