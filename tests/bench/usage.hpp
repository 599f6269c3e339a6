// Processor time of the servers under test, and of this process, at one moment. Any thread; no state.
#pragma once
#include <string>
#include <sys/types.h>
#include <vector>

namespace beeline::bench {

struct server {
  std::string name;
  pid_t pid = 0;
};

struct usage {
  std::vector<double> cpu; // seconds, by server: user and system, of all its threads
  double own = 0;
};
usage look(const std::vector<server>& servers); // throws std::runtime_error if one of them is gone

} // namespace beeline::bench
