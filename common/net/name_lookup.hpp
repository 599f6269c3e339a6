// Names to addresses by getaddrinfo, which may take minutes and cannot be interrupted. It runs in threads
// that nobody waits for: Asio's resolver would hold its io_context, run() and destructor, until it returns.
//
// The answer comes in a turn of the loop, unless give_up was called before. Threads that are still in
// getaddrinfo then end by themselves, and touch nothing but their own.
//
// Owner: the loop's thread; the threads share it.
#pragma once
#include "common/net/event_loop.hpp"

#include <boost/asio/ip/address.hpp>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace beeline::net {

class name_lookup : public std::enable_shared_from_this<name_lookup> {
public:
  struct answer {
    std::vector<boost::asio::ip::address> addresses;
    std::string why; // there is none, in words
  };
  using done_fn = std::function<void(const answer&)>;

  explicit name_lookup(event_loop& loop) : loop_(&loop) {}
  void start(const std::string& host, done_fn done);
  void give_up(); // no answer comes any more; the loop may go

private:
  void tell(answer found, done_fn done); // any thread

  std::mutex mutex_; // once a lookup, and never while getaddrinfo runs
  event_loop* loop_; // null: given up
};

} // namespace beeline::net
