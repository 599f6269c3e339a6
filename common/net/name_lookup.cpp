#include "common/net/name_lookup.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <cstring>
#include <netdb.h>
#include <signal.h>
#include <system_error>
#include <thread>

namespace beeline::net {
namespace {

name_lookup::answer look_up(const std::string& host) {
  name_lookup::answer found;
  addrinfo hints{}, *list = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  if (const int e = ::getaddrinfo(host.c_str(), nullptr, &hints, &list); e != 0) {
    found.why = e == EAI_SYSTEM ? std::generic_category().message(errno) : ::gai_strerror(e);
    return found;
  }
  for (const addrinfo* a = list; a; a = a->ai_next) {
    if (a->ai_family != AF_INET && a->ai_family != AF_INET6) continue;
    boost::asio::ip::tcp::endpoint e;
    e.resize(a->ai_addrlen);
    std::memcpy(e.data(), a->ai_addr, a->ai_addrlen);
    found.addresses.push_back(e.address());
  }
  ::freeaddrinfo(list);
  if (found.addresses.empty()) found.why = "the name has no IP address";
  return found;
}

// A program's signals are not for a thread that it does not know of.
class signals_blocked {
public:
  signals_blocked() {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~signals_blocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

private:
  sigset_t before_;
};

} // namespace

void name_lookup::start(const std::string& host, done_fn done) {
  try {
    const signals_blocked inherited;
    std::thread([self = shared_from_this(), host, done] { self->tell(look_up(host), done); }).detach();
  } catch (const std::system_error& e) {
    tell({{}, std::string("no thread to resolve the name: ") + e.what()}, std::move(done));
  }
}

void name_lookup::tell(answer found, done_fn done) {
  const std::lock_guard lock(mutex_);
  if (!loop_) return;
  loop_->post([self = shared_from_this(), found = std::move(found), done = std::move(done)] {
    if (self->loop_) done(found); // in the loop's thread, as give_up
  });
}

void name_lookup::give_up() {
  const std::lock_guard lock(mutex_);
  loop_ = nullptr;
}

} // namespace beeline::net
