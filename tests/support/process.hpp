// Runs a program for a test: starts it, waits for lines that it prints, signals it, reaps it.
//
// What it writes goes to files in a folder of its own, which is removed when the test has passed.
// When the process is destroyed while the test fails with an exception (REQUIRE), or with
// BEELINE_TEST_KEEP_LOGS set, the folder stays and its name is printed with the last lines.
// Whatever happens, the destructor leaves no process behind. Owner: one thread.
#pragma once
#include <chrono>
#include <csignal>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace beeline::test {

using namespace std::chrono_literals;

class temporary_folder {
public:
  temporary_folder();
  ~temporary_folder(); // removes it, unless keep() was called
  temporary_folder(const temporary_folder&) = delete;
  temporary_folder& operator=(const temporary_folder&) = delete;
  const std::string& path() const noexcept { return path_; }
  std::string write(const std::string& name, const std::string& content, unsigned mode = 0600) const;
  void keep() noexcept { keep_ = true; }

private:
  std::string path_;
  bool keep_ = false;
};

class process {
public:
  static constexpr std::chrono::milliseconds patience = 30s; // far more than needed: machines may be slow

  // `program`: a path, or a name to be found in PATH. `environment`: NAME=VALUE, added to ours without
  // any BEELINE_ variable. Throws std::system_error.
  process(const std::string& program, std::vector<std::string> arguments,
          std::vector<std::string> environment = {});
  ~process(); // SIGKILL if it still runs
  process(const process&) = delete;
  process& operator=(const process&) = delete;

  // The first line on stdout that contains `text`; nothing when it ended or time passed without.
  std::optional<std::string> line_with(const std::string& text, std::chrono::milliseconds timeout = patience);
  std::string out() const; // all of stdout so far
  std::string err() const;
  pid_t pid() const noexcept { return pid_; }
  bool running();
  void signal(int number) const; // does nothing when it has ended; SIGSTOP: returns when it stands still
  // The exit code, 128 + signal when a signal ended it, nothing when it still runs.
  std::optional<int> wait(std::chrono::milliseconds timeout = patience);
  int stop(int number = SIGTERM); // signal and wait; -1 when it does not end

private:
  void reap(bool block);

  temporary_folder folder_;
  std::string name_;
  pid_t pid_ = -1;
  std::optional<int> code_;
  int exceptions_;
};

// Asks again until `f()` is true; false when time has passed.
template <class F> bool eventually(F f, std::chrono::milliseconds timeout = process::patience);

void sleep_a_little();

template <class F> bool eventually(F f, std::chrono::milliseconds timeout) {
  const auto end = std::chrono::steady_clock::now() + timeout;
  for (;;) {
    if (f()) return true;
    if (std::chrono::steady_clock::now() >= end) return false;
    sleep_a_little();
  }
}

} // namespace beeline::test
