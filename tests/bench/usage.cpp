#include "tests/bench/usage.hpp"

#include <ctime>
#include <fstream>
#include <stdexcept>
#include <unistd.h>

namespace beeline::bench {
namespace {

std::int64_t read_clock(clockid_t which) noexcept {
  timespec t{};
  return ::clock_gettime(which, &t) == 0 ? std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec : -1;
}

} // namespace

std::int64_t cpu_ns(pid_t pid) {
  clockid_t which{};
  if (::clock_getcpuclockid(pid, &which) == 0)
    if (const std::int64_t ns = read_clock(which); ns >= 0) return ns;
  throw std::runtime_error("process " + std::to_string(pid) + " is gone");
}

std::int64_t own_cpu_ns() noexcept { return read_clock(CLOCK_PROCESS_CPUTIME_ID); }

std::uint64_t rss_bytes(pid_t pid) {
  std::ifstream f("/proc/" + std::to_string(pid) + "/statm");
  std::uint64_t all = 0, resident = 0;
  if (!(f >> all >> resident)) throw std::runtime_error("process " + std::to_string(pid) + " is gone");
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

usage look(const std::vector<server>& servers) {
  usage u;
  for (const server& s : servers) u.cpu.push_back(cpu_ns(s.pid));
  u.own = own_cpu_ns();
  return u;
}

} // namespace beeline::bench
