#include "tests/chaos/namespaces.hpp"

#include "tests/chaos/child.hpp"

#include <cerrno>
#include <fcntl.h>
#include <fstream>
#include <sched.h>
#include <system_error>

namespace beeline::chaos {
namespace {

[[noreturn]] void fail(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), "network namespaces: " + what);
}
net::unique_fd own_network() {
  net::unique_fd fd(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
  if (!fd) fail("/proc/self/ns/net");
  return fd;
}
void new_network() {
  if (::unshare(CLONE_NEWNET) != 0) fail("unshare");
}
std::string veth(unsigned n) { return "to" + std::to_string(n); }
std::string inside(unsigned n) { return "in" + std::to_string(n); }
std::string net_of(unsigned n) { return "10.77." + std::to_string(n); }

} // namespace

namespaces::namespaces(unsigned edges, std::string log) : log_(std::move(log)) {
  for (unsigned n = 0; n <= edges; ++n) {
    new_network();
    fds_.push_back(own_network());
  }
  new_network(); // the driver's: in the middle
  ip({"link", "set", "lo", "up"});
  std::ofstream forwarding("/proc/sys/net/ipv4/ip_forward");
  forwarding << "1" << std::flush;
  if (!forwarding) throw std::system_error(EPERM, std::generic_category(), "network namespaces: ip_forward");
  for (unsigned n = 0; n <= edges; ++n) join(n);
}

void namespaces::join(unsigned n) {
  const int there = fds_[n].get();
  const std::string name = veth(n), other = inside(n);
  // A descriptor of ours is a path that ip understands: it looks it up as /proc/PID/fd/N of the driver.
  ip({"link", "add", name, "type", "veth", "peer", "name", other});
  ip({"link", "set", other, "netns", "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(there)});
  ip({"addr", "add", net_of(n) + ".1/24", "dev", name});
  ip({"link", "set", name, "up"});
  ip({"link", "set", "lo", "up"}, there);
  ip({"addr", "add", net_of(n) + ".2/24", "dev", other}, there);
  ip({"link", "set", other, "up"}, there);
  ip({"route", "add", "default", "via", net_of(n) + ".1"}, there);
}

bool namespaces::blackhole(unsigned edge, bool both_ways, bool on) {
  const std::string verb = on ? "add" : "del", e = edge_address(edge), r = router_address();
  bool ok = tried({"rule", verb, "from", e, "to", r, "blackhole"});
  if (both_ways) ok = tried({"rule", verb, "from", r, "to", e, "blackhole"}) && ok;
  return ok;
}

bool namespaces::blackhole_port(unsigned edge, std::uint16_t port, bool on) {
  const std::string verb = on ? "add" : "del", e = edge_address(edge), r = router_address();
  const std::string p = std::to_string(port);
  bool ok = tried({"rule", verb, "from", e, "to", r, "ipproto", "tcp", "dport", p, "blackhole"});
  return tried({"rule", verb, "from", r, "to", e, "ipproto", "tcp", "sport", p, "blackhole"}) && ok;
}

bool namespaces::down(unsigned edge, bool on) {
  return tried({"link", "set", veth(edge + 1), on ? "down" : "up"});
}

bool namespaces::tried(std::vector<std::string> words, int network) const {
  words.insert(words.begin(), "ip");
  return run_command(words, log_, network);
}

void namespaces::ip(std::vector<std::string> words, int network) const {
  std::string said;
  for (const auto& w : words) said += " " + w;
  errno = EPERM;
  if (!tried(std::move(words), network)) fail("ip" + said + " failed");
}

} // namespace beeline::chaos
