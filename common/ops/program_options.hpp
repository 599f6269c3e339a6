// Options that both programs have, and rules about them.
//
// Used from main, before any thread. Throws start_error.
#pragma once
#include "common/ops/logging.hpp"
#include "common/ops/options.hpp"

namespace beeline::ops {

struct program_config {
  host_port admin;
  log_level least = log_level::info;
  std::string log_file;
  std::string secret; // of the cluster; empty: none was given
};

po::options_description operation_options(const std::string& admin_preset); // --admin, --log-level, ...
po::options_description secret_options();                                   // --cluster-secret-file
program_config read_program_config(const option_values& given);

bool is_loopback(std::string_view host) noexcept; // "localhost", 127.0.0.0/8, ::1

// Fails closed: without a secret only `addresses` that no other machine can reach are allowed.
void require_secret_or_loopback(const program_config& config, const std::vector<host_port>& addresses);

unsigned processors() noexcept; // at least 1
std::string host_name();
// Lets the process have as many descriptors as the system allows; returns how many.
std::uint64_t raise_descriptor_limit() noexcept;

} // namespace beeline::ops
