// Resolves and connects, for links that a core wants to have dialled.
//
// Each dial ends in exactly one call of its callback, in a turn of the loop, unless the connector or
// the loop is destroyed before.
//
// Names are resolved in threads that nobody waits for (name_lookup.hpp), one at a time for each name: dials
// to a name that is being resolved share the answer, so a resolver that hangs holds one thread a name.
//
// The addresses of a name are tried in turn within one timeout. After a dial that failed the next one begins
// with the address behind: one that swallows what is sent to it does not keep us from the others for ever.
//
// Owner: the loop's thread.
#pragma once
#include "common/base/limits.hpp"
#include "common/net/event_loop.hpp"
#include "common/net/name_lookup.hpp"
#include "common/net/unique_fd.hpp"

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace beeline::net {

class connector {
public:
  // The fd is non-blocking, or empty: then `why` says in words what went wrong and where.
  using done_fn = std::function<void(unique_fd fd, std::string_view why)>;

  using look_up_fn = std::function<void(const std::string& host, name_lookup::done_fn done)>;

  explicit connector(event_loop& loop);
  connector(event_loop& loop, look_up_fn look_up); // other than by getaddrinfo
  ~connector() { give_up(); }
  void give_up(); // what is under way, without calls; nothing of it stays in the io_context
  void dial(const std::string& host, std::uint16_t port, done_fn done,
            duration timeout = limits::link_connect_max);

private:
  struct attempt;
  using attempts = std::vector<std::weak_ptr<attempt>>;
  void resolve(const std::string& host, const std::shared_ptr<attempt>& a);
  using failures = std::map<std::string, std::size_t>;

  event_loop& loop_;
  attempts attempts_;                       // under way, and some that have ended
  std::map<std::string, attempts> waiting_; // for the addresses of a name that is being resolved
  std::shared_ptr<name_lookup> lookup_;     // null: look_up_ is another's
  look_up_fn look_up_;
  std::shared_ptr<failures> failures_; // of dials to a name, which say which of its addresses is the first
};

} // namespace beeline::net
