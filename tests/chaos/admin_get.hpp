// One HTTP GET to an admin port, with an end in time whatever the process does. Any thread; no state.
#pragma once
#include <chrono>
#include <cstdint>
#include <string>

namespace beeline::chaos {

struct admin_answer {
  int status = 0; // 0: no answer
  std::string body;
};
admin_answer admin_get(const std::string& address, std::uint16_t port, const std::string& path,
                       std::chrono::milliseconds timeout);

bool is_free(const std::string& address, std::uint16_t port); // nobody listens there

} // namespace beeline::chaos
