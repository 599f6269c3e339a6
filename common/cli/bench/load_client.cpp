#include "common/cli/bench/load_client.hpp"

#include <cerrno>
#include <cstring>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdexcept>
#include <unistd.h>

namespace beeline::load {

edge_target resolve(const ops::host_port& where) {
  edge_target target{ops::to_string(where), {}, 0};
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  const int rc = ::getaddrinfo(where.host.c_str(), std::to_string(where.port).c_str(), &hints, &found);
  if (rc != 0) throw std::runtime_error("cannot resolve " + target.name + ": " + ::gai_strerror(rc));
  for (const addrinfo* a = found; a; a = a->ai_next) {
    edge_target::address one;
    one.size = a->ai_addrlen;
    std::memcpy(&one.bytes, a->ai_addr, a->ai_addrlen);
    target.addresses.push_back(one);
  }
  ::freeaddrinfo(found);
  return target;
}

int begin_connect(const edge_target::address& to) {
  const int fd = ::socket(to.bytes.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&to.bytes), to.size) == 0 || errno == EINPROGRESS)
    return fd;
  const int error = errno;
  ::close(fd);
  errno = error;
  return -1;
}

int connect_error(int fd) {
  int error = 0;
  socklen_t size = sizeof error;
  return ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

} // namespace beeline::load
