#include "common/ops/build_info.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <link.h>
#include <memory>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef BEELINE_VERSION
#define BEELINE_VERSION "unversioned" // the build gives it to beeline_shell
#endif

namespace beeline::ops {
namespace {

struct start_moment {
  std::chrono::system_clock::time_point wall = std::chrono::system_clock::now();
  std::chrono::steady_clock::time_point steady = std::chrono::steady_clock::now();
};
const start_moment started; // before main

double seconds(const timeval& t) noexcept {
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
}

std::uint64_t rss_bytes() { // "SIZE RESIDENT ..." in pages
  const int file = ::open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  char text[128];
  const ssize_t n = ::read(file, text, sizeof text);
  ::close(file);
  const char* const end = text + std::max<ssize_t>(n, 0);
  const char* const resident = std::find<const char*>(text, end, ' ');
  std::uint64_t pages = 0;
  if (resident != end) std::from_chars(resident + 1, end, pages);
  return pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

std::uint64_t open_fds() {
  // Linux 6.2 and later tell the number as the folder's size. Before, one has to walk: with 100,000
  // connections that takes tens of milliseconds.
  struct stat about {};
  if (::stat("/proc/self/fd", &about) == 0 && about.st_size > 0)
    return static_cast<std::uint64_t>(about.st_size);
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir("/proc/self/fd"), &::closedir);
  if (!folder) return 0;
  std::uint64_t entries = 0;
  while (::readdir(folder.get())) ++entries;
  return entries > 3 ? entries - 3 : 0; // ".", ".." and the folder's own descriptor
}

// The GNU build id in the notes of one object that is loaded. Appends it in hex; 1 ends the walk.
int find_build_id(dl_phdr_info* object, std::size_t, void* text) {
  auto& out = *static_cast<std::string*>(text);
  for (int i = 0; i < object->dlpi_phnum; ++i) {
    const auto& segment = object->dlpi_phdr[i];
    if (segment.p_type != PT_NOTE) continue;
    const char* at = reinterpret_cast<const char*>(object->dlpi_addr + segment.p_vaddr);
    const char* end = at + segment.p_memsz;
    const std::size_t align = segment.p_align == 8 ? 8 : 4;
    const auto padded = [align](std::size_t n) { return (n + align - 1) / align * align; };
    while (at + sizeof(ElfW(Nhdr)) <= end) {
      ElfW(Nhdr) note;
      std::memcpy(&note, at, sizeof note);
      const char* name = at + sizeof note;
      const char* value = name + padded(note.n_namesz);
      if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && std::memcmp(name, "GNU", 4) == 0) {
        for (std::size_t k = 0; k < note.n_descsz; ++k)
          out += fmt::format("{:02x}", static_cast<unsigned char>(value[k]));
        return 1;
      }
      at = value + padded(note.n_descsz);
    }
  }
  return 1; // the program comes first; its libraries are not asked
}

} // namespace

std::string build_id() {
  std::string id;
  ::dl_iterate_phdr(find_build_id, &id);
  return id;
}

std::string_view version() noexcept { return BEELINE_VERSION; }

std::string_view compiler() noexcept {
#if defined(__clang__)
  return "clang " __clang_version__;
#else
  return "g++ " __VERSION__;
#endif
}

std::string_view build_type() noexcept {
#ifdef NDEBUG
  return "release";
#else
  return "debug";
#endif
}

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define BEELINE_ASAN 1
#elif __has_feature(thread_sanitizer)
#define BEELINE_TSAN 1
#endif
#endif

std::string_view sanitizer() noexcept {
#if defined(__SANITIZE_ADDRESS__) || defined(BEELINE_ASAN)
  return "address";
#elif defined(__SANITIZE_THREAD__) || defined(BEELINE_TSAN)
  return "thread";
#else
  return "";
#endif
}

std::string build_text() {
  std::string text(version());
  text.append(" (").append(compiler()).append(", ").append(build_type());
  if (!sanitizer().empty()) text.append(", sanitizer ").append(sanitizer());
  return text + ")";
}

process_stats read_process_stats() {
  process_stats s;
  s.rss_bytes = rss_bytes();
  s.open_fds = open_fds();
  if (rlimit fds{}; ::getrlimit(RLIMIT_NOFILE, &fds) == 0) s.fds_max = fds.rlim_cur;
  rusage use{};
  if (::getrusage(RUSAGE_SELF, &use) == 0) {
    s.cpu_user_seconds = seconds(use.ru_utime);
    s.cpu_system_seconds = seconds(use.ru_stime);
  }
  s.started = started.wall;
  s.uptime_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started.steady).count();
  return s;
}

} // namespace beeline::ops
