// Resolves and connects, for links that a core wants to have dialled.
//
// Each dial ends in exactly one call of its callback, in a turn of the loop, unless the connector or
// the loop is destroyed before.
//
// Owner: the loop's thread.
#pragma once
#include "common/base/limits.hpp"
#include "common/net/event_loop.hpp"
#include "common/net/unique_fd.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace beeline::net {

class connector {
public:
  // The fd is non-blocking, or empty: then `why` says in words what went wrong and where.
  using done_fn = std::function<void(unique_fd fd, std::string_view why)>;

  explicit connector(event_loop& loop);
  ~connector() { give_up(); }
  void give_up(); // what is under way, without calls; nothing of it stays in the io_context
  void dial(const std::string& host, std::uint16_t port, done_fn done,
            duration timeout = limits::link_connect_max);

private:
  struct attempt;
  event_loop& loop_;
  std::vector<std::weak_ptr<attempt>> attempts_; // under way, and some that have ended
};

} // namespace beeline::net
