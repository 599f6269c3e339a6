// What strangers and broken clients cost a real edge: memory, processor time, descriptors; and that nobody
// else notices. That each is answered as it should be is in unit/lane_hostile_test.cpp.
#include "common/base/limits.hpp"
#include "tests/support/cluster.hpp"
#include "tests/support/herd.hpp"
#include "tests/support/proc_stats.hpp"
#include "tests/support/raw_mqtt.hpp"
#include "tests/support/sanitized.hpp"

#include <catch2/catch.hpp>
#include <cstdio>

using namespace beeline;
using namespace beeline::test;

namespace {

struct open_edge { // takes strangers as fast as they come
  router_process router;
  edge_process edge;
  explicit open_edge(const arguments& more = {})
      : edge("e1", {router.address()}, arguments{"--lanes", "2", "--connect-rate", "0"} + more) {
    if (!edge.mqtt()) throw std::runtime_error("the edge does not open");
  }
  std::uint16_t port() { return edge.mqtt(); }
  pid_t pid() { return edge.os().pid(); }
  nlohmann::json totals() const { return edge.json("/stats")["totals"]; }
  bool serves(const std::string& id) {
    raw_mqtt a(port(), id), b(port(), id + "-too");
    return a.publish("@/" + id + "-too", "x") == 0;
  }
};

std::string bytes(std::initializer_list<unsigned> b) {
  std::string s;
  for (unsigned x : b) s += static_cast<char>(x);
  return s;
}

double ms_to_serve(open_edge& t, const std::string& id) {
  const auto begin = std::chrono::steady_clock::now();
  const bool served = t.serves(id);
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
  return served ? took.count() : 1e9;
}

// Of every kind that a decoder may stumble over.
std::string malformed(std::size_t k) {
  const will_options will{.topic = "t", .payload = "p", .properties = bytes({0x26, 0, 3, 'a'})};
  switch (k % 6) {
  case 0:
    return encode_connect({.client_id = "C", .properties = bytes({0x11, 1, 2})}); // cut inside a property
  case 1: return encode_connect({.client_id = "C", .will = will});                // of the will
  case 2: return encode_packet(0x10, bytes({0, 4, 'M', 'Q', 'T', 'X', 5, 2, 0, 0, 0, 0, 1, 'C'}));
  case 3: return encode_packet(0x10, bytes({0, 4, 'M', 'Q', 'T', 'T', 5, 2, 0, 0, 0, 0, 9, 'C'}));
  case 4: return bytes({0x10, 0xff, 0xff, 0xff, 0xff, 1});
  default: return encode_connect({.client_id = "a/b"}) + std::string(500, 'x');
  }
}

} // namespace

TEST_CASE(
    "CAT-1: a thousand CONNECTs that claim 268,435,455 bytes, or all that is allowed, and then say nothing, "
    "cost less than 4 KiB each") {
  open_edge t({"--connect-timeout", "60s"});
  const bool allowed = GENERATE(false, true);
  REQUIRE(t.serves("warm"));
  const std::size_t before = rss_bytes(t.pid());
  herd h(t.port());
  h.connect(1'000, [&](std::size_t) {
    return std::string(1, '\x10') +
           (allowed ? encode_varint(limits::connect_bytes_max - 4) : bytes({0xff, 0xff, 0xff, 0x7f}));
  });
  if (allowed) REQUIRE(h.until([&] { return t.totals()["prelogin_bytes"] == 4'000; }));
  else REQUIRE(h.until([&] { return h.closed() == 1'000; }));
  const double each = (double(rss_bytes(t.pid())) - double(before)) / 1'000;
  std::printf("a claim of %s, then silence: RSS + %.0f bytes a connection\n", allowed ? "64 KiB" : "256 MiB",
              each);
  if (!sanitized) CHECK(each < 4 * limits::KiB);
  CHECK(t.serves("good"));
}

TEST_CASE("CAT-2 CAT-18: a first packet that is not CONNECT ends it at once, whatever follows, and nothing "
          "is kept") {
  open_edge t;
  REQUIRE(t.serves("warm"));
  const std::size_t before = rss_bytes(t.pid());
  constexpr std::size_t each = 64;
  herd h(t.port());
  h.connect(16 * each, [](std::size_t k) {
    const auto first = static_cast<unsigned>(k / each) << 4;
    if (first == 0x10) return bytes({0x10, 0}); // a CONNECT without anything in it
    if (first == 0x40) return bytes({0x40, 2, 0, 1});
    return bytes({first, 0xff, 0xff, 0x03}) + std::string(64 * limits::KiB, 'x');
  });
  REQUIRE(h.until([&] { return h.closed() == 16 * each; }));
  CHECK(h.accepted() + h.refused() == 0); // not a byte in answer
  CHECK(t.totals()["prelogin_bytes"] == 0);
  CHECK(t.totals()["socket_rest_bytes"] == 0);
  CHECK(eventually([&] { return t.totals()["connections"] == 0; }));
  if (!sanitized) CHECK(rss_bytes(t.pid()) < before + 2 * limits::MiB);
  CHECK(t.serves("good"));
}

TEST_CASE("CAT-11: what is off or not there is refused in its own words at every door, and serves nobody") {
  open_edge t;
  SECTION("other protocols at the MQTT port, MQTT at the others") {
    const std::string http = "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                             "Sec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Version: 13\r\n\r\n";
    const std::string tls = bytes({0x16, 3, 1, 0, 5, 1, 0, 0, 1, 3});
    const std::string proxy = "PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n" + encode_connect({.client_id = "C"});
    const std::string proxy2 = bytes({0x0d, 0x0a, 0x0d, 0x0a, 0, 0x0d, 0x0a, 'Q', 'U', 'I', 'T', 0x0a});
    const std::string link = bytes({0x40, 0, 0, 1}) + std::string(60, '\0');
    herd strangers(t.port());
    const std::string said[] = {http, tls, proxy, proxy2, link};
    strangers.connect(5, [&](std::size_t k) { return said[k]; });
    CHECK(strangers.until([&] { return strangers.closed() == 5; }));
    CHECK(strangers.accepted() + strangers.refused() == 0);
    herd at_router(t.router.port());
    at_router.connect(
        3, [&](std::size_t k) { return k == 0 ? encode_connect({.client_id = "C"}) : said[k - 1]; });
    CHECK(at_router.until([&] { return at_router.closed() == 3; }));
    herd at_admin(t.edge.admin());
    at_admin.connect(1, [](std::size_t) { return encode_connect({.client_id = "C"}); });
    CHECK(at_admin.until([&] { return at_admin.closed() == 1; }));
    CHECK(at_admin.accepted() == 0);
    CHECK(http_get(t.edge.admin(), "/", "CONNECT").status >= 400);
  }
  SECTION("at CONNECT") {
    const auto refused_with = [&](const connect_options& o, unsigned code) {
      herd h(t.port());
      h.connect(1, [&](std::size_t) { return encode_connect(o); });
      const auto before = t.totals()["connects_refused"].get<unsigned>();
      INFO("CONNACK " << code);
      CHECK(h.until([&] { return h.refused() == 1; }));
      CHECK(t.totals()["connects_refused"] == before + 1);
      CHECK(t.edge.json("/drops")["drops"][0]["reason"] != nullptr);
    };
    refused_with({.client_id = "C", .will = will_options{.topic = "t"}}, 0x83);
    refused_with({.client_id = "C", .will = will_options{.topic = "t", .retain = true}}, 0x9a);
    refused_with({.client_id = "C", .will = will_options{.topic = "t", .qos = 2}}, 0x9b);
    refused_with(
        {.client_id = "C", .properties = property_list().text(property::authentication_method, "X").bytes()},
        0x8c);
  }
  SECTION("after login") {
    raw_mqtt c(t.port(), "C");
    for (const char* topic : {"news/sport", "@all", "@to", "$SYS/x", "$presence/C", "$share/g/t"})
      CHECK(c.publish(topic, "x") == 0x90);
    c.send(encode_subscribe(7, {{"news/sport"}, {"$share/g/t"}, {"$presence/C"}, {"$SYS/#"}, {"#"}}, v5));
    suback_packet a;
    REQUIRE(decode_suback(c.next(), v5, a) == reason::success);
    REQUIRE(a.codes.size() == 5);
    for (const reason r : a.codes) CHECK(mqtt::is_error(r));
    const auto ends_with = [&](const std::string& packet, unsigned code) {
      raw_mqtt x(t.port(), "X");
      x.send(packet);
      mqtt::disconnect_packet d;
      REQUIRE(test::decode_disconnect(x.next(), v5, d) == reason::success);
      CHECK(static_cast<unsigned>(d.code) == code);
    };
    ends_with(encode_publish({.topic = "@/C", .qos = 2, .packet_id = 1}), 0x9b);
    ends_with(encode_publish({.topic = "@/C", .retain = true}), 0x9a);
    ends_with(encode_packet(0xf0, bytes({0x18, 0})), 0x82);
  }
  CHECK(t.serves("good"));
}

TEST_CASE("CAT-14: every type of packet after login, the server's own too, ends one client at most") {
  open_edge t;
  for (unsigned type = 0; type < 16; ++type)
    for (const std::string& body :
         {bytes({}), bytes({0, 1}), bytes({0, 1, 0, 0}), std::string(2'000, '\xff')}) {
      raw_mqtt c(t.port(), "C");
      c.send(encode_packet(static_cast<std::uint8_t>(type << 4), body));
      c.send(encode_packet(static_cast<std::uint8_t>(type << 4 | 2), body));
      c.send(encode_pingreq()); // an answer to that, or the end
      for (packet_type heard{}; heard != packet_type::pingresp && heard != packet_type::disconnect;) {
        const mqtt::packet p = c.next();
        heard = p.type();
        if (heard == packet_type::reserved) break;
      }
    }
  CHECK(t.serves("good"));
  CHECK(t.totals()["malformed_packets"] > 30);
}

TEST_CASE("CAT-15: 64 KiB of user properties take less than 5 ms of processor time a packet") {
  open_edge t;
  property_list many;
  while (many.bytes().size() + 7 <= limits::user_properties_bytes_max) many.user("a", "b");
  raw_mqtt c(t.port(), "C");
  constexpr int packets = 100;
  std::string out;
  for (int k = 0; k < packets; ++k)
    out += encode_publish({.topic = "@/nobody-there", .payload = "x", .properties = many.bytes()});
  const double cpu = cpu_seconds(t.pid());
  c.send(out);
  CHECK(c.publish("@/nobody-there", "x") == 0x10); // all before it have been handled
  const double ms = (cpu_seconds(t.pid()) - cpu) * 1e3 / packets;
  std::printf("a PUBLISH with %zu bytes of user properties: %.3f ms of the edge's processor time\n",
              many.bytes().size(), ms);
  CHECK(t.totals()["publishes"]["qos0"] == packets);
  CHECK(ms < (fast_build ? 5 : 50));
}

TEST_CASE("CAT-16: malformed packets leave no memory behind") {
  const std::size_t all = full_size() ? 1'000'000 : sanitized ? 1'000 : 20'000;
  open_edge t;
  REQUIRE(t.serves("warm"));
  {
    herd h(t.port());
    REQUIRE(h.in_turn(all / 10, 200, malformed));
  }
  const std::size_t before = rss_bytes(t.pid());
  const auto begin = std::chrono::steady_clock::now();
  bool whole = true;
  for (std::size_t done = 0; done < all && whole; done += all / 10)
    whole = herd(t.port()).in_turn(all / 10, 200, malformed);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  REQUIRE(whole);
  const double grown = (double(rss_bytes(t.pid())) - double(before)) / double(limits::KiB);
  std::printf("%zu malformed packets, each on a connection of its own: %.0f a second, RSS + %.0f KiB\n", all,
              double(all) / took.count(), grown);
  CHECK(t.totals()["socket_accepts"] >= all);
  CHECK(eventually([&] { return t.totals()["connections"] == 0; }));
  CHECK(t.totals()["socket_rest_bytes"] == 0);
  if (!sanitized) CHECK(grown < 1'024);
  CHECK(t.serves("good"));
}

TEST_CASE("CAT-19: after refused logins no descriptor is left") {
  const std::size_t all = sanitized ? 2'000 : 20'000;
  open_edge t;
  REQUIRE(t.serves("warm"));
  REQUIRE(eventually([&] { return t.totals()["connections"] == 0; }));
  const std::size_t before = open_files(t.pid());
  herd h(t.port());
  REQUIRE(h.in_turn(all, 500, [](std::size_t) { return encode_connect({.client_id = "#"}); }));
  CHECK(h.refused() == all);
  CHECK(t.totals()["connects_refused"] == all);
  CHECK(eventually([&] { return open_files(t.pid()) <= before; }));
  CHECK(eventually([&] { return t.edge.json("/stats")["mqtt"]["connections"] == 0; }));
}

TEST_CASE("CAT-20: thousands of silent connections and of clients without keep-alive keep nobody out") {
  const std::size_t half = sanitized ? 300 : 2'500;
  open_edge t;
  herd silent(t.port()), idle(t.port());
  idle.connect(half, [](std::size_t k) {
    connect_options o{.client_id = "I" + std::to_string(k)};
    if (k % 2) o.version = v311, o.keep_alive = 0;
    else o.keep_alive = 65'535;
    return encode_connect(o);
  });
  REQUIRE(idle.until([&] { return idle.accepted() == half; }));
  silent.connect(half);
  REQUIRE(silent.until([&] { return silent.open() == half && t.totals()["connections"] == 2 * half; }));
  const double ms = ms_to_serve(t, "good");
  std::printf("%zu silent and %zu idle connections: two good clients connect and talk in %.1f ms\n", half,
              half, ms);
  CHECK(ms < (fast_build ? 1'000 : 10'000));
  CHECK(silent.until([&] { return silent.closed() == half; })); // their time to CONNECT is over
  CHECK(t.totals()["socket_closes"]["connect_timeout"] == half);
  CHECK(t.totals()["clients"] == half); // MQTT 3.1.1 with 0 may stay for ever, it holds one place
}
