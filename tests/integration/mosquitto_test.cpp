// Clients that we did not write: mosquitto_sub and mosquitto_pub on two edges.
#include "tests/support/cluster.hpp"

#include <catch2/catch.hpp>

using namespace beeline::test;
using nlohmann::json;
using namespace std::chrono_literals;

namespace {
struct three_edges : two_edges {
  edge_process e3{"e3", {router.address()}};
  three_edges() { REQUIRE(e3.mqtt()); }
  bool online(const std::string& id) {
    return eventually([&] { return router.json("/clients/" + id)["online"] == true; });
  }
};

arguments at(edge_process& e, const std::string& version, const std::string& id) {
  return {"-V", version, "-i", id, "-h", "127.0.0.1", "-p", std::to_string(e.mqtt())};
}
} // namespace

TEST_CASE("mosquitto_sub on edge 2 prints what mosquitto_pub on edge 1 sends") {
  three_edges w;
  for (const std::string version : {"mqttv5", "mqttv311"}) {
    CAPTURE(version);
    process sub("mosquitto_sub",
                at(w.e2, version, "C2") + arguments{"-t", "@/#", "-v", "-C", "1", "-W", "20"});
    REQUIRE(w.online("C2"));
    process pub("mosquitto_pub",
                at(w.e1, version, "C1") + arguments{"-q", "1", "-t", "@/C2/chat", "-m", "hi", "-d"});
    CHECK(pub.wait() == 0);
    CHECK(pub.out().find("PUBACK (Mid: 1, RC:0)") != std::string::npos);
    CHECK(sub.line_with("@/C1/chat hi"));
    CHECK(sub.wait() == 0);
  }
  CHECK(w.e3.json("/stats")["totals"]["messages_in"] == 0);
}

TEST_CASE("with nobody there a version 5 publisher gets 0x10") {
  three_edges w;
  process pub("mosquitto_pub",
              at(w.e1, "mqttv5", "C1") + arguments{"-q", "1", "-t", "@/C2/chat", "-m", "hi", "-d"});
  CHECK(pub.wait() == 0);
  CHECK(pub.out().find("PUBACK (Mid: 1, RC:16)") != std::string::npos);
  process old("mosquitto_pub",
              at(w.e1, "mqttv311", "C1") + arguments{"-q", "1", "-t", "@/C2/chat", "-m", "hi", "-d"});
  CHECK(old.wait() == 0); // 3.1.1: settled
  CHECK(eventually([&] { return w.e1.json("/stats")["totals"]["outcomes"]["nobody"] == 2; }));
}
