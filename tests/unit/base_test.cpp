// Hashes, checksums, bytes, ids, time and randomness of common/base.
#include "common/base/backoff.hpp"
#include "common/base/bytes.hpp"
#include "common/base/conn.hpp"
#include "common/base/crc32c.hpp"
#include "common/base/ids.hpp"
#include "common/base/limits.hpp"
#include "common/base/peer_guess.hpp"
#include "common/base/rng.hpp"
#include "common/base/siphash.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <memory>
#include <set>
#include <string>
#include <vector>

using namespace beeline;

TEST_CASE("what a peer speaks is guessed by its first bytes, and not when they fit nothing") {
  using namespace std::string_view_literals;
  CHECK(guess_peer("HTTP/1.1 400 Bad Request\r\n").starts_with("speaks HTTP"));
  CHECK(guess_peer("\x20\x02\x00\x05"sv).starts_with("speaks MQTT")); // CONNACK: 3.1.1, not authorised
  CHECK(guess_peer("\x20\x0e\x00\x00\x0b"sv).starts_with("speaks MQTT"));
  CHECK(guess_peer("\x10\x10\x00\x04MQTT\x05"sv).starts_with("speaks MQTT"));
  for (const unsigned char length : {8, 0x20, 0x25, 0xff}) // an error frame
    CHECK(guess_peer(std::string{static_cast<char>(length), 0, 0, 5, 1, 2}).starts_with("speaks the link"));
  for (const auto bytes : {""sv, "H"sv, "\x20\x02"sv, "SSH-2.0"sv, "\x16\x03\x01\x02\x00\x01\x00"sv,
                           "\xff\xff\xff\x05"sv, "\x25\x00\x00\x09"sv, "220 mail"sv})
    CHECK(guess_peer(bytes).empty());
}

TEST_CASE("siphash gives the vectors of its authors", "[siphash]") {
  const siphash_key key{0x0706050403020100ull, 0x0f0e0d0c0b0a0908ull};
  std::string text;
  for (char c = 0; c < 64; ++c) text.push_back(c);
  const auto of = [&](std::size_t n) { return siphash(key, std::string_view(text).substr(0, n)); };
  CHECK(of(0) == 0x726fdb47dd0e0e31ull);
  CHECK(of(1) == 0x74f839c593dc67fdull);
  CHECK(of(2) == 0x0d6c8009d9a94f5aull);
  CHECK(of(3) == 0x85676696d7fb7e2dull);
  CHECK(of(7) == 0xab0200f58b01d137ull);
  CHECK(of(8) == 0x93f5f5799a932462ull);
  CHECK(of(9) == 0x9e0082df0ba9e4b0ull);
  CHECK(of(15) == 0xa129ca6149be45e5ull);
  CHECK(of(16) == 0x3f2acc7f57c29bdbull);
  CHECK(of(63) == 0x958a324ceb064572ull);
  CHECK(siphash(key, {}) == of(0));
}

TEST_CASE("siphash takes bytes above 127 as unsigned and does not read beyond its text", "[siphash]") {
  const siphash_key key{1, 2};
  for (std::size_t n = 0; n < 40; ++n) {
    std::string a(n, '\xff'), b(n, '\xff');
    CHECK(siphash(key, a) == siphash(key, std::string_view((b + "tail")).substr(0, n)));
    if (n > 0) {
      a.back() = '\x7f';
      CHECK(siphash(key, a) != siphash(key, b));
    }
  }
}

TEST_CASE("crc32c gives the vectors of RFC 3720", "[crc32c]") {
  for (auto crc : {crc32c, crc32c_table}) {
    std::vector<std::byte> b(32, std::byte{0});
    CHECK(crc(b, 0) == 0x8a9136aau);
    std::fill(b.begin(), b.end(), std::byte{0xff});
    CHECK(crc(b, 0) == 0x62a8ab43u);
    for (int i = 0; i < 32; ++i) b[std::size_t(i)] = std::byte(i);
    CHECK(crc(b, 0) == 0x46dd794eu);
    std::reverse(b.begin(), b.end());
    CHECK(crc(b, 0) == 0x113fdb5cu);
    CHECK(crc(as_bytes("123456789"), 0) == 0xe3069283u);
    CHECK(crc({}, 0) == 0);
  }
}

TEST_CASE("crc32c by hardware equals the table at all alignments and lengths, whole or continued",
          "[crc32c]") {
  rng r(3);
  std::vector<std::byte> b(400);
  for (std::byte& x : b) x = std::byte(r() & 0xff);
  for (std::size_t from = 0; from < 16; ++from)
    for (std::size_t n = 0; n < 300; ++n) {
      const const_bytes part{b.data() + from, n};
      const auto expected = crc32c_table(part);
      const std::size_t cut = r.below(n + 1);
      if (crc32c(part) != expected) FAIL("from " << from << ", length " << n);
      if (crc32c(part.subspan(cut), crc32c(part.first(cut))) != expected)
        FAIL("cut at " << cut << " of " << n);
    }
  SUCCEED();
}

TEST_CASE("byte reader never reads past its end", "[bytes]") {
  const std::string wire("\x01\x02\x03\x04\x05\x06\x07\x03xyz!", 12);
  SECTION("reads what is there") {
    byte_reader in(as_bytes(wire));
    CHECK(in.get<std::uint8_t>() == 1);
    CHECK(in.get<std::uint16_t>() == 0x0302);
    CHECK(in.get<std::uint32_t>() == 0x07060504u);
    CHECK(in.text8() == "xyz");
    CHECK_FALSE(in.done());
    CHECK(in.bytes(1).size() == 1);
    CHECK(in.done());
    CHECK(in.bytes(0).empty());
    CHECK(in.done());
    CHECK(in.get<std::uint8_t>() == 0);
    CHECK_FALSE(in.ok());
    CHECK_FALSE(in.done());
  }
  SECTION("fails for good at the first get that does not fit") {
    for (std::size_t n = 0; n < wire.size(); ++n) {
      const auto exact = std::make_unique<std::byte[]>(n); // so that a sanitizer sees one byte too many
      std::memcpy(exact.get(), wire.data(), n);
      byte_reader in({exact.get(), n});
      in.get<std::uint8_t>(), in.get<std::uint16_t>(), in.get<std::uint32_t>(), in.text8();
      const bool fits = n >= 11;
      CHECK(in.ok() == fits);
      CHECK(in.done() == (n == 11));
      if (fits) continue;
      CHECK(in.left() == 0);
      CHECK(in.get<std::uint64_t>() == 0);
      CHECK(in.text8().empty());
    }
  }
  SECTION("refuses lengths that would wrap") {
    for (const std::size_t n : {SIZE_MAX, SIZE_MAX / 2, SIZE_MAX / 2 + 1, wire.size() + 1}) {
      byte_reader in(as_bytes(wire));
      CHECK(in.bytes(n).empty());
      CHECK_FALSE(in.ok());
    }
  }
}

TEST_CASE("24-bit numbers are stored little-endian", "[bytes]") {
  unsigned char b[4] = {0, 0, 0, 0xee};
  for (const std::uint32_t v : {0u, 1u, 0x0000ffu, 0x00ff00u, 0x123456u, 0xffffffu}) {
    store_u24(b, v);
    CHECK(load_u24(b) == v);
    CHECK(b[3] == 0xee);
  }
  store_u24(b, 0x123456);
  CHECK(b[0] == 0x56);
}

TEST_CASE("an 8-bit id hasher makes at most 256 hashes, spread over the slots", "[ids]") {
  const id_hasher small{{1, 2}, 8}, whole{{1, 2}};
  std::set<id_hash> hashes, wide;
  std::set<std::uint32_t> slots, shards_of_4;
  for (int i = 0; i < 20'000; ++i) {
    const std::string id = "client-" + std::to_string(i);
    hashes.insert(small(id));
    slots.insert(slot_of(small(id)));
    shards_of_4.insert(slot_of(small(id)) / (slot_count / 4));
    wide.insert(whole(id));
  }
  CHECK(hashes.size() == 256);
  CHECK(slots.size() > 200);
  CHECK(shards_of_4.size() == 4);
  CHECK(wide.size() == 20'000);
  CHECK(*slots.rbegin() < slot_count);
}

TEST_CASE("backoff doubles from first to cap and stays within half and whole", "[backoff]") {
  using namespace std::chrono_literals;
  rng r(5);
  backoff wait(limits::reconnect_min, limits::reconnect_max);
  for (int round = 0; round < 3; ++round) {
    duration bound = limits::reconnect_min;
    for (int i = 0; i < 200; ++i) {
      const duration d = wait.next(r());
      CHECK(d >= bound / 2);
      CHECK(d <= bound);
      bound = std::min<duration>(bound * 2, limits::reconnect_max);
    }
    wait.reset();
  }
}

TEST_CASE("backoff reaches both ends of its jitter and spreads between", "[backoff]") {
  using namespace std::chrono_literals;
  backoff low(100ms, 100ms), high(100ms, 100ms), tiny(1us, 3us);
  CHECK(low.next(0) == 50ms);
  CHECK(high.next(~std::uint64_t{0}) == 100ms);
  CHECK(tiny.next(~std::uint64_t{0}) == 1us);
  CHECK(tiny.next(0) == 1us);
  CHECK(tiny.next(~std::uint64_t{0}) == 3us); // capped where doubling would give 4
  rng r(6);
  std::vector<int> tenths(10);
  for (int i = 0; i < 10'000; ++i)
    ++tenths[std::min<std::size_t>(9, static_cast<std::size_t>((low.next(r()) - 50ms) / 5ms))];
  for (const int n : tenths) CHECK((n > 850 && n < 1150));
}

TEST_CASE("rng repeats from its seed and stays below its bound", "[rng]") {
  rng reference(0); // the reference implementation's first numbers
  CHECK(reference() == 0xe220a8397b1dcdafull);
  CHECK(reference() == 0x6e789e6aa1b965f4ull);
  rng a(7), b(7), c(8);
  CHECK(a() == b());
  CHECK(a() != c());
  std::vector<int> seen(7);
  for (int i = 0; i < 7000; ++i) ++seen[a.below(7)];
  for (const int n : seen) CHECK((n > 850 && n < 1150));
  CHECK(a.below(1) == 0);
}

TEST_CASE("dirty list keeps each connection once, first in first out", "[dirty_list]") {
  chunk_pool pool;
  std::vector<std::unique_ptr<conn>> conns;
  for (int i = 0; i < 5; ++i) conns.push_back(std::make_unique<conn>(conn::kind_t::client, pool));
  dirty_list dirty;
  CHECK(dirty.empty());
  CHECK(dirty.pop() == nullptr);
  dirty.remove(*conns[0]); // not there: no effect
  for (const int i : {3, 1, 3, 4, 0, 1, 2}) dirty.mark(*conns[std::size_t(i)]);
  SECTION("in order") {
    for (const int i : {3, 1, 4, 0, 2}) CHECK(dirty.pop() == conns[std::size_t(i)].get());
    CHECK(dirty.empty());
  }
  SECTION("without head, middle and tail") {
    for (const int i : {3, 4, 2, 4}) dirty.remove(*conns[std::size_t(i)]);
    CHECK(dirty.pop() == conns[1].get());
    dirty.mark(*conns[1]); // again, while the list is walked
    CHECK(dirty.pop() == conns[0].get());
    CHECK(dirty.pop() == conns[1].get());
    CHECK(dirty.empty());
    dirty.mark(*conns[2]);
    CHECK(dirty.pop() == conns[2].get());
  }
}
