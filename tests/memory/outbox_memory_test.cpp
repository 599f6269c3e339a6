// A message for which there is no memory: it is not taken, or it waits and goes as soon as there is some.
#include "tests/memory/allocations.hpp"
#include "tests/support/outbox_origin.hpp"

#include <catch2/catch.hpp>

using namespace beeline;
using namespace beeline::test;
using namespace std::chrono_literals;

TEST_CASE("no memory anywhere for a message: it is not taken, or it is sent when there is some") {
  bool in_time = false, waited = false;
  for (std::size_t k = 0; !in_time; ++k) {
    REQUIRE(k < 40);
    CAPTURE(k);
    origin o;
    o.padding = std::string(1000, 'x');
    bool refused = false;
    const std::string_view to = "bob";
    wire::message_parts m;
    m.hash = hash_of(to);
    m.destination = to, m.sender = "ann", m.payload = as_bytes(o.padding);
    allocations::fail_from(k);
    try {
      o.box.submit(ann, 1, 0, m, o.now);
    } catch (const std::bad_alloc&) {
      refused = true;
    }
    in_time = !allocations::heal();
    REQUIRE(refused == !in_time);
    const std::size_t taken = o.box.messages();
    if (in_time) REQUIRE(taken == 1);
    waited |= refused && taken == 1;
    o.wait(1s); // the last net: all who wait are looked at
    o.wait(1s);
    CHECK(o.sends().size() == taken);
    if (taken) o.hears(1, answer::accepted);
    CHECK(o.box.idle());
    o.submit(2); // and the flow is as any other
    CHECK(o.sends().size() == 1);
  }
  CHECK(waited); // the output found none
}
