// docs/metrics.md lists every reason that a counter, a log line or /drops can have, in the words of the code.
#include "common/base/reasons.hpp"

#include <catch2/catch.hpp>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

using namespace beeline;

namespace {

std::string reasons_of_the_page() {
  std::ifstream in(BEELINE_DOCS_DIR "/metrics.md");
  std::stringstream s;
  s << in.rdbuf();
  const std::string all = s.str();
  const auto begin = all.find("\n## Reasons\n");
  REQUIRE(begin != all.npos);
  return all.substr(begin, all.find("\n## ", begin + 1) - begin);
}

std::size_t rows_of(const std::string& page) {
  std::size_t n = 0;
  for (std::size_t at = page.find("\n| `"); at != page.npos; at = page.find("\n| `", at + 1)) ++n;
  return n;
}

} // namespace

TEST_CASE("metrics.md lists every reason, and no other") {
  const std::string page = reasons_of_the_page();
  const auto has = [&](std::string_view name, std::string_view text) {
    const std::string row = "\n| `" + std::string(name) + "` | " + std::string(text) + " |";
    INFO(row);
    CHECK(page.find(row) != page.npos);
  };
#define X(name, text) has(#name, text);
  BEELINE_DROP_REASONS(X)
  BEELINE_CLOSE_REASONS(X)
#undef X
#define X(name, final, text) has(#name, text);
  BEELINE_ANSWERS(X)
#undef X
  CHECK(rows_of(page) == drop_reason_count + close_reason_count + answer_count);
}
