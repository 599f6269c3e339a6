// One HTTP GET to a port of this machine, for tests of the admin servers. Any thread; no state.
#pragma once
#include <cstdint>
#include <string>

namespace beeline::test {

struct http_answer {
  int status = 0; // 0: no answer
  std::string body;
  std::string head = {}; // status line and headers, each with its end of line
};
http_answer http_get(std::uint16_t port, const std::string& path, const std::string& method = "GET");

} // namespace beeline::test
