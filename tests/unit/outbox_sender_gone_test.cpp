// The origin's window when a sender's session has ended: nobody is told any more, and nothing is forgotten.
#include "tests/support/drop_lines.hpp"
#include "tests/support/outbox_origin.hpp"

#include <catch2/catch.hpp>

using namespace beeline;
using namespace beeline::test;

TEST_CASE("outbox_sender_gone: when the sender is gone what was not sent is dropped, what is in flight "
          "counts until answered") {
  origin o;
  o.submit(1);
  o.sends();
  o.down();
  o.submit(2);
  o.up();
  o.sends();
  o.down();
  o.box.sender_gone(ann, o.now); // nothing is in flight
  CHECK(o.box.idle());
  CHECK(o.box.counters.drops[static_cast<std::size_t>(drop_reason::sender_gone)].get() == 2);
  o.up();
  o.submit(3, "bob", eve);
  const auto number = [&] {
    return o.sends(), static_cast<std::uint32_t>(o.copies.at(0).message().number());
  };
  const std::uint32_t n = number();
  o.box.sender_gone(eve, o.now);
  CHECK(o.box.floor() == n);
  o.hears(n, answer::accepted);
  CHECK(o.outcomes().empty()); // nobody to tell
  CHECK(o.box.floor() == n + 1);
  CHECK(o.box.idle());
}

TEST_CASE("outbox_sender_gone: a gone sender's messages are not sent again, neither on a lost path nor on an "
          "answer") {
  origin o;
  o.submit(1);
  o.submit(2, "carol");
  o.sends();
  o.box.sender_gone(ann, o.now);
  o.hears(2, answer::busy);
  o.box.on_path_lost(0, o.now);
  CHECK(o.sends().empty());
  CHECK(o.box.idle());
  o.submit(3, "bob", {1, 2}); // the next session in the same place is another sender
  CHECK(o.sends() == lines{"3"});
}

TEST_CASE("outbox_sender_gone: what was in flight of a gone sender and was not taken, or perhaps not, is "
          "remembered") {
  drop_ring ring;
  origin o({}, 1, &ring);
  const std::string to[] = {"bob", "cid", "dan", "eli"};
  for (std::uint32_t k = 0; k < 4; ++k) o.submit(k + 1, to[k]);
  o.sends();
  o.box.sender_gone(ann, o.now);
  o.hears(1, answer::accepted);
  o.hears(2, answer::nobody);
  o.box.on_path_lost(0, o.now); // 3 and 4 may have been taken
  CHECK(o.outcomes().empty());
  CHECK(o.box.idle());
  CHECK(o.box.counters.outcomes_unheard.get() == 3);
  CHECK(lines_of(ring.newest(9)) ==
        lines{"drop unknown ann>eli qos1", "drop unknown ann>dan qos1", "drop nobody ann>cid qos1"});

  o.submit(5, "bob", eve);
  o.sends();
  o.box.sender_gone(eve, o.now);
  o.down();
  CHECK(o.box.idle());
  CHECK(o.box.counters.outcomes_unheard.get() == 4);
}

TEST_CASE("outbox_sender_gone: a new session's messages do not name a gone one's as predecessors") {
  origin o;
  o.submit(1);
  o.box.sender_gone(ann, o.now);
  o.submit(2, "bob", {1, 2});
  CHECK(o.sends() == lines{"1", "2"});
}
