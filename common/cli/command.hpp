// A command of the `beeline` program: what it is called, what its help says, and the function that runs it.
//
// Each command has a file of its own and is an entry of the table in main.cpp. One thread, no state. What is
// wrong is thrown as ops::start_error; the value that `run` returns is the program's exit code.
#pragma once
#include "common/ops/options.hpp"
#include "common/ops/start_error.hpp"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace beeline::cli {

namespace po = ops::po;

inline constexpr int exit_ok = 0; // beside ops::exit_fault (1) and ops::exit_usage (2)
inline constexpr int exit_no = 3; // the answer is no: not online, nobody there, not accepted

struct arguments {
  ops::option_values options;
  std::vector<std::string> words; // those without an option, in order
};

struct command {
  std::string_view name;
  std::string_view words; // "ID", as the usage line shows them
  std::size_t words_min, words_max;
  std::string_view summary;  // one line of `beeline --help`
  std::string_view about;    // what `beeline help NAME` says before the options
  std::string_view examples; // and after them
  void (*declare)(po::options_description&);
  int (*run)(const arguments&);
};

extern const command status_command, top_command, clients_command, where_command, explain_command,
    send_command, listen_command, drops_command, bench_command;

std::string help_of(const command& c);

// Splits words from options and reads these as the other programs do, but of the environment BEELINE_ADMIN
// only: a shell in which variables of the servers are set must not stop the tool. `--help` throws
// ops::exit_now.
arguments parse_arguments(const command& c, const std::vector<std::string>& given);

} // namespace beeline::cli
