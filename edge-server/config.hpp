// beeline-edge's options, read and checked.
//
// Used from main, before any thread.
#pragma once
#include "common/ops/program_options.hpp"

namespace beeline::edge {

struct edge_config {
  ops::program_config program;
  ops::host_port mqtt;
  std::vector<ops::host_port> routers;
  std::string name;
  std::uint32_t lanes = 1;
  std::uint64_t connections_max = 0, connections_per_address_max = 0; // 0: no limit
  std::uint64_t descriptors_for_clients = ~std::uint64_t{0};          // what the file limit leaves
  unsigned connect_rate = 0; // connections a second, all lanes together; 0: no limit
  std::size_t packet_bytes_max = 0, connect_bytes_max = 0, prelogin_bytes_max = 0;
  std::uint16_t inflight_max = 0;
  std::size_t inflight_bytes_max = 0, pending_max = 0, pending_bytes_max = 0, client_output_max = 0,
              memory_max = 0, receipts_max = 0;
  duration connect_max{}, keep_alive_max{}, receipt_timeout{};
  bool v311_refused_disconnects = false;
  duration drain_max{}, drain_patience{};
  unsigned drain_rate = 0; // clients a second, all lanes together
  bool drain_moved = false;
  std::string server_reference;
};

// Throws start_error and exit_now; opens the log.
edge_config read_config(int argc, const char* const* argv);

} // namespace beeline::edge
