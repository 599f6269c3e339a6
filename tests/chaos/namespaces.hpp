// A network of the run's own: a namespace for the router and one for each edge, all joined by veth pairs to
// the driver's, which forwards between them. None of it has a name outside, so that nothing is left when the
// driver ends, whatever ends it.
//
//   edge 0 10.77.1.2 --veth-- 10.77.1.1 [driver: clients, forwarding] 10.77.0.1 --veth-- 10.77.0.2 router
//   edge 1 10.77.2.2 --veth-- 10.77.2.1 [                           ]
//
// Packets vanish without a word where a rule says blackhole or an interface is down: half-open connections as
// broken networks make them. Owner: the main thread, before it starts any other (they would be elsewhere).
#pragma once
#include "common/net/unique_fd.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace beeline::chaos {

class namespaces {
public:
  namespaces(unsigned edges, std::string log); // throws std::system_error when that is not permitted
  int of_router() const noexcept { return fds_[0].get(); }
  int of_edge(unsigned e) const noexcept { return fds_[e + 1].get(); }
  static std::string router_address() { return "10.77.0.2"; }
  static std::string edge_address(unsigned e) { return "10.77." + std::to_string(e + 1) + ".2"; }

  // What goes from an edge to the router, and, both ways, back.
  bool blackhole(unsigned edge, bool both_ways, bool on);
  // Both ways, of the connections to one port of the router.
  bool blackhole_port(unsigned edge, std::uint16_t port, bool on);
  bool down(unsigned edge, bool on);

private:
  void join(unsigned n);
  void ip(std::vector<std::string> words, int network = -1) const;
  bool tried(std::vector<std::string> words, int network = -1) const;
  std::string log_;
  std::vector<net::unique_fd> fds_; // router, edges
};

} // namespace beeline::chaos
