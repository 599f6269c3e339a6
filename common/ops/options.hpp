// Options of both programs: Boost.Program_options with three sources and strict rules.
//
// Every option can stand on the command line (--some-name V), in the environment
// (BEELINE_SOME_NAME=V) and in the file named by --config (some-name = V, # starts a comment);
// in this order the first source that has it wins, whole, also for options with several values.
// Unknown names, empty values and arguments without an option are errors in all three: a typing
// error must not leave a default in force that nobody wanted. Used from main, before any thread.
#pragma once
#include "common/ops/parse.hpp"

#include <boost/program_options/options_description.hpp>
#include <boost/program_options/value_semantic.hpp>
#include <boost/program_options/variables_map.hpp>
#include <map>
#include <string>
#include <vector>

namespace beeline::ops {

namespace po = boost::program_options;

// How a program declares its options. All values are text until option_values types them, so that
// a message can say where the wrong text came from.
inline auto* value(const char* value_name) { return po::value<std::string>()->value_name(value_name); }
inline auto* value(const char* value_name, const std::string& preset) {
  return value(value_name)->default_value(preset);
}
inline auto* values(const char* value_name) { // may be given several times, or "a,b,c"
  return po::value<std::vector<std::string>>()->value_name(value_name);
}
inline auto* flag() { return po::bool_switch(); } // "true" or "false" in file and environment

struct option_set {
  std::string program;                         // "beeline-edge"
  std::string about;                           // what it is, for the head of --help
  std::vector<po::options_description> groups; // without --config, --help, --version
};

// The values, and for each where it came from. Accessors throw start_error (exit code 2).
// To ask for a name that was not declared is our bug.
class option_values {
public:
  bool has(const std::string& name) const; // given, or has a default
  bool flag(const std::string& name) const;
  std::string text(const std::string& name) const;              // "" when absent
  std::vector<std::string> list(const std::string& name) const; // of values(): split at commas
  host_port address(const std::string& name, port_zero zero = port_zero::allowed) const;
  host_port http_address(const std::string& name) const;           // may be "http://HOST:PORT/"
  std::vector<host_port> addresses(const std::string& name) const; // of values(); no port 0
  std::vector<host_port> http_addresses(const std::string& name) const;
  slot_range slots(const std::string& name) const;
  std::uint64_t size(const std::string& name, std::uint64_t min, std::uint64_t max) const;
  std::uint64_t count(const std::string& name, std::uint64_t min, std::uint64_t max) const;
  duration time(const std::string& name, duration min, duration max) const;
  std::string choice(const std::string& name, const std::vector<std::string>& allowed) const;
  std::string secret(const std::string& name) const; // content of the file that the option names
  std::string origin(const std::string& name) const; // "--mqtt", "BEELINE_MQTT", "edge.conf:3: mqtt"

private:
  friend option_values parse_options(const option_set&, int, const char* const*, const char* const*);
  using address_parser = host_port (*)(std::string_view what, std::string_view text, port_zero zero);
  std::vector<host_port> addresses_by(address_parser parse, const std::string& name) const;
  std::string needed(const std::string& name) const;
  po::variables_map map_;
  std::map<std::string, std::string> origins_;
};

// Throws start_error (exit code 2; 1 when the file cannot be read), exit_now for --help and --version.
// `environment` is a null-terminated list of NAME=VALUE.
option_values parse_options(const option_set& set, int argc, const char* const* argv,
                            const char* const* environment = nullptr /* the process's own */);

} // namespace beeline::ops
