// CAT-10, CAT-21: command lines and configuration files of both programs, through all that reads them.
//
// What must hold: they are refused in words with exit code 1 or 2, or the configuration is within every
// limit; and without a secret nothing but loopback is taken.
#include "common/base/limits.hpp"
#include "common/base/utf8.hpp"
#include "common/ops/start_error.hpp"
#include "edge-server/config.hpp"
#include "router/config.hpp"
#include "tests/fuzz/scratch_file.hpp"

#include <algorithm>
#include <optional>
#include <vector>

using namespace beeline;
using namespace beeline::limits;

namespace {

constexpr std::string_view names[] = {"listen",
                                      "advertise",
                                      "shards",
                                      "slots",
                                      "warm-up",
                                      "linger",
                                      "clients-max",
                                      "links-max",
                                      "handshakes-max",
                                      "link-output-max",
                                      "outputs-max",
                                      "mqtt",
                                      "router",
                                      "name",
                                      "lanes",
                                      "connect-timeout",
                                      "keep-alive-max",
                                      "v311-refused",
                                      "max-connections",
                                      "max-packet-size",
                                      "max-connect-size",
                                      "max-prelogin-bytes",
                                      "max-inflight",
                                      "max-inflight-bytes",
                                      "max-pending",
                                      "max-pending-bytes",
                                      "max-client-output",
                                      "max-memory",
                                      "admin",
                                      "help",
                                      "version",
                                      "unknown"};
constexpr std::string_view values[] = {
    "1",          "4096",        "0",         "65536",
    "64KiB",      "8MiB",        "1GiB",      "18446744073709551615",
    "-1",         "500ms",       "2s",        "9223372036854775807us",
    "10min",      "0-4095",      "1-1",       "127.0.0.1:7400",
    "[::1]:1883", "localhost:1", "0.0.0.0:0", "127.0.0.1:7400,127.0.0.1:7401",
    "edge-1",     "disconnect",  "puback",    "true"};

std::string some_value(fuzz::input& in) {
  const unsigned k = in.byte() % 32;
  return std::string(k < std::size(values) ? values[k] : in.text(in.byte() % 64));
}
std::string some_lines(fuzz::input& in) {
  std::string text;
  while (!in.empty()) {
    const unsigned k = in.byte() % 64;
    if (k < std::size(names)) text.append(names[k]).append(" = ").append(some_value(in));
    else text += in.text(in.byte() % 64);
    text += '\n';
  }
  return text;
}

// Nothing may be written, nor a file read that is not ours.
bool harmless(std::string_view s) { return s.find("log-file") == s.npos && s.find('/') == s.npos; }

bool loopback(const ops::program_config& p, const std::vector<ops::host_port>& all) {
  return !p.secret.empty() ||
         std::ranges::all_of(all, [](const auto& a) { return ops::is_loopback(a.host); });
}

void check(const router::router_config& c) {
  MUST_HOLD(c.shards >= 1 && c.shards <= shards_per_router_max);
  MUST_HOLD(c.slots.first <= c.slots.last && c.slots.last < 4096 &&
            c.shards <= c.slots.last - c.slots.first + 1);
  MUST_HOLD(c.listen.port == 0 || c.listen.port + c.shards - 1 <= 65'535);
  MUST_HOLD(c.advertise.size() <= host_name_bytes_max);
  MUST_HOLD(c.link_output_max >= 2 * link_window_bytes_max && c.outputs_max >= 16 * MiB);
  MUST_HOLD(c.clients_max >= 1 && c.links_max >= 1 && c.links_max <= members_max && c.handshakes_max >= 1);
  MUST_HOLD(c.linger >= duration::zero() && c.linger <= std::chrono::minutes(1));
  MUST_HOLD(c.warm_up >= duration::zero() && c.warm_up <= std::chrono::minutes(10));
  MUST_HOLD(loopback(c.program, {c.listen, c.program.admin}));
}

void check(const edge::edge_config& c) {
  MUST_HOLD(c.lanes >= 1 && c.lanes <= lanes_max && c.connections_max >= 1);
  MUST_HOLD(!c.routers.empty() && c.routers.size() <= routers_max);
  for (const ops::host_port& a : c.routers)
    MUST_HOLD(a.port != 0 && std::ranges::count(c.routers, a) == 1 && a.host.size() <= host_name_bytes_max);
  MUST_HOLD(!c.name.empty() && c.name.size() <= edge_name_bytes_max && valid_utf8(c.name));
  MUST_HOLD(c.packet_bytes_max >= 1 * KiB && c.packet_bytes_max <= packet_bytes_max);
  MUST_HOLD(c.connect_bytes_max >= 256 && c.connect_bytes_max <= connect_bytes_max);
  MUST_HOLD(c.prelogin_bytes_max >= 64 * KiB && c.inflight_max >= 1 && c.memory_max >= 16 * MiB);
  MUST_HOLD(c.connect_max >= std::chrono::milliseconds(100) && c.keep_alive_max >= std::chrono::seconds(1));
  std::vector<ops::host_port> reached = c.routers;
  reached.push_back(c.program.admin);
  MUST_HOLD(loopback(c.program, reached));
}

template <class Read> void read(Read read_config, const std::vector<std::string>& arguments) {
  std::vector<const char*> argv;
  for (const std::string& a : arguments) argv.push_back(a.c_str());
  try {
    check(read_config(static_cast<int>(argv.size()), argv.data()));
  } catch (const ops::start_error& e) {
    MUST_HOLD((e.exit_code() == ops::exit_usage || e.exit_code() == ops::exit_fault) && *e.what() != '\0');
  } catch (const ops::exit_now& e) {
    MUST_HOLD(!e.text.empty());
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::input in(data, size);
  const unsigned setup = in.byte();
  std::vector<std::string> arguments{"program", "--log-level", "error"};
  for (unsigned n = in.byte() % 4; n; --n) {
    const unsigned k = in.byte() % 64;
    if (k >= std::size(names)) {
      arguments.emplace_back(in.text(in.byte() % 64));
    } else {
      arguments.push_back("--" + std::string(names[k]));
      arguments.push_back(some_value(in));
    }
    if (!harmless(arguments.back())) return 0;
    if (arguments.back().find('\0') != std::string::npos) return 0; // no argument can hold it
  }
  const std::string_view secret = in.text(setup & 2 ? in.byte() : 0);
  const std::string text = setup & 1 ? some_lines(in) : std::string(in.text(in.left()));
  if (!harmless(text)) return 0;
  const fuzz::scratch_file config(text), secret_file(secret);
  arguments.insert(arguments.end(), {"--config", config.path()});
  if (setup & 2) arguments.insert(arguments.end(), {"--cluster-secret-file", secret_file.path()});
  if (setup & 4) read(router::read_config, arguments);
  else read(edge::read_config, arguments);
  return 0;
}
