#include "common/net/random.hpp"

#include <cerrno>
#include <sys/random.h>
#include <system_error>

namespace beeline::net {

void fill_random(void* to, std::size_t n) {
  auto* at = static_cast<char*>(to);
  while (n) {
    const auto got = ::getrandom(at, n, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0)
      throw std::system_error(errno, std::generic_category(), "the system gives no random numbers");
    at += got;
    n -= static_cast<std::size_t>(got);
  }
}

} // namespace beeline::net
