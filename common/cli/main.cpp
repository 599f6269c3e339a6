// beeline: looks at a running cluster and sends through it, from a shell.
#include "common/cli/admin.hpp"
#include "common/ops/build_info.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

namespace {
using namespace beeline;
using namespace beeline::cli;

constexpr const command* commands[] = {&status_command, &top_command,     &clients_command,
                                       &where_command,  &explain_command, &drops_command,
                                       &send_command,   &listen_command,  &bench_command};

const command* find(std::string_view name) {
  const auto at = std::find_if(std::begin(commands), std::end(commands),
                               [&](const command* c) { return c->name == name; });
  return at == std::end(commands) ? nullptr : *at;
}

std::string overview() {
  std::string text =
      "Usage: beeline COMMAND [options]\nLooks at a running Beeline cluster, and sends through it.\n\n";
  for (const command* c : commands) {
    std::string head = "  " + std::string(c->name) + " " + std::string(c->words);
    head.resize(std::max<std::size_t>(head.size() + 2, 34), ' ');
    text += head + std::string(c->summary) + "\n";
  }
  return text + R"(
  help COMMAND                    options and examples of a command
  --version                       version and build

The commands up to drops ask admin servers: --admin HOST:PORT, several times or with commas for several servers,
or BEELINE_ADMIN in the environment; 127.0.0.1:7480, a router's, unless told otherwise. send, listen and bench are
MQTT clients: --edge HOST:PORT. Every command has --json.

Examples:
  beeline status --admin 127.0.0.1:7480,127.0.0.1:7481
  beeline where C2
  beeline send C2/chat "hello"

Exit codes: 0 done, 1 failed or not reachable, 2 wrong arguments, 3 the answer is no (not online, nobody there,
not accepted, nothing came).
)";
}

[[noreturn]] void unknown(const std::string& what) {
  throw ops::start_error(what + "; beeline --help lists the commands", ops::exit_usage);
}

const command& need(const std::string& name) {
  if (const command* c = find(name)) return *c;
  unknown((name.starts_with("-") ? "unknown option " : "unknown command ") + ops::quoted(name));
}

int run_program(std::vector<std::string> words) {
  if (words.empty()) unknown("no command");
  const std::string first = words[0];
  words.erase(words.begin());
  if (first == "--version" || first == "-V") throw ops::exit_now{"beeline " + ops::build_text() + "\n"};
  if (first == "--help" || first == "-h") throw ops::exit_now{overview()};
  if (first == "help") throw ops::exit_now{words.empty() ? overview() : help_of(need(words[0]))};
  const command& c = need(first);
  return c.run(parse_arguments(c, words));
}

bool wants_json(const std::vector<std::string>& words) {
  const auto end = std::find(words.begin(), words.end(), "--"); // behind it stands text
  return std::find(words.begin(), end, "--json") != end;
}

// Who asked for JSON gets it also when there is no answer; the line for people is written by run_main.
int run_telling_json(const std::vector<std::string>& words) {
  const auto tell = [&](const std::string& why) {
    if (wants_json(words)) print_json({{"error", why}});
    (void)written();
  };
  try {
    return run_program(words);
  } catch (const json::exception&) { // a page of a shape that no command has thought of
    const std::string why =
        words[0] + ": an answer is not as servers of Beeline write it; give addresses of such";
    tell(why);
    throw ops::start_error(why, ops::exit_fault);
  } catch (const std::exception& e) {
    tell(e.what());
    throw;
  }
}

// With one of them closed, the next socket would take its number, and what is printed would go to a server.
void occupy_standard_streams() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (::fcntl(fd, F_GETFD) < 0)
      (void)::open("/dev/null", fd == STDERR_FILENO ? O_WRONLY : O_RDONLY); // the lowest free number: fd
}

int ended(int code) {
  if (written()) return code;
  if (why_not_written() != EPIPE) // `beeline top | head` is no fault worth a word
    throw ops::start_error(
        std::string("cannot write to standard output: ") + std::strerror(why_not_written()), ops::exit_fault);
  return ops::exit_fault;
}
} // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN); // of sockets; a closed standard output is seen when it is flushed
  occupy_standard_streams();
  const std::vector<std::string> words(argv + 1, argv + argc);
  return ops::run_main("beeline", [&] { return ended(run_telling_json(words)); });
}
