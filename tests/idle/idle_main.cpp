// beeline-idle-clients (L2): as many MQTT clients as there are descriptors, that do next to nothing. One in fifty
// is slow: it sends a message every ten seconds to a random other one and reads once a second. It is told by
// lines of its standard input: "churn N" (so many leave and come back a second), "greet", "slow on", "slow
// off", "tell", "end".
//
//   beeline-idle-clients --prefix P --clients N --from 127.1.0.1 --edge HOST:PORT [--edge ...] [--a-second N]
//
// It prints "connected" when all are, "greeted" when all greetings are answered, and for "tell" a line of
// JSON. Exit codes: 0 ended as told, 2 usage, 1 else.
#include "common/base/rng.hpp"
#include "tests/idle/idle_client.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <poll.h>
#include <stdexcept>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

namespace beeline::idle {
namespace {

using clock = std::chrono::steady_clock;
constexpr double ping_seconds = 100, slow_seconds = 10;
constexpr double greets_a_second = 3000;
constexpr std::size_t slow_one_in = 50;

struct options {
  std::string prefix = "i";
  std::size_t clients = 100;
  double a_second = 2000; // connects
  sockaddr_in from{};
  std::vector<sockaddr_in> edges;
};

sockaddr_in address_of(const std::string& text) {
  const auto colon = text.find(':');
  sockaddr_in a{};
  a.sin_family = AF_INET;
  if (colon != text.npos) a.sin_port = htons(static_cast<std::uint16_t>(std::stoul(text.substr(colon + 1))));
  if (::inet_pton(AF_INET, text.substr(0, colon).c_str(), &a.sin_addr) != 1)
    throw std::invalid_argument("no address: " + text);
  return a;
}

options read_options(int argc, char** argv) {
  options o;
  o.from = address_of("127.0.0.1");
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i], value = argv[i + 1];
    if (name == "--prefix") o.prefix = value;
    else if (name == "--clients") o.clients = std::stoul(value);
    else if (name == "--a-second") o.a_second = std::stod(value);
    else if (name == "--from") o.from = address_of(value);
    else if (name == "--edge") o.edges.push_back(address_of(value));
    else throw std::invalid_argument("unknown option " + name);
  }
  if (argc % 2 == 0 || o.edges.empty() || o.clients == 0) throw std::invalid_argument("--edge is needed");
  return o;
}

// Work that is due at a rate: how much of it now.
class pace {
public:
  explicit pace(double a_second = 0) : a_second_(a_second), last_(clock::now()) {}
  std::size_t due() {
    const auto now = clock::now();
    saved_ = std::min(saved_ + a_second_ * std::chrono::duration<double>(now - last_).count(), a_second_ + 1);
    last_ = now;
    const auto n = static_cast<std::size_t>(saved_);
    saved_ -= static_cast<double>(n);
    return n;
  }

private:
  double a_second_, saved_ = 0;
  clock::time_point last_;
};

class crowd {
public:
  explicit crowd(const options& o)
      : options_(o), epoll_(::epoll_create1(EPOLL_CLOEXEC)), connects_(o.a_second) {
    for (std::size_t i = 0; i < o.clients; ++i) {
      clients_.emplace_back(o.prefix + std::to_string(i));
      to_connect_.push_back(static_cast<std::uint32_t>(o.clients - 1 - i));
    }
    pings_ = pace(static_cast<double>(o.clients) / ping_seconds);
  }

  void run() {
    while (!ended_) {
      turn();
      listen();
    }
    for (client& c : clients_) c.leave(true, tally_);
  }

private:
  void turn() {
    epoll_event events[512];
    const int n = ::epoll_wait(epoll_.get(), events, 512, 20);
    for (int i = 0; i < n; ++i) clients_[events[i].data.u32].on_event(events[i].events, tally_);
    for (std::size_t k = connects_.due(); k > 0 && !to_connect_.empty(); --k) {
      const std::uint32_t i = to_connect_.back();
      to_connect_.pop_back();
      const sockaddr_in& to = options_.edges[random_.below(options_.edges.size())];
      clients_[i].connect(epoll_.get(), i, source_of(i), to, tally_);
    }
    for (std::size_t k = churn_.due(); k > 0; --k) leave_and_come_back(some());
    for (std::size_t k = pings_.due(); k > 0; --k) clients_[next_ping_++ % clients_.size()].ping();
    for (std::size_t k = slow_sends_.due(); k > 0; --k)
      clients_[slow_ones() * slow_one_in % clients_.size()].publish(clients_[some()].id(), tally_);
    for (std::size_t k = slow_reads_.due(); k > 0; --k) {
      client& c = clients_[next_slow_++ * slow_one_in % clients_.size()];
      if (c.now() == client::state::live) c.read(tally_);
    }
    greet();
    if (greeted_when_answered_ && tally_.answered == tally_.published)
      say("greeted"), greeted_when_answered_ = false;
    if (!told_ && to_connect_.empty() && live() == clients_.size()) told_ = true, say("connected");
  }

  static void say(const char* what) {
    std::printf("%s\n", what);
    std::fflush(stdout);
  }

  // As from many machines: addresses after the one that was given.
  sockaddr_in source_of(std::uint32_t i) const {
    constexpr std::uint32_t addresses = 200;
    sockaddr_in from = options_.from;
    from.sin_addr.s_addr = htonl(ntohl(from.sin_addr.s_addr) + i % addresses);
    return from;
  }
  std::uint32_t some() { return static_cast<std::uint32_t>(random_.below(clients_.size())); }
  std::size_t slow_ones() { return random_.below(clients_.size() / slow_one_in + 1); }
  std::size_t live() const {
    return static_cast<std::size_t>(std::count_if(
        clients_.begin(), clients_.end(), [](const client& c) { return c.now() == client::state::live; }));
  }
  // Each sends a message to the next one, so that all have what a session has that was ever used.
  void greet() {
    if (to_greet_ == 0) return;
    for (std::size_t k = greets_.due(); k > 0 && to_greet_ > 0; --k)
      --to_greet_, clients_[to_greet_].publish(clients_[(to_greet_ + 1) % clients_.size()].id(), tally_);
    if (to_greet_ == 0) greeted_when_answered_ = true;
  }
  void leave_and_come_back(std::uint32_t i) {
    if (clients_[i].now() != client::state::live) return;
    clients_[i].leave(random_.one_in(2), tally_);
    to_connect_.push_back(i);
  }

  void slow(bool on) {
    const double n = static_cast<double>(clients_.size() / slow_one_in);
    slow_sends_ = pace(on ? n / slow_seconds : 0);
    slow_reads_ = pace(on ? n : 0);
    for (std::size_t i = 0; i < clients_.size(); i += slow_one_in) {
      clients_[i].slow = on;
      if (!on && clients_[i].now() == client::state::live) clients_[i].read(tally_);
    }
  }

  void listen() {
    pollfd in{0, POLLIN, 0};
    if (::poll(&in, 1, 0) <= 0) return;
    char buffer[256];
    const ssize_t n = ::read(0, buffer, sizeof buffer);
    if (n <= 0) ended_ = true; // whoever started us has gone
    else said_.append(buffer, static_cast<std::size_t>(n));
    for (std::size_t end = said_.find('\n'); end != said_.npos; end = said_.find('\n')) {
      obey(said_.substr(0, end));
      said_.erase(0, end + 1);
    }
  }
  void obey(const std::string& line) {
    if (line == "end") ended_ = true;
    else if (line.starts_with("churn ")) churn_ = pace(std::stod(line.substr(6)));
    else if (line == "slow on" || line == "slow off") slow(line == "slow on");
    else if (line == "greet") to_greet_ = clients_.size(), greets_ = pace(greets_a_second);
    else if (line == "tell") tell();
    else throw std::invalid_argument("not understood: " + line);
  }
  void tell() {
    const auto n = [](std::uint64_t v) { return static_cast<unsigned long long>(v); };
    std::printf(
        "{\"live\":%llu,\"connects\":%llu,\"left\":%llu,\"lost\":%llu,\"refused\":%llu,\"published\":%llu,"
        "\"answered\":%llu,\"not_accepted\":%llu,\"received\":%llu,\"why\":\"%s\"}\n",
        n(live()), n(tally_.connects), n(tally_.left), n(tally_.lost), n(tally_.refused), n(tally_.published),
        n(tally_.answered), n(tally_.not_accepted), n(tally_.received), tally_.why.c_str());
    std::fflush(stdout);
  }

  const options& options_;
  net::unique_fd epoll_;
  rng random_{1};
  std::vector<client> clients_;
  std::vector<std::uint32_t> to_connect_;
  pace connects_, pings_, churn_, slow_sends_, slow_reads_;
  std::size_t next_ping_ = 0, next_slow_ = 0;
  tally tally_;
  std::string said_;
  std::size_t to_greet_ = 0;
  pace greets_;
  bool told_ = false, ended_ = false, greeted_when_answered_ = false;
};

} // namespace
} // namespace beeline::idle

int main(int argc, char** argv) try {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const auto o = beeline::idle::read_options(argc, argv);
  beeline::idle::crowd(o).run();
  return 0;
} catch (const std::invalid_argument& e) {
  std::fprintf(stderr, "beeline-idle-clients: %s\n", e.what());
  return 2;
} catch (const std::exception& e) {
  std::fprintf(stderr, "beeline-idle-clients: %s\n", e.what());
  return 1;
}
