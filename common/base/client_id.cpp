#include "common/base/client_id.hpp"

#include "common/base/limits.hpp"

namespace beeline {

bool valid_client_id(std::string_view id) noexcept {
  if (id.empty() || id.size() > limits::client_id_bytes_max) return false;
  for (std::size_t i = 0; i < id.size(); ++i) {
    const auto c = static_cast<unsigned char>(id[i]);
    if (c < 0x20 || c == 0x7f || c == '/' || c == '+' || c == '#') return false;
    // U+0080 to U+009F, the second block of control characters.
    if (c == 0xc2 && i + 1 < id.size() && static_cast<unsigned char>(id[i + 1]) < 0xa0) return false;
  }
  return true;
}

} // namespace beeline
