#include "edge-server/mqtt/topic.hpp"

#include <cstddef>

namespace beeline::mqtt {
namespace {

constexpr std::size_t string_bytes_max = 65'535;
constexpr std::string_view share_prefix = "$share/";

bool valid_plain_filter(std::string_view f) noexcept {
  if (f.empty()) return false;
  for (std::size_t i = 0; i < f.size(); ++i) {
    const char c = f[i];
    if (c == '\0') return false;
    if (c != '+' && c != '#') continue;
    const bool starts_level = i == 0 || f[i - 1] == '/';
    const bool last = i + 1 == f.size();
    if (!starts_level || !(last || (c == '+' && f[i + 1] == '/'))) return false;
  }
  return true;
}

} // namespace

bool valid_topic_name(std::string_view topic) noexcept {
  if (topic.empty() || topic.size() > string_bytes_max) return false;
  for (char c : topic)
    if (c == '+' || c == '#' || c == '\0') return false;
  return true;
}

bool valid_filter(std::string_view filter) noexcept {
  if (filter.size() > string_bytes_max) return false;
  if (filter == "$share") return false; // a share without name and filter
  if (!is_shared_filter(filter)) return valid_plain_filter(filter);
  filter.remove_prefix(share_prefix.size());
  const std::size_t slash = filter.find('/');
  if (slash == 0 || slash == std::string_view::npos) return false;
  return valid_topic_name(filter.substr(0, slash)) && valid_plain_filter(filter.substr(slash + 1));
}

bool is_shared_filter(std::string_view filter) noexcept { return filter.starts_with(share_prefix); }

bool has_wildcard(std::string_view filter) noexcept {
  return filter.find_first_of("+#") != std::string_view::npos;
}

} // namespace beeline::mqtt
