// The processes of a run: a router of two shards and some edges, and questions to their admin ports.
//
// Without namespaces each part has an address of its own in 127.0.0.0/8, so that no two runs meet and edges
// dial the proxy at an address where shard k has the same port as at the router: a slot map without a host
// says "as dialled". Owner: the driver's main thread.
#pragma once
#include "tests/chaos/child.hpp"
#include "tests/chaos/facts.hpp"
#include "tests/chaos/namespaces.hpp"

#include <memory>
#include <nlohmann/json.hpp>
#include <set>

namespace beeline::chaos {

inline constexpr std::uint16_t router_port = 7400, router_admin = 7480, edge_admin = 7481, mqtt_port = 1883;

struct layout { // addresses
  std::string router;
  std::vector<std::string> edges, routers_for_edges,
      edges_for_clients; // the latter two are proxies, or the same
};
layout loopback_layout(unsigned edges, bool client_proxy); // of a part of 127.0.0.0/8 that nobody uses
layout netns_layout(unsigned edges);

struct cluster_settings {
  std::string programs, folder; // executables; logs
  unsigned shards = 2;
  std::vector<unsigned> lanes; // by edge
  std::vector<std::string> edge_options, environment;
  bool sanitized = false;
};

class cluster {
public:
  cluster(cluster_settings s, layout where, const namespaces* nets);

  void start_all();
  bool ready();        // all of them, told by /readyz
  std::string words(); // who is not, and why
  bool router_up() { return router_ && router_->running(); }
  bool edge_up(unsigned e) { return edges_[e] && edges_[e]->running(); }
  unsigned edges() const { return static_cast<unsigned>(edges_.size()); }
  std::string name(int edge) const { return edge < 0 ? "router" : "e" + std::to_string(edge + 1); }
  child* process(int edge) { return edge < 0 ? router_.get() : edges_[static_cast<unsigned>(edge)].get(); }
  // -1: the router. The driver ends a process, or finds that one has ended by itself.
  void end(int edge, int signal, int wanted, std::int64_t at);
  void start(int edge);
  void look_for_dead(std::int64_t now);

  nlohmann::json ask(int edge, const std::string& path) const; // discarded: no answer, or none with 200
  rest_facts at_rest(const std::vector<std::string>& ids);
  std::size_t online() const;                                       // clients, as the router counts them
  std::size_t online_of(const std::vector<std::string>& ids) const; // of these, as /clients/{id} says
  double number(int edge, const std::string& pointer) const; // of /stats, by JSON pointer; -1: no answer
  std::vector<process_end> ends;

private:
  std::vector<std::string> router_arguments() const;
  std::unique_ptr<child> begin(const std::string& program, std::vector<std::string> arguments,
                               const std::string& log, int network) const;
  std::vector<std::string> edge_arguments(unsigned e) const;
  edge_at_rest edge_at_rest_of(unsigned e);
  std::vector<nlohmann::json> ask_router(const std::vector<std::string>& paths) const;
  std::vector<std::string> clients_of(unsigned e);
  cluster_settings settings_;
  layout where_;
  const namespaces* nets_;
  std::string secret_;
  std::unique_ptr<child> router_;
  std::vector<std::unique_ptr<child>> edges_;
  std::set<int> expected_down_; // ended by the driver
  unsigned router_lives_ = 0;
};

} // namespace beeline::chaos
