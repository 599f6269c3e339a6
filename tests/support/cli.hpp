// The beeline tool as a test runs it: to its end, with its exit code and what it printed. Owner: one thread.
#pragma once
#include "tests/support/process.hpp"

#include <nlohmann/json.hpp>

namespace beeline::test {

#ifdef BEELINE_CLI_PROGRAM
struct cli_result {
  int code = -1;
  std::string out, err;
  nlohmann::json json() const { return nlohmann::json::parse(out, nullptr, false); }
  bool says(const std::string& text) const { return out.find(text) != out.npos; }
  bool complains(const std::string& text) const { return err.find(text) != err.npos; }
};

inline cli_result finish(process& p) {
  cli_result r;
  r.code = p.wait().value_or(-1);
  r.out = p.out();
  r.err = p.err();
  return r;
}
inline cli_result cli(const std::vector<std::string>& arguments,
                      const std::vector<std::string>& environment = {}) {
  process p(BEELINE_CLI_PROGRAM, arguments, environment);
  return finish(p);
}
#endif

} // namespace beeline::test
