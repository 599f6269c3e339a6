// Routers and edge servers for integration tests: real processes on ephemeral ports of loopback.
//
// The programs are those of this build (BEELINE_ROUTER_PROGRAM, BEELINE_EDGE_PROGRAM, given by
// CMake to integration tests). Owner: one thread.
#pragma once
#include "tests/support/http_get.hpp"
#include "tests/support/process.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace beeline::test {

using arguments = std::vector<std::string>;

inline std::uint16_t port_at_end(const std::string& line) { // "... at http://127.0.0.1:7480"
  const auto colon = line.rfind(':');
  if (colon == line.npos) throw std::runtime_error("no port in: " + line);
  return static_cast<std::uint16_t>(std::stoul(line.substr(colon + 1)));
}
inline std::string loopback(std::uint16_t port) { return "127.0.0.1:" + std::to_string(port); }
inline arguments operator+(arguments a, const arguments& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// What both programs have: a process that says where its admin server is, and pages from there.
class program_process {
public:
  program_process(const std::string& program, const arguments& a) : process_(program, a) {
    const auto line = process_.line_with("admin at http://");
    if (!line) throw std::runtime_error(program + " did not start: " + process_.err());
    admin_ = port_at_end(*line);
  }
  process& os() noexcept { return process_; }
  std::uint16_t admin() const noexcept { return admin_; }
  http_answer get(const std::string& path) const { return http_get(admin_, path); }
  nlohmann::json json(const std::string& path) const {
    return nlohmann::json::parse(get(path).body, nullptr, false);
  }
  bool ready() const { return get("/readyz").status == 200; }
  bool becomes_ready() const {
    return eventually([this] {
      const nlohmann::json stats = json("/stats");
      return ready() && stats["ready"] == true && stats["why_not_ready"].is_null();
    });
  }
  // /readyz says why not, in words that contain `words`, and /stats says the same.
  bool is_not_ready_because(const std::string& words) const {
    const auto has = [&](const nlohmann::json& why) {
      return why.is_string() && why.get<std::string>().find(words) != std::string::npos;
    };
    return eventually([&] {
      const auto a = get("/readyz");
      const nlohmann::json stats = json("/stats");
      return a.status == 503 && has(nlohmann::json::parse(a.body)["why"]) && stats["ready"] == false &&
             has(stats["why_not_ready"]);
    });
  }

private:
  process process_;
  std::uint16_t admin_ = 0;
};

#ifdef BEELINE_ROUTER_PROGRAM
class router_process : public program_process {
public:
  explicit router_process(const arguments& more = {"--shards", "2"},
                          const arguments& where = {"--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"},
                          const std::string& program = BEELINE_ROUTER_PROGRAM)
      : program_process(program, where + short_warm_up(more) + more) {
    if (!os().line_with("beeline-router ready")) throw std::runtime_error("no ready line: " + os().err());
    const auto line = os().line_with("shard 0 listening at ");
    if (!line) throw std::runtime_error("no line of shard 0: " + os().err());
    port_ = port_at_end(line->substr(0, line->find(" for slots")));
  }
  std::uint16_t port() const noexcept { return port_; } // of shard 0
  std::string address() const { return loopback(port_); }

private:
  static arguments short_warm_up(const arguments& more) {
    const bool given = std::find(more.begin(), more.end(), "--warm-up") != more.end();
    return given ? arguments{} : arguments{"--warm-up", "300ms"};
  }
  std::uint16_t port_ = 0;
};
#endif

#ifdef BEELINE_EDGE_PROGRAM
class edge_process : public program_process {
public:
  edge_process(const std::string& name, const arguments& routers, const arguments& more = {"--lanes", "2"},
               const std::string& program = BEELINE_EDGE_PROGRAM)
      : program_process(program, fixed(name, routers) + more) {}
  // The MQTT port, once it is open; 0 when it does not open.
  std::uint16_t mqtt() {
    if (mqtt_ == 0 && os().line_with("beeline-edge ready"))
      if (const auto line = os().line_with("listening for MQTT at ")) mqtt_ = port_at_end(*line);
    return mqtt_;
  }

private:
  static arguments fixed(const std::string& name, const arguments& routers) {
    arguments a{"--mqtt", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--name", name};
    for (const auto& r : routers) a = a + arguments{"--router", r};
    return a;
  }
  std::uint16_t mqtt_ = 0;
};
#endif

#if defined(BEELINE_ROUTER_PROGRAM) && defined(BEELINE_EDGE_PROGRAM)
// The cluster of most tests: it serves when the constructor returns.
struct two_edges {
  router_process router;
  edge_process e1{"e1", {router.address()}}, e2{"e2", {router.address()}};
  two_edges() {
    if (!e1.mqtt() || !e2.mqtt() || !router.becomes_ready())
      throw std::runtime_error("the cluster does not serve: " + router.get("/readyz").body);
  }
};
#endif

} // namespace beeline::test
