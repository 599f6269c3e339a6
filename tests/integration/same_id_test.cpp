// Many connections of one client id at once, on two edges of two lanes: what they do crosses at each step.
// Under ThreadSanitizer and AddressSanitizer the edges' own reports end them, and so the test.
#include "tests/support/cluster.hpp"
#include "tests/support/raw_mqtt.hpp"
#include "tests/support/sanitized.hpp"

#include <atomic>
#include <catch2/catch.hpp>
#include <thread>

using namespace beeline;
using namespace beeline::test;

namespace {

constexpr unsigned threads = 8, rounds = sanitized ? 20 : 80;
const std::vector<std::string> filters{"@/#", "@/+/chat", "@/same/#"};

// Comes in as "same", subscribes, unsubscribes, writes to itself, and leaves or breaks off.
void live_once(std::uint16_t port, unsigned round) {
  raw_mqtt c(port, "same");
  std::vector<subscribe_filter> wanted;
  for (const std::string& f : filters) wanted.push_back({f});
  std::string all = encode_subscribe(1, wanted, protocol_version::v5);
  all += encode_unsubscribe(2, {filters[round % filters.size()]}, protocol_version::v5);
  all += encode_subscribe(3, wanted, protocol_version::v5);
  c.send(all);
  if (round % 3 == 0) c.publish("@/same/chat", "to whoever has the id");
  if (round % 2) c.send(encode_disconnect(protocol_version::v5));
}

} // namespace

TEST_CASE("CAT-23: one id from many connections at once that subscribe, unsubscribe and leave; one is left") {
  two_edges cluster;
  std::atomic<unsigned> lived{0}, cut_off{0};
  {
    std::vector<std::jthread> all;
    for (unsigned t = 0; t < threads; ++t)
      all.emplace_back([&, t] {
        for (unsigned round = 0; round < rounds; ++round) {
          try {
            live_once(((round + t) % 2 ? cluster.e1 : cluster.e2).mqtt(), round + t);
            ++lived;
          } catch (const std::runtime_error&) { // taken over by another one at some step
            ++cut_off;
          }
        }
      });
  }
  WARN(lived << " lived to their end, " << cut_off << " were cut off");
  CHECK(lived + cut_off == threads * rounds);
  CHECK(lived > 0);
  const auto clients = [&] {
    std::uint64_t n = 0;
    for (const auto* e : {&cluster.e1, &cluster.e2})
      n += e->json("/stats")["totals"]["clients"].get<std::uint64_t>();
    return n;
  };
  const auto known = [&] { return cluster.router.json("/stats")["totals"]["clients"].get<std::uint64_t>(); };
  CHECK(eventually([&] { return clients() == 0 && known() == 0; }));

  raw_mqtt last(cluster.e1.mqtt(), "same");
  CHECK(last.publish("@/same", "hi") == 0);
  CHECK(eventually([&] { return clients() == 1 && known() == 1; })); // a page may be a moment old
  CHECK(cluster.e1.os().stop() == 0);
  CHECK(cluster.e2.os().stop() == 0);
  CHECK(cluster.router.os().stop() == 0);
}
