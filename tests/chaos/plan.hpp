// What a seed draws before a run begins: the cluster's shape, its limits, its clients, and when which fault
// hits whom. Pure functions.
#pragma once
#include "tests/chaos/facts.hpp"
#include "tests/chaos/session.hpp"

namespace beeline::chaos {

struct run_options {
  std::uint64_t seed = 1;
  double seconds = 20, rate = 5000;
  double every = 30; // of the soak: seconds between faults
  unsigned clients = 60;
  int faults = -1; // -1: drawn, at least 4
  bool netns = false, full = false;
  std::string only;     // a fault's name: no other
  std::string scenario; // a script instead of faults that are drawn
  std::string programs, folder;
};

struct planned_fault {
  fault kind{};
  int edge = -1, shard = -1;
  std::int64_t begin = 0, end = 0; // µs from the begin of the load
  int client = -1;                 // of client_deaf
};

struct run_plan {
  std::vector<unsigned> lanes; // by edge
  bool client_proxy = false, small_queues = false;
  unsigned shards = 2, qos0_percent = 15;
  unsigned receipt_percent = 0, deadline_percent = 0; // of QoS 1 messages
  std::int64_t receipt_timeout = 0;                   // µs, of the edges; 0: nobody asks
  std::size_t payload_max = 256;
  double churn = 6;
  std::size_t takeovers = 0; // not 0: churn is so many connects elsewhere while the old session lives
  bool shifts_load = true;   // what one client cannot send another one does
  std::vector<std::string> edge_options;
  std::vector<std::string> environment; // of all servers: NAME=VALUE
  std::vector<client_plan> clients;
  std::vector<planned_fault> faults; // by begin
  unsigned faults_drawn = 0;         // of these; more than there are when some found no place
};

run_plan draw(const run_options& o);
// Three edges of one lane, clients that stay where they are and acknowledge at once, no faults.
run_plan steady(const run_options& o);

} // namespace beeline::chaos
