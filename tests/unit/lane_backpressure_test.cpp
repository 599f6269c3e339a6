// Back pressure: who stops being read, who does not, and that it ends by itself. Limits of memory.
#include "tests/support/lane_test.hpp"

#include <catch2/catch.hpp>

#include <set>

using namespace beeline;
using namespace beeline::test;

namespace {
void low_link_marks(edge::lane_config& c) {
  c.link.link_output_high = 20'000, c.link.link_output_low = 5'000;
}
} // namespace

TEST_CASE("back pressure: a full link stops the reading of exactly the sockets that feed it", "[lane]") {
  lane_world w({.lane = low_link_marks});
  auto& feeder = w.connect("feeder");
  auto& second = w.connect("second");
  auto& idle = w.connect("idle");
  auto& elsewhere = w.connect("elsewhere", {.edge = 1});
  auto& sink = w.connect("sink", {.edge = 1});
  const std::string payload(1'000, 'x');
  w.stall_link(0, true);
  int said = 0;
  for (; feeder.is_read(); ++said) feeder.publish("@/sink", payload, 0);
  REQUIRE(said >= 15);
  REQUIRE(said <= 25);
  feeder.publish("@/sink", "unread", 0);
  REQUIRE(feeder.unread() > 0);
  REQUIRE(second.is_read());
  second.publish("@/sink", payload, 0); // one more, and it waits too
  REQUIRE_FALSE(second.is_read());
  idle.ping();
  idle.next_pingresp();
  REQUIRE(idle.is_read());
  elsewhere.publish("@/sink", "free", 0);
  REQUIRE(sink.next_publish().payload == "free");
  REQUIRE(w.lane(0).counters.reads_paused.get() == 2);

  w.stall_link(0, false);
  for (int i = 0; i < said; ++i) REQUIRE(sink.next_publish().payload == payload); // nothing was dropped
  std::multiset<std::string> rest{sink.next_publish().payload, sink.next_publish().payload};
  REQUIRE(rest == std::multiset<std::string>{payload, "unread"});
  REQUIRE(feeder.is_read());
  REQUIRE(second.is_read());
  REQUIRE(feeder.unread() == 0);
}

TEST_CASE("back pressure: keep-alive stands still while a socket is not read, and goes on where it was",
          "[lane]") {
  lane_world w({.lane = [](edge::lane_config& c) { c.memory_max = 200 * limits::KiB; }});
  auto& sender = w.connect("sender", {.keep_alive = 100});
  auto& quiet = w.connect("quiet", {.keep_alive = 8}); // may say nothing for 12 s
  w.router_down();
  w.advance(7s);
  for (int i = 0; i < 17; ++i) sender.publish("@/nobody", std::string(10'000, 'x'));
  w.advance(1s);
  REQUIRE_FALSE(quiet.is_read());
  w.advance(10s);
  REQUIRE_FALSE(quiet.closed());
  w.router_up();
  w.advance(2s);
  REQUIRE(quiet.is_read());
  w.advance(1s);
  REQUIRE_FALSE(quiet.closed());
  w.advance(4s); // about 8 + 7 s of silence in which it was read
  REQUIRE(quiet.closed_with(0x8d));
}

TEST_CASE("back pressure: when the full link is lost, its senders are read again", "[lane]") {
  lane_world w({.lane = low_link_marks});
  auto& feeder = w.connect("feeder");
  w.stall_link(0, true);
  while (feeder.is_read()) feeder.publish("@/nobody", std::string(5'000, 'x'), 0);
  w.router_down();
  REQUIRE(feeder.is_read());
  feeder.publish("@/nobody", "x", 0); // dropped and counted
  const auto& e = w.lane(0).endpoint().counters;
  REQUIRE(counter_of(e.drops, drop_reason::link_down) == 1);
  w.router_up();
  w.advance(3s);
  feeder.publish("@/feeder", "y", 0);
  REQUIRE(feeder.next_publish().payload == "y");
}

TEST_CASE("back pressure: a sender that ends while it waits leaves nothing behind", "[lane]") {
  lane_world w({.lane = low_link_marks});
  auto& feeder = w.connect("feeder");
  w.stall_link(0, true);
  while (feeder.is_read()) feeder.publish("@/nobody", std::string(5'000, 'x'), 0);
  auto& other = w.connect("other", {.edge = 1});
  other.hang_up();
  w.lane(0).shutdown(w.now()); // ends it although it is not read
  w.run();
  REQUIRE(feeder.next_disconnect() == 0x8b);
  REQUIRE(feeder.closed());
}

TEST_CASE("back pressure: QoS 1 without answers stops its sender at its window, by count and by bytes",
          "[lane]") {
  lane_world w({.lane = [](edge::lane_config& c) { c.inflight_max = 8, c.inflight_bytes_max = 10'000; }});
  auto& old = w.connect("old", {.v = v311});
  auto& big = w.connect("big", {.v = v5});
  auto& other = w.connect("other");
  auto& sink = w.connect("sink", {.edge = 1});
  w.router_down();
  for (int i = 0; i < 20; ++i) old.publish("@/sink", std::to_string(i));
  REQUIRE_FALSE(old.is_read());
  for (int i = 0; i < 3; ++i) big.publish("@/sink", std::string(6'000, 'b'));
  REQUIRE_FALSE(big.is_read()); // MQTT 5 knows its window in messages only
  REQUIRE_FALSE(big.closed());
  REQUIRE(other.is_read());
  REQUIRE(w.lane(0).endpoint().outgoing.messages() == 8 + 2);
  w.advance(100s); // beyond all keep-alives
  REQUIRE_FALSE(old.closed());
  REQUIRE_FALSE(big.closed());
  REQUIRE(other.closed());
  w.router_up();
  w.advance(5s);
  auto& fresh = w.connect("sink", {.edge = 1}); // the old one said nothing for too long
  REQUIRE(sink.closed());
  REQUIRE(old.is_read());
  REQUIRE(big.is_read());
  unsigned answers = 0;
  for (; !old.nothing(); ++answers) old.next_puback();
  REQUIRE(answers == 20);
  for (answers = 0; !big.nothing(); ++answers) big.next_puback();
  REQUIRE(answers == 3);
  REQUIRE(fresh.nothing());
}

TEST_CASE("back pressure: a client that asks and does not listen is not read, and resumes", "[lane]") {
  lane_world w({.lane = [](edge::lane_config& c) { c.client_output_max = 10'000; }});
  auto& c = w.connect("C");
  auto& other = w.connect("other");
  c.stall();
  std::string pings;
  for (int i = 0; i < 1'000; ++i) pings += encode_pingreq();
  for (int i = 0; i < 50; ++i) c.send(pings);
  REQUIRE_FALSE(c.is_read());
  REQUIRE(c.connection().out.size() <= 10'010);
  REQUIRE(c.unread() > 80'000);
  other.ping();
  other.next_pingresp();
  c.resume();
  REQUIRE(c.unread() == 0);
  REQUIRE(c.take_bytes().size() == 100'000); // each was answered
  c.ping();
  c.next_pingresp();
}

TEST_CASE(
    "back pressure: above the memory for recipients their senders are told, and nobody stops being read",
    "[lane]") {
  lane_world w({.lane = [](edge::lane_config& c) { c.memory_max = 800 * limits::KiB; }});
  auto& c1 = w.connect("C1");
  auto& local = w.connect("local", {.edge = 1});
  std::vector<mqtt_client*> slow;
  const std::string one = receive_maximum(1);
  for (int i = 0; i < 10; ++i)
    slow.push_back(&w.connect(numbered("slow", i), {.edge = 1, .properties = one}));
  unsigned full = 0;
  for (int n = 0; n < 20; ++n)
    for (int i = 0; i < 10; ++i) {
      c1.publish(numbered("@/slow", i), std::string(10'000, 'x'));
      full += c1.next_puback().reason == 0x97;
      w.advance(30ms);
    }
  REQUIRE(full > 100);
  REQUIRE(drops(w, drop_reason::memory_limit, 1) == full);
  REQUIRE(w.lane(1).counters.waiting_bytes.get() < 600 * limits::KiB);
  c1.publish("@/local", "still reached");
  REQUIRE(local.next_publish().payload == "still reached");
  REQUIRE(c1.next_puback().reason == 0);
  local.publish("@/C1", "and heard");
  REQUIRE(c1.next_publish().payload == "and heard");
  REQUIRE(local.next_puback().reason == 0);
  for (auto* s : slow) // their PUBACKs make room
    for (s->puback(s->next_publish().id); !s->nothing();) s->puback(s->next_publish().id);
  w.advance(500ms);
  REQUIRE(w.lane(1).counters.waiting_bytes.get() == 0);
  c1.publish("@/slow3", "room again");
  REQUIRE(c1.next_puback().reason == 0);
}

TEST_CASE("back pressure: QoS 0 for slow readers is dropped above the memory for recipients", "[lane]") {
  lane_world w({.lane = [](edge::lane_config& c) { c.memory_max = 400 * limits::KiB; }});
  auto& c1 = w.connect("C1");
  auto& slow = w.connect("slow", {.edge = 1});
  slow.stall();
  for (int i = 0; i < 40; ++i) c1.publish("@/slow", std::string(10'000, 'x'), 0);
  w.advance(500ms);
  c1.publish("@/slow", "x", 0);
  REQUIRE(drops(w, drop_reason::memory_limit, 1) == 1);
  slow.resume();
  w.advance(500ms);
  slow.take_bytes();
  c1.publish("@/slow", "y", 0);
  REQUIRE(slow.next_publish().payload == "y");
}

TEST_CASE("back pressure: QoS 0 with a deadline is not queued behind what a slow reader has not taken",
          "[lane]") {
  lane_world w;
  auto& c1 = w.connect("C1");
  auto& slow = w.connect("slow", {.edge = 1});
  slow.stall();
  const std::string deadline = property_list().user("deadline-ms", "60000").bytes();
  const std::string payload(1'000, 'x');
  for (int i = 0; i < 50; ++i) c1.publish("@/slow", payload, 0, deadline);
  const std::size_t unsent = w.lane(1).counters.deliveries[0].get();
  REQUIRE(unsent >= limits::expiring_output_max / 1'100);
  REQUIRE(unsent <= limits::expiring_output_max / 1'000 + 1);
  REQUIRE(drops(w, drop_reason::recipient_slow, 1) == 50 - unsent);
  c1.publish("@/slow", payload, 0); // without one it may wait
  REQUIRE(w.lane(1).counters.deliveries[0].get() == unsent + 1);
  slow.resume();
  for (std::size_t i = 0; i <= unsent; ++i) slow.next_publish();
  REQUIRE(slow.nothing());
}

TEST_CASE("back pressure: above the memory for recipients who asks and does not read the answers is not read",
          "[lane]") {
  constexpr std::size_t most = 800 * limits::KiB;
  lane_world w({.lane = [](edge::lane_config& c) { c.memory_max = most; }});
  auto& reader = w.connect("reader");
  std::vector<mqtt_client*> deaf;
  for (int i = 0; i < 20; ++i) deaf.push_back(&w.connect(numbered("deaf", i))), deaf.back()->stall();
  std::size_t highest = 0;
  for (int n = 0; n < 40; ++n) {
    for (auto* c : deaf)
      for (int i = 0; i < 50; ++i) c->publish("no/such/address", "", 1); // answered with a reason in words
    w.advance(100ms);
    highest = std::max<std::size_t>(highest, w.lane(0).counters.output_bytes.get());
  }
  REQUIRE(highest > most / 2);
  REQUIRE(highest < most);
  for (auto* c : deaf) REQUIRE_FALSE(c->is_read());
  reader.publish("no/such/address", "", 1);
  REQUIRE(reader.next_puback().reason == 0x90);
  // All are read again when they read.
  for (auto* c : deaf) c->resume();
  w.advance(1s);
  for (auto* c : deaf) {
    REQUIRE(c->is_read());
    for (int i = 0; i < 40 * 50; ++i) REQUIRE(c->next_puback().reason == 0x90);
    REQUIRE(c->nothing());
  }
}

TEST_CASE(
    "back pressure: what is held for clients that do not read is bounded, and stops nobody else's messages",
    "[lane]") {
  constexpr std::size_t most = 800 * limits::KiB;
  lane_world w({.lane = [](edge::lane_config& c) { c.memory_max = most; }});
  auto& reader = w.connect("reader");
  auto& far = w.connect("far", {.edge = 1});
  const auto flood = [&](mqtt_client& c, unsigned n) {
    std::string all;
    for (unsigned i = 0; i < n; ++i)
      all += encode_publish({.topic = "no/such", .qos = 1, .packet_id = static_cast<std::uint16_t>(i + 1)});
    c.send(all);
  };
  std::vector<mqtt_client*> deaf;
  for (int i = 0; i < 22; ++i) deaf.push_back(&w.connect(numbered("deaf", i))), deaf.back()->stall();
  for (int n = 0; n < 2; ++n) {
    for (int i = 0; i < 16; ++i) flood(*deaf[i], 250);
    w.advance(500ms);
  }
  for (int i = 16; i < 22; ++i) flood(*deaf[i], 9'000);
  w.advance(500ms);
  REQUIRE(w.lane(0).counters.output_bytes.get() > most / 2); // so that answers are scarce
  REQUIRE(w.lane(0).counters.incomplete_bytes.get() <= most / limits::incomplete_share);
  REQUIRE(closes(w, close_reason::incomplete_limit) > 0);
  far.publish("@/reader", "still", 1);
  REQUIRE(reader.next_publish().payload == "still");
  REQUIRE(far.next_puback().reason == 0);
}

TEST_CASE(
    "back pressure: an MQTT 5 client that has read its answers is read again, however many it waits for",
    "[lane]") {
  lane_world w({.lane = [](edge::lane_config& c) { c.inflight_max = 8, c.client_output_max = 10'000; }});
  auto& c = w.connect("C");
  w.router_down();
  for (int i = 0; i < 6; ++i) c.publish("@/nobody", "x"); // more than half of its window
  c.stall();
  std::string pings;
  for (int i = 0; i < 6'000; ++i) pings += encode_pingreq();
  c.send(pings);
  REQUIRE_FALSE(c.is_read());
  c.resume();
  REQUIRE(c.is_read());
  REQUIRE(c.take_bytes().size() == 12'000);
  c.ping();
  c.next_pingresp();
}

TEST_CASE("back pressure: a lane's memory is not passed by many recipients that take nothing at all",
          "[lane]") {
  constexpr std::size_t most = 400 * limits::KiB;
  lane_world w({.lane = [](edge::lane_config& c) { c.memory_max = most; }});
  auto& c1 = w.connect("C1");
  for (int i = 0; i < 50; ++i) w.connect(numbered("deaf", i), {.edge = 1}).stall();
  unsigned full = 0;
  for (int i = 0; i < 50; ++i) {
    c1.publish(numbered("@/deaf", i), std::string(30'000, 'x'), i % 2);
    w.advance(250ms);
    if (i % 2) full += c1.next_puback().reason == 0x97;
  }
  REQUIRE(w.lane(1).counters.output_bytes.get() > most / 2);
  REQUIRE(w.lane(1).counters.output_bytes.get() < most + 50 * limits::KiB);
  REQUIRE(full > 10);
  REQUIRE(drops(w, drop_reason::memory_limit, 1) > 2 * full - 2);
}

TEST_CASE("back pressure: above the memory for senders those are not read who feed it, until it has drained",
          "[lane]") {
  lane_world w({.lane = [](edge::lane_config& c) { c.memory_max = 200 * limits::KiB; }});
  auto& sink = w.connect("sink", {.edge = 1});
  auto& sender = w.connect("sender");
  auto& idle = w.connect("idle");
  w.router_down();
  for (int i = 0; i < 12; ++i) sender.publish("@/sink", std::string(10'000, 'x'));
  w.advance(1s);
  REQUIRE_FALSE(sender.is_read());
  REQUIRE(idle.is_read());
  idle.ping();
  idle.next_pingresp();
  idle.publish("@/sink", "waits, too"); // and from here on it feeds it
  REQUIRE_FALSE(idle.is_read());
  w.router_up();
  w.advance(4s);
  REQUIRE(sender.is_read());
  REQUIRE(idle.is_read());
  for (int i = 0; i < 13; ++i) sink.next_publish();
  REQUIRE(sink.nothing());
  REQUIRE(idle.next_puback().reason == 0);
  for (int i = 0; i < 12; ++i) REQUIRE(sender.next_puback().reason == 0);
}

TEST_CASE("back pressure: half as much above the memory for senders nobody is read until it has drained",
          "[lane]") {
  lane_world w({.lane = [](edge::lane_config& c) { c.memory_max = 200 * limits::KiB; }});
  auto& sink = w.connect("sink", {.edge = 1});
  std::vector<mqtt_client*> senders;
  for (int i = 0; i < 20; ++i) senders.push_back(&w.connect(numbered("S", i), {.keep_alive = 10}));
  auto& idle = w.connect("idle");
  w.router_down();
  for (auto* s : senders) s->publish("@/sink", std::string(10'000, 'x'));
  w.advance(1s);
  REQUIRE_FALSE(idle.is_read());
  senders[0]->publish("@/sink", "waits");
  auto& late = w.open(); // may say CONNECT, and no more
  late.connect({.client_id = "late"});
  w.router_up();
  w.advance(4s);
  REQUIRE(late.next_connack().code == 0);
  REQUIRE(late.is_read());
  REQUIRE(idle.is_read());
  std::size_t got = 0;
  for (; !sink.nothing(); ++got) sink.next_publish();
  REQUIRE(got == 21);
  for (auto* s : senders) REQUIRE(s->next_puback().reason == 0);
}

TEST_CASE("back pressure: CAT-56 a dead peer's queue is bounded at the link, its senders are told, then all "
          "resumes",
          "[lane]") {
  lane_world w({.shard = [](router::shard_config& c) { c.link_output_max = 50'000; }});
  auto& c1 = w.connect("C1");
  auto& sink = w.connect("sink", {.edge = 1});
  auto& near = w.connect("near");
  pipe_end* to_edge2 = w.shard_end_of(1);
  to_edge2->takes = 0; // edge 2 takes nothing from its link
  for (int i = 0; i < 100; ++i) c1.publish("@/sink", std::string(2'000, 'x'));
  REQUIRE(to_edge2->c.link->data.size() <= 50'000);
  REQUIRE(counter_of(w.shard().counters.answers, answer::busy) > 0);
  c1.publish("@/near", "not held up");
  REQUIRE(near.next_publish().payload == "not held up");
  w.advance(1s);
  REQUIRE(to_edge2->c.link->data.size() <= 50'000);
  to_edge2->takes = SIZE_MAX;
  w.advance(5s);
  for (int i = 0; i < 100; ++i) sink.next_publish();
  REQUIRE(sink.nothing());
  for (int i = 0; i < 101; ++i) REQUIRE(c1.next_puback().reason == 0);
}
