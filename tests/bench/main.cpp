// beeline-bench: what a message costs the servers, and how long it takes. The workloads:
//
//   trunk      8 pairs of clients, 4,096 messages of each in flight, flat out
//   crowd      1,000 senders, each message to a random one of 1,000 receivers, at a fixed rate in all
//   steady     one pair, 1,000 messages a second
//   ping-pong  two clients, one message: who gets it sends it back
//   storm      clients that connect, so many at a time, as fast as they are let in
//   idle       clients that connect, and stay
//
// Senders are at the first --to, receivers at the last. Every run counts what is lost, doubled and out of
// order. The load generator is one thread without a client library; what it costs itself is printed beside
// the servers' cost. (beeline bench, without the hyphen, is for users: it judges a cluster of theirs, and is
// not made to be cheap.)
#include "common/ops/program_options.hpp"
#include "common/ops/start_error.hpp"
#include "tests/bench/report.hpp"

#include <cstdio>
#include <fmt/format.h>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sys/prctl.h>

namespace beeline::bench {
namespace {

using ops::value;

ops::option_set declare() {
  ops::po::options_description what("What is sent"), where("Where to"), how("How");
  what.add_options()                                                                          //
      ("workload", value("NAME", "trunk"), "trunk, crowd, steady, ping-pong, storm or idle")  //
      ("qos", value("0|1", "0"), "quality of service; 1: until sender's PUBACK and delivery") //
      ("payload", value("BYTES", "100"), "of a message, at least 16")                         //
      ("pairs", value("N", "8"), "trunk: pairs of clients")                                   //
      ("window", value("N", "4096"), "trunk: messages in flight of each pair")                //
      ("senders", value("N", "1000"), "crowd")                                                //
      ("receivers", value("N", "1000"), "crowd")                                              //
      ("rate", value("N"), "crowd (100000), steady (1000): messages a second in all")         //
      ("clients", value("N", "19000"), "storm, idle")                                         //
      ("connecting", value("N", "64"), "clients that connect at a time")                      //
      ("seed", value("N", "1"), "of the choice of peers; also part of the clients' ids");
  where.add_options()                                                                                  //
      ("to", ops::values("HOST:PORT"), "server of the senders, then that of the receivers (required)") //
      ("protocol", value("NAME", "mqtt5"), "mqtt5, mqtt311, nats, redis, zmtp or relay")               //
      ("topics", value("direct|subscribed", "direct"),
       "MQTT: publish to @/ID, or to b/ID to which the receiver subscribes")                     //
      ("callback-port", value("PORT", "0"), "relay: where the far end of the chain connects to") //
      ("server", ops::values("NAME=PID"),
       "process whose CPU and memory are told; may be given several times");
  how.add_options()                                                                           //
      ("runs", value("N", "3"), "how often")                                                  //
      ("time", value("TIME", "5s"), "that is measured, in each run; idle: that clients stay") //
      ("warm-up", value("TIME", "2s"), "before it")                                           //
      ("settle", value("TIME", "300ms"), "between the last connect and the first message")    //
      ("json", ops::flag(), "print JSON")                                                     //
      ("report", value("FILE"), "write the JSON there, too");
  return {"beeline-bench",
          "a load generator for Beeline and its peers; what messages cost and how long they take",
          {what, where, how}};
}

std::vector<server> read_servers(const ops::option_values& o) {
  std::vector<server> out;
  for (const std::string& text : o.list("server")) {
    const std::size_t at = text.find('=');
    char* end = nullptr;
    const long pid = at == text.npos ? 0 : std::strtol(text.c_str() + at + 1, &end, 10);
    if (pid <= 0 || *end != '\0')
      throw ops::start_error("--server takes NAME=PID, not '" + text + "'", ops::exit_usage);
    out.push_back({text.substr(0, at), static_cast<pid_t>(pid)});
  }
  return out;
}

double seconds(const ops::option_values& o, const char* name, duration least) {
  return std::chrono::duration<double>(o.time(name, least, std::chrono::hours(1))).count();
}

settings read_settings(const ops::option_values& o) {
  using std::chrono::milliseconds;
  settings s;
  s.what = *workload_of(o.choice("workload", {"trunk", "crowd", "steady", "ping-pong", "storm", "idle"}));
  s.protocol = o.choice("protocol", {"mqtt5", "mqtt311", "nats", "redis", "zmtp", "relay"});
  s.direct = o.choice("topics", {"direct", "subscribed"}) == "direct";
  const auto count = [&o](const char* name, std::uint64_t min, std::uint64_t max) {
    return static_cast<std::uint32_t>(o.count(name, min, max));
  };
  s.qos = static_cast<std::uint8_t>(count("qos", 0, 1));
  s.payload = static_cast<std::uint32_t>(o.size("payload", stamp::size, 128 * 1024));
  s.pairs = count("pairs", 1, 1000);
  s.window = count("window", 1, 60'000);
  s.senders = count("senders", 1, stamp::clients_max / 2);
  s.receivers = count("receivers", 1, stamp::clients_max / 2);
  s.clients = count("clients", 1, 1'000'000);
  s.connecting = count("connecting", 1, 10'000);
  s.seed = o.count("seed", 0, ~std::uint64_t{0});
  if (s.what == workload::steady) s.rate = 1000;
  if (o.has("rate")) s.rate = static_cast<double>(o.count("rate", 1, 100'000'000));
  s.callback_port = static_cast<std::uint16_t>(count("callback-port", 0, 65535));
  s.servers = read_servers(o);
  s.seconds = seconds(o, "time", milliseconds(100));
  s.warm_up = seconds(o, "warm-up", milliseconds(0));
  s.settle = seconds(o, "settle", milliseconds(0));
  if (s.qos > make_dialect(s.protocol, s.direct, s.qos)->qos_max())
    throw ops::start_error("--qos 1 is for MQTT", ops::exit_usage);
  for (const host_port& to : o.addresses("to")) s.targets.push_back(resolve(to.host, to.port));
  if (s.targets.empty())
    throw ops::start_error("--to HOST:PORT is missing: where do the clients connect?", ops::exit_usage);
  return s;
}

int go(int argc, char** argv) {
  const ops::option_values o = ops::parse_options(declare(), argc, argv);
  settings s = read_settings(o);
  ::prctl(PR_SET_TIMERSLACK, 1); // due is due
  ops::raise_descriptor_limit();
  std::vector<result> runs;
  const std::uint64_t count = o.count("runs", 1, 1000);
  for (std::uint64_t i = 0; i < count; ++i, ++s.seed) runs.push_back(run_once(s));
  s.seed -= count;
  const nlohmann::json j = to_json(s, runs);
  std::fputs((o.flag("json") ? j.dump(2) + "\n" : to_table(j)).c_str(), stdout);
  if (o.has("report")) {
    std::ofstream file(o.text("report"));
    file << j.dump(2) << "\n";
    file.close();
    if (!file) throw ops::start_error("cannot write '" + o.text("report") + "'", ops::exit_fault);
  }
  return j["held"].get<bool>() ? 0 : 1;
}

} // namespace
} // namespace beeline::bench

int main(int argc, char** argv) {
  return beeline::ops::run_main("beeline-bench", [&] { return beeline::bench::go(argc, argv); });
}
