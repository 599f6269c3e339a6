// A process of a run: its output goes to a file that stays, and it dies with the driver whatever ends that.
//
// Owner: one thread, which must be the one that lives as long as the driver: the kernel kills the child when
// the thread that started it ends.
#pragma once
#include <chrono>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace beeline::chaos {

class child {
public:
  // `network`: a descriptor of a network namespace to run in, or -1. The log is appended to.
  child(const std::string& program, std::vector<std::string> arguments, const std::string& log,
        int network = -1);
  ~child(); // SIGKILL if it still runs
  child(const child&) = delete;
  child& operator=(const child&) = delete;

  pid_t pid() const noexcept { return pid_; }
  bool running();
  // False when it had ended. SIGSTOP: true once it stands still.
  bool signal(int number);
  // The exit code, 128 + signal when a signal ended it, nothing when it still runs after that time.
  std::optional<int> wait(std::chrono::milliseconds timeout);
  std::optional<int> code() const noexcept { return code_; }

private:
  void reap(int flags);
  pid_t pid_ = -1;
  std::optional<int> code_;
};

// Runs a command to its end in a network namespace (-1: ours); false when it failed.
bool run_command(const std::vector<std::string>& command, const std::string& log, int network = -1);

} // namespace beeline::chaos
