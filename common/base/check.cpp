#include "common/base/check.hpp"

#include <cstdio>
#include <cstdlib>

namespace beeline {
void check_failed(const char* expression, const char* file, int line) noexcept {
  std::fprintf(stderr, "beeline: internal error: %s is false (%s:%d)\n", expression, file, line);
  std::fflush(stderr);
  std::abort();
}
} // namespace beeline
