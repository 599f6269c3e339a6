#include "tests/chaos/child.hpp"

#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <system_error>
#include <thread>
#include <unistd.h>

namespace beeline::chaos {
namespace {

// Between fork and exec: only calls that are safe in a copy of one thread.
[[noreturn]] void become(char* const* words, int log, int network, pid_t parent) {
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || ::getppid() != parent) ::_exit(126);
  if (network >= 0 && ::setns(network, CLONE_NEWNET) != 0) ::_exit(125);
  const int null = ::open("/dev/null", O_RDONLY);
  ::dup2(null, 0);
  ::dup2(log, 1);
  ::dup2(log, 2);
  // Asio's sockets would be inherited: what the proxy closes would stay open in the child.
  (void)::close_range(3, ~0u, 0);
  ::execvp(words[0], words);
  ::_exit(127);
}

} // namespace

child::child(const std::string& program, std::vector<std::string> arguments, const std::string& log,
             int network) {
  arguments.insert(arguments.begin(), program);
  std::vector<char*> words;
  for (auto& a : arguments) words.push_back(a.data());
  words.push_back(nullptr);
  const int fd = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd < 0) throw std::system_error(errno, std::generic_category(), log);
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ == 0) become(words.data(), fd, network, parent);
  const int error = errno;
  ::close(fd);
  if (pid_ < 0) throw std::system_error(error, std::generic_category(), "cannot start " + program);
}

child::~child() {
  if (!running()) return;
  ::kill(pid_, SIGKILL);
  reap(0);
}

bool child::running() {
  reap(WNOHANG);
  return !code_;
}

bool child::signal(int number) {
  if (!running() || ::kill(pid_, number) != 0) return false;
  if (number != SIGSTOP) return true;
  siginfo_t info{}; // every thread of it has stopped when this is told
  return ::waitid(P_PID, static_cast<id_t>(pid_), &info, WSTOPPED | WEXITED | WNOWAIT) == 0 &&
         info.si_code == CLD_STOPPED;
}

std::optional<int> child::wait(std::chrono::milliseconds timeout) {
  const auto end = std::chrono::steady_clock::now() + timeout;
  while (running() && std::chrono::steady_clock::now() < end)
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  return code_;
}

void child::reap(int flags) {
  if (code_) return;
  int status = 0;
  if (::waitpid(pid_, &status, flags) != pid_) return;
  code_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

bool run_command(const std::vector<std::string>& command, const std::string& log, int network) {
  child c(command.front(), {command.begin() + 1, command.end()}, log, network);
  return c.wait(std::chrono::seconds(10)) == 0;
}

} // namespace beeline::chaos
