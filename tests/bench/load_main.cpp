// beeline-load: many MQTT clients that send to random peers through a cluster, and judge the result.
//
// Exit code 0 when every message was delivered once, in order for each pair, to whom it was meant,
// and answered; 1 when not; 2 for wrong options. It is a test of correctness under load and prints
// rates and latencies as seen by the clients; the benchmark proper is another program.
#include "common/ops/options.hpp"
#include "common/ops/start_error.hpp"
#include "tests/bench/load_run.hpp"

#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sys/resource.h>

namespace {
using namespace beeline;
using nlohmann::json;

load::settings read_settings(const ops::option_values& o) {
  load::settings s;
  for (const auto& a : o.addresses("edge")) s.edges.push_back({a.host, a.port});
  if (s.edges.empty())
    throw ops::start_error("beeline-load needs --edge HOST:PORT, once for each edge", ops::exit_usage);
  s.prefix = o.text("prefix");
  s.clients = static_cast<std::uint32_t>(o.count("clients", 2, 5000));
  s.messages = static_cast<std::uint32_t>(o.count("messages", 1, 100'000'000));
  s.window = static_cast<std::uint32_t>(o.count("window", 1, 1024));
  s.payload = static_cast<std::uint32_t>(o.size("payload", 0, 1'000'000));
  s.qos = static_cast<std::uint8_t>(o.count("qos", 0, 1));
  s.rate = o.count("rate", 0, 100'000'000);
  s.seed = o.count("seed", 0, ~std::uint64_t{0});
  s.other_edges_only = o.flag("other-edges-only");
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
  return {{"clients", s.clients},
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
          {"messages_per_second", r.seconds > 0 ? static_cast<double>(r.delivered) / r.seconds : 0},
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

int run_program(int argc, char** argv) {
  ops::po::options_description o("Load");
  o.add_options()("edge", ops::values("HOST:PORT"), "MQTT address of an edge; once for each (required)")(
      "clients", ops::value("N", "100"),
      "clients, spread over the edges in turn")("messages", ops::value("N", "10000"), "messages in all")(
      "qos", ops::value("0|1", "1"), "quality of service")("window", ops::value("N", "8"),
                                                           "QoS 1 messages in flight of one client")(
      "payload", ops::value("BYTES", "100"), "payload of a message, at least 20")(
      "rate", ops::value("N", "0"), "messages a second in all; 0 = as fast as the windows allow")(
      "prefix", ops::value("TEXT", "load"), "client ids are TEXT-0, TEXT-1, ...")(
      "other-edges-only", ops::flag(), "send only to clients on other edges")(
      "seed", ops::value("N", "1"), "of the choice of peers")("timeout", ops::value("TIME", "30s"),
                                                              "give up when nothing moves for so long")(
      "faults", ops::flag(), "servers may die during the run: answers other than success are allowed")(
      "json", ops::value("FILE"), "write the result there, too; - for standard output instead of the text");
  const auto values = ops::parse_options(
      {"beeline-load", "Sends messages between many MQTT clients and judges the result.", {o}}, argc, argv);
  const load::settings s = read_settings(values);
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < s.clients + 16)
    throw ops::start_error("--clients " + std::to_string(s.clients) +
                               " needs more open files than the limit of " + std::to_string(files.rlim_cur),
                           ops::exit_fault);
  load::run run(s);
  const load::result r = run.go();
  const bool held = all_held(s, r, values.flag("faults"));
  json j = to_json(s, r);
  j["held"] = held;
  const std::string to = values.text("json");
  if (to == "-") std::printf("%s\n", j.dump().c_str());
  else {
    for (const auto& [name, value] : j.items()) std::printf("%-24s %s\n", name.c_str(), value.dump().c_str());
    if (!to.empty()) {
      std::ofstream file(to);
      file << j.dump(2) << "\n";
      if (!file) throw ops::start_error("cannot write " + ops::quoted(to), ops::exit_fault);
    }
  }
  return held ? 0 : 1;
}
} // namespace

int main(int argc, char** argv) {
  return beeline::ops::run_main("beeline-load", [&] { return run_program(argc, argv); });
}
