#include "common/ops/files.hpp"

#include "common/base/limits.hpp"
#include "common/ops/start_error.hpp"

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

namespace beeline::ops {
namespace {

struct descriptor {
  int fd;
  ~descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

[[noreturn]] void fault(std::string_view what, const std::string& path, const std::string& text) {
  throw start_error(std::string(what) + " " + quoted(path) + ": " + text, exit_fault);
}

[[noreturn]] void cannot_read(std::string_view what, const std::string& path, int error) {
  const auto why = std::generic_category().message(error);
  fault(what, path, "cannot read: " + why + "; check the path and its permissions");
}

std::string read_all(std::string_view what, const std::string& path, std::size_t bytes_max, mode_t refuse) {
  const descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.fd < 0) cannot_read(what, path, errno);
  struct stat st {};
  if (::fstat(file.fd, &st) != 0) cannot_read(what, path, errno);
  if (S_ISDIR(st.st_mode)) cannot_read(what, path, EISDIR);
  // Asked of the open file, so that it cannot be exchanged between the question and the reading.
  if (S_ISREG(st.st_mode) && (st.st_mode & refuse) != 0)
    fault(what, path, "other users may access this secret; run: chmod o-rwx " + quoted(path));
  std::string text(bytes_max + 1, '\0');
  std::size_t used = 0;
  while (used < text.size()) {
    const auto n = ::read(file.fd, text.data() + used, text.size() - used);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) cannot_read(what, path, errno);
    if (n == 0) break;
    used += static_cast<std::size_t>(n);
  }
  if (used > bytes_max)
    fault(what, path, "longer than " + std::to_string(bytes_max) + " bytes; is it the right file?");
  text.resize(used);
  return text;
}

} // namespace

std::string read_small_file(std::string_view what, const std::string& path, std::size_t bytes_max) {
  return read_all(what, path, bytes_max, 0);
}

std::string read_secret_file(std::string_view what, const std::string& path) {
  std::string secret = read_all(what, path, limits::secret_bytes_max, S_IRWXO);
  if (secret.ends_with('\n')) secret.pop_back();
  if (secret.find_first_not_of(" \t\r\n") == secret.npos)
    fault(what, path, "the file is empty; put a secret in it, e.g. with: openssl rand -hex 32");
  return secret;
}

} // namespace beeline::ops
