#include "tests/support/proc_stats.hpp"

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <set>
#include <stdexcept>
#include <string>
#include <sys/resource.h>
#include <system_error>
#include <thread>
#include <unistd.h>

namespace beeline::test {
namespace {

std::string folder(pid_t pid) { return "/proc/" + std::to_string(pid); }

std::pair<std::size_t, std::size_t> pages(pid_t pid) { // in all, resident
  std::ifstream f(folder(pid) + "/statm");
  std::size_t all = 0, resident = 0;
  f >> all >> resident;
  return {all, resident};
}

std::set<std::size_t> files_of(pid_t pid) {
  std::set<std::size_t> used;
  for (const auto& f : std::filesystem::directory_iterator(folder(pid) + "/fd"))
    used.insert(std::stoul(f.path().filename().string()));
  return used;
}

std::size_t page_bytes() { return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)); }

// Only the soft limit: it can be raised again.
void set_limit(pid_t pid, __rlimit_resource which, rlim_t value) { // RLIM_INFINITY: what the system allows
  rlimit l{};
  if (::prlimit(pid, which, nullptr, &l) == 0) {
    l.rlim_cur = value == RLIM_INFINITY ? l.rlim_max : value;
    if (::prlimit(pid, which, &l, nullptr) == 0) return;
  }
  throw std::system_error(errno, std::generic_category(), "prlimit");
}

} // namespace

std::size_t rss_bytes(pid_t pid) { return pages(pid).second * page_bytes(); }
std::size_t virtual_bytes(pid_t pid) { return pages(pid).first * page_bytes(); }

double cpu_seconds(pid_t pid) {
  double sum = 0;
  std::error_code gone; // threads, and the process, may end meanwhile
  for (std::filesystem::directory_iterator at(folder(pid) + "/task", gone), end; !gone && at != end;
       at.increment(gone)) {
    std::ifstream f(at->path() / "schedstat");
    double ns = 0;
    f >> ns;
    sum += ns / 1e9;
  }
  // A kernel that does not count would make each test of processor time pass.
  if (sum == 0) throw std::runtime_error("no processor time in schedstat of process " + std::to_string(pid));
  return sum;
}

std::size_t open_files(pid_t pid) {
  std::error_code gone;
  const auto all = std::filesystem::directory_iterator(folder(pid) + "/fd", gone);
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

void limit_files(pid_t pid, std::size_t most) {
  set_limit(pid, RLIMIT_NOFILE, most == SIZE_MAX ? RLIM_INFINITY : most);
}
void leave_files(pid_t pid, std::size_t more) {
  std::set<std::size_t> used, before;
  do { // until none is there for a moment alone: a name that is looked up, a connection that is handed on
    before = std::move(used);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    used = files_of(pid);
  } while (used != before);
  std::size_t end = 0; // the limit is of numbers, and new files take the lowest
  for (;; ++end)
    if (!used.contains(end) && more-- == 0) break;
  limit_files(pid, end);
}

void limit_memory(pid_t pid, std::size_t bytes) {
  set_limit(pid, RLIMIT_AS, bytes == SIZE_MAX ? RLIM_INFINITY : bytes);
}

} // namespace beeline::test
