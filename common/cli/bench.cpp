// beeline bench: many MQTT clients that send to random peers through a cluster, and a judge of every message.
#include "common/cli/admin.hpp"
#include "common/cli/bench/load_run.hpp"
#include "common/cli/mqtt_words.hpp"
#include "common/net/event_loop.hpp"
#include "common/net/random.hpp"
#include "common/ops/end_wish.hpp"
#include "common/ops/program_options.hpp"

#include <cmath>
#include <csignal>
#include <cstdio>
#include <fmt/format.h>
#include <fstream>

namespace beeline::cli {
namespace {

volatile std::sig_atomic_t interrupts = 0;
ops::end_wish asked_to_end;

void interrupt(int) { // a signal handler
  const time_point now = net::steady_now();
  if (asked_to_end.is_repeat(now)) return;
  asked_to_end.begin(now);
  interrupts = interrupts + 1;
}

std::string random_prefix() { // two runs with one prefix would take over each other's clients
  return fmt::format("load-{:08x}", net::random_number() & 0xffffffff);
}

load::settings read_settings(const ops::option_values& o) {
  load::settings s;
  const std::size_t edges = o.addresses("edge").size();
  if (edges == 0)
    throw ops::start_error("bench: give the MQTT address of each edge: --edge HOST:PORT", ops::exit_usage);
  s.prefix = o.has("prefix") ? o.text("prefix") : random_prefix();
  s.clients = static_cast<std::uint32_t>(o.count("clients", 2, 5000));
  s.messages = static_cast<std::uint32_t>(o.count("messages", 1, 100'000'000));
  s.window = static_cast<std::uint32_t>(o.count("window", 1, 1024));
  s.payload = static_cast<std::uint32_t>(o.size("payload", 0, 1'000'000));
  s.qos = static_cast<std::uint8_t>(o.count("qos", 0, 1));
  s.rate = o.count("rate", 0, 100'000'000);
  s.seed = o.count("seed", 0, ~std::uint64_t{0});
  s.other_edges_only = o.flag("other-edges-only");
  s.faults = o.flag("faults");
  if (s.other_edges_only && edges < 2)
    throw ops::start_error("bench: --other-edges-only needs --edge at least twice", ops::exit_usage);
  s.timeout = o.time("timeout", std::chrono::seconds(1), std::chrono::hours(1));
  return s;
}

std::uint32_t percentile(const std::vector<std::uint32_t>& sorted, double p) {
  return sorted.empty() ? 0 : sorted[static_cast<std::size_t>(p * static_cast<double>(sorted.size() - 1))];
}

json to_json(const load::settings& s, std::size_t edges, const load::result& r) {
  json answers = json::object();
  for (std::size_t code = 0; code < r.answers.size(); ++code)
    if (r.answers[code]) answers[code_text(static_cast<int>(code))] = r.answers[code];
  json j{{"clients", s.clients},
         {"edges", edges},
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
         {"left_out", r.left_out},
         {"never_published", r.never_published},
         {"disconnects", r.disconnects},
         {"disconnect_reasons", r.disconnect_reasons},
         {"connect_seconds", r.connect_seconds},
         {"seconds", r.seconds()},
         {"messages_per_second", std::round(r.messages_per_second())},
         {"delivery_p50_us", percentile(r.delivery_us, 0.5)},
         {"delivery_p99_us", percentile(r.delivery_us, 0.99)},
         {"answer_p50_us", percentile(r.answer_us, 0.5)},
         {"answer_p99_us", percentile(r.answer_us, 0.99)}};
  if (s.rate) {
    j["offered_per_second"] = s.rate;
    j["published_per_second"] = std::round(r.published_per_second());
    j["behind_max_us"] = r.behind_max_us;
  }
  return j;
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
  for (const int number : {SIGINT, SIGTERM}) std::signal(number, interrupt);
  std::vector<load::edge_target> edges;
  for (const auto& where : a.options.addresses("edge")) edges.push_back(load::resolve(where));
  const load::result r = load::run(s, edges, interrupts).go();
  const std::vector<std::string> problems = load::problems(s, r);
  json j = to_json(s, edges.size(), r);
  j["held"] = problems.empty();
  j["problems"] = problems;
  if (a.options.flag("json")) print_pretty_json(j);
  else print_report(j);
  std::fflush(stdout);
  for (const auto& line : problems) complain("bench: " + line);
  for (const auto& line : load::remarks(s, r)) complain("bench: " + line);
  if (a.options.has("report")) write_report(a.options.text("report"), j);
  return problems.empty() ? exit_ok : ops::exit_fault;
}

void declare(po::options_description& o) {
  o.add_options()                                                                             //
      ("edge", ops::values("HOST:PORT"), "MQTT address of an edge; once for each (required)") //
      ("clients", ops::value("N", "100"), "clients, spread over the edges in turn")           //
      ("messages", ops::value("N", "10000"), "messages in all")                               //
      ("qos", ops::value("0|1", "1"), "quality of service")                                   //
      ("window", ops::value("N", "8"), "QoS 1 messages in flight of one client")              //
      ("payload", ops::value("BYTES", "100"), "payload of a message, at least 20")            //
      ("rate", ops::value("N", "0"),
       "messages a second in all, whatever the answers do; 0 = as fast as the windows allow") //
      ("prefix", ops::value("TEXT"),
       "client ids are TEXT-0, TEXT-1, ... (default: load- and a random number)")      //
      ("other-edges-only", ops::flag(), "send only to clients on other edges")         //
      ("seed", ops::value("N", "1"), "of the choice of peers")                         //
      ("timeout", ops::value("TIME", "30s"), "give up when nothing moves for so long") //
      ("faults", ops::flag(),
       "servers may die during the run: other answers than success and lost clients are allowed") //
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
    "delivered once,\n"
    "in order for each pair, to whom it was meant, and what its sender was told. Exit code 1 when one of "
    "these did not\n"
    "hold, when the load fell more than 5 % and 250 ms behind --rate, or when it was interrupted: ^C judges "
    "what there\n"
    "is. With --faults servers may die: other answers than success are fine, the load may fall behind, and "
    "clients that\n"
    "lose their connection are left out of the judgement from then on. Rates and latencies are as the "
    "clients saw\n"
    "them, in one thread that shares the machine with what it measures unless it runs elsewhere.\n"
    "At most 5,000 clients: for more run several, each with a --prefix of its own.",
    "  beeline bench --edge 127.0.0.1:1883 --edge 127.0.0.1:1884\n"
    "  beeline bench --edge 127.0.0.1:1883 --clients 1000 --messages 1000000 --rate 20000\n"
    "  beeline bench --edge 127.0.0.1:1883 --qos 0 --payload 1KiB --json | jq .messages_per_second\n",
    declare,
    run};

} // namespace beeline::cli
