// The examples as a user runs them: two game servers, an edge with MQTT clients, a worker pool, one router.
#include "common/net/unique_fd.hpp"
#include "tests/support/cluster.hpp"
#include "tests/support/raw_mqtt.hpp"

#include <arpa/inet.h>
#include <catch2/catch.hpp>
#include <deque>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <netinet/in.h>
#include <sys/socket.h>
#include <thread>

using namespace beeline;
using namespace beeline::test;

namespace {

// A player with a terminal: writes lines, and reads them until one contains what is waited for.
class player {
public:
  explicit player(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const timeval patience{30, 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    sockaddr_in a{};
    a.sin_family = AF_INET, a.sin_port = htons(port), a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&a), sizeof a) == 0);
  }
  player(std::uint16_t port, const std::string& id) : player(port) {
    // Two logins of one id within half a round trip may be ordered either way: who loses tries again.
    for (std::string line; line != "* welcome, " + id;) {
      if (line.empty() || line.find("attached elsewhere") != line.npos) say("login " + id);
      do REQUIRE(next(line));
      while (line.starts_with("* login"));
      INFO(line);
      REQUIRE((line == "* welcome, " + id || line.find("attached elsewhere") != line.npos));
    }
  }
  void say(const std::string& line) {
    const std::string bytes = line + "\n";
    REQUIRE(::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
            static_cast<ssize_t>(bytes.size()));
  }
  bool next(std::string& line) { // false: the server closed
    for (std::size_t end; (end = in_.find('\n')) == in_.npos;) {
      char buffer[4096];
      const ssize_t n = ::recv(fd_.get(), buffer, sizeof buffer, 0);
      if (n < 0 && errno != ECONNRESET) throw std::runtime_error("the server says nothing");
      if (n <= 0) return false;
      in_.append(buffer, static_cast<std::size_t>(n));
    }
    line = in_.substr(0, in_.find('\n'));
    in_.erase(0, line.size() + 1);
    return true;
  }
  bool reads(const std::string& text) {
    for (std::string line; next(line);)
      if (line.find(text) != line.npos) return true;
    return false;
  }

private:
  net::unique_fd fd_;
  std::string in_;
};

struct game {
  game(const std::string& name, const std::string& router, int descriptors = 1024)
      : os("sh", {"-c", "ulimit -n " + std::to_string(descriptors) + R"(; exec "$0" "$@")",
                  GAME_SERVER_PROGRAM, name, "0", router}) {
    const auto line = os.line_with("players at port ");
    REQUIRE(line);
    port = static_cast<std::uint16_t>(std::stoul(line->substr(line->rfind(' ') + 1)));
    REQUIRE(os.line_with("ready"));
  }
  process os;
  std::uint16_t port = 0;
};

arguments at(edge_process& e, const std::string& id) {
  return {"-V", "mqttv5", "-i", id, "-h", "127.0.0.1", "-p", std::to_string(e.mqtt()), "-q", "1"};
}

struct cluster {
  cluster() { REQUIRE(edge.mqtt()); }
  void restart_router() {
    router->os().signal(SIGKILL);
    router->os().wait();
    start_router();
  }
  void start_router() { router.emplace(arguments{"--shards", "2"}, where); }
  bool online(const std::string& id) {
    return eventually([&] { return router->json("/clients/" + id)["online"] == true; });
  }
  const arguments where{"--listen", "127.0.0.1:" + std::to_string(free_ports(2)), "--admin", "127.0.0.1:0"};
  std::optional<router_process> router{std::in_place, arguments{"--shards", "2"}, where};
  edge_process edge{"edge", {router->address()}};
  game one{"game-1", router->address()}, two{"game-2", router->address()};
};

const std::string taken = "in the recipient's session"; // the words for `accepted`

} // namespace

TEST_CASE("players of two game servers and an MQTT client chat") {
  cluster w;
  player p1(w.one.port, "p1"), p2(w.two.port, "p2"), near(w.one.port, "near");
  p1.say("say p2 hello there");
  CHECK(p2.reads("p1: hello there"));
  CHECK(p1.reads("* p2: " + taken));
  p1.say("say near hello");
  CHECK(near.reads("p1: hello"));
  p1.say("say stranger hello");
  CHECK(p1.reads("* stranger: nobody has it"));
  p1.say("say a/b hello");
  CHECK(p1.reads("* a/b: the message has no destination"));
  p1.say("sing");
  CHECK(p1.reads("say ID TEXT"));

  process sub("mosquitto_sub", at(w.edge, "m1") + arguments{"-t", "@/#", "-v", "-C", "1", "-W", "30"});
  REQUIRE(w.online("m1"));
  p2.say("say m1 to the edge");
  CHECK(sub.line_with("@/p2 to the edge"));
  CHECK(p2.reads("* m1: " + taken));
  process pub("mosquitto_pub", at(w.edge, "m2") + arguments{"-t", "@/p2", "-m", "two\nlines", "-d"});
  CHECK(p2.reads("m2: two lines"));
  CHECK(pub.wait() == 0);
  CHECK(pub.out().find("RC:0)") != std::string::npos);

  p1.say("quit");
  CHECK(p1.reads("* bye"));
  CHECK(eventually([&] { return w.router->json("/clients/p1")["online"] == false; }));
  CHECK(w.one.os.stop() == 0);
  CHECK(near.reads("* the server is closing"));
  CHECK(w.router->json("/clients/near")["online"] == false); // a good-bye was said: no linger
}

TEST_CASE("a player who logs in twice is kicked where it was first, here or on another server") {
  cluster w;
  player first(w.one.port, "p1"), second(w.two.port, "p1");
  CHECK(first.reads("* kicked: the id was attached elsewhere"));
  std::string rest;
  CHECK_FALSE(first.next(rest));
  player third(w.two.port, "p1");
  CHECK(second.reads("* kicked"));
  player other(w.one.port, "p2");
  other.say("say p1 still there?");
  CHECK(third.reads("p2: still there?"));
  // An MQTT client takes it too.
  process sub("mosquitto_sub", at(w.edge, "p1") + arguments{"-t", "@/#", "-W", "30"});
  CHECK(third.reads("* kicked"));
}

TEST_CASE("a login that a full router refuses is told so, and works when there is room") {
  router_process router({"--shards", "1", "--clients-max", "1"});
  game only("game", router.address());
  player p1(only.port, "p1"), p2(only.port);
  p2.say("login p2");
  CHECK(p2.reads("* the router has as many clients as it may"));
  p1.say("quit");
  CHECK(p1.reads("* bye"));
  CHECK(eventually([&] { return router.json("/clients/p1")["online"] == false; }));
  p2.say("login p2");
  CHECK(p2.reads("* welcome, p2"));
}

TEST_CASE("a worker for whom there is no room comes again until there is") {
  router_process router({"--shards", "1", "--clients-max", "1"});
  game only("game", router.address());
  player p1(only.port, "p1");
  process pool(WORKER_POOL_PROGRAM, {"pool", "1", router.address()});
  CHECK(pool.line_with("worker-1: the router has as many clients as it may"));
  p1.say("quit");
  CHECK(pool.line_with("worker-1: at work"));
}

TEST_CASE("a player who reads nothing costs a bounded queue, and senders are told that it is full") {
  cluster w;
  player lazy(w.two.port, "lazy"), p1(w.one.port, "p1");
  const std::string text(4000, 'x');
  bool full = false;
  for (int i = 0; i < 20'000 && !full; ++i) { // the sockets' own buffers hold some megabytes
    p1.say("say lazy " + text);
    std::string line;
    do REQUIRE(p1.next(line));
    while (line.find("* lazy: ") == line.npos);
    full = line.find(taken) == line.npos;
    if (full) CHECK(line.find("full") != line.npos);
  }
  CHECK(full);
  REQUIRE(lazy.reads(text)); // and who reads again is written to again
  const auto goes_in = [&] {
    p1.say("say lazy again");
    for (std::string line; p1.next(line);)
      if (line.starts_with("* lazy: ")) return line.find(taken) != line.npos;
    return false;
  };
  CHECK(eventually([&] { return lazy.reads(text) && goes_in(); }));
}

TEST_CASE("a game server without descriptors waits until some are free, and does not spin") {
  cluster w;
  constexpr int descriptors = 32;
  game small("small", w.router->address(), descriptors);
  const std::string proc = "/proc/" + std::to_string(small.os.pid());
  const auto open_files = [&] {
    return std::distance(std::filesystem::directory_iterator(proc + "/fd"),
                         std::filesystem::directory_iterator());
  };
  const auto cpu_ticks = [&] { // utime and stime; the name before them has no blanks
    std::ifstream in(proc + "/stat");
    const std::vector<std::string> words{std::istream_iterator<std::string>(in), {}};
    return std::stoul(words.at(13)) + std::stoul(words.at(14));
  };
  std::deque<player> players;
  for (int i = 0; i < descriptors; ++i) players.emplace_back(small.port);
  REQUIRE(eventually([&] { return open_files() >= descriptors; }));
  const auto before = cpu_ticks();
  std::this_thread::sleep_for(1s);
  CHECK(cpu_ticks() - before < 20); // of 100 a second
  while (players.size() > 1) players.pop_front();
  CHECK(players.front().reads("* login ID")); // the last one in the queue
}

TEST_CASE("the router is killed and comes back: all recover, and the receipts tell the truth") {
  cluster w;
  player p1(w.one.port, "p1"), p2(w.two.port, "p2");
  process sub("mosquitto_sub", at(w.edge, "m1") + arguments{"-t", "@/#", "-v", "-W", "60"});
  REQUIRE(w.online("m1"));
  constexpr int each = 150;
  int accepted = 0, unknown = 0, other = 0;
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < each; ++i) { // in one go: the server reads on as the receipts come
      p1.say("say p2 n " + std::to_string(round * each + i));
      p1.say("say m1 n " + std::to_string(round * each + i));
    }
    REQUIRE(p1.reads("* p2: " + taken)); // under way
    ++accepted;
    w.restart_router();
    for (int answers = 1; answers < 2 * each;) {
      std::string line;
      REQUIRE(p1.next(line));
      if (!line.starts_with("* p2: ") && !line.starts_with("* m1: ")) continue;
      ++answers;
      if (line.find(taken) != line.npos) accepted += line.starts_with("* p2");
      else ++(line.find("unknown") != line.npos ? unknown : other);
    }
    REQUIRE(w.router->becomes_ready());
  }
  CHECK(other == 0);
  CHECK(w.one.os.out().find("not ready: ") != std::string::npos);
  p1.say("say p2 end");
  p1.say("say m1 end");
  int heard = 0, last = -1;
  for (std::string line; p2.next(line) && line != "p1: end";) {
    if (!line.starts_with("p1: n ")) continue;
    const int n = std::stoi(line.substr(6)); // in order, none twice
    CHECK(n > last);
    last = n, ++heard;
  }
  CHECK(heard >= accepted);
  CHECK(heard <= accepted + unknown);
  CHECK(sub.line_with("@/p1 end"));
  process pub("mosquitto_pub", at(w.edge, "m2") + arguments{"-t", "@/p1", "-m", "after all"});
  CHECK(p1.reads("m2: after all"));
}

TEST_CASE("a worker pool answers an MQTT client's request, and who names no answer is refused") {
  cluster w;
  process pool(WORKER_POOL_PROGRAM, {"pool", "2", w.router->address()});
  REQUIRE(pool.line_with("worker-2: at work"));
  for (int round = 0; round < 2; ++round) {
    process rr("mosquitto_rr", at(w.edge, "me") + arguments{"-t", "@/worker-1/upper", "-e", "@/me/answers",
                                                            "-D", "publish", "correlation-data", "c7", "-m",
                                                            "hello", "-W", "30", "-F", "%t %D %p"});
    CHECK(rr.wait() == 0);
    CHECK(rr.out() == "@/worker-1/answers c7 HELLO\n");
    if (round == 0) w.restart_router();
  }
  process pub("mosquitto_pub", at(w.edge, "m2") + arguments{"-t", "@/worker-2", "-m", "x", "-d"});
  CHECK(pub.wait() == 0);
  CHECK(pub.out().find("RC:131)") != std::string::npos);
  process gone("mosquitto_pub", at(w.edge, "m2") + arguments{"-t", "@/worker-2", "-m", "x", "-D", "publish",
                                                             "response-topic", "@/nobody-there/x"});
  CHECK(gone.wait() == 0);
  CHECK(pool.line_with("no answer to nobody-there: nobody"));
  CHECK(pool.stop() == 0);
  CHECK(pool.line_with("2 answers"));
}
