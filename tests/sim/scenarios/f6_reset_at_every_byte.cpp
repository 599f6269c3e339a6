// F6, F16, CAT-55, CAT-59: the link is reset, or a bit of it flipped, at every byte of a small exchange.
//
// The exchange is recorded once: how many bytes each direction of each edge's link carries, from the
// handshake to the last answer. Then it is repeated once for each of these bytes, with the fault there;
// behind it the exchange goes on to its end, comes to rest, and P1 to P6 are judged.
#include "tests/sim/scenarios/scenario.hpp"

using namespace beeline;
using namespace beeline::sim;

namespace {

enum class hit { reset, flip };

struct place {
  unsigned edge = 0;
  int side = 0;               // 0: from the edge to the router
  std::uint64_t byte = ~0ull; // ~0: no fault
};

// What each edge's first link carried, by direction, is added to `carried` if that is wanted.
void exchange(const place& at, hit what, std::array<std::array<std::uint64_t, 2>, 2>* carried = nullptr) {
  scenario s(two_edges());
  std::array<connection*, 2> first{};
  s.c.on_connect = [&](connection& c) {
    if (!c.is_link) return;
    const auto e = static_cast<unsigned>(c.process[0]) - s.set.routers;
    if (first[e]) return;
    first[e] = &c;
    if (e != at.edge || at.byte == ~0ull) return;
    (what == hit::reset ? c.way[at.side].cut_at : c.way[at.side].flip_at) = at.byte;
    s.h.flipped |= what == hit::flip;
    s.c.note_fault("at a byte");
  };
  s.start();
  s.online(0, 0), s.online(1, 1);
  for (int i = 0; i < 2; ++i) s.publish(0, 1), s.publish(1, 0), s.run(400us);
  s.run(60ms);
  if (carried)
    for (unsigned e : {0u, 1u})
      for (int side : {0, 1}) (*carried)[e][static_cast<std::size_t>(side)] = first[e]->way[side].written;
  const bool fell = first[at.edge]->way[0].lost || first[at.edge]->over();
  s.where = "edge " + std::to_string(at.edge) + " side " + std::to_string(at.side) + " byte " +
            std::to_string(at.byte);
  INFO(s.where);
  REQUIRE_KEPT(s);
  REQUIRE(s.h.messages.size() == 4);
  if (what == hit::reset) REQUIRE(fell == (at.byte != ~0ull));
  s.finish();
}

void at_every_byte(hit what) {
  std::array<std::array<std::uint64_t, 2>, 2> carried{};
  exchange({}, what, &carried);
  std::uint64_t runs = 0;
  const std::uint64_t stride = test::fast_build ? 1 : 13;
  for (unsigned e : {0u, 1u})
    for (int side : {0, 1}) {
      const std::uint64_t bytes = carried[e][static_cast<std::size_t>(side)];
      REQUIRE(bytes > 300);
      for (std::uint64_t b = what == hit::reset; b < bytes; b += stride, ++runs) exchange({e, side, b}, what);
    }
  std::printf("%s at each of %llu bytes of two links: every promise kept\n",
              what == hit::reset ? "reset" : "a flipped bit", static_cast<unsigned long long>(runs));
}

} // namespace

TEST_CASE(
    "F6, CAT-55: a link that is reset at any byte loses nothing, repeats nothing, and keeps the order") {
  at_every_byte(hit::reset);
}

TEST_CASE("F16, CAT-59: a flipped bit in any byte of a link ends the link, and the messages come again") {
  at_every_byte(hit::flip);
}
