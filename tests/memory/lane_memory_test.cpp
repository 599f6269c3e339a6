// What a lane does with memory: how much a crafted message may make it take, and that a client for whose work
// there is none is closed alone, wherever in that work it happens, with nothing left half done (F14).
#include "common/base/refusable_work.hpp"
#include "tests/memory/allocations.hpp"
#include "tests/support/lane_test.hpp"
#include "tests/support/sanitized.hpp"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

using namespace beeline;
using namespace beeline::test;

namespace {

// A world in which the k-th allocation for a client's bytes fails once that is wanted; with a reserve, what
// may not be refused finds memory all the same.
struct poor_world {
  explicit poor_world(bool with_reserve) : reserve(with_reserve) {}
  bool reserve;
  std::size_t fail_from = SIZE_MAX;
  bool failed = false;
  lane_world w{{.client_work = [this](const std::function<void()>& work) {
    if (fail_from == SIZE_MAX) return work(), true;
    const std::size_t k = std::exchange(fail_from, SIZE_MAX);
    reserve ? allocations::fail_refusable_from(k) : allocations::fail_from(k);
    bool whole = true;
    try {
      const refusable_work marked;
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

const std::string asks = property_list().user("ack", "received").bytes();

void no_memory_anywhere_in(const act& what, bool logged_in, const act& before, bool reserve) {
  for (std::size_t k = 0;; ++k) {
    INFO("allocation " << k << " and all after it fail");
    REQUIRE(k < 2'000);
    poor_world p(reserve);
    lane_world& w = p.w;
    auto& b = w.connect("B", {.edge = 1});
    auto& c = w.connect("C");
    auto& a = logged_in ? w.connect("A", {.properties = receive_maximum(2)}) : w.open();
    before(w, a);
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
    REQUIRE(w.lane(0).counters.held_bytes.get() == 0);
    REQUIRE(w.lane(0).counters.incomplete_bytes.get() == 0);
    if (reserve) REQUIRE(w.lane(0).endpoint().counters.link_losses.get() == 0);
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

// Does `what` with its k-th allocation failing, for every k, until it needs no more than that.
void no_memory_anywhere_in(
    const act& what, bool logged_in = true, const act& before = [](lane_world&, mqtt_client&) {}) {
  for (const bool reserve : {true, false}) {
    INFO((reserve ? "with" : "without") << " a reserve for what may not be refused");
    no_memory_anywhere_in(what, logged_in, before, reserve);
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

TEST_CASE("no memory anywhere in PUBLISHes that ask for receipts") {
  no_memory_anywhere_in([](lane_world&, mqtt_client& a) {
    std::string all;
    for (std::uint16_t k = 1; k <= 20; ++k)
      all += encode_publish({.topic = k % 2 ? "@/B" : "@/nobody",
                             .payload = "x",
                             .qos = 1,
                             .packet_id = k,
                             .properties = asks});
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

namespace {
// D's four messages for A, of which it has two and the others wait. All ask for receipts but the last.
mqtt_client* four_from_d(lane_world& w) {
  auto& d = w.connect("D", {.edge = 1});
  for (int i = 0; i < 4; ++i)
    d.publish("@/A", std::string(i < 2 ? 1 : 100'000, 'x'), 1, i < 3 ? asks : std::string());
  REQUIRE(d.next_puback().reason == 0); // of the last
  return &d;
}
// Each of the others has its answer: what A said, or that its session has ended.
void all_answered(lane_world& w, mqtt_client& d) {
  w.advance(1s);
  for (int i = 0; i < 3; ++i) {
    const unsigned r = d.next_puback().reason;
    REQUIRE((r == 0x00 || r == 0x83));
  }
  REQUIRE(d.nothing());
  d.hang_up();
  REQUIRE(w.lane(1).endpoint().receipt_counts.awaited.get() == 0);
  REQUIRE(w.lane(0).endpoint().receipt_counts.owed.get() == 0);
  REQUIRE(w.lane(0).counters.pending.get() == 0);
  REQUIRE(w.lane(0).counters.pending_bytes.get() == 0);
}
} // namespace

TEST_CASE("no memory anywhere in PUBACKs for messages whose senders wait, while others wait for room") {
  mqtt_client* d = nullptr;
  no_memory_anywhere_in(
      [&](lane_world& w, mqtt_client& a) {
        const auto first = a.next_publish(), second = a.next_publish();
        a.puback(first.id);
        if (!a.closed()) a.puback(second.id);
        if (!a.closed()) a.hang_up();
        all_answered(w, *d);
      },
      true, [&](lane_world& w, mqtt_client&) { d = four_from_d(w); });
}

TEST_CASE("no memory anywhere in DISCONNECT, and in a packet that is none, with messages for it on the way") {
  const bool good = GENERATE(true, false);
  mqtt_client* d = nullptr;
  no_memory_anywhere_in(
      [&](lane_world& w, mqtt_client& a) {
        if (good) a.disconnect();
        else a.send(encode_packet(0xf0, "x"));
        if (!a.closed()) a.hang_up();
        all_answered(w, *d);
      },
      true, [&](lane_world& w, mqtt_client&) { d = four_from_d(w); });
}

TEST_CASE("no memory anywhere in a message for a client: its sender is told, and it gets the next one") {
  const std::size_t bytes = GENERATE(1, 600, 100'000);
  const std::string properties = GENERATE(std::string(), asks);
  const bool waits = GENERATE(false, true); // for room in the recipient's window
  for (std::size_t k = 0, done = 0; !done; ++k) {
    INFO("allocation " << k << " and all after it fail");
    REQUIRE(k < 200);
    lane_world w;
    auto* b = &w.connect("B", {.edge = 1, .properties = receive_maximum(1)});
    auto& c = w.connect("C");
    if (waits) c.publish("@/B", "first");
    allocations::fail_refusable_from(k);
    c.publish("@/B", std::string(bytes, 'x'), 1, properties);
    done = !allocations::heal();
    w.advance(2s); // while memory is short nothing is queued
    REQUIRE_FALSE(b->closed());
    std::size_t got = 0; // where the shard had none, the message waited for it
    for (; !b->nothing(); ++got) b->puback(b->next_publish().id);
    REQUIRE(got >= waits + done);
    c.publish("@/B", "next");
    REQUIRE(b->next_publish().payload == "next");
    b->disconnect();
    w.advance(1s);
    REQUIRE(w.lane(1).counters.pending_bytes.get() == 0);
    REQUIRE(w.lane(1).endpoint().receipt_counts.owed.get() == 0);
    REQUIRE(w.lane(0).endpoint().receipt_counts.awaited.get() == 0);
    REQUIRE(w.lane(0).endpoint().outgoing.idle());
    for (std::size_t n = 0; n < 2u + waits; ++n) { // every message has its answer
      const auto a = c.next_puback();
      if (n == waits) REQUIRE(a.reason == (got == waits + 1u ? 0x00 : 0x97));
    }
    REQUIRE(c.nothing());
  }
}

TEST_CASE("no memory anywhere when the clock has a waiting message written: it waits on, its client stays") {
  for (std::size_t k = 0, done = 0; !done; ++k) {
    INFO("allocation " << k << " and all after it fail");
    REQUIRE(k < 200);
    lane_world w;
    auto& b = w.connect("B", {.edge = 1, .properties = receive_maximum(1)});
    auto& c = w.connect("C");
    c.publish("@/B", "first");
    c.publish("@/B", std::string(100'000, 'x'));
    const auto first = b.next_publish();
    b.stall();
    c.publish("@/B", "in its output", 0);
    w.lane(1).on_memory_short(w.now());
    b.puback(first.id); // there is room for the second, but for a second nobody gets more than one at a time
    b.resume(1);
    REQUIRE(w.lane(1).counters.pending.get() == 1);
    for (int i = 0; i < 30 && w.lane(1).counters.pending.get() == 1; ++i) {
      allocations::fail_refusable_from(k);
      w.advance(100ms);
      done = !allocations::heal();
      if (!done) break;
    }
    REQUIRE((k > 0 || !done));
    REQUIRE(w.lane(1).counters.pending.get() == !done);
    REQUIRE(w.lane(1).counters.memory_short.get() == 1u + !done);
    REQUIRE_FALSE(b.closed());
    b.resume();
    w.advance(3s);
    REQUIRE(b.next_publish().payload == "in its output");
    const auto second = b.next_publish();
    REQUIRE(second.payload.size() == 100'000);
    b.puback(second.id);
    REQUIRE(c.next_puback().reason == 0);
    REQUIRE(c.next_puback().reason == 0);
    REQUIRE(w.lane(1).counters.pending_bytes.get() == 0);
  }
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

TEST_CASE("what a client may subscribe to takes no more memory for long filters than for short ones") {
  lane_world w;
  auto& c = w.connect("C");
  std::vector<subscribe_filter> filters;
  for (unsigned k = 0; k < limits::subscriptions_max; ++k)
    filters.push_back({numbered("@/", k) + std::string(limits::topic_bytes_max - 10, 'x'), 1});
  c.subscribe({{"@/warm", 1}});
  c.next_suback();
  c.unsubscribe({"@/warm"});
  c.next_unsuback();
  const std::size_t before = allocations::in_use();
  c.subscribe(filters);
  const auto codes = c.next_suback().codes;
  CHECK(std::count(codes.begin(), codes.end(), 1u) == static_cast<long>(limits::subscriptions_max));
  CHECK(allocations::in_use() < before + 16 * limits::KiB); // as texts they are 100 KiB
}

TEST_CASE("topic aliases take no more memory of a client than their topics, whatever was there before") {
  lane_world w;
  const auto set_all = [&](mqtt_client& c) { // to nobody, at QoS 0
    for (std::size_t bytes :
         {limits::topic_bytes_max / 2, limits::topic_bytes_max - 20, limits::topic_bytes_max})
      for (std::uint16_t k = 1; k <= limits::topic_alias_max; ++k) {
        const std::string topic = "@/B/" + std::string(bytes - 4, static_cast<char>('a' + k));
        const std::string known = property_list().two_bytes(property::topic_alias, k).bytes();
        c.send(encode_publish({.topic = topic, .payload = "x", .properties = known}));
      }
    w.advance(1s);
    REQUIRE_FALSE(c.closed());
  };
  auto& warm = w.connect("A"); // pools, buffers and tables have their size then
  set_all(warm);
  warm.hang_up();
  auto& a = w.connect("C");
  w.advance(1s);
  const std::size_t before = allocations::in_use();
  set_all(a);
  const std::size_t took = allocations::in_use() - before;
  std::printf("%u topic aliases take %zu bytes\n", limits::topic_alias_max, took);
  CHECK(took > limits::topic_alias_max * limits::topic_bytes_max);
  CHECK(took < 18 * limits::KiB);
  a.hang_up();
  w.advance(1s);
  CHECK(allocations::in_use() < before + limits::KiB);
}
