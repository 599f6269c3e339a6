#include "tests/support/hanging_names.hpp"

#include <condition_variable>
#include <dlfcn.h>
#include <mutex>
#include <netdb.h>
#include <string_view>

namespace {
struct {
  std::mutex mutex;
  std::condition_variable changed;
  bool held = false;
  int waiting = 0, begun = 0;
} gate;

void wait_at_gate() {
  std::unique_lock lock(gate.mutex);
  ++gate.begun, ++gate.waiting;
  gate.changed.wait(lock, [] { return !gate.held; });
  --gate.waiting;
  gate.changed.notify_all();
}
} // namespace

extern "C" int getaddrinfo(const char* name, const char* service, const addrinfo* hints, addrinfo** found) {
  static const auto of_libc = reinterpret_cast<decltype(&getaddrinfo)>(::dlsym(RTLD_NEXT, "getaddrinfo"));
  if (!name || !std::string_view(name).ends_with(".hangs")) return of_libc(name, service, hints, found);
  wait_at_gate();
  return of_libc("127.0.0.1", service, hints, found);
}

namespace beeline::test {

hanging_names::hanging_names() {
  const std::lock_guard lock(gate.mutex);
  gate.held = true;
  gate.begun = 0;
}
hanging_names::~hanging_names() {
  release();
  std::unique_lock lock(gate.mutex);
  gate.changed.wait(lock, [] { return gate.waiting == 0; });
}
void hanging_names::release() {
  const std::lock_guard lock(gate.mutex);
  gate.held = false;
  gate.changed.notify_all();
}
int hanging_names::waiting() const {
  const std::lock_guard lock(gate.mutex);
  return gate.waiting;
}
int hanging_names::lookups() const {
  const std::lock_guard lock(gate.mutex);
  return gate.begun;
}

} // namespace beeline::test
