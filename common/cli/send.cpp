// beeline send: a message to one client, and what its receipt says.
#include "common/cli/mqtt_client.hpp"
#include "common/cli/mqtt_options.hpp"
#include "common/cli/mqtt_words.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>
#include <vector>

namespace beeline::cli {
namespace {

constexpr std::size_t payload_bytes_max = 268'435'455 - 65'536; // MQTT's largest packet, less its head
constexpr std::size_t read_piece_bytes =
    65'536; // of a file or standard input: memory grows with what is there

std::string read_all(std::istream& in, const std::string& what) {
  std::string out;
  std::vector<char> piece(read_piece_bytes);
  do {
    in.read(piece.data(), static_cast<std::streamsize>(piece.size()));
    if (in.bad()) throw ops::start_error("send: cannot read " + what, ops::exit_fault);
    out.append(piece.data(), static_cast<std::size_t>(in.gcount()));
  } while (in && out.size() <= payload_bytes_max);
  if (out.size() > payload_bytes_max)
    throw ops::start_error("send: " + what + " is larger than an MQTT packet can be", ops::exit_usage);
  return out;
}

std::string payload_of(const arguments& a) {
  const std::string file = a.options.text("file");
  const bool word = a.words.size() == 2;
  if (word == !file.empty())
    throw ops::start_error("send: give one of: a MESSAGE, - for standard input, --file FILE",
                           ops::exit_usage);
  if (word && a.words[1] != "-") return a.words[1];
  if (word) return read_all(std::cin, "standard input");
  std::ifstream in(file, std::ios::binary);
  if (!in)
    throw ops::start_error("send: cannot open " + ops::quoted(file) + ": " + std::strerror(errno),
                           ops::exit_fault);
  return read_all(in, ops::quoted(file));
}

std::string topic_of(std::string to) {
  if (to.starts_with("@/")) to.erase(0, 2);
  if (to.empty() || to.starts_with('/') || to.find_first_of("+#") != to.npos)
    throw ops::start_error("send: " + ops::quoted(to) +
                               " is no address; write CLIENT or CLIENT/CHANNEL, without + and #",
                           ops::exit_usage);
  return "@/" + to;
}

struct letter {
  std::string topic, payload;
  int qos, version;
  bool as_json;
};

// Sends it once and says what came of it; true when it was not refused.
bool send_one(mqtt_client& client, const letter& l) {
  const auto begin = std::chrono::steady_clock::now();
  const receipt r = client.publish(l.topic, l.payload, l.qos);
  const double us =
      std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin).count();
  if (!r.sent) throw ops::start_error("send: not sent: " + r.reason, ops::exit_fault);
  if (r.lost)
    throw ops::start_error("send: no receipt: " + r.reason + "; it may have arrived or not", ops::exit_fault);
  const bool told = l.qos == 1 && l.version == 5;
  const std::string words =
      l.qos == 0 ? "sent (QoS 0 has no receipt)" : receipt_words(r.code, l.version, r.reason);
  if (l.as_json) {
    json j{{"to", l.topic.substr(2)}, {"qos", l.qos}, {"bytes", l.payload.size()}, {"us", us}};
    j["code"] = told ? json(r.code) : json(nullptr);
    j["outcome"] = told ? std::string(outcome_name(r.code, r.reason)) : l.qos == 0 ? "sent" : "settled";
    if (!r.reason.empty()) j["reason"] = r.reason;
    print_json(j);
  } else {
    print(printable(l.topic.substr(2) + ": " + words) + ", " + microseconds_text(us) + "\n");
  }
  std::fflush(stdout);
  return r.code == 0;
}

int run(const arguments& a) {
  const ops::option_values& o = a.options;
  const letter l{topic_of(a.words[0]), payload_of(a), static_cast<int>(o.count("qos", 0, 1)), mqtt_version(o),
                 o.flag("json")};
  const auto count = o.count("count", 1, 1'000'000'000);
  const auto interval = o.time("interval", duration::zero(), std::chrono::hours(24));
  const auto patience = o.time("timeout", std::chrono::milliseconds(10), std::chrono::hours(1));
  const std::string id = o.text("id").empty() ? random_client_id() : o.text("id");
  mqtt_client client(o.address("edge", ops::port_zero::refused), id, l.version, patience);
  std::uint64_t accepted = 0;
  for (std::uint64_t k = 0; k < count; ++k) {
    if (k) client.wait(interval);
    accepted += send_one(client, l);
  }
  if (count > 1 && !l.as_json)
    print(std::to_string(accepted) + " of " + std::to_string(count) + " not refused\n");
  return accepted == count ? exit_ok : exit_no;
}

void declare(po::options_description& o) {
  o.add_options()("id", ops::value("ID"), "client id to send as (default: a random one)")(
      "qos,q", ops::value("0|1", "1"), "1: with a receipt")("file", ops::value("FILE"),
                                                            "the message is its content")(
      "count,n", ops::value("N", "1"), "send it N times, each after the receipt of the one before")(
      "interval,i", ops::value("TIME", "0s"), "between two of them")(
      "timeout", ops::value("TIME", "90s"), "how long to wait for the edge, and for a receipt");
  declare_mqtt(o);
}

} // namespace

const command send_command{"send",
                           "TO[/CHANNEL] [MESSAGE|-]",
                           1,
                           2,
                           "a message through an edge, and what its receipt says",
                           "Connects to an edge as an MQTT client, publishes to @/TO[/CHANNEL], and says in "
                           "words what the receipt says: accepted,\n"
                           "nobody there, queue full, outcome unknown. Exit code 3 when the message was "
                           "refused. \"-\" reads the message\n"
                           "from standard input; a MESSAGE that begins with a dash stands behind \"--\".",
                           "  beeline send C2/chat hello\n"
                           "  beeline send C2 --edge 10.0.0.11:1883 --file picture.png\n"
                           "  date | beeline send C2/time - --id clock\n"
                           "  beeline send C2 ping --count 10 --interval 1s --json\n",
                           declare,
                           run};

} // namespace beeline::cli
