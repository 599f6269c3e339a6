// F14: no descriptors, no room for the log, no memory. Nothing crashes, nothing falls back to letting
// everybody in, and all is well again when there is what was missing.
#include "tests/support/cluster.hpp"
#include "tests/support/herd.hpp"
#include "tests/support/proc_stats.hpp"
#include "tests/support/raw_mqtt.hpp"
#include "tests/support/sanitized.hpp"

#include <catch2/catch.hpp>
#include <cstdio>
#include <fstream>

using namespace beeline;
using namespace beeline::test;

namespace {

bool serves(edge_process& e, const std::string& id) {
  try {
    raw_mqtt a(e.mqtt(), id), b(e.mqtt(), id + "-too");
    return a.publish("@/" + id + "-too", "x") == 0;
  } catch (const std::runtime_error&) {
    return false; // closed instead of a CONNACK or PUBACK
  }
}

std::string login(std::size_t k) {
  return encode_connect({.client_id = "H" + std::to_string(k), .keep_alive = 600});
}

} // namespace

TEST_CASE(
    "F14: without descriptors links are dialled until there are some, and no rule is forgotten [CAT-22]") {
  temporary_folder f;
  const std::string secret = f.write("secret", "the secret of this cluster"),
                    other = f.write("other", "another");
  const std::string log = f.path() + "/edge.log";
  const arguments where{"--listen",
                        "127.0.0.1:" + std::to_string(free_ports(1)),
                        "--admin",
                        "127.0.0.1:0",
                        "--cluster-secret-file",
                        secret};
  std::optional<router_process> r(std::in_place, arguments{"--shards", "1"}, where);
  edge_process e(
      "e1", {r->address()},
      {"--lanes", "2", "--cluster-secret-file", secret, "--log-file", log, "--max-packet-size", "4KiB"});
  REQUIRE(e.mqtt() != 0);
  raw_mqtt here(e.mqtt(), "here");
  leave_files(e.os().pid(), 0);
  leave_files(r->os().pid(), 0);
  herd h(e.mqtt());
  h.connect(20, login);
  REQUIRE(h.until([&] { return h.open() == 20; }));
  e.os().signal(SIGHUP); // the log cannot be opened anew: the old one stays
  r->os().signal(SIGHUP);
  const auto logged = [&](const char* what, const char* why) { // in one line
    std::ifstream in(log);
    for (std::string line; std::getline(in, line);)
      if (line.find(what) != line.npos && line.find(why) != line.npos) return true;
    return false;
  };
  CHECK(eventually([&] { return logged("cannot accept at", "Too many open files"); }));
  CHECK(here.publish("@/here", std::string(100, 'x')) == 0);
  here.send(encode_publish({.topic = "@/here", .payload = std::string(8'000, 'x')})); // its limit holds
  for (;;) {
    const mqtt::packet p = here.next();
    if (p.type() == packet_type::publish || p.type() == packet_type::puback) continue;
    mqtt::disconnect_packet d;
    REQUIRE(test::decode_disconnect(p, v5, d) == reason::success);
    CHECK(static_cast<unsigned>(d.code) == 0x95);
    break;
  }
  // The router goes and comes back: no descriptor is there for the new links.
  limit_files(e.os().pid(), 8);
  r->os().signal(SIGKILL);
  r->os().wait();
  r.emplace(arguments{"--shards", "1"}, where);
  CHECK(eventually([&] { return logged("link to router", "lost"); }));
  CHECK(r->becomes_ready());
  CHECK(r->json("/edges")["edges"].empty());
  CHECK(e.os().running());
  limit_files(e.os().pid(), SIZE_MAX);
  CHECK(h.until([&] { return h.accepted() == 20; }));
  CHECK(e.becomes_ready());
  CHECK(serves(e, "after"));
  edge_process stranger("e2", {r->address()}, {"--lanes", "1", "--cluster-secret-file", other});
  CHECK(stranger.is_not_ready_because("secret"));
  CHECK(e.os().stop() == 0);
}

TEST_CASE("F14: a log that has no room stops nobody") {
  router_process r({"--shards", "1", "--log-file", "/dev/full", "--log-level", "debug"});
  edge_process e("e1", {r.address()}, {"--lanes", "2", "--log-file", "/dev/full", "--log-level", "debug"});
  REQUIRE(e.mqtt() != 0);
  herd h(e.mqtt());
  REQUIRE(h.in_turn(2'000, 100, login)); // a line each, that nobody can write
  CHECK(h.accepted() == 2'000);
  for (program_process* p : {static_cast<program_process*>(&r), static_cast<program_process*>(&e)}) {
    p->os().signal(SIGHUP);
    CHECK(p->ready());
  }
  CHECK(serves(e, "good"));
  CHECK(e.os().err().size() < 16 * 1024); // that it cannot be written is not said a thousand times
  CHECK(e.os().stop() == 0);
  CHECK(r.os().stop() == 0);
}

TEST_CASE("F14: at its memory limit an edge lets those go who need more, refuses, and recovers") {
  if (sanitized) return; // their shadow has no limit
  router_process r({"--shards", "1"});
  edge_process e(
      "e1", {r.address()},
      {"--lanes", "1", "--connect-rate", "0", "--max-pending-bytes", "4MiB", "--drain-time", "1s"});
  REQUIRE(e.mqtt() != 0);
  REQUIRE(serves(e, "warm"));
  raw_mqtt here(e.mqtt(), "here");
  const auto pid = e.os().pid();
  limit_memory(pid, virtual_bytes(pid) + 8 * 1024 * 1024);
  const auto closed = [&] { return e.json("/stats")["totals"]["socket_closes"]["out_of_memory"].get<int>(); };

  herd greedy(e.mqtt()); // half a packet of 200 KiB each
  greedy.connect(1'500, login);
  REQUIRE(greedy.until([&] { return greedy.accepted() + greedy.closed() == 1'500; }));
  const std::string most =
      encode_publish({.topic = "@/nobody", .payload = std::string(200 * 1024, 'x')}).substr(0, 100 * 1024);
  greedy.say([&](std::size_t) { return most; });
  CHECK(greedy.until([&] { return greedy.closed() > 100; }));
  REQUIRE(e.os().running());
  std::printf("at its memory limit: %zu of %zu clients that want 100 KiB each are let go; %s\n",
              greedy.closed(), greedy.begun(), e.get("/healthz").body.c_str());
  CHECK(closed() > 0);
  CHECK(e.json("/stats")["totals"]["memory_short"] > 0);
  CHECK(here.publish("@/nobody-there", "x") == 0x10); // who needs nothing is served

  greedy.hang_up();
  REQUIRE(eventually([&] { return serves(e, "after"); })); // still at the limit
  const auto before = closed();
  for (int k = 0; k < 50; ++k) REQUIRE(eventually([&] { return serves(e, "again"); }));
  CHECK(closed() == before);
  limit_memory(pid, SIZE_MAX);
  CHECK(e.becomes_ready());
  CHECK(here.publish("@/nobody-there", "x") == 0x10);
  CHECK(e.os().stop() == 0);
}

TEST_CASE("F14: recipients that take nothing meet the memory limit: senders are told, nobody is lost") {
  if (sanitized) return;
  router_process r({"--shards", "1"});
  edge_process e("e1", {r.address()},
                 {"--lanes", "1", "--connect-rate", "0", "--max-pending-bytes", "16MiB"}),
      other("e2", {r.address()}, {"--lanes", "1"});
  REQUIRE(e.mqtt() != 0);
  REQUIRE(other.mqtt() != 0);
  herd deaf(e.mqtt());
  deaf.connect(40, [](std::size_t k) {
    return encode_connect({.client_id = "deaf" + std::to_string(k),
                           .keep_alive = 600,
                           .properties = property_list().two_bytes(property::receive_maximum, 1).bytes()});
  });
  REQUIRE(deaf.until([&] { return deaf.accepted() == 40; }));
  const auto pid = e.os().pid();
  limit_memory(pid, virtual_bytes(pid) + 8 * 1024 * 1024);
  raw_mqtt sender(other.mqtt(), "sender");
  const std::string big(60'000, 'x');
  unsigned accepted = 0, full = 0, others = 0;
  for (std::size_t k = 0; k < 8'000 && full < 200; ++k) { // 480 MB
    const unsigned code = sender.publish("@/deaf" + std::to_string(k % 40), big);
    ++(code == 0 ? accepted : code == 0x97 ? full : others);
  }
  std::printf("at its memory limit: %u messages of 60 KB taken, then %u refused with 0x97, %u otherwise\n",
              accepted, full, others);
  CHECK(full == 200);
  CHECK(others == 0);
  CHECK(e.os().running());
  CHECK(e.json("/stats")["totals"]["drops"]["memory_limit"] >= 200);
  deaf.hang_up();
  CHECK(eventually([&] { return e.json("/stats")["totals"]["pending_bytes"] == 0; }));
  CHECK(eventually([&] { return serves(e, "after"); }));
  limit_memory(pid, SIZE_MAX);
  CHECK(e.os().stop() == 0);
}

TEST_CASE("F14: at its memory limit a router registers nobody new and queues no more, its links stay, and it "
          "recovers") {
  if (sanitized) return;
  router_process r({"--shards", "1", "--link-output-max", "64MiB", "--warm-up", "300ms"});
  edge_process e("e1", {r.address()}, {"--lanes", "1"}), deaf("e2", {r.address()}, {"--lanes", "4"});
  REQUIRE(e.mqtt() != 0);
  REQUIRE(deaf.mqtt() != 0);
  herd recipients(deaf.mqtt());
  recipients.connect(64, login);
  REQUIRE(recipients.until([&] { return recipients.accepted() == 64; }));
  raw_mqtt before(e.mqtt(), "before"), sender(e.mqtt(), "sender");
  REQUIRE(eventually([&] { return sender.publish("@/H0", "x") == 0; })); // the router is in service
  const auto pid = r.os().pid();
  const auto totals = [&] { return r.json("/stats")["totals"]; };
  limit_memory(pid, virtual_bytes(pid) + 8 * 1024 * 1024);

  deaf.os().signal(SIGSTOP); // its links take nothing, and are given up after 3 s
  const std::string big(60'000, 'x');
  // 180 MB: more than the heap that malloc has put aside for the thread.
  for (std::size_t k = 0; k < 3'000; ++k)
    sender.send(encode_publish({.topic = "@/H" + std::to_string(k % 64), .payload = big}));
  CHECK(eventually([&] { return totals()["memory_short"] > 0; }));
  CHECK(totals()["drops"]["memory_limit"] > 0);
  CHECK(sender.publish("@/before", "x") == 0); // as soon as there is memory again
  deaf.os().signal(SIGCONT);
  REQUIRE(r.os().running());
  std::printf("at its memory limit the router dropped %d QoS 0 messages\n",
              totals()["drops"]["memory_limit"].get<int>());
  CHECK(eventually([&] { return serves(e, "after"); })); // new clients, too, still at the limit
  CHECK(eventually([&] { return deaf.json("/stats")["ready"] == true; }));
  CHECK(eventually([&] { return sender.publish("@/H1", "back") == 0; }));
  limit_memory(pid, SIZE_MAX);
  CHECK(r.os().stop() == 0);
}
