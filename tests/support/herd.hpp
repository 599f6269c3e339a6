// Many plain connections to one MQTT port of this machine, in one thread: strangers, herds of clients that
// come back at once, and whoever says something and waits. Each comes from one of some addresses of loopback,
// for local ports are scarce.
//
//   herd h(edge.mqtt());
//   h.connect(1000, [](std::size_t k) { return encode_connect({.client_id = numbered("C", k)}); });
//   REQUIRE(h.until([&] { return h.accepted() == 1000; }));
//
// Owner: one thread. Nothing moves outside of until().
#pragma once
#include "common/net/unique_fd.hpp"

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace beeline::test {

class herd {
public:
  using words = std::function<std::string(std::size_t)>;
  static constexpr unsigned sources = 8; // 127.0.0.1 to 127.0.0.8

  explicit herd(std::uint16_t port, unsigned from_sources = sources);
  ~herd();
  herd(const herd&) = delete;
  herd& operator=(const herd&) = delete;

  // `n` more; number k of all says first_words(k) as soon as it is connected.
  void connect(std::size_t n, const words& first_words = {});
  void say(const words& what); // each that is open
  void hang_up();              // all of them
  bool until(const std::function<bool()>& done,
             std::chrono::milliseconds patience = std::chrono::seconds(60));
  // Everybody connects, and is told or closed; at most `at_once` are open at a time, and closed again.
  bool in_turn(std::size_t n, std::size_t at_once, const words& first_words);

  std::size_t open() const noexcept { return open_; }         // connected, and not closed by the server
  std::size_t accepted() const noexcept { return accepted_; } // had a CONNACK with code 0, ever
  std::size_t refused() const noexcept { return refused_; }   // had another one
  std::size_t closed() const noexcept { return closed_; }     // by the server, or never connected
  std::size_t begun() const noexcept { return begun_; }

private:
  struct member {
    net::unique_fd fd;
    std::string to_say, heard; // heard: until its CONNACK is whole
    bool connected = false, judged = false;
  };
  void begin(std::size_t k, std::string first_words);
  void step(std::chrono::milliseconds wait);
  void on_event(member& m, unsigned events);
  void speak(member& m);
  void hear(member& m);
  void end(member& m);

  std::uint16_t port_;
  unsigned sources_;
  net::unique_fd epoll_;
  std::vector<member> all_;
  std::size_t open_ = 0, accepted_ = 0, refused_ = 0, closed_ = 0, begun_ = 0;
};

} // namespace beeline::test
