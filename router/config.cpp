#include "router/config.hpp"

#include "common/base/ids.hpp"
#include "common/base/limits.hpp"
#include "common/ops/start_error.hpp"

#include <algorithm>

namespace beeline::router {
namespace {

using ops::exit_usage;
using ops::start_error;
using ops::value;

ops::option_set options() {
  ops::po::options_description network("Network"), limits_group("Limits");
  network.add_options()                                                                                    //
      ("listen", value("HOST:PORT", "0.0.0.0:7400"), "for edge servers; shard k listens at PORT + k")      //
      ("advertise", value("HOST"), "host under which edge servers reach the shards (default: as dialled)") //
      ("shards", value("N"), "threads that share the slots (default: one a processor)")                    //
      ("slots", value("FIRST-LAST", "0-4095"), "this router's part, where several share the work")         //
      ("warm-up", value("TIME", ops::duration_text(limits::warm_up)),
       "after a start without news of missing edge servers, wait so long") //
      ("linger", value("TIME", ops::duration_text(limits::linger)),
       "clients of a lost edge server stay known so long");
  limits_group.add_options()                                                                      //
      ("clients-max", value("N", std::to_string(limits::clients_max)), "client ids of one shard") //
      ("links-max", value("N", std::to_string(limits::links_max)), "links of one shard")          //
      ("handshakes-max", value("N", std::to_string(limits::handshakes_max)),
       "connections to one shard that are not links yet; then the oldest is closed") //
      ("link-output-max", value("SIZE", ops::size_text(limits::link_output_bytes_max)),
       "waiting for one link; then QoS 1 is told to wait, QoS 0 dropped") //
      ("outputs-max", value("SIZE", ops::size_text(limits::outputs_bytes_max)),
       "waiting for all links of one shard");
  return {"beeline-router",
          "Knows which edge server has which client, and passes each message to that one alone.",
          {network, ops::secret_options(), limits_group, ops::operation_options("127.0.0.1:7480")}};
}

void check(const router_config& c, const ops::option_values& given) {
  const std::uint32_t slots = c.slots.last - c.slots.first + 1;
  if (c.shards > slots)
    throw start_error(given.origin("shards") + " " + std::to_string(c.shards) + ": more shards than slots (" +
                          std::to_string(slots) + "); give fewer shards or more --slots",
                      exit_usage);
  if (c.listen.port && c.listen.port + c.shards - 1 > 65'535)
    throw start_error(given.origin("listen") + " " + ops::to_string(c.listen) + ": the ports of " +
                          std::to_string(c.shards) + " shards end above 65535; give a lower port",
                      exit_usage);
  if (c.advertise.size() > limits::host_name_bytes_max ||
      c.advertise.find_first_of(" /,") != c.advertise.npos)
    throw start_error(given.origin("advertise") + " " + ops::quoted(c.advertise) +
                          ": must be a host name or an address, without a port",
                      exit_usage);
}

} // namespace

router_config read_config(int argc, const char* const* argv) {
  const ops::option_values given = ops::parse_options(options(), argc, argv);
  router_config c;
  c.program = ops::read_program_config(given);
  c.listen = given.address("listen");
  c.advertise = given.text("advertise");
  c.slots = given.slots("slots");
  c.shards = std::min({ops::processors(), c.slots.last - c.slots.first + 1,
                       static_cast<std::uint32_t>(limits::shards_per_router_max)});
  if (given.has("shards"))
    c.shards = static_cast<std::uint32_t>(given.count("shards", 1, limits::shards_per_router_max));
  c.link_output_max = given.size("link-output-max", 2 * limits::link_window_bytes_max, limits::GiB);
  c.outputs_max = given.size("outputs-max", 16 * limits::MiB, 1024 * limits::GiB);
  c.clients_max = given.count("clients-max", 1, 1'000'000'000);
  c.links_max = given.count("links-max", 1, limits::members_max);
  c.handshakes_max = given.count("handshakes-max", 1, limits::members_max);
  c.linger = given.time("linger", duration::zero(), std::chrono::minutes(1));
  c.warm_up = given.time("warm-up", duration::zero(), std::chrono::minutes(10));
  check(c, given);
  ops::open_log("beeline-router", c.program.least, c.program.log_file);
  ops::require_secret_or_loopback(c.program, {c.listen, c.program.admin});
  return c;
}

} // namespace beeline::router
