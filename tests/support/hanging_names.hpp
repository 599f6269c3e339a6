// Names that take as long to resolve as a test wants: this program's getaddrinfo stands before the one of
// libc, also for the shared libraries that it has loaded. Names that end in ".hangs" wait until they are
// released, and are then addresses of this machine; all others are asked of libc.
//
// Any thread. Create one at a time; destroying it releases all that waits.
#pragma once

namespace beeline::test {

class hanging_names {
public:
  hanging_names();
  ~hanging_names(); // all lookups have returned when this does
  hanging_names(const hanging_names&) = delete;
  hanging_names& operator=(const hanging_names&) = delete;

  void release();      // what waits now, and what comes later
  int waiting() const; // threads in getaddrinfo
  int lookups() const; // begun, of such names
};

} // namespace beeline::test
