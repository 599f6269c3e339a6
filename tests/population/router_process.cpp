#include "tests/population/router_process.hpp"

#include "tests/chaos/admin_get.hpp"

#include <arpa/inet.h>
#include <csignal>
#include <fstream>
#include <stdexcept>
#include <sys/socket.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

namespace beeline::population {
namespace {

using namespace std::chrono_literals;
constexpr auto start_max = 30s, end_max = 60s, ask_max = 3s;

// A port that the kernel has just called free.
std::uint16_t some_port(const std::string& address) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  socklen_t n = sizeof at;
  const bool ok = fd >= 0 && ::inet_pton(AF_INET, address.c_str(), &at.sin_addr) == 1 &&
                  ::bind(fd, reinterpret_cast<sockaddr*>(&at), n) == 0 &&
                  ::getsockname(fd, reinterpret_cast<sockaddr*>(&at), &n) == 0;
  if (fd >= 0) ::close(fd);
  if (!ok) throw std::runtime_error("no port at " + address);
  return ntohs(at.sin_port);
}

// The first of `count` free ports in a row.
std::uint16_t ports_in_a_row(const std::string& address, unsigned count) {
  for (int tries = 0; tries < 100; ++tries) {
    const std::uint16_t first = some_port(address);
    bool ok = first + count <= 65'535;
    for (unsigned k = 0; ok && k < count; ++k)
      ok = chaos::is_free(address, static_cast<std::uint16_t>(first + k));
    if (ok) return first;
  }
  throw std::runtime_error("no free ports at " + address);
}

std::string own_address() {
  const auto pid = static_cast<unsigned>(::getpid());
  return "127." + std::to_string(128 + pid / 62'500 % 100) + "." + std::to_string(1 + pid / 250 % 250) + "." +
         std::to_string(1 + pid % 250);
}

} // namespace

router_process::router_process(router_settings s)
    : settings_(std::move(s)), address_(own_address()), secret_("a secret for one run with many clients"),
      secret_file_(settings_.folder + "/secret"), port_(ports_in_a_row(address_, settings_.shards + 1)) {
  std::ofstream(secret_file_) << secret_;
  if (::chmod(secret_file_.c_str(), 0400) != 0) throw std::runtime_error("cannot write " + secret_file_);
}

void router_process::start() {
  const std::string admin = std::to_string(port_ + settings_.shards);
  // Nobody was there before the first life; later ones wait as they do by default.
  const std::string warm_up = lives_++ == 0 ? "300ms" : "6s";
  process_ = std::make_unique<chaos::child>(
      settings_.program,
      std::vector<std::string>{"--listen", address_ + ":" + std::to_string(port_), "--admin",
                               address_ + ":" + admin, "--shards", std::to_string(settings_.shards),
                               "--cluster-secret-file", secret_file_, "--warm-up", warm_up},
      settings_.folder + "/router.log");
  const auto end = std::chrono::steady_clock::now() + start_max;
  while (totals().empty()) {
    if (!running() || std::chrono::steady_clock::now() > end)
      throw std::runtime_error("the router does not start: see " + settings_.folder + "/router.log");
    std::this_thread::sleep_for(2ms);
  }
}

void router_process::kill() {
  process_->signal(SIGKILL);
  if (process_->wait(end_max) != 128 + SIGKILL) throw std::runtime_error("the router had ended by itself");
}
void router_process::pause() {
  if (!process_->signal(SIGSTOP)) throw std::runtime_error("the router cannot be stopped");
}
void router_process::go_on() { process_->signal(SIGCONT); }
int router_process::end() {
  process_->signal(SIGTERM);
  return process_->wait(end_max).value_or(-1);
}

nlohmann::json router_process::totals() const {
  const auto told =
      chaos::admin_get(address_, static_cast<std::uint16_t>(port_ + settings_.shards), "/stats", ask_max);
  const auto page = nlohmann::json::parse(told.body, nullptr, false);
  return told.status == 200 && page.contains("totals") ? page["totals"] : nlohmann::json();
}

std::size_t router_process::status_kib(const std::string& field) const {
  std::ifstream status("/proc/" + std::to_string(process_->pid()) + "/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(field + ":")) return std::stoul(line.substr(field.size() + 1));
  return 0;
}
std::size_t router_process::rss_bytes() const { return status_kib("VmRSS") * 1024; }
std::size_t router_process::rss_most_bytes() const { return status_kib("VmHWM") * 1024; }

} // namespace beeline::population
