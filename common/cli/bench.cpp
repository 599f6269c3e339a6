// beeline bench: many MQTT clients that send to random peers through a cluster, and a judge of every message.
#include "common/cli/admin.hpp"
#include "common/cli/bench/load_run.hpp"
#include "common/ops/program_options.hpp"

#include <cmath>
#include <cstdio>
#include <fstream>

namespace beeline::cli {
namespace {

load::settings read_settings(const ops::option_values& o) {
  load::settings s;
  for (const auto& a : o.addresses("edge")) s.edges.push_back({a.host, a.port});
  if (s.edges.empty())
    throw ops::start_error("bench: give the MQTT address of each edge: --edge HOST:PORT", ops::exit_usage);
  s.prefix = o.text("prefix");
  s.clients = static_cast<std::uint32_t>(o.count("clients", 2, 5000));
  s.messages = static_cast<std::uint32_t>(o.count("messages", 1, 100'000'000));
  s.window = static_cast<std::uint32_t>(o.count("window", 1, 1024));
  s.payload = static_cast<std::uint32_t>(o.size("payload", 0, 1'000'000));
  s.qos = static_cast<std::uint8_t>(o.count("qos", 0, 1));
  s.rate = o.count("rate", 0, 100'000'000);
  s.seed = o.count("seed", 0, ~std::uint64_t{0});
  s.other_edges_only = o.flag("other-edges-only");
  if (s.other_edges_only && s.edges.size() < 2)
    throw ops::start_error("bench: --other-edges-only needs --edge at least twice", ops::exit_usage);
  s.timeout =
      static_cast<double>(to_us(o.time("timeout", std::chrono::seconds(1), std::chrono::hours(1)))) / 1e6;
  return s;
}

json to_json(const load::settings& s, const load::result& r) {
  json answers = json::object();
  for (std::size_t code = 0; code < r.answers.size(); ++code)
    if (r.answers[code]) {
      char name[8];
      std::snprintf(name, sizeof name, "0x%02X", static_cast<unsigned>(code));
      answers[name] = r.answers[code];
    }
  return {
      {"clients", s.clients},
      {"edges", s.edges.size()},
      {"qos", s.qos},
      {"payload", s.payload},
      {"published", r.published},
      {"delivered", r.delivered},
      {"duplicates", r.duplicates},
      {"reordered", r.reordered},
      {"misdelivered", r.misdelivered},
      {"damaged", r.damaged},
      {"answers", answers},
      {"unanswered", r.unanswered},
      {"accepted_not_delivered", r.accepted_not_delivered},
      {"nobody_but_delivered", r.nobody_but_delivered},
      {"disconnects", r.disconnects},
      {"connect_seconds", r.connect_seconds},
      {"seconds", r.seconds},
      {"messages_per_second", r.seconds > 0 ? std::round(static_cast<double>(r.delivered) / r.seconds) : 0},
      {"delivery_p50_us", r.delivery_percentile(0.5)},
      {"delivery_p99_us", r.delivery_percentile(0.99)},
      {"answer_p50_us", r.answer_percentile(0.5)},
      {"answer_p99_us", r.answer_percentile(0.99)}};
}

// With `faults`, servers may die during the run: then a message may be lost, but its sender is told.
bool all_held(const load::settings& s, const load::result& r, bool faults) {
  if (r.duplicates || r.reordered || r.misdelivered || r.damaged || r.unanswered ||
      r.accepted_not_delivered || r.nobody_but_delivered || r.disconnects || r.published != s.messages)
    return false;
  if (faults) return true;
  return s.qos == 0 ? r.delivered == r.published : r.delivered == r.published && r.answers[0] == r.published;
}

void print_report(const json& j) {
  for (const auto& [name, value] : j.items()) {
    std::string line = name;
    line.resize(25, ' ');
    print(line + value.dump() + "\n");
  }
}

void write_report(const std::string& path, const json& j) {
  std::ofstream file(path);
  file << j.dump(2) << "\n";
  file.close();
  if (!file) throw ops::start_error("bench: cannot write " + ops::quoted(path), ops::exit_fault);
}

int run(const arguments& a) {
  const load::settings s = read_settings(a.options);
  const std::uint64_t files = ops::raise_descriptor_limit();
  if (files < s.clients + 16)
    throw ops::start_error("bench: --clients " + std::to_string(s.clients) +
                               " needs more open files than the limit of " + std::to_string(files),
                           ops::exit_fault);
  load::run load(s);
  const load::result r = load.go();
  const bool held = all_held(s, r, a.options.flag("faults"));
  json j = to_json(s, r);
  j["held"] = held;
  if (a.options.flag("json")) print_pretty_json(j);
  else print_report(j);
  if (a.options.has("report")) write_report(a.options.text("report"), j);
  return held ? exit_ok : ops::exit_fault;
}

void declare(po::options_description& o) {
  o.add_options()                                                                                       //
      ("edge", ops::values("HOST:PORT"), "MQTT address of an edge; once for each (required)")           //
      ("clients", ops::value("N", "100"), "clients, spread over the edges in turn")                     //
      ("messages", ops::value("N", "10000"), "messages in all")                                         //
      ("qos", ops::value("0|1", "1"), "quality of service")                                             //
      ("window", ops::value("N", "8"), "QoS 1 messages in flight of one client")                        //
      ("payload", ops::value("BYTES", "100"), "payload of a message, at least 20")                      //
      ("rate", ops::value("N", "0"), "messages a second in all; 0 = as fast as the windows allow")      //
      ("prefix", ops::value("TEXT", "load"), "client ids are TEXT-0, TEXT-1, ...")                      //
      ("other-edges-only", ops::flag(), "send only to clients on other edges")                          //
      ("seed", ops::value("N", "1"), "of the choice of peers")                                          //
      ("timeout", ops::value("TIME", "30s"), "give up when nothing moves for so long")                  //
      ("faults", ops::flag(), "servers may die during the run: answers other than success are allowed") //
      ("report", ops::value("FILE"), "write the result there as JSON, too");
  declare_json(o);
}

} // namespace

const command bench_command{
    "bench",
    "",
    0,
    0,
    "many clients that send to each other; rates, latencies, and a judge of every message",
    "Connects clients to the edges, sends messages to random peers and checks of each whether it was "
    "delivered once, in\n"
    "order for each pair, to whom it was meant, and what its sender was told. Exit code 1 when one of these "
    "did not\n"
    "hold. Rates and latencies are as the clients saw them, in one thread that shares the machine with what "
    "it measures\n"
    "unless it runs elsewhere.",
    "  beeline bench --edge 127.0.0.1:1883 --edge 127.0.0.1:1884\n"
    "  beeline bench --edge 127.0.0.1:1883 --clients 1000 --messages 1000000 --rate 20000\n"
    "  beeline bench --edge 127.0.0.1:1883 --qos 0 --payload 1KiB --json | jq .messages_per_second\n",
    declare,
    run};

} // namespace beeline::cli
