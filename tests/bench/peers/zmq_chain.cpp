// beeline-zmq-chain: the same chain with ZeroMQ: ROUTER edge, ROUTER router, ROUTER edge. A client is a
// DEALER with an identity, which says to which edge it belongs with a message to nobody. No limits: nothing
// is dropped for size.
//
//   beeline-zmq-chain router                   prints "listening at PORT"
//   beeline-zmq-chain edge NAME ROUTER-PORT    the same
#include <csignal>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <string>
#include <sys/prctl.h>
#include <unordered_map>
#include <zmq.h>

namespace {

constexpr int burst_max = 1000; // messages of one socket before the other has its turn

void checked(int r, const char* what) {
  if (r < 0) throw std::runtime_error(std::string(what) + ": " + zmq_strerror(zmq_errno()));
}

class part { // one frame
public:
  part() { zmq_msg_init(&m_); }
  ~part() { zmq_msg_close(&m_); }
  part(const part&) = delete;
  part& operator=(const part&) = delete;
  bool receive(void* socket) { return zmq_msg_recv(&m_, socket, ZMQ_DONTWAIT) >= 0; }
  bool is_last() const { return !zmq_msg_more(&m_); }
  void send(void* socket, bool more) { zmq_msg_send(&m_, socket, ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0)); }
  std::string text() const { return {static_cast<const char*>(zmq_msg_data(&m_)), zmq_msg_size(&m_)}; }
  bool empty() const { return zmq_msg_size(&m_) == 0; }

private:
  mutable zmq_msg_t m_;
};

void send_text(void* socket, const std::string& s, bool more) {
  zmq_send(socket, s.data(), s.size(), ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0));
}

void* open(void* context, int type) {
  void* s = zmq_socket(context, type);
  const int unlimited = 0;
  zmq_setsockopt(s, ZMQ_SNDHWM, &unlimited, sizeof unlimited);
  zmq_setsockopt(s, ZMQ_RCVHWM, &unlimited, sizeof unlimited);
  return s;
}

void listen_and_say(void* socket) {
  checked(zmq_bind(socket, "tcp://127.0.0.1:*"), "bind");
  char at[256];
  std::size_t size = sizeof at;
  checked(zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, at, &size), "endpoint");
  std::printf("listening at %s\n", std::strrchr(at, ':') + 1);
  std::fflush(stdout);
}

[[noreturn]] void run_router(void* context) {
  void* const edges = open(context, ZMQ_ROUTER);
  listen_and_say(edges);
  std::unordered_map<std::string, std::string> where;
  zmq_pollitem_t wait{edges, 0, ZMQ_POLLIN, 0};
  for (;;) {
    zmq_poll(&wait, 1, -1);
    for (;;) {
      part from, to, payload;
      if (!from.receive(edges) || !to.receive(edges) || !payload.receive(edges)) break;
      if (to.empty()) {
        where[payload.text()] = from.text();
        from.send(edges, true);
        payload.send(edges, true);
        send_text(edges, "welcome", false);
      } else if (const auto found = where.find(to.text()); found != where.end()) {
        send_text(edges, found->second, true);
        to.send(edges, true);
        payload.send(edges, false);
      }
    }
  }
}

[[noreturn]] void run_edge(void* context, const std::string& name, const std::string& router_port) {
  void* const link = open(context, ZMQ_DEALER);
  zmq_setsockopt(link, ZMQ_ROUTING_ID, name.data(), name.size());
  checked(zmq_connect(link, ("tcp://127.0.0.1:" + router_port).c_str()), "connect");
  void* const clients = open(context, ZMQ_ROUTER);
  listen_and_say(clients);
  zmq_pollitem_t wait[] = {{clients, 0, ZMQ_POLLIN, 0}, {link, 0, ZMQ_POLLIN, 0}};
  for (;;) {
    zmq_poll(wait, 2, -1);
    for (int k = 0; k < burst_max; ++k) {
      part from, to, payload;
      if (!from.receive(clients) || !to.receive(clients) || !payload.receive(clients)) break;
      to.send(link, true);
      (to.empty() ? from : payload).send(link, false);
    }
    for (int k = 0; k < burst_max; ++k) {
      part to, payload;
      if (!to.receive(link) || !payload.receive(link)) break;
      to.send(clients, true);
      payload.send(clients, false);
    }
  }
}

} // namespace

int main(int argc, char** argv) try {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const std::string what = argc > 1 ? argv[1] : "";
  void* const context = zmq_ctx_new();
  zmq_ctx_set(context, ZMQ_MAX_SOCKETS, 65536);
  if (what == "router" && argc == 2) run_router(context);
  if (what == "edge" && argc == 4) run_edge(context, argv[2], argv[3]);
  std::fputs("usage: beeline-zmq-chain router | beeline-zmq-chain edge NAME ROUTER-PORT\n", stderr);
  return 2;
} catch (const std::exception& e) {
  std::fprintf(stderr, "beeline-zmq-chain: %s\n", e.what());
  return 1;
}
