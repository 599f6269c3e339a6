// Which build this is, and what the process uses. For --version, /stats and /metrics.
//
// Reads /proc and the clock: the thread that makes pages and start-up only, never a lane or shard. No state
// but the moment the process started.
#pragma once
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace beeline::ops {

std::string_view version() noexcept;    // "0.1.0"
std::string_view compiler() noexcept;   // "g++ 12.2.0"
std::string_view build_type() noexcept; // "release" or "debug"
std::string_view sanitizer() noexcept;  // "address", "thread" or ""
std::string build_id();                 // of the program file, as the linker stamped it; "" without
std::string build_text();               // "0.1.0 (g++ 12.2.0, release)"

struct process_stats {
  std::uint64_t rss_bytes = 0;
  double cpu_user_seconds = 0;
  double cpu_system_seconds = 0;
  std::uint64_t open_fds = 0;
  std::uint64_t fds_max = 0; // RLIMIT_NOFILE
  std::chrono::system_clock::time_point started;
  double uptime_seconds = 0;
};
process_stats read_process_stats(); // what cannot be read is 0

} // namespace beeline::ops
