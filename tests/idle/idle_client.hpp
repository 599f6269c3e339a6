// One of very many MQTT clients that do next to nothing: it connects, pings, now and then sends and receives,
// and tells when its connection ends though it did not want that. As little memory as possible each, so that
// one process has as many as it may have descriptors.
//
// Owner: one thread, with an epoll set of its own.
#pragma once
#include "common/net/unique_fd.hpp"

#include <cstdint>
#include <netinet/in.h>
#include <string>
#include <vector>

namespace beeline::idle {

struct tally { // of all clients of a process
  std::uint64_t connects = 0, left = 0, lost = 0, refused = 0, published = 0, answered = 0, not_accepted = 0,
                received = 0;
  std::string why; // of the first that was lost or refused
};

class client {
public:
  enum class state : std::uint8_t { away, connecting, waiting, live };

  explicit client(std::string id) : id_(std::move(id)) {}

  // `number` is what the epoll set gives back with its events.
  void connect(int epoll, std::uint32_t number, const sockaddr_in& from, const sockaddr_in& to, tally& t);
  void on_event(std::uint32_t events, tally& t);
  void ping();
  void publish(const std::string& to, tally& t);
  void leave(bool politely, tally& t); // or with RST

  state now() const noexcept { return state_; }
  const std::string& id() const noexcept { return id_; }
  // A slow one is not read until it is let; the kernel keeps what comes.
  void read(tally& t);
  bool slow = false;

private:
  void send(const std::string& bytes);
  void take(tally& t);
  void lost(tally& t, const char* why);

  std::string id_, in_; // the beginning of a packet that is not whole
  net::unique_fd fd_;
  std::uint16_t packet_ = 0;
  state state_ = state::away;
};

} // namespace beeline::idle
