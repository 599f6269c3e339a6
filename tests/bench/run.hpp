// One run of a workload: connect all, settle, warm up, measure, wait for what is under way, count.
//
//   connect ---- settle ---- warm-up ---- measured ---- drain ---- close
//   |<- storm: timed ->|     |<------- load ------->|
//
// Rates, CPU and latencies are of the measured part; lost, doubled and reordered of the whole. Owner: one
// thread.
#pragma once
#include "tests/bench/latencies.hpp"
#include "tests/bench/swarm.hpp"
#include "tests/bench/usage.hpp"

#include <optional>

namespace beeline::bench {

enum class workload { trunk, crowd, steady, ping_pong, storm, idle };
std::optional<workload> workload_of(std::string_view name);
std::string_view name_of(workload w);
bool has_load(workload w); // false: clients connect, and send nothing

struct settings {
  workload what = workload::trunk;
  std::string protocol = "mqtt5";
  bool direct = true; // @/ID, without subscription
  std::vector<address> targets;
  std::vector<server> servers;
  std::uint32_t pairs = 8, window = 4096;         // trunk
  std::uint32_t senders = 1000, receivers = 1000; // crowd
  double rate = 100'000;                          // crowd, steady
  std::uint32_t clients = 19'000;                 // storm, idle
  std::uint32_t payload = 100;
  std::uint8_t qos = 0;
  std::uint32_t connecting = 64;
  double seconds = 5, warm_up = 2, settle = 0.3, drain_max = 15;
  std::uint64_t seed = 1;
  std::uint16_t callback_port = 0;
};

struct result {
  double connect_seconds = 0;                       // until the last client was up
  std::vector<double> connect_cpu_us;               // a client, by server
  std::vector<std::uint64_t> rss_before, rss_after; // connected, by server
  double measured_seconds = 0;
  std::uint64_t delivered = 0; // in the measured part
  std::vector<double> cpu_us;  // a delivered message, by server
  double own_us = 0;           // the same of the load generator
  latencies latency;
  // Of the whole run:
  std::uint64_t sent = 0, lost = 0, doubled = 0, reordered = 0, astray = 0, damaged = 0, refused = 0,
                unanswered = 0;
  std::string fault; // the run was broken off; empty: it was not

  double a_second() const {
    return measured_seconds > 0 ? static_cast<double>(delivered) / measured_seconds : 0;
  }
};

// Whether the servers kept up with the rate (crowd, steady).
bool held_rate(const settings& s, const result& r);
// What is wrong with a run, one line each; none: every message came once, in order.
std::vector<std::string> problems(const settings& s, const result& r);

result run_once(const settings& s); // throws std::runtime_error, std::system_error

} // namespace beeline::bench
