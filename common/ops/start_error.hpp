// What ends a program before it runs: one line on stderr that says what to do, and an exit code.
//
// Thrown by anything called from main during start-up, caught by run_main.
// Any thread; no state.
#pragma once
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

namespace beeline::ops {

inline constexpr int exit_fault = 1;     // the world is not as it should be: port in use, unreadable file
inline constexpr int exit_usage = 2;     // the options are wrong
inline constexpr int exit_no_memory = 3; // there is none, in a place that cannot go on without

class start_error : public std::runtime_error {
public:
  start_error(const std::string& message, int exit_code) : std::runtime_error(message), code_(exit_code) {}
  int exit_code() const noexcept { return code_; }

private:
  int code_;
};

// --help and --version: text for stdout, exit code 0. Not an error, hence no std::exception.
struct exit_now {
  std::string text;
};

// "cannot listen on 0.0.0.0:1883: Address already in use; ... give another address with --mqtt"
start_error cannot_listen(std::string_view option, std::string_view address, const std::error_code& why);

// `text` in quotes, fit for one line of output: control characters escaped, cut when long.
std::string quoted(std::string_view text);

// From now on an exception that nobody catches, in any thread, is a line on stderr ("program: message") and
// exit_no_memory for std::bad_alloc, an abort otherwise. `program` is a literal. run_main calls it.
void say_why_it_ends(const char* program) noexcept;

// Runs `body` and turns what it throws into a line on stderr ("program: message") and an exit code.
int run_main(const char* program, const std::function<int()>& body) noexcept;

} // namespace beeline::ops
