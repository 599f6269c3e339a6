// The checker on what senders wished for: the recipient's own acknowledgement, a deadline.
#include "tests/chaos/told_run.hpp"

using namespace beeline::chaos;

TEST_CASE("receipts: success means that the recipient had acknowledged it") {
  good_run r;
  r.asks(20 * s, 12, true);
  r.receive(20 * s + 1000, 1, 0, 12);
  r.answer(20 * s + 2000, 0, 12);
  SECTION("it had not") { CHECK(r.breaks("receipts")); }
  SECTION("later is too late") {
    r.acknowledge(20 * s + 3000, 1, 12);
    CHECK(r.breaks("receipts"));
  }
  SECTION("it had") {
    r.acknowledge(20 * s + 1001, 1, 12);
    CHECK(r.good());
  }
}

TEST_CASE("receipts: why there is none has to be true") {
  good_run r;
  const auto answered_after = [&](std::int64_t later, words w) {
    r.asks(20 * s, 12, true);
    r.receive(20 * s + 1000, 1, 0, 12);
    r.answer(20 * s + later, 0, 12, 0x83, w);
  };
  SECTION("not in time, and it was") {
    answered_after(4 * s, words::not_in_time);
    CHECK(r.breaks("receipts"));
  }
  SECTION("not in time") {
    answered_after(5 * s, words::not_in_time);
    CHECK(r.good());
  }
  SECTION("its session ended, and it did not") {
    answered_after(1 * s, words::session_ended);
    CHECK(r.breaks("receipts"));
  }
  SECTION("its session ended, and that was later") {
    answered_after(1 * s, words::session_ended);
    r.h.erase(std::remove_if(r.h.begin(), r.h.end(), [](const record& x) { return x.at > 60 * s; }),
              r.h.end());
    r.end(31 * s, 1, ending::disconnect);
    r.connect(32 * s, 2, 1, 1);
    r.publish(61 * s, 0, 1, 100, flag_qos1 | flag_last);
    r.receive(61 * s + 1, 2, 0, 100, flag_qos1 | flag_last);
    r.answer(61 * s + 2, 0, 100);
    CHECK(r.breaks("receipts"));
  }
  SECTION("not in time, and it had acknowledged long ago") {
    answered_after(6 * s, words::not_in_time);
    r.acknowledge(20 * s + 1001, 1, 12);
    CHECK(r.breaks("receipts"));
    r.fault_at(fault::link_stall, 1, 20 * s, 21 * s);
    CHECK(r.good());
  }
  SECTION("its server was lost, and was not") {
    answered_after(1 * s, words::owner_lost);
    CHECK(r.breaks("receipts"));
  }
  SECTION("its server was lost") {
    answered_after(1 * s, words::owner_lost);
    r.fault_at(fault::edge_kill, 1, 20 * s, 21 * s);
    CHECK(r.good());
  }
  SECTION("an error that no client gives") {
    answered_after(1 * s, words::not_acknowledged);
    CHECK(r.breaks("receipts"));
  }
  SECTION("told to one who had not asked") {
    r.publish(20 * s, 0, 1, 12);
    r.receive(20 * s + 1000, 1, 0, 12);
    r.answer(20 * s + 2000, 0, 12, 0x83, words::not_in_time);
    CHECK(r.breaks("receipts"));
  }
  SECTION("acknowledged to one who had not asked") {
    r.acknowledge(2 * s, 1, 0);
    CHECK(r.breaks("history"));
  }
  SECTION("taken, by nobody") {
    r.asks(20 * s, 12, true);
    r.answer(25 * s, 0, 12, 0x83, words::not_in_time);
    CHECK(r.breaks("P1"));
  }
}

TEST_CASE("deadlines: expired means that its time was over, and that nobody gets it") {
  good_run r;
  r.asks(20 * s, 12, false, 15);
  SECTION("too early") {
    r.answer(21 * s, 0, 12, 0x83, words::expired);
    CHECK(r.breaks("deadlines"));
  }
  SECTION("in time") {
    r.answer(21 * s + s / 2, 0, 12, 0x83, words::expired);
    CHECK(r.good());
  }
  SECTION("and received") {
    r.answer(21 * s + s / 2, 0, 12, 0x83, words::expired);
    r.receive(22 * s, 1, 0, 12);
    CHECK(r.breaks("P1"));
  }
  SECTION("taken, and it expired in the recipient's queue") {
    r.answer(20 * s + 1000, 0, 12);
    CHECK(r.good());
  }
  SECTION("taken, and it expired there, as its sender is told who had asked") {
    r.answer(22 * s, 0, 12);
    r.asks(23 * s, 13, true, 10);
    r.answer(24 * s, 0, 13, 0x83, words::expired_waiting);
    CHECK(r.good());
    r.receive(25 * s, 1, 0, 13);
    CHECK(r.breaks("P1"));
  }
  SECTION("received long after") {
    r.receive(24 * s, 1, 0, 12);
    r.answer(24 * s + 1000, 0, 12);
    CHECK(r.breaks("deadlines"));
  }
  SECTION("of one that had none") {
    r.publish(22 * s, 0, 1, 13);
    r.answer(22 * s + 1000, 0, 13, 0x83, words::expired);
    r.receive(20 * s + 1000, 1, 0, 12);
    r.answer(20 * s + 2000, 0, 12);
    CHECK(r.breaks("deadlines"));
  }
}
