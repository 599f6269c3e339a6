#include "tests/chaos/history.hpp"

#include "common/net/unique_fd.hpp"

#include <array>
#include <cstring>
#include <fcntl.h>
#include <stdexcept>
#include <sys/mman.h>
#include <sys/stat.h>

namespace beeline::chaos {
namespace {
constexpr std::array<char, 8> magic{'B', 'L', 'C', 'H', 'A', 'O', 'S', '1'};
static_assert(magic.size() % alignof(record) == 0);
} // namespace

history_writer::history_writer(const std::string& path) : path_(path), file_(path, std::ios::binary) {
  file_.write(magic.data(), magic.size());
  waiting_.reserve(step);
}

void history_writer::flush() {
  file_.write(reinterpret_cast<const char*>(waiting_.data()),
              static_cast<std::streamsize>(waiting_.size() * sizeof(record)));
  waiting_.clear();
}

void history_writer::close() {
  flush();
  file_.close();
  if (!file_) throw std::runtime_error("cannot write " + path_);
}

history_file::history_file(const std::string& path) {
  const net::unique_fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat s {};
  if (!fd || ::fstat(fd.get(), &s) != 0) throw std::runtime_error("cannot read " + path);
  bytes_ = static_cast<std::size_t>(s.st_size);
  if (bytes_ < magic.size() || (bytes_ - magic.size()) % sizeof(record) != 0)
    throw std::runtime_error(path + " is not a whole history");
  void* const at = ::mmap(nullptr, bytes_, PROT_READ, MAP_PRIVATE, fd.get(), 0);
  if (at == MAP_FAILED) throw std::runtime_error("cannot read " + path);
  at_ = static_cast<const char*>(at);
  if (std::memcmp(at_, magic.data(), magic.size()) == 0) return;
  ::munmap(at, bytes_);
  throw std::runtime_error(path + " is not a whole history");
}

history_file::~history_file() { ::munmap(const_cast<char*>(at_), bytes_); }

std::span<const record> history_file::records() const noexcept {
  return {reinterpret_cast<const record*>(at_ + magic.size()), (bytes_ - magic.size()) / sizeof(record)};
}

} // namespace beeline::chaos
