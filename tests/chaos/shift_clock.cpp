// A library to be preloaded: the wall clock of a process is shifted by what a file says at the moment, so
// that it jumps while the process runs. Steady clocks are not touched.
//
// The file (BEELINE_TEST_CLOCK) has two numbers of 8 bytes: the shift in ns, and how often a shifted time was
// told, which shows that the jump was seen. It is mapped; whoever writes to it moves the clock.
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

namespace {

struct shared {
  std::atomic<std::int64_t> shift_ns;
  std::atomic<std::int64_t> told;
};

shared* map_file() {
  const char* path = std::getenv("BEELINE_TEST_CLOCK");
  const int fd = path ? ::open(path, O_RDWR | O_CLOEXEC) : -1;
  if (fd < 0) return nullptr;
  void* at = ::mmap(nullptr, sizeof(shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  ::close(fd);
  return at == MAP_FAILED ? nullptr : static_cast<shared*>(at);
}

shared* file() {
  static shared* const mapped = map_file();
  return mapped;
}

void shift(timespec& t) {
  constexpr std::int64_t second = 1'000'000'000;
  shared* f = file();
  const std::int64_t by = f ? f->shift_ns.load(std::memory_order_relaxed) : 0;
  if (by == 0) return;
  f->told.fetch_add(1, std::memory_order_relaxed);
  const std::int64_t ns = t.tv_nsec + by % second + second;
  t.tv_sec += static_cast<time_t>(by / second + ns / second - 1);
  t.tv_nsec = static_cast<long>(ns % second);
}

using clock_gettime_function = int (*)(clockid_t, timespec*);

} // namespace

extern "C" {

int clock_gettime(clockid_t clock, timespec* t) {
  static const auto real = reinterpret_cast<clock_gettime_function>(::dlsym(RTLD_NEXT, "clock_gettime"));
  const int told = real ? real(clock, t) : static_cast<int>(::syscall(SYS_clock_gettime, clock, t));
  if (told == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) shift(*t);
  return told;
}

int gettimeofday(timeval* t, void*) {
  timespec now{};
  const int told = clock_gettime(CLOCK_REALTIME, &now);
  if (t) t->tv_sec = now.tv_sec, t->tv_usec = now.tv_nsec / 1000;
  return told;
}

time_t time(time_t* t) {
  timespec now{};
  if (clock_gettime(CLOCK_REALTIME, &now) != 0) return static_cast<time_t>(-1);
  if (t) *t = now.tv_sec;
  return now.tv_sec;
}
}
