#include "edge-server/config.hpp"

#include "common/base/limits.hpp"
#include "common/base/utf8.hpp"
#include "common/ops/start_error.hpp"

#include <algorithm>

namespace beeline::edge {
namespace {

using ops::exit_usage;
using ops::start_error;
using ops::value;

ops::option_set options() {
  ops::po::options_description network("Network"), clients("Clients"), ending("End"), limits_group("Limits");
  network.add_options()                                                                                 //
      ("mqtt", value("HOST:PORT", "0.0.0.0:1883"), "where MQTT clients connect")                        //
      ("router", ops::values("HOST:PORT"), "a router's first shard; several routers: give each one")    //
      ("name", value("NAME"), "of this edge server, its own in the cluster (default: the host's name)") //
      ("lanes", value("N"), "threads that share the clients (default: one a processor)");
  clients.add_options() //
      ("connect-timeout", value("TIME", ops::duration_text(limits::connect_max)),
       "from the TCP connection to the whole CONNECT") //
      ("keep-alive-max", value("TIME", ops::duration_text(limits::keep_alive_max)),
       "longest keep-alive; MQTT 5 clients are told") //
      ("receipt-timeout", value("TIME", ops::duration_text(limits::receipt_timeout)),
       "for the recipient's own PUBACK, where a publish asks for it (ack: received)") //
      ("v311-refused", value("WHAT", "puback"),
       "a refused publish of a 3.1.1 client: puback (says nothing) or disconnect");
  ending.add_options() //
      ("drain-time", value("TIME", ops::duration_text(limits::drain_max)),
       "before the end, for clients to go; 0s: they are cut off at once") //
      ("drain-rate", value("N", std::to_string(limits::drain_rate)),
       "clients that are told to go in a second") //
      ("drain-patience", value("TIME", ops::duration_text(limits::drain_patience)),
       "for the messages of one client that is to go to be settled") //
      ("drain-reason", value("WHAT", "use-another-server"),
       "what MQTT 5 clients are told: use-another-server (0x9C) or server-moved (0x9D)") //
      ("server-reference", value("TEXT"), "where MQTT 5 clients are told to go, e.g. edge-2:1883");
  limits_group.add_options() //
      ("max-connections", value("N", std::to_string(limits::connections_max)),
       "MQTT connections, all lanes together") //
      ("max-connections-per-address", value("N", std::to_string(limits::connections_per_address_max)),
       "of these, from one IPv4 address or IPv6 /64; 0: any number") //
      ("connect-rate", value("N", std::to_string(limits::connect_rate)),
       "connections taken in a second, others wait in the kernel; 0: any number")                          //
      ("max-packet-size", value("SIZE", ops::size_text(limits::packet_bytes_max)), "one MQTT packet")      //
      ("max-connect-size", value("SIZE", ops::size_text(limits::connect_bytes_max)), "one CONNECT packet") //
      ("max-prelogin-bytes", value("SIZE", ops::size_text(limits::prelogin_bytes_max)),
       "bytes of connections that are not logged in, all lanes together") //
      ("max-inflight", value("N", std::to_string(limits::inflight_messages_max)),
       "QoS 1 messages of one client without an answer, each way")                                         //
      ("max-inflight-bytes", value("SIZE", ops::size_text(limits::inflight_bytes_max)), "likewise, bytes") //
      ("max-pending", value("N", std::to_string(limits::pending_messages_max)),
       "messages that wait for one recipient")                                                           //
      ("max-pending-bytes", value("SIZE", ops::size_text(limits::pending_bytes_max)), "likewise, bytes") //
      ("max-receipts", value("N", std::to_string(limits::receipts_max)),
       "recipients' receipts that are waited for, and owed, of one lane each") //
      ("max-client-output", value("SIZE", ops::size_text(limits::client_output_bytes_max)),
       "unsent bytes of one client, then QoS 0 is dropped") //
      ("max-memory", value("SIZE", ops::size_text(limits::outputs_bytes_max)),
       "outputs and waiting messages of one lane");
  return {"beeline-edge",
          "Takes MQTT clients in and passes their messages to the routers, and back.",
          {network, ops::secret_options(), clients, ending, limits_group,
           ops::operation_options("127.0.0.1:7481")}};
}

void read_drain(edge_config& c, const ops::option_values& given) {
  c.drain_max = given.time("drain-time", std::chrono::milliseconds(0), std::chrono::hours(24));
  c.drain_patience = given.time("drain-patience", std::chrono::milliseconds(0), std::chrono::hours(1));
  c.drain_rate = static_cast<unsigned>(given.count("drain-rate", 1, 1'000'000));
  c.drain_moved = given.choice("drain-reason", {"use-another-server", "server-moved"}) == "server-moved";
  if (!given.has("server-reference")) return;
  c.server_reference = given.text("server-reference");
  if (c.server_reference.size() > limits::reason_bytes_max || !valid_utf8(c.server_reference))
    throw start_error(given.origin("server-reference") + " " + ops::quoted(c.server_reference) +
                          ": must have at most " + std::to_string(limits::reason_bytes_max) +
                          " bytes of UTF-8",
                      exit_usage);
}

std::vector<ops::host_port> routers_of(const ops::option_values& given) {
  if (!given.has("router"))
    throw start_error("--router is needed; give the address of a router, e.g. --router 127.0.0.1:7400",
                      exit_usage);
  auto all = given.addresses("router");
  if (all.size() > limits::routers_max)
    throw start_error(given.origin("router") + ": more than " + std::to_string(limits::routers_max) +
                          " routers",
                      exit_usage);
  return all;
}

std::string name_of_edge(const ops::option_values& given) {
  if (!given.has("name")) return ops::host_name().substr(0, limits::edge_name_bytes_max);
  std::string name = given.text("name");
  const auto bad = [](char c) { return static_cast<unsigned char>(c) <= 0x20 || c == 0x7f; };
  if (name.size() > limits::edge_name_bytes_max || std::any_of(name.begin(), name.end(), bad) ||
      !valid_utf8(name))
    throw start_error(given.origin("name") + " " + ops::quoted(name) + ": must have at most " +
                          std::to_string(limits::edge_name_bytes_max) + " bytes of UTF-8, without blanks",
                      exit_usage);
  return name;
}

void read_limits(edge_config& c, const ops::option_values& given) {
  using limits::KiB, limits::MiB, limits::GiB;
  c.connections_max = given.count("max-connections", 1, 10'000'000);
  c.connections_per_address_max = given.count("max-connections-per-address", 0, 10'000'000);
  c.connect_rate = static_cast<unsigned>(given.count("connect-rate", 0, 10'000'000));
  c.packet_bytes_max = given.size("max-packet-size", 1 * KiB, limits::packet_bytes_max);
  c.connect_bytes_max = given.size("max-connect-size", 256, limits::connect_bytes_max);
  c.prelogin_bytes_max = given.size("max-prelogin-bytes", 64 * KiB, limits::GiB);
  c.inflight_max = static_cast<std::uint16_t>(given.count("max-inflight", 1, 65'535));
  c.inflight_bytes_max = given.size("max-inflight-bytes", 1 * KiB, 1 * GiB);
  c.pending_max = given.count("max-pending", 0, 1'000'000);
  c.pending_bytes_max = given.size("max-pending-bytes", 0, 1 * GiB);
  c.receipts_max = given.count("max-receipts", 0, 16'000'000);
  c.client_output_max = given.size("max-client-output", 16 * KiB, 1 * GiB);
  c.memory_max = given.size("max-memory", 16 * MiB, 1024 * GiB);
  c.connect_max = given.time("connect-timeout", std::chrono::milliseconds(100), std::chrono::minutes(10));
  c.receipt_timeout = given.time("receipt-timeout", std::chrono::milliseconds(100), std::chrono::hours(1));
  c.keep_alive_max = given.time("keep-alive-max", std::chrono::seconds(1), std::chrono::seconds(65'535));
}

} // namespace

edge_config read_config(int argc, const char* const* argv) {
  const ops::option_values given = ops::parse_options(options(), argc, argv);
  edge_config c;
  c.program = ops::read_program_config(given);
  c.mqtt = given.address("mqtt");
  c.routers = routers_of(given);
  c.name = name_of_edge(given);
  c.lanes = std::min(ops::processors(), static_cast<unsigned>(limits::lanes_max));
  if (given.has("lanes")) c.lanes = static_cast<std::uint32_t>(given.count("lanes", 1, limits::lanes_max));
  c.v311_refused_disconnects = given.choice("v311-refused", {"puback", "disconnect"}) == "disconnect";
  read_limits(c, given);
  read_drain(c, given);
  ops::open_log("beeline-edge", c.program.least, c.program.log_file);
  std::vector<ops::host_port> reached = c.routers; // MQTT is for everybody, links and statistics are not
  reached.push_back(c.program.admin);
  ops::require_secret_or_loopback(c.program, reached);
  return c;
}

} // namespace beeline::edge
