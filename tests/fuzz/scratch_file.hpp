// A file in memory with a path, for what reads files by their names. Lives as long as its object.
#pragma once
#include "tests/fuzz/fuzz_input.hpp"

#include <string>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace beeline::fuzz {

class scratch_file {
public:
  explicit scratch_file(std::string_view content) : fd_(::memfd_create("fuzz", MFD_CLOEXEC)) {
    MUST_HOLD(fd_ >= 0 && ::fchmod(fd_, 0600) == 0);
    MUST_HOLD(::write(fd_, content.data(), content.size()) == static_cast<ssize_t>(content.size()));
  }
  ~scratch_file() { ::close(fd_); }
  scratch_file(const scratch_file&) = delete;
  scratch_file& operator=(const scratch_file&) = delete;
  std::string path() const { return "/proc/self/fd/" + std::to_string(fd_); }

private:
  int fd_;
};

} // namespace beeline::fuzz
