// CAT-10, 13, 21, 25: the small parsers that everything else rests on: UTF-8, client ids, topics and filters,
// addresses, sizes, times, slots, numbers, secret files; and what people are shown of texts that came from
// others.
//
// What must hold: each agrees with the rule written down once more, in another way; what is printed is read
// back as the same; a text of any bytes is shown without a control character.
#include "common/base/client_id.hpp"
#include "common/base/ids.hpp"
#include "common/base/limits.hpp"
#include "common/base/utf8.hpp"
#include "common/cli/text.hpp"
#include "common/ops/files.hpp"
#include "common/ops/logging.hpp"
#include "common/ops/parse.hpp"
#include "common/ops/start_error.hpp"
#include "edge-server/mqtt/topic.hpp"
#include "tests/fuzz/scratch_file.hpp"

#include <algorithm>
#include <vector>

using namespace beeline;

namespace {

// --- references ----------------------------------------------------------------------------------

// Code points, by RFC 3629's table of ranges turned round: encode what was decoded and compare.
bool utf8_by_code_points(std::string_view s) {
  for (std::size_t i = 0; i < s.size();) {
    const auto first = static_cast<unsigned char>(s[i]);
    const std::size_t n = first < 0x80       ? 1
                          : first >> 5 == 6  ? 2
                          : first >> 4 == 14 ? 3
                          : first >> 3 == 30 ? 4
                                             : 0;
    if (n == 0 || s.size() - i < n) return false;
    std::uint32_t c = n == 1 ? first : first & (0x7fu >> n);
    for (std::size_t k = 1; k < n; ++k) {
      const auto tail = static_cast<unsigned char>(s[i + k]);
      if (tail >> 6 != 2) return false;
      c = c << 6 | (tail & 63u);
    }
    constexpr std::uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) return false;
    i += n;
  }
  return true;
}

std::vector<std::string_view> levels(std::string_view s) {
  std::vector<std::string_view> all;
  for (std::size_t slash; (slash = s.find('/')) != s.npos; s.remove_prefix(slash + 1))
    all.push_back(s.substr(0, slash));
  all.push_back(s);
  return all;
}
bool plain_filter(const std::vector<std::string_view>& all, std::size_t from) {
  if (from >= all.size() || (all.size() - from == 1 && all[from].empty())) return false;
  for (std::size_t i = from; i < all.size(); ++i) {
    const bool wild = all[i].find_first_of(std::string_view("+#\0", 3)) != all[i].npos;
    if (wild && all[i] != "+" && !(all[i] == "#" && i + 1 == all.size())) return false;
  }
  return true;
}
bool filter_by_levels(std::string_view s) {
  const auto all = levels(s);
  if (s.size() > 65'535) return false;
  if (all[0] != "$share") return plain_filter(all, 0);
  return all.size() >= 3 && !all[1].empty() && all[1].find_first_of(std::string_view("+#\0", 3)) == s.npos &&
         plain_filter(all, 2);
}

bool has_control(std::string_view s, bool lines) {
  return std::ranges::any_of(s, [&](char c) {
    const auto b = static_cast<unsigned char>(c);
    return (b < 0x20 && !(lines && (b == '\n' || b == '\t'))) || b == 0x7f;
  });
}

// --- parsers -------------------------------------------------------------------------------------

template <class F> auto or_refused(F&& f) -> std::optional<decltype(f())> {
  try {
    return f();
  } catch (const ops::start_error& e) {
    MUST_HOLD(e.exit_code() != 0 && *e.what() != '\0' && !has_control(e.what(), false));
    return {};
  }
}

void names(std::string_view s) {
  MUST_HOLD(cli::is_utf8(s) == utf8_by_code_points(s));
  const bool good = utf8_by_code_points(s) && s.find('\0') == s.npos;
  MUST_HOLD(valid_utf8(s) == good);
  for (std::size_t n = 0; n < std::min<std::size_t>(s.size(), 32); ++n)
    MUST_HOLD(valid_utf8(s.substr(n)) ==
              (utf8_by_code_points(s.substr(n)) && s.substr(n).find('\0') == s.npos));
  if (!good) return;
  const bool topic = !s.empty() && s.size() <= 65'535 && s.find_first_of("+#") == s.npos;
  MUST_HOLD(mqtt::valid_topic_name(s) == topic);
  MUST_HOLD(mqtt::valid_filter(s) == filter_by_levels(s));
  MUST_HOLD(mqtt::has_wildcard(s) == (s.find_first_of("+#") != s.npos));
  const bool c1 = [&] {
    for (std::size_t i = 0; i + 1 < s.size(); ++i)
      if (static_cast<unsigned char>(s[i]) == 0xc2 && static_cast<unsigned char>(s[i + 1]) < 0xa0)
        return true;
    return false;
  }();
  const bool id = !s.empty() && s.size() <= limits::client_id_bytes_max && !c1 && !has_control(s, false) &&
                  s.find_first_of("/+#") == s.npos;
  MUST_HOLD(valid_client_id(s) == id);
}

void option_values(std::string_view s) {
  using namespace ops;
  for (const port_zero zero : {port_zero::allowed, port_zero::refused})
    if (const auto a = or_refused([&] { return parse_host_port("--x", s, zero); })) {
      MUST_HOLD(parse_host_port("--x", to_string(*a), zero) == *a);
      MUST_HOLD((a->port != 0 || zero == port_zero::allowed) &&
                a->host.size() <= limits::host_name_bytes_max);
    }
  if (const auto r = or_refused([&] { return parse_slots("--x", s); })) {
    MUST_HOLD(r->first <= r->last && r->last < slot_count);
    MUST_HOLD(parse_slots("--x", std::to_string(r->first) + "-" + std::to_string(r->last)) == *r);
  }
  if (const auto n = or_refused([&] { return parse_size("--x", s); }))
    MUST_HOLD(parse_size("--x", size_text(*n)) == *n);
  if (const auto d = or_refused([&] { return parse_duration("--x", s); }))
    MUST_HOLD(*d >= duration::zero() && parse_duration("--x", duration_text(*d)) == *d);
  const auto n = or_refused([&] { return parse_count("--x", s, 1, INT64_MAX); });
  if (n) MUST_HOLD(to_integer(s, 1, INT64_MAX) == static_cast<std::int64_t>(*n));
  else MUST_HOLD(!to_integer(s, 1, INT64_MAX));
  or_refused([&] { return parse_log_level("--x", s); });
}

void secret(std::string_view s) {
  const fuzz::scratch_file file(s);
  const auto read = or_refused([&] { return ops::read_secret_file("--x", file.path()); });
  const bool good = s.size() <= limits::secret_bytes_max && s.find_first_not_of(" \t\r\n") != s.npos;
  MUST_HOLD(read.has_value() == good);
  if (good) MUST_HOLD(*read == s.substr(0, s.size() - s.ends_with('\n')));
}

void shown(std::string_view s) {
  const std::string q = ops::quoted(s);
  MUST_HOLD(!has_control(q, false) && q.size() <= 4 * limits::quoted_bytes_max + 5);
  const std::string p = cli::printable(s);
  MUST_HOLD(!has_control(p, true) && cli::is_utf8(p));
  MUST_HOLD(cli::base64(s).size() == (s.size() + 2) / 3 * 4);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::input in(data, size);
  const unsigned what = in.byte() % 4;
  const std::string_view text = in.text(in.left());
  switch (what) {
  case 0: names(text); break;
  case 1: option_values(text); break;
  case 2: secret(text); break;
  default: shown(text);
  }
  return 0;
}
