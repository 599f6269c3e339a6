#include "tests/bench/latencies.hpp"
#include "tests/bench/ledger.hpp"

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <cmath>

using namespace beeline::bench;

namespace {
struct book {
  ledger l{2, 2, 4}; // senders 0 and 1, receivers 2 and 3
  stamp send(std::uint32_t from, std::uint32_t to) { return {from, to, l.next(), 0}; }
};
} // namespace

TEST_CASE("bench: a stamp is read as it was written") {
  std::array<std::byte, stamp::size> bytes{};
  const stamp s{stamp::clients_max - 1, 5, (std::uint64_t{1} << stamp::number_bits) - 1, 123456789012345};
  s.write(bytes.data());
  const stamp r = stamp::read(bytes.data());
  CHECK(r.sender == s.sender);
  CHECK(r.receiver == s.receiver);
  CHECK(r.number == s.number);
  CHECK(r.due_ns == s.due_ns);
}

TEST_CASE("bench: what does not arrive is missing") {
  book b;
  const stamp first = b.send(0, 2);
  b.send(0, 2);
  CHECK(b.l.arrived(first, 2));
  CHECK(b.l.missing() == 1);
  CHECK(b.l.sent() == 2);
}

TEST_CASE("bench: what arrives twice counts once, and as doubled") {
  book b;
  const stamp s = b.send(1, 3);
  CHECK(b.l.arrived(s, 3));
  CHECK_FALSE(b.l.arrived(s, 3));
  CHECK(b.l.doubled() == 1);
  CHECK(b.l.arrived() == 1);
  CHECK(b.l.reordered() == 0);
}

TEST_CASE("bench: order is that of each pair") {
  book b;
  const stamp first = b.send(0, 2), other_pair = b.send(1, 2), second = b.send(0, 2),
              elsewhere = b.send(0, 3);
  CHECK(b.l.arrived(elsewhere, 3));
  CHECK(b.l.arrived(second, 2));
  CHECK(b.l.reordered() == 0);
  CHECK(b.l.arrived(other_pair, 2));
  CHECK(b.l.reordered() == 0);
  CHECK(b.l.arrived(first, 2));
  CHECK(b.l.reordered() == 1);
  CHECK(b.l.missing() == 0);
}

TEST_CASE("bench: a message at somebody else's is astray, and nobody's message is damaged") {
  book b;
  const stamp s = b.send(0, 2);
  CHECK_FALSE(b.l.arrived(s, 3));
  CHECK(b.l.astray() == 1);
  CHECK_FALSE(b.l.arrived({0, 2, 1, 0}, 2)); // was never sent
  CHECK_FALSE(b.l.arrived({2, 2, 0, 0}, 2)); // no sender
  CHECK_FALSE(b.l.arrived({0, 1, 0, 0}, 1)); // no receiver
  CHECK_FALSE(b.l.arrived({0, 4, 0, 0}, 4)); // no client
  CHECK(b.l.damaged() == 4);
  CHECK(b.l.missing() == 1);
}

TEST_CASE("bench: more messages than the first block of bits") {
  book b;
  for (unsigned k = 0; k < 200'000; ++k) REQUIRE(b.l.arrived(b.send(k % 2, 2 + k % 2), 2 + k % 2));
  CHECK(b.l.missing() == 0);
  CHECK(b.l.reordered() == 0);
}

TEST_CASE("bench: quantiles are exact to a 64th") {
  latencies l;
  CHECK(l.quantile_ns(0.99) == 0);
  for (std::int64_t k = 1; k <= 100'000; ++k) l.record(k * 10);
  for (const double q : {0.01, 0.5, 0.9, 0.99, 0.999}) {
    const double exact = q * 1'000'000;
    INFO(q);
    CHECK(static_cast<double>(l.quantile_ns(q)) >= exact);
    CHECK(static_cast<double>(l.quantile_ns(q)) <= exact * (1 + 1.0 / 64));
  }
  CHECK(l.max_ns() == 1'000'000);
  CHECK(l.quantile_ns(1) == 1'000'000);
}

TEST_CASE("bench: a latency below nothing is none, and one beyond all is the longest") {
  latencies l;
  l.record(-5);
  l.record(std::int64_t{1} << 60);
  CHECK(l.count() == 2);
  CHECK(l.quantile_ns(0.5) == 0);
  CHECK(l.max_ns() == (std::uint64_t{1} << 36) - 1);
}
