// HTTP GET to an admin server, with a limit on time and on the size of the answer.
//
// A connection for each request: an admin server is asked a few times a second at most. Any thread; no state.
#pragma once
#include "common/ops/parse.hpp"

#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace beeline::cli {

struct http_reply {
  unsigned status = 0; // 0: there was no answer, and `problem` says why
  std::string body;
  std::string problem;
  bool connected = false;  // somebody is there, whatever it speaks
  std::string first_bytes; // of what is no HTTP
};

// What a name stands for: numeric addresses, or why there are none. Called in a thread of its own, which is
// left behind when it takes too long: nothing can end the system's resolver early.
struct resolved {
  std::vector<std::string> addresses;
  std::string problem;
};
using resolver = std::function<resolved(const std::string& host)>;
resolved resolve_by_system(const std::string& host);

// `patience` is for all of it: the name, the connection, the answer.
http_reply http_get(const ops::host_port& where, const std::string& target,
                    std::chrono::microseconds patience, const resolver& resolve = resolve_by_system);

std::string percent_encode(std::string_view text); // all but letters, digits and -._~

} // namespace beeline::cli
