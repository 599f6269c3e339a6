// What the system says of another process: memory, processor time, descriptors. For tests whose subject may
// be unable to tell it itself. Any thread; no state.
#pragma once
#include <cstdint>
#include <sys/types.h>

namespace beeline::test {

std::size_t rss_bytes(pid_t pid);
std::size_t virtual_bytes(pid_t pid);
double cpu_seconds(pid_t pid); // of all its threads that live, to the nanosecond; throws if nobody counts it
std::size_t open_files(pid_t pid);
// The process may have so many files, or so much address space, from now on; SIZE_MAX: what the system
// allows. Throws std::system_error.
void limit_files(pid_t pid, std::size_t most);
void leave_files(pid_t pid, std::size_t more); // it may open so many more, and no further ones
void limit_memory(pid_t pid, std::size_t bytes);

} // namespace beeline::test
