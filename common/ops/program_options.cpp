#include "common/ops/program_options.hpp"

#include "common/ops/start_error.hpp"

#include <arpa/inet.h>
#include <sys/resource.h>
#include <thread>
#include <unistd.h>

namespace beeline::ops {

po::options_description operation_options(const std::string& admin_preset) {
  po::options_description group("Operation");
  group.add_options() //
      ("admin", value("HOST:PORT", admin_preset),
       "HTTP: /stats /metrics /healthz /readyz; a router: its dashboard at /") //
      ("log-level", value("LEVEL", "info"), "debug, info, warning or error")   //
      ("log-file", value("FILE"), "write the log there, not to stderr; SIGHUP opens it anew");
  return group;
}

po::options_description secret_options() {
  po::options_description group("Security");
  group.add_options()("cluster-secret-file", value("FILE"),
                      "the secret that routers and edge servers share; needed unless all is on loopback");
  return group;
}

program_config read_program_config(const option_values& given) {
  program_config c;
  c.admin = given.http_address("admin");
  c.least = parse_log_level(given.origin("log-level"), given.text("log-level"));
  c.log_file = given.text("log-file");
  if (given.has("cluster-secret-file")) c.secret = given.secret("cluster-secret-file");
  return c;
}

bool is_loopback(std::string_view host) noexcept {
  if (host == "localhost") return true;
  char text[INET6_ADDRSTRLEN];
  if (host.size() >= sizeof text) return false;
  text[host.copy(text, sizeof text - 1)] = '\0';
  in_addr v4;
  if (::inet_pton(AF_INET, text, &v4) == 1) return ntohl(v4.s_addr) >> 24 == 127;
  in6_addr v6;
  return ::inet_pton(AF_INET6, text, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

void require_secret_or_loopback(const program_config& config, const std::vector<host_port>& addresses) {
  if (!config.secret.empty()) return;
  for (const host_port& a : addresses)
    if (!is_loopback(a.host))
      throw start_error("without a secret everybody who reaches " + to_string(a) +
                            " could join the cluster; give --cluster-secret-file FILE (make one with: umask "
                            "077; openssl rand -hex 32 > FILE), or use addresses like 127.0.0.1 only",
                        exit_usage);
  log_warning("no --cluster-secret-file: every program on this machine can join the cluster");
}

unsigned processors() noexcept { return std::max(1u, std::thread::hardware_concurrency()); }

std::string host_name() {
  char name[256] = {};
  if (::gethostname(name, sizeof name - 1) != 0 || name[0] == '\0') return "edge";
  return name;
}

std::uint64_t raise_descriptor_limit() noexcept {
  rlimit l{};
  if (::getrlimit(RLIMIT_NOFILE, &l) != 0) return 0;
  const rlimit most{l.rlim_max, l.rlim_max};
  if (l.rlim_cur < l.rlim_max && ::setrlimit(RLIMIT_NOFILE, &most) == 0) return most.rlim_cur;
  return l.rlim_cur;
}

} // namespace beeline::ops
