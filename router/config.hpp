// beeline-router's options, read and checked.
//
// Used from main, before any thread.
#pragma once
#include "common/ops/program_options.hpp"

namespace beeline::router {

struct router_config {
  ops::program_config program;
  ops::host_port listen;
  std::string advertise; // host told to edge servers; empty: the one that they dialled
  std::uint32_t shards = 1;
  ops::slot_range slots;
  std::size_t link_output_max = 0, outputs_max = 0;
  std::size_t clients_max = 0, links_max = 0, handshakes_max = 0; // of one shard
  duration linger{}, warm_up{};
};

// Throws start_error and exit_now; opens the log.
router_config read_config(int argc, const char* const* argv);

} // namespace beeline::router
