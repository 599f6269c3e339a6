// HTTP GET to an admin server, with a limit on time and on the size of the answer.
//
// A connection for each request: an admin server is asked a few times a second at most. Any thread; no state.
#pragma once
#include "common/ops/parse.hpp"

#include <chrono>
#include <string>

namespace beeline::cli {

struct http_reply {
  unsigned status = 0; // 0: there was no answer, and `problem` says why
  std::string body;
  std::string problem;
};

http_reply http_get(const ops::host_port& where, const std::string& target,
                    std::chrono::microseconds patience);

std::string percent_encode(std::string_view text); // all but letters, digits and -._~

} // namespace beeline::cli
