// A program with an event loop of its own: it owns sockets and time, and asks the core what to do with them.
#include <common/link/endpoint.ipp>
#include <cstdio>

using namespace beeline;

struct host { // what the endpoint tells
  void on_registered(handle, time_point) {}
  void on_kicked(handle, close_reason, time_point) {}
  answer deliver(handle, const wire::message_view&, std::uint32_t, time_point) { return answer::accepted; }
  void on_taken(const link::outbox::outcome&, time_point) {}
  void on_receipt(handle, std::uint64_t, link::receipt_told, time_point) {}
  void on_outcome(const link::outbox::outcome&, time_point) {}
  void on_link_drained(std::uint16_t, time_point) {}
  void on_ready(bool, time_point) {}
  void on_event(link::event_level, std::string_view line) {
    std::printf("%.*s\n", int(line.size()), line.data());
  }
};

int main() {
  link::endpoint_config config;
  config.who.id = lane_id{1};
  config.who.edge_name = "outside";
  config.who.lanes = 1;
  config.routers = {{"router.example", 7400}};
  config.make_nonce = [] { return wire::nonce{}; };
  host h;
  chunk_pool chunks;
  block_pool blocks;
  dirty_list dirty;
  time_point now{std::chrono::seconds(1)};
  link::endpoint<host> endpoint(config, h, chunks, blocks, dirty, now);
  endpoint.begin_turn(now);
  const handle client = endpoint.attach("client", now);
  endpoint.on_time(now);
  connect_request wish; // it says whom to dial; we say that it did not work
  if (!endpoint.take_connect(wish, now) || wish.host != "router.example" || wish.port != 7400) return 1;
  endpoint.on_connect_failed(wish.link, "no network here", now);
  endpoint.end_turn(now);
  std::printf("%s\n", endpoint.problem().c_str());
  return endpoint.find(client) && !endpoint.ready() && endpoint.next_deadline() > now ? 0 : 1;
}
