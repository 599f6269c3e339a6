// beeline listen: a client of an id, and the messages that come to it.
#include "common/cli/mqtt_client.hpp"
#include "common/cli/mqtt_options.hpp"

#include <algorithm>
#include <csignal>

namespace beeline::cli {
namespace {

constexpr duration wait_max = std::chrono::milliseconds(100);

volatile std::sig_atomic_t asked_to_end = 0;

// False: nobody reads what it prints any more.
bool show(const incoming& m, bool as_json) {
  const std::string from = m.topic.starts_with("@/") ? m.topic.substr(2) : m.topic;
  if (as_json) {
    const auto slash = from.find('/');
    json j{{"from", from.substr(0, slash)}, {"topic", m.topic}, {"qos", m.qos}};
    if (slash != from.npos) j["channel"] = from.substr(slash + 1);
    if (is_utf8(m.payload)) j["payload"] = m.payload;
    else j["payload_base64"] = base64(m.payload);
    print_json(j);
  } else {
    print(printable(from) + ": " +
          (is_utf8(m.payload) ? printable(m.payload) : "base64 " + base64(m.payload)) + "\n");
  }
  return written();
}

int run(const arguments& a) {
  const ops::option_values& o = a.options;
  if (!o.has("id"))
    throw ops::start_error("listen: give the client id to listen as: --id ID", ops::exit_usage);
  const auto count = o.count("count", 0, 1'000'000'000);
  const auto limit = o.time("timeout", duration::zero(), std::chrono::hours(24 * 365));
  const ops::host_port edge = o.address("edge", ops::port_zero::refused);
  mqtt_client client(edge, o.text("id"), mqtt_version(o), std::chrono::seconds(30));
  for (const int s : {SIGINT, SIGTERM}) std::signal(s, [](int) { asked_to_end = 1; });
  complain("listening as " + ops::quoted(o.text("id")) + " at " + ops::to_string(edge));

  using clock = std::chrono::steady_clock;
  const auto end = limit == duration::zero() ? clock::time_point::max() : clock::now() + limit;
  std::uint64_t seen = 0;
  while (!asked_to_end && (count == 0 || seen < count)) {
    // Asked also while messages come.
    const auto left = end - clock::now();
    if (left <= clock::duration::zero()) return count ? exit_no : exit_ok;
    // In short waits: a signal only sets a flag.
    if (const auto m = client.receive(std::min<duration>(wait_max, std::chrono::ceil<duration>(left)))) {
      if (!show(*m, o.flag("json"))) return ops::exit_fault;
      ++seen;
      continue;
    }
    if (const std::string why = client.why_lost(); !why.empty())
      throw ops::start_error("listen: " + why, ops::exit_fault);
  }
  return exit_ok;
}

void declare(po::options_description& o) {
  o.add_options()("id", ops::value("ID"),
                  "client id to listen as (required); takes over from another of that id")(
      "count,n", ops::value("N", "0"), "end after N messages; 0 = go on until interrupted")(
      "timeout", ops::value("TIME", "0s"),
      "end after this time; exit code 3 if fewer than N came. 0s = never");
  declare_mqtt(o);
}

} // namespace

const command listen_command{"listen",
                             "",
                             0,
                             0,
                             "the messages that come to a client id, through an edge",
                             "Connects to an edge as the MQTT client of --id and prints what is sent to it, "
                             "as \"FROM/CHANNEL: text\" or as JSON\n"
                             "lines; what is no UTF-8 is printed in base64. It answers nothing. Ends with "
                             "exit code 1 when the edge ends the\n"
                             "connection, for example because the same id connects elsewhere.",
                             "  beeline listen --id C2\n"
                             "  beeline listen --id C2 --edge 10.0.0.12:1883 --json | jq -r .payload\n"
                             "  beeline listen --id C2 --count 1 --timeout 10s || echo nothing came\n",
                             declare,
                             run};

} // namespace beeline::cli
