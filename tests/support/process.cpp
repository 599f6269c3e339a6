#include "tests/support/process.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <spawn.h>
#include <sstream>
#include <string_view>
#include <sys/stat.h>
#include <sys/wait.h>
#include <system_error>
#include <thread>
#include <unistd.h>

namespace beeline::test {
namespace {

std::string content(const std::string& path) {
  std::ostringstream all;
  all << std::ifstream(path, std::ios::binary).rdbuf();
  return all.str();
}

std::string last_lines(const std::string& text) {
  constexpr std::size_t bytes_max = 4000;
  return text.size() <= bytes_max ? text : "..." + text.substr(text.size() - bytes_max);
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> all;
  for (auto& t : texts) all.push_back(t.data());
  all.push_back(nullptr);
  return all;
}

class spawn_actions {
public:
  spawn_actions() { ::posix_spawn_file_actions_init(&actions); }
  ~spawn_actions() { ::posix_spawn_file_actions_destroy(&actions); }
  spawn_actions(const spawn_actions&) = delete;
  spawn_actions& operator=(const spawn_actions&) = delete;
  void open(int fd, const std::string& path, int flags) {
    ::posix_spawn_file_actions_addopen(&actions, fd, path.c_str(), flags, 0600);
  }
  posix_spawn_file_actions_t actions;
};

} // namespace

void sleep_a_little() { std::this_thread::sleep_for(10ms); }

temporary_folder::temporary_folder() {
  path_ = (std::filesystem::temp_directory_path() / "beeline-test-XXXXXX").string();
  if (!::mkdtemp(path_.data())) throw std::system_error(errno, std::generic_category(), "mkdtemp");
}
temporary_folder::~temporary_folder() {
  std::error_code ignored;
  if (!keep_) std::filesystem::remove_all(path_, ignored);
}
std::string temporary_folder::write(const std::string& name, const std::string& text, unsigned mode) const {
  std::string path = path_ + "/" + name;
  std::ofstream(path, std::ios::binary) << text;
  if (::chmod(path.c_str(), mode) != 0) throw std::system_error(errno, std::generic_category(), path);
  return path;
}

process::process(const std::string& program, std::vector<std::string> arguments,
                 std::vector<std::string> environment)
    : name_(std::filesystem::path(program).filename()), exceptions_(std::uncaught_exceptions()) {
  arguments.insert(arguments.begin(), program);
  for (char** e = ::environ; *e; ++e)
    if (!std::string_view(*e).starts_with("BEELINE_")) environment.emplace_back(*e);
  spawn_actions files;
  files.open(0, "/dev/null", O_RDONLY);
  files.open(1, folder_.path() + "/out", O_WRONLY | O_CREAT | O_APPEND);
  files.open(2, folder_.path() + "/err", O_WRONLY | O_CREAT | O_APPEND);
  const int e = ::posix_spawnp(&pid_, program.c_str(), &files.actions, nullptr, pointers(arguments).data(),
                               pointers(environment).data());
  if (e != 0) throw std::system_error(e, std::generic_category(), "cannot start " + program);
}

process::~process() {
  if (running()) {
    signal(SIGKILL);
    reap(true);
  }
  const bool failing = std::uncaught_exceptions() > exceptions_;
  if (!failing && !std::getenv("BEELINE_TEST_KEEP_LOGS")) return;
  folder_.keep();
  std::fprintf(stderr, "%s (%d): logs are in %s\n%s%s\n", name_.c_str(), static_cast<int>(pid_),
               folder_.path().c_str(), last_lines(out()).c_str(), last_lines(err()).c_str());
}

std::optional<std::string> process::line_with(const std::string& text, std::chrono::milliseconds timeout) {
  std::optional<std::string> found;
  (void)eventually(
      [&] {
        const bool ended = !running(); // asked first: what it wrote before it ended counts
        std::istringstream lines(out());
        for (std::string line; !found && std::getline(lines, line);)
          if (line.find(text) != line.npos && !lines.eof()) found = line; // a whole line
        return found || ended;
      },
      timeout);
  return found;
}

std::string process::out() const { return content(folder_.path() + "/out"); }
std::string process::err() const { return content(folder_.path() + "/err"); }

bool process::running() {
  reap(false);
  return !code_;
}
void process::signal(int number) const {
  if (code_ || ::kill(pid_, number) != 0 || number != SIGSTOP) return;
  siginfo_t ignored{}; // every thread of it has stopped when this is told
  (void)::waitid(P_PID, static_cast<id_t>(pid_), &ignored, WSTOPPED | WEXITED | WNOWAIT);
}
std::optional<int> process::wait(std::chrono::milliseconds timeout) {
  (void)eventually([&] { return !running(); }, timeout);
  return code_;
}
int process::stop(int number) {
  signal(number);
  return wait().value_or(-1);
}

void process::reap(bool block) {
  if (code_) return;
  int status = 0;
  if (::waitpid(pid_, &status, block ? 0 : WNOHANG) != pid_) return;
  code_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

} // namespace beeline::test
