// The owner's tests of a QoS 1 message, and their order (docs/link-protocol.md, rules).
#include "tests/support/link_test_tools.hpp"

#include "common/link/inbox.hpp"

#include <catch2/catch.hpp>

using namespace beeline;
using namespace beeline::test;
using link::inbox;
using verdict = link::inbox::verdict;

namespace {

struct owner {
  inbox in;
  std::uint32_t origin = in.acquire(lane_id{1});
  bool here = true;
  std::uint64_t since = 100;
  // Judges a message and, like a session with room, takes what may be taken.
  verdict judges(const test_message& m) {
    byte_vector b = make(m);
    const verdict v = in.judge(origin, wire::message_view(b), here, since);
    if (v == verdict::take) in.accepted(origin, m.number);
    return v;
  }
};
test_message message(std::uint64_t number, std::uint64_t floor = 1, std::uint16_t prev = 0) {
  test_message m;
  m.number = number, m.floor = floor, m.prev = prev, m.first_sent = 200;
  return m;
}
test_message again(test_message m, std::uint64_t first_sent) {
  m.flags = wire::flag_again;
  m.first_sent = first_sent;
  return m;
}

} // namespace

TEST_CASE("inbox: a new message is taken, a copy of it is answered as before") {
  owner o;
  CHECK(o.judges(message(5, 5)) == verdict::take);
  CHECK(o.judges(message(5, 5)) == verdict::answer_accepted);
  CHECK(o.in.counters.duplicates.get() == 1);
}

TEST_CASE("inbox: a copy is known first of all: not here, in doubt or out of order, its answer is repeated") {
  owner o;
  CHECK(o.judges(message(5)) == verdict::take);
  o.here = false;
  CHECK(o.judges(again(message(5, 1, 3), 0)) == verdict::answer_accepted);
}

TEST_CASE("inbox: below the floor is a late copy, before anything else is asked") {
  owner o;
  CHECK(o.judges(message(20, 10)) == verdict::take);
  o.here = false;
  CHECK(o.judges(again(message(9, 9), 0)) == verdict::drop);
  CHECK(o.in.counters.late_copies.get() == 1);
}

TEST_CASE("inbox: a session that is not here says so before it doubts or asks for a predecessor") {
  owner o;
  o.here = false;
  CHECK(o.judges(again(message(5, 1, 2), 0)) == verdict::answer_not_here);
}

TEST_CASE("inbox: a message sent again from before the session became the owner is in doubt") {
  owner o;
  CHECK(o.judges(again(message(5, 1, 2), 99)) == verdict::answer_unknown);
  CHECK(o.judges(again(message(6, 1), 100)) == verdict::answer_unknown); // at the very time: in doubt
  CHECK(o.judges(again(message(7, 1), 101)) == verdict::take);
  CHECK(o.judges(message(8, 1)) == verdict::take); // not again: never in doubt
}

TEST_CASE("inbox: a message whose predecessor is missing has to be sent again, then is taken in order") {
  owner o;
  CHECK(o.judges(message(7, 5, 2)) == verdict::answer_retry);
  CHECK(o.judges(message(5, 5)) == verdict::take);
  CHECK(o.judges(message(7, 5, 2)) == verdict::take);
}

TEST_CASE("inbox: a predecessor below the floor is settled: nothing has to be waited for") {
  owner o;
  CHECK(o.judges(message(8, 8, 1)) == verdict::take);
}

TEST_CASE("inbox: what the session refused stays refused, and its successor need not wait for it") {
  const auto [said, again] = GENERATE(std::pair(answer::full, verdict::answer_full),
                                      std::pair(answer::refused, verdict::answer_refused),
                                      std::pair(answer::expired, verdict::answer_expired));
  owner o;
  byte_vector b = make(message(5));
  CHECK(o.in.judge(o.origin, wire::message_view(b), true, 0) == verdict::take);
  o.in.refused(o.origin, 5, said);
  CHECK(o.judges(message(5)) == again); // a copy gets the first answer
  CHECK(o.judges(message(6, 1, 1)) == verdict::take);
}

TEST_CASE("inbox: numbers beyond the window are answered busy, and memory is bounded") {
  owner o;
  CHECK(o.judges(message(link::accepted_window::limit, 0)) == verdict::answer_busy);
  CHECK(o.judges(message(link::accepted_window::limit - 1, 0)) == verdict::take);
  CHECK(o.in.counters.memory_bytes.get() <= link::accepted_window::limit / 8);
  o.in.raise_floor(o.origin, 2 * link::accepted_window::limit);
  CHECK(o.in.counters.memory_bytes.get() == 0);
}

TEST_CASE(
    "inbox: a whole window of an origin is never busy; from the limit on it is, until the floor rises") {
  owner o;
  const std::uint64_t floor = 1000, limit = link::accepted_window::limit;
  CHECK(o.judges(message(floor + limits::window_messages_max - 1, floor)) == verdict::take);
  CHECK(o.judges(message(floor + limit - 1, floor)) == verdict::take);
  CHECK(o.judges(message(floor + limit, floor)) == verdict::answer_busy);
  CHECK(o.judges(message(floor + limit, floor)) == verdict::answer_busy); // and it is not remembered
  CHECK(o.in.counters.duplicates.get() == 0);
  CHECK(o.judges(message(floor + limit, floor + 1)) == verdict::take);
}

TEST_CASE("inbox: the floor told last may be an old one: the highest counts") {
  owner o;
  o.in.raise_floor(o.origin, 10);
  o.in.raise_floor(o.origin, 4);
  CHECK(o.judges(message(9, 1)) == verdict::drop);
}

TEST_CASE("inbox: origins are told apart, by lane and by life (CAT-55)") {
  owner o;
  CHECK(o.judges(message(5)) == verdict::take);
  o.origin = o.in.acquire(lane_id{2});
  CHECK(o.judges(message(5)) == verdict::take);
}

TEST_CASE("inbox: what an origin had accepted is remembered when its links are gone and back") {
  owner o;
  const std::uint32_t again_here = o.in.acquire(lane_id{1}); // a second shard lists it
  CHECK(again_here == o.origin);
  CHECK(o.judges(message(5)) == verdict::take);
  CHECK_FALSE(o.in.release(o.origin));
  CHECK_FALSE(o.in.release(o.origin));
  o.origin = o.in.acquire(lane_id{1});
  CHECK(o.judges(message(5)) == verdict::answer_accepted);
}

TEST_CASE("inbox: an origin that comes and goes often does not change who is forgotten first") {
  owner o;
  CHECK(o.judges(message(5)) == verdict::take);
  CHECK_FALSE(o.in.release(o.origin)); // the first that left
  const std::uint32_t restless = o.in.acquire(lane_id{2});
  for (int i = 0; i < 1000; ++i) {
    CHECK_FALSE(o.in.release(restless));
    CHECK(o.in.acquire(lane_id{2}) == restless);
  }
  o.in.accepted(restless, 5);
  o.in.release(restless);
  while (o.in.counters.origins.get() < limits::origins_remembered_max)
    o.in.acquire(lane_id{100 + o.in.counters.origins.get()});
  CHECK(o.in.release(o.in.acquire(lane_id{50})));
  o.origin = o.in.acquire(lane_id{2});
  CHECK(o.judges(message(5)) == verdict::answer_accepted);
  o.origin = o.in.acquire(lane_id{1});
  CHECK(o.judges(message(5)) == verdict::take);
}

TEST_CASE("inbox: beyond the limit the origin that left first is forgotten, and that is said") {
  owner o;
  CHECK(o.judges(message(5)) == verdict::take);
  bool forgot = o.in.release(o.origin);
  CHECK_FALSE(forgot);
  for (std::uint64_t i = 0; i < limits::origins_remembered_max; ++i) o.in.acquire(lane_id{100 + i});
  forgot = o.in.release(o.in.acquire(lane_id{50}));
  CHECK(forgot);
  CHECK(o.in.counters.origins_forgotten.get() >= 1);
  CHECK(o.in.counters.origins.get() <= limits::origins_remembered_max + 1);
  o.origin = o.in.acquire(lane_id{1});
  CHECK(o.judges(message(5)) == verdict::take); // only `again` is safe now, by the caller's `since`
}
