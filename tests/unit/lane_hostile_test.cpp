// What strangers and broken clients send: before login and after, each with its reason, closed and counted.
#include "tests/support/lane_test.hpp"
#include "tests/support/sanitized.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <ctime>
#include <fstream>
#include <unistd.h>

using namespace beeline;
using namespace beeline::test;

namespace {
std::string bytes(std::initializer_list<unsigned> b) {
  std::string s;
  for (unsigned x : b) s += static_cast<char>(x);
  return s;
}
std::size_t rss_bytes() {
  std::ifstream f("/proc/self/statm");
  std::size_t size = 0, resident = 0;
  f >> size >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}
} // namespace

TEST_CASE("hostile: CAT-2 CAT-18 a first packet that is not CONNECT ends it at once, nothing is kept",
          "[lane]") {
  lane_world w;
  std::uint64_t n = 0;
  for (unsigned first = 0; first < 256; ++first) {
    if (first >> 4 == 1) continue;
    for (const std::string& rest : {bytes({}), bytes({0}), bytes({2, 0, 1}), bytes({0xff, 0xff, 0xff, 0x7f}),
                                    std::string(5'000, 'x')}) {
      auto& c = w.open();
      c.send(static_cast<char>(first) + rest);
      REQUIRE(c.closed());
      REQUIRE(c.nothing());
      ++n;
    }
  }
  REQUIRE(closes(w, close_reason::protocol_error) == n);
  REQUIRE(w.lane(0).counters.malformed.get() == n);
  REQUIRE(w.lane(0).counters.prelogin_bytes.get() == 0);
  REQUIRE(w.lane(0).counters.connections.get() == 0);
}

TEST_CASE("hostile: CAT-1 a claim of 268,435,455 bytes reserves nothing", "[lane]") {
  lane_world w;
  const auto before = rss_bytes();
  for (int i = 0; i < 1'000; ++i) {
    auto& c = w.open();
    c.send(bytes({0x10, 0xff, 0xff, 0xff, 0x7f}));
    REQUIRE(c.closed());
  }
  if (!sanitized) REQUIRE(rss_bytes() < before + 1'000 * 4 * limits::KiB);
  REQUIRE(closes(w, close_reason::packet_too_large) == 1'000);
  for (std::size_t claim : {limits::connect_bytes_max, limits::connect_bytes_max - 3}) {
    auto& c = w.open();
    c.send(std::string(1, '\x10') + encode_varint(claim) + "x");
    REQUIRE(c.closed());
  }
  auto& fits = w.open(); // header of 4 bytes and the rest: exactly the limit
  fits.send(std::string(1, '\x10') + encode_varint(limits::connect_bytes_max - 4) + "x");
  REQUIRE_FALSE(fits.closed());
  REQUIRE(w.lane(0).counters.prelogin_bytes.get() == 5);

  auto& live = w.connect("C"); // after login likewise
  live.send(bytes({0x30, 0xff, 0xff, 0xff, 0x7f}));
  REQUIRE(live.closed_with(0x95));
}

TEST_CASE("hostile: CAT-3 trickled CONNECTs stay within the budget of all, and a good client comes in",
          "[lane]") {
  lane_world w({.lane = [](edge::lane_config& c) { c.prelogin_bytes_max = 1 * limits::MiB; }});
  const auto& held = w.lane(0).counters.prelogin_bytes;
  connect_options o;
  o.client_id = "C";
  o.properties = property_list().user("k", std::string(60'000, 'v')).bytes();
  const std::string whole = encode_connect(o);
  std::vector<mqtt_client*> slow;
  for (int i = 0; i < 40; ++i) {
    auto& c = *slow.emplace_back(&w.open());
    for (std::size_t at = 0; at + 1 < whole.size() && !c.closed(); at += 20'000)
      c.send(std::string_view(whole).substr(at, std::min<std::size_t>(20'000, whole.size() - 1 - at)));
    REQUIRE(held.get() <= 1 * limits::MiB);
  }
  REQUIRE(closes(w, close_reason::prelogin_limit) > 20);
  REQUIRE(held.get() > 900'000);
  w.connect("good");
  std::size_t open = 0;
  for (auto* c : slow) open += !c->closed();
  REQUIRE(open * (whole.size() - 1) == held.get());
  for (auto* c : slow)
    if (!c->closed()) c->send(whole.substr(whole.size() - 1)); // the missing byte
  REQUIRE(held.get() == 0);
}

TEST_CASE("hostile: CAT-3 what is sent behind a CONNECT that waits counts for the budget, too", "[lane]") {
  lane_world w({.lane = [](edge::lane_config& c) { c.prelogin_bytes_max = 1 * limits::MiB; }});
  const auto& held = w.lane(0).counters.prelogin_bytes;
  w.router_down();
  std::size_t closed = 0;
  for (int i = 0; i < 40; ++i) {
    auto& c = w.open();
    c.send(encode_connect({.client_id = numbered("C", i)}) + std::string(100'000, '\xc0'));
    closed += c.closed();
    REQUIRE(held.get() <= 1 * limits::MiB);
  }
  REQUIRE(closed == 30);
  w.advance(7s);
  REQUIRE(held.get() == 0); // 0x88 for the others
  REQUIRE(w.lane(0).counters.connections.get() == 0);
}

TEST_CASE("hostile: CAT-14 every packet type after login, right and wrong way round", "[lane]") {
  lane_world w;
  const std::string id = bytes({0, 1});
  struct row {
    std::string packet;
    unsigned reason; // of DISCONNECT; 0: it goes on
  };
  const std::vector<row> rows = {
      {bytes({0x00, 0}), 0x81},
      {encode_connect({.client_id = "C"}), 0x82}, // a second CONNECT
      {bytes({0x20, 3, 0, 0, 0}), 0x82},          // CONNACK
      {encode_publish({.topic = "@/C", .payload = "x"}), 0},
      {encode_packet(0x40, id), 0},    // PUBACK of nothing
      {encode_packet(0x50, id), 0x82}, // PUBREC: there is no QoS 2
      {encode_packet(0x62, id), 0},    // PUBREL: PUBCOMP says 0x92
      {encode_packet(0x70, id), 0x82}, // PUBCOMP
      {encode_subscribe(1, {{"@/#", 1}}, v5), 0},
      {bytes({0x90, 4, 0, 1, 0, 0}), 0x82}, // SUBACK
      {encode_unsubscribe(1, {"@/#"}, v5), 0},
      {bytes({0xb0, 4, 0, 1, 0, 0}), 0x82}, // UNSUBACK
      {encode_pingreq(), 0},
      {bytes({0xd0, 0}), 0x82}, // PINGRESP
      {bytes({0xf0, 0}), 0x82}, // AUTH
      // wrong flags
      {bytes({0x01, 0}), 0x81},
      {bytes({0x41, 2, 0, 1}), 0x81},
      {bytes({0x60, 2, 0, 1}), 0x81},
      {bytes({0x80, 6, 0, 1, 0, 0, 1, 'a', 0}), 0x81},
      {bytes({0xa0, 2, 0, 1}), 0x81},
      {bytes({0xc1, 0}), 0x81},
      {bytes({0xe1, 0}), 0x81},
      {bytes({0xf1, 0}), 0x81},
      {bytes({0x36, 5, 0, 1, 'a', 0, 1}), 0x81},
      {bytes({0x38, 4, 0, 1, 'a', 0}), 0x81},
      // bodies that are cut, too long, or not allowed
      {bytes({0x30, 0}), 0x81},
      {bytes({0x32, 3, 0, 1, 'a'}), 0x81},
      {bytes({0x32, 6, 0, 1, 'a', 0, 0, 0}), 0x82},
      {bytes({0x40, 1, 0}), 0x81},
      {bytes({0x40, 2, 0, 0}), 0x82},
      {bytes({0x40, 3, 0, 1, 0x7f}), 0x82},
      {bytes({0x82, 3, 0, 1, 0}), 0x82},
      {bytes({0x82, 2, 0, 1}), 0x81},
      {bytes({0x82, 7, 0, 1, 0, 0, 1, 'a', 3}), 0x82},
      {bytes({0x82, 7, 0, 1, 0, 0, 1, 'a', 0x40}), 0x81},
      {bytes({0xa2, 3, 0, 1, 0}), 0x82},
      {bytes({0xc0, 1, 0}), 0x81},
      {bytes({0xe0, 1, 0x7f}), 0x82},
      {bytes({0xe0, 2, 0, 5}), 0x81},
      {bytes({0x30, 6, 0, 1, 'a', 2, 0x7e, 0}), 0x81},
      {bytes({0x30, 8, 0, 1, 'a', 4, 1, 0, 1, 0}), 0x82},
  };
  std::uint64_t bad = 0;
  for (const row& r : rows) {
    CAPTURE(Catch::StringMaker<std::string>::convert(r.packet));
    auto& c = w.connect("C");
    c.send(r.packet);
    if (r.reason == 0) {
      REQUIRE_FALSE(c.closed());
      c.take_bytes();
      c.ping();
      c.next_pingresp();
    } else {
      ++bad;
      REQUIRE(c.closed_with(r.reason));
    }
    REQUIRE(w.lane(0).counters.malformed.get() == bad);
  }
  for (const row& r : rows) { // 3.1.1: no word, but the same end, or none at all
    auto& c = w.connect("C", {.v = v311});
    c.send(r.packet);
    if (c.closed()) REQUIRE(c.nothing());
  }
}

TEST_CASE("hostile: CAT-12 remaining lengths of every form, cut at each byte", "[lane]") {
  lane_world w;
  const std::vector<std::pair<std::string, unsigned>> rows = {
      {bytes({0xc0, 0x80, 0x00}), 0x81},
      {bytes({0xc0, 0x80, 0x80, 0x00}), 0x81},
      {bytes({0xc0, 0x80, 0x80, 0x80, 0x00}), 0x81},
      {bytes({0xc0, 0x80, 0x80, 0x80, 0x80, 0x00}), 0x81},
      {bytes({0xc0, 0xff, 0xff, 0xff, 0xff, 0x01}), 0x81},
      {bytes({0x30, 0xff, 0xff, 0xff, 0x7f}), 0x95},
      {bytes({0x30, 0x81, 0x80, 0xc0, 0x00}), 0x81},
      {bytes({0x30, 0xff, 0xff, 0xff, 0x01}), 0x95},
      // a property length of five bytes, an overlong one, and one beyond the packet
      {bytes({0x30, 8, 0, 1, 'a', 0x80, 0x80, 0x80, 0x80, 0x00}), 0x81},
      {bytes({0x30, 5, 0, 1, 'a', 0x80, 0x00}), 0x81},
      {bytes({0x30, 4, 0, 1, 'a', 0x7f}), 0x81}};
  for (const auto& [packet, code] : rows)
    for (std::size_t cut = 0; cut < packet.size(); ++cut) {
      auto& c = w.connect("C");
      c.send(packet.substr(0, cut));
      c.send(packet.substr(std::min(cut, packet.size())));
      REQUIRE(c.closed_with(code));
    }
  for (const auto& [packet, code] : rows) { // the same before login: no reason is told
    auto& c = w.open();
    c.send(static_cast<char>(0x10) + packet.substr(1));
    REQUIRE(c.closed());
  }
}

TEST_CASE("hostile: a whole dialogue byte by byte is the same dialogue", "[lane]") {
  lane_world w;
  auto& sink = w.connect("sink", {.edge = 1});
  const std::string said = encode_publish({.topic = "@/sink", .payload = "a", .qos = 1, .packet_id = 3}) +
                           encode_pingreq() + encode_subscribe(4, {{"@/#", 1}}, v5) +
                           encode_publish({.topic = "@/sink", .payload = "b"}) + encode_disconnect(v5);
  auto& c = w.open();
  for (char b : encode_connect({.client_id = "C"})) c.send({&b, 1});
  REQUIRE(c.next_connack().code == 0);
  for (char b : said) c.send({&b, 1});
  REQUIRE(c.next_puback().id == 3);
  c.next_pingresp();
  REQUIRE(c.next_suback().id == 4);
  REQUIRE(c.closed());
  REQUIRE(sink.next_publish().payload == "a");
  REQUIRE(sink.next_publish().payload == "b");
}

TEST_CASE("hostile: CAT-15 64 KiB of user properties pass, cheaply; more is refused", "[lane]") {
  lane_world w;
  auto& c1 = w.connect("C1");
  auto& c2 = w.connect("C2", {.edge = 1});
  property_list p;
  while (p.bytes().size() + 7 <= limits::user_properties_bytes_max) p.user("k", "v");
  double best =
      1e9; // seconds of processor time for one; the best of some tries: others use this machine, too
  for (int tries = 0; tries < 5; ++tries) {
    const std::clock_t start = std::clock();
    for (int i = 0; i < 10; ++i) {
      c1.publish("@/C2", {}, 1, p.bytes());
      REQUIRE(c1.next_puback().reason == 0);
    }
    best = std::min(best, static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC / 10);
  }
  if (!sanitized) REQUIRE(best < 0.005); // linear: about 0.2 ms; quadratic would be seconds
  for (int i = 0; i < 50; ++i) REQUIRE(c2.next_publish().properties == p.bytes());
  p.user("k", "one more");
  c1.publish("@/C2", {}, 1, p.bytes());
  const auto a = c1.next_puback();
  REQUIRE(a.reason == 0x97);
  REQUIRE(a.text == "user properties above 64 KiB");
  c1.publish("@/C2", {}, 0, p.bytes());
  REQUIRE(drops(w, drop_reason::properties_too_large) == 2);
  REQUIRE(c2.nothing());
}

TEST_CASE("hostile: a malformed CONNECT gets its reason in the client's form, if that can be known",
          "[lane]") {
  lane_world w;
  const std::string good5 = encode_connect({.client_id = "C"});
  for (std::size_t n = 0; n + 2 < good5.size(); ++n) { // the body cut, its length right
    auto& c = w.open(v5);
    c.send(encode_packet(0x10, std::string_view(good5).substr(2, n)));
    REQUIRE(c.closed());
    if (n >= 7) REQUIRE(c.next_connack().code == 0x81);
    REQUIRE(c.nothing());
  }
  auto& reserved = w.open(v5);
  std::string flag = good5;
  flag[9] |= 1;
  reserved.send(flag);
  REQUIRE(reserved.next_connack().code == 0x81);
  auto& twice = w.open(v5);
  twice.connect({.client_id = "C",
                 .properties = property_list()
                                   .four_bytes(property::session_expiry_interval, 1)
                                   .four_bytes(property::session_expiry_interval, 1)
                                   .bytes()});
  REQUIRE(twice.next_connack().code == 0x82);
  auto& zero = w.open(v5);
  zero.connect({.client_id = "C", .properties = receive_maximum(0)});
  REQUIRE(zero.next_connack().code == 0x82);
  REQUIRE(w.lane(0).counters.malformed.get() == good5.size() - 2 + 3);
}

TEST_CASE("hostile: packets that never become whole take a share of the lane's memory, no more", "[lane]") {
  constexpr std::size_t part = 100'000, most = 16 * part;
  lane_world w({.edges = 1, .lane = [](auto& c) { c.memory_max = most * limits::incomplete_share; }});
  const std::string packet =
      encode_publish({.topic = "@/C", .payload = std::string(2 * part, 'x'), .qos = 1, .packet_id = 1});
  std::vector<mqtt_client*> all;
  for (unsigned i = 0; i < 16; ++i) {
    all.push_back(&w.connect(numbered("C", i)));
    all.back()->send(packet.substr(0, i == 3 ? part / 4 : part));
  }
  w.advance(1s); // the lane has looked at its memory
  REQUIRE(w.lane(0).counters.incomplete_bytes.get() == 15 * part + part / 4);
  REQUIRE(w.lane(0).counters.held_bytes.get() == w.lane(0).counters.incomplete_bytes.get());
  for (auto* c : all) REQUIRE_FALSE(c->closed());
  // Who sends the rest, or ends, gives its share back.
  all[2]->send(packet.substr(part));
  REQUIRE(all[2]->next_puback().reason == 0x10);
  all[1]->hang_up();
  REQUIRE(w.lane(0).counters.incomplete_bytes.get() == 13 * part + part / 4);
  // Beyond the share large ones are closed until a quarter of it is free, and nobody else.
  auto& other = w.connect("other");
  other.send(packet.substr(0, 10));
  for (unsigned i = 0; i < 3; ++i) all.push_back(&w.connect(numbered("D", i)));
  for (unsigned i = 16; i < 19; ++i) all[i]->send(packet.substr(0, part));
  REQUIRE(closes(w, close_reason::incomplete_limit) == 5);
  REQUIRE(w.lane(0).counters.incomplete_bytes.get() == 11 * part + part / 4 + 10);
  unsigned whole = 0;
  for (unsigned i = 0; i < 19; ++i) {
    if (i == 1 || i == 2 || i == 3) continue;
    if (all[i]->closed()) {
      REQUIRE(all[i]->next_disconnect() == 0x97);
    } else {
      all[i]->send(packet.substr(part));
      REQUIRE(all[i]->next_puback().reason == 0x10);
      ++whole;
    }
  }
  REQUIRE(whole == 11);
  for (auto* c : {&other, all[2], all[3]}) REQUIRE_FALSE(c->closed());
  // One that holds more than all others together makes room alone.
  auto& huge = w.connect("huge");
  const std::string large =
      encode_publish({.topic = "@/C", .payload = std::string(limits::packet_bytes_max - 100, 'x')});
  for (unsigned i = 0; i < 6; ++i) w.connect(numbered("E", i)).send(packet.substr(0, part));
  REQUIRE(closes(w, close_reason::incomplete_limit) == 5);
  huge.send(large.substr(0, 10 * part));
  REQUIRE(huge.closed_with(0x97));
  REQUIRE(closes(w, close_reason::incomplete_limit) == 6);
  other.send(packet.substr(10));
  REQUIRE(other.next_puback().reason == 0x10);
  REQUIRE(w.lane(0).counters.incomplete_bytes.get() == 6 * part + part / 4);
  all[3]->hang_up();
  for (unsigned i = 0; i < 6; ++i) w.connect(numbered("E", i)); // each takes over
  REQUIRE(w.lane(0).counters.incomplete_bytes.get() == 0);
  REQUIRE(w.lane(0).counters.held_bytes.get() == 0);
}

TEST_CASE("hostile: CAT-16 a million malformed packets leave no memory behind", "[lane]") {
  lane_world w({.edges = 1});
  auto& lane = w.lane(0);
  auto& c = w.open();
  rng random(16);
  const std::vector<std::string> seeds = {
      encode_connect({.client_id = "x",
                      .properties = property_list().user("a", "b").bytes(),
                      .will = will_options{.topic = "@/x",
                                           .payload = "p",
                                           .properties = property_list().user("a", "b").bytes()}}),
      encode_publish({.topic = "@/C", .payload = "x", .qos = 2, .packet_id = 1}),
      encode_publish({.topic = "@/C", .payload = "x", .qos = 1, .packet_id = 1, .properties = alias(99)}),
      encode_subscribe(1, {{"@/#", 7}}, v5),
      encode_packet(0x62, "x"),
      encode_packet(0xf0, "x"),
      encode_packet(0x20, "xx")};
  const std::string login = encode_connect({.client_id = "C"});
  const unsigned packets = fast_build || full_size() ? 1'000'000 : 100'000;
  std::size_t settled = 0;
  for (unsigned i = 0; i < packets; ++i) {
    if (c.closed()) w.reopen(c);
    std::string packet = seeds[random.below(seeds.size())];
    if (!random.one_in(4)) packet[random.below(packet.size())] = static_cast<char>(random());
    c.send(random.one_in(3) ? packet : login + packet);
    c.hang_up();
    c.take_bytes();
    if (i == packets / 2) settled = rss_bytes();
  }
  REQUIRE(lane.counters.malformed.get() > packets / 2);
  REQUIRE(lane.counters.connections.get() == 0);
  REQUIRE(lane.counters.sessions.get() == 0);
  REQUIRE(lane.counters.prelogin_bytes.get() == 0);
  REQUIRE(lane.endpoint().clients() == 0);
  if (!sanitized) REQUIRE(rss_bytes() <= settled + 1 * limits::MiB);
}
