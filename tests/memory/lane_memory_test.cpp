// What a lane does with memory: how much a crafted message may make it take, and that a client for whose work
// there is none is closed alone, wherever in that work it happens, with nothing left half done.
#include "tests/memory/allocations.hpp"
#include "tests/support/lane_test.hpp"
#include "tests/support/sanitized.hpp"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

using namespace beeline;
using namespace beeline::test;

namespace {

// A world in which the k-th allocation for a client's bytes fails once that is wanted.
struct poor_world {
  std::size_t fail_from = SIZE_MAX;
  bool failed = false;
  lane_world w{{.client_work = [this](const std::function<void()>& work) {
    if (fail_from == SIZE_MAX) return work(), true;
    allocations::fail_from(std::exchange(fail_from, SIZE_MAX));
    bool whole = true;
    try {
      work();
    } catch (const std::bad_alloc&) {
      whole = false;
    }
    failed = allocations::heal();
    return whole;
  }}};
};

// What the shard has is what the lanes have.
std::size_t registered(lane_world& w) {
  w.advance(1s); // its count is that old
  std::size_t n = 0;
  for (std::size_t e = 0; e < 2; ++e)
    w.lane(e).for_each_session([&](std::string_view, bool live) { n += live; });
  REQUIRE(w.shard().counters.clients.get() == n);
  return n;
}

using act = std::function<void(lane_world&, mqtt_client& a)>;

// Does `what` with its k-th allocation failing, for every k, until it needs no more than that.
void no_memory_anywhere_in(const act& what, bool logged_in = true) {
  for (std::size_t k = 0;; ++k) {
    INFO("allocation " << k << " and all after it fail");
    REQUIRE(k < 2'000);
    poor_world p;
    lane_world& w = p.w;
    auto& b = w.connect("B", {.edge = 1});
    auto& c = w.connect("C");
    auto& a = logged_in ? w.connect("A") : w.open();
    p.fail_from = k;
    what(w, a);
    w.advance(1s);
    while (!b.nothing()) b.puback(b.next_publish().id); // what got through
    const bool done = !p.failed;
    if (!done) {
      REQUIRE(a.closed());
      REQUIRE(closes(w, close_reason::out_of_memory) + closes(w, close_reason::taken_over) +
                  w.lane(0).counters.closes[static_cast<std::size_t>(close_reason::connect_refused)].get() <=
              2);
    }
    w.advance(1s);
    REQUIRE(w.lane(0).endpoint().outgoing.idle());
    REQUIRE(w.lane(0).counters.prelogin_bytes.get() == 0);
    // The others have noticed nothing, and A can come again.
    REQUIRE_FALSE(c.closed());
    c.publish("@/B", "hello");
    const auto heard = b.next_publish();
    REQUIRE(heard.payload == "hello");
    REQUIRE(heard.topic == "@/C");
    b.puback(heard.id);
    REQUIRE(c.next_puback().reason == 0);
    auto& again = w.connect("A");
    c.publish("@/A", "back?");
    REQUIRE(again.next_publish().payload == "back?");
    REQUIRE(c.next_puback().reason == 0);
    REQUIRE(registered(w) == 3);
    REQUIRE(w.lane(0).counters.sessions.get() == 2);
    REQUIRE(w.lane(0).counters.connections.get() == 2);
    if (done) return;
  }
}

std::string content(const std::filesystem::path& p) {
  std::ifstream in(p, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

} // namespace

TEST_CASE("no memory anywhere in a CONNECT") {
  no_memory_anywhere_in([](lane_world&, mqtt_client& a) { a.send(encode_connect({.client_id = "A"})); },
                        false);
}

TEST_CASE("no memory anywhere in a CONNECT that takes over a session of this lane") {
  no_memory_anywhere_in([](lane_world& w, mqtt_client& a) {
    auto& newer = w.open();
    newer.send(encode_connect({.client_id = "A"}));
    if (!a.closed()) a.hang_up(); // the newer one was closed, or refused
    if (!newer.closed()) newer.hang_up();
  });
}

TEST_CASE("no memory anywhere in a PUBLISH: small, large, with an end of its time, to many") {
  const std::size_t bytes = GENERATE(1, 600, 100'000);
  const std::string properties = GENERATE(std::string(), expiry(60));
  no_memory_anywhere_in([&](lane_world&, mqtt_client& a) {
    std::string all;
    for (std::uint16_t k = 1; k <= 3; ++k)
      for (const char* to : {"@/B", "@/nobody"})
        all += encode_publish({.topic = to,
                               .payload = std::string(bytes, 'x'),
                               .qos = 1,
                               .packet_id = static_cast<std::uint16_t>(2 * k + (to[2] == 'B')),
                               .properties = properties});
    a.send(all);
    if (!a.closed()) a.hang_up();
  });
}

TEST_CASE("no memory anywhere in QoS 0 messages and topic aliases") {
  no_memory_anywhere_in([](lane_world&, mqtt_client& a) {
    a.send(
        encode_publish({.topic = "@/nobody", .payload = std::string(50'000, 'x'), .properties = alias(3)}) +
        encode_publish({.topic = "", .payload = "x", .properties = alias(3)}));
    if (!a.closed()) a.hang_up();
  });
}

TEST_CASE("no memory anywhere in SUBSCRIBE, UNSUBSCRIBE and PINGREQ") {
  no_memory_anywhere_in([](lane_world&, mqtt_client& a) {
    a.send(encode_subscribe(1, {{"@/#"}, {"@/" + std::string(500, 'x')}, {"news"}}, v5) +
           encode_unsubscribe(2, {"@/#"}, v5) + encode_pingreq());
    if (!a.closed()) a.hang_up();
  });
}

TEST_CASE("CAT-17: a crafted message takes memory for what was sent, never for what it claims") {
  lane_world w;
  w.connect("B", {.edge = 1});
  const auto login = encode_connect({.client_id = "A"});
  const auto bytes = [](std::initializer_list<unsigned> b) {
    std::string s;
    for (unsigned x : b) s += static_cast<char>(x);
    return s;
  };
  std::vector<std::string> crafted = {
      bytes({0x10, 0xff, 0xff, 0xff, 0x7f}),
      bytes({0x10, 0xfc, 0xff, 0x03, 0, 4, 'M', 'Q', 'T', 'T', 5, 2, 0, 0, 0xff, 0xff, 0xff, 0x7f}),
      bytes({0x10, 0xfc, 0xff, 0x03, 0, 4, 'M', 'Q', 'T', 'T', 5, 2, 0, 0, 0, 0xff, 0xff}),
      login + bytes({0x32, 0xff, 0xff, 0xff, 0x7f}),
      login + bytes({0x32, 0xfc, 0xff, 0x3f, 0xff, 0xff, '@', '/'}),
      login + bytes({0x32, 0x0a, 0, 3, '@', '/', 'B', 0, 1, 0xff, 0xff, 0x7f}),
      login + bytes({0x82, 0x07, 0, 1, 0, 0xff, 0xff, '@', '/'}),
      login + bytes({0x40, 0x06, 0, 1, 0, 0xff, 0xff, 0x7f}),
      login + bytes({0xe0, 0x03, 0, 0xff, 0x7f}),
  };
  for (const char* target : {"mqtt_v5", "mqtt_v311", "mqtt_session"})
    for (const auto& f :
         std::filesystem::directory_iterator(std::string(BEELINE_FUZZ_CORPUS) + "/" + target)) {
      crafted.push_back(content(f.path()));
      crafted.push_back(login + content(f.path()));
    }
  REQUIRE(crafted.size() > 100);
  std::size_t worst = 0, largest = 0;
  for (const std::string& text : crafted) {
    auto& c = w.open();
    allocations::watch();
    const std::size_t before = allocations::in_use();
    c.send(text);
    const std::size_t took = allocations::peak() - before;
    INFO(text.size() << " bytes took " << took << ", " << allocations::largest() << " at once");
    REQUIRE(took <= 64 * limits::KiB + 8 * text.size());
    REQUIRE(allocations::largest() <= 64 * limits::KiB + 4 * text.size());
    worst = std::max(worst, took), largest = std::max(largest, allocations::largest());
    if (!c.closed()) c.hang_up();
    (void)c.take_bytes();
  }
  std::printf("%zu crafted messages: at most %zu bytes taken for one, %zu at once\n", crafted.size(), worst,
              largest);
}
