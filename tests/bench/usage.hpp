// Processor time and memory of processes: of the servers under test, and of this one. Any thread; no state.
#pragma once
#include <cstdint>
#include <string>
#include <sys/types.h>
#include <vector>

namespace beeline::bench {

struct server {
  std::string name;
  pid_t pid = 0;
};

std::int64_t
cpu_ns(pid_t pid); // user and system, of all its threads; throws std::runtime_error if it is gone
std::uint64_t rss_bytes(pid_t pid); // resident
std::int64_t own_cpu_ns() noexcept;

struct usage {
  std::vector<std::int64_t> cpu; // by server
  std::int64_t own = 0;
};
usage look(const std::vector<server>& servers);

} // namespace beeline::bench
