// A proxy that breaks connections as it is told: between edges and shards, and between clients and edges.
//
//   dialler ---> [listener | pipe 0 ->  ] ---> target
//                [         | pipe 1 <-  ]
//
// Each way of a connection is a pipe with one buffer. A stalled pipe keeps what it has and reads no more, so
// that the kernel's buffers fill behind it; one that swallows reads and forgets, and its connection is reset
// when that ends, since TCP never loses bytes in the middle. Whole routes refuse or ignore connects.
//
// The proxy has a thread of its own; every public call may come from another one and waits until that has
// done it.
#pragma once
#include "common/base/rng.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <list>
#include <memory>
#include <thread>
#include <vector>

namespace beeline::chaos {

struct route {
  boost::asio::ip::tcp::endpoint listen, target;
  int edge = 0;
  int shard = -1; // -1: the edge's clients
};

// Which routes: an edge's (-1: all), to one shard (-1: all of the sort).
struct route_filter {
  bool clients = false;
  int edge = -1, shard = -1;
};

struct proxy_connection;
struct proxy_route;

class proxy {
public:
  enum class way : std::uint8_t { both, up, down }; // up: from the dialler

  proxy(const std::vector<route>& routes, std::uint64_t seed); // throws when an address is taken
  ~proxy();
  proxy(const proxy&) = delete;
  proxy& operator=(const proxy&) = delete;

  // Each tells how many connections it hit.
  unsigned cut(route_filter f);
  unsigned reset(route_filter f);
  unsigned stall(route_filter f, way w, bool on);
  unsigned swallow(route_filter f, bool on);
  unsigned trickle(route_filter f, bool on);
  // To the next bytes of one connection; ask `damaged` for how often that was done. Links alone can have more
  // than a bit flipped: a part of a frame is lost, a QoS 1 message is repeated, the proof of the handshake
  // is.
  enum class harm : std::uint8_t { flip, lose, replay, replay_proof };
  unsigned damage(route_filter f, harm how);
  unsigned damaged();
  // Of routes: how many. What is being connected is reset.
  unsigned refuse(route_filter f, bool on);
  unsigned hang(route_filter f, bool on);   // connects are taken and lead nowhere
  unsigned freeze(route_filter f, bool on); // all connections stall, new ones too

private:
  template <class F> unsigned ask(F f);
  template <class F> unsigned each(route_filter f, F do_it);
  template <class F> unsigned each_route(route_filter f, F do_it);
  boost::asio::io_context io_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  rng random_;
  std::vector<std::unique_ptr<proxy_route>> routes_;
  unsigned damaged_ = 0;
  std::thread thread_;
};

} // namespace beeline::chaos
