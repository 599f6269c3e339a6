// The router of a run: a real process that is killed, started again at the same ports, stopped and
// continued; and what it takes and tells. Its output goes to a file in the run's folder.
//
// It has an address in 127.0.0.0/8 of its own: while it is down, no connect of ours can be given one of its
// ports. Owner: the driver's main thread.
#pragma once
#include "common/base/time.hpp"
#include "tests/chaos/child.hpp"

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

namespace beeline::population {

struct router_settings {
  std::string program, folder;
  unsigned shards = 2;
};

class router_process {
public:
  explicit router_process(router_settings s);

  void start(); // at the same ports as before, if there was one; returns when it serves HTTP
  void kill();  // SIGKILL, reaped
  void pause(), go_on();
  int end(); // SIGTERM; its exit code, -1 when it does not end

  const std::string& address() const noexcept { return address_; }
  std::uint16_t port() const noexcept { return port_; } // of shard 0
  const std::string& secret() const noexcept { return secret_; }
  bool running() { return process_ && process_->running(); }

  nlohmann::json totals() const;                         // of /stats; empty when it does not answer
  std::size_t rss_bytes() const, rss_most_bytes() const; // now; ever, as the kernel tells

private:
  std::size_t status_kib(const std::string& field) const;

  const router_settings settings_;
  std::string address_, secret_, secret_file_;
  std::uint16_t port_ = 0;
  unsigned lives_ = 0;
  std::unique_ptr<chaos::child> process_;
};

} // namespace beeline::population
