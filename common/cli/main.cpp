// beeline: looks at a running cluster and sends through it, from a shell.
#include "common/cli/command.hpp"
#include "common/ops/build_info.hpp"

#include <algorithm>
#include <csignal>
#include <cstdio>

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
} // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN); // of sockets; a closed standard output is seen when it is flushed
  const std::vector<std::string> words(argv + 1, argv + argc);
  return ops::run_main("beeline", [&] {
    const int code = run_program(words);
    return std::fflush(stdout) == 0 ? code : ops::exit_fault;
  });
}
