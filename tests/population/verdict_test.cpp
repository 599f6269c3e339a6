// The judge of a population's messages sees each kind of broken promise.
#include "tests/population/flows.hpp"

#include <catch2/catch.hpp>

using namespace beeline;
using namespace beeline::population;

namespace {

// One flow of four messages that were all accepted and came, but for what a test changes.
struct four_messages {
  sent_flow sent;
  received_flow received;
  four_messages() {
    for (std::uint32_t i = 0; i < 4; ++i) sent.settle(sent.send(i), answer::accepted);
  }
  void come(std::initializer_list<std::uint32_t> sequences) {
    for (const std::uint32_t s : sequences) received.take(s);
  }
  verdict judged(bool sender_lives = true) const {
    verdict v;
    v.judge(sent, received, sender_lives);
    return v;
  }
};
// Lost, duplicates, out of order, refused and yet delivered, never answered.
std::vector<std::uint64_t> faults(const verdict& v) {
  return {v.lost, v.duplicates, v.out_of_order, v.false_refusals, v.unanswered};
}
using counts = std::vector<std::uint64_t>;

} // namespace

TEST_CASE("verdict: what came once, in order, and was told so, breaks no promise") {
  four_messages f;
  f.come({0, 1, 2, 3});
  const verdict v = f.judged();
  CHECK(faults(v) == counts{0, 0, 0, 0, 0});
  CHECK(v.sent == 4);
  CHECK(v.delivered == 4);
  CHECK(v.of(answer::accepted) == 4);
}

TEST_CASE("verdict: an accepted message that never came is lost") {
  four_messages f;
  f.come({0, 1, 3});
  CHECK(faults(f.judged()) == counts{1, 0, 0, 0, 0});
}

TEST_CASE("verdict: a message that came twice is a duplicate, at once or later") {
  four_messages f;
  f.come({0, 1, 1, 2, 3, 0});
  CHECK(faults(f.judged()) == counts{0, 2, 0, 0, 0});
}

TEST_CASE("verdict: a message that came first after a later one is out of order, and no duplicate") {
  four_messages f;
  f.come({0, 2, 1, 3});
  CHECK(faults(f.judged()) == counts{0, 0, 1, 0, 0});
}

TEST_CASE("verdict: what was told as not taken must not have come; unknown says nothing") {
  four_messages f;
  f.sent.settle(1, answer::nobody);
  f.sent.settle(2, answer::unknown);
  f.come({0, 1, 2, 3});
  CHECK(faults(f.judged()) == counts{0, 0, 0, 1, 0});
  four_messages g;
  g.sent.settle(2, answer::unknown);
  g.come({0, 1, 3});
  CHECK(faults(g.judged()) == counts{0, 0, 0, 0, 0});
}

TEST_CASE("verdict: a message without an outcome counts while its sender lives") {
  four_messages f;
  f.sent.send(9);
  f.come({0, 1, 2, 3, 4});
  CHECK(faults(f.judged()) == counts{0, 0, 0, 0, 1});
  CHECK(faults(f.judged(false)) == counts{0, 0, 0, 0, 0});
}

TEST_CASE("verdict: what nobody has sent must not come") {
  four_messages f;
  f.come({0, 1, 2, 3, 4});
  CHECK(faults(f.judged()) == counts{0, 0, 0, 1, 0});
}

TEST_CASE("verdict: a stamp is read back from its bytes, and from no others") {
  const stamp s{7, 9, 11};
  std::byte bytes[stamp::bytes];
  s.write(bytes);
  stamp t;
  REQUIRE(t.read(bytes));
  CHECK(t.flow == 7);
  CHECK(t.sequence == 9);
  CHECK(t.sent_us == 11);
  CHECK(!t.read(const_bytes(bytes).first(15)));
}
