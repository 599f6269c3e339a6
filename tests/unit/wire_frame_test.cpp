// Frames of the link protocol: how bytes become frames, whatever they are (F16, CAT-6, 58, 59).
#include "tests/support/link_test_tools.hpp"

#include <catch2/catch.hpp>

using namespace beeline;
using namespace beeline::test;
using wire::frame_type;
using wire::parse;

namespace {

parse parse_frame(byte_vector& b, wire::frame& f, std::size_t max = limits::frame_bytes_max) {
  return wire::next_frame(b, max, f);
}
parse parse_copy(const_bytes b, std::size_t max = limits::frame_bytes_max) {
  byte_vector exact(b.begin(), b.end()); // so that a sanitizer sees a read beyond the end
  wire::frame f;
  return parse_frame(exact, f, max);
}
byte_vector header_of_length(std::size_t n, frame_type t = frame_type::heartbeat) {
  byte_vector b(8);
  store_u24(b.data(), static_cast<std::uint32_t>(n));
  b[3] = static_cast<std::byte>(t);
  return b;
}

} // namespace

TEST_CASE("wire_frame: every type has a name and a sample") {
  const auto all = sample_frames();
  std::vector<int> seen(256);
  for (const heard_frame& f : all) ++seen[static_cast<unsigned>(f.bytes[3])];
  for (unsigned t = 0; t < 256; ++t) {
    INFO(t);
    CHECK(seen[t] == (wire::name_of(static_cast<frame_type>(t)).empty() ? 0 : 1));
  }
}

TEST_CASE("wire_frame: a frame cut at every byte needs more, and is done with its last byte") {
  for (heard_frame& f : sample_frames()) {
    INFO(wire::name_of(f.type()));
    for (std::size_t n = 0; n < f.bytes.size(); ++n)
      CHECK(parse_copy(const_bytes(f.bytes).first(n)) == parse::need_more);
    wire::frame out;
    REQUIRE(parse_frame(f.bytes, out) == parse::done);
    CHECK(out.type == f.type());
    CHECK(out.bytes.size() == f.bytes.size());
    CHECK(out.bytes.data() == f.bytes.data());
  }
}

TEST_CASE("wire_frame: frames in one buffer come out one after the other, whatever follows") {
  byte_vector b;
  const auto all = sample_frames();
  for (const heard_frame& f : all) b.insert(b.end(), f.bytes.begin(), f.bytes.end());
  std::size_t at = 0;
  for (const heard_frame& want : all) {
    wire::frame f;
    REQUIRE(wire::next_frame(mutable_bytes(b).subspan(at), limits::frame_bytes_max, f) == parse::done);
    CHECK(byte_vector(f.bytes.begin(), f.bytes.end()) == want.bytes);
    at += f.bytes.size();
  }
  CHECK(at == b.size());
}

TEST_CASE("wire_frame: impossible lengths are refused before the body is there (CAT-6, CAT-58)") {
  const std::size_t max = limits::frame_bytes_max;
  for (std::size_t n :
       {std::size_t{0}, std::size_t{3}, std::size_t{7}, max + 1, (std::size_t{1} << 24) - 1}) {
    INFO(n);
    const byte_vector b = header_of_length(n);
    CHECK(parse_copy(const_bytes(b).first(4)) == parse::malformed);
    CHECK(parse_copy(b) == parse::malformed);
  }
  CHECK(parse_copy(header_of_length(max)) == parse::need_more);
  CHECK(parse_copy(header_of_length(limits::handshake_frame_bytes_max), limits::handshake_frame_bytes_max) ==
        parse::need_more);
  CHECK(parse_copy(header_of_length(limits::handshake_frame_bytes_max + 1),
                   limits::handshake_frame_bytes_max) == parse::malformed);
}

TEST_CASE("wire_frame: a message shorter than its fixed part is malformed (CAT-58)") {
  for (frame_type t : {frame_type::message_qos0, frame_type::message_qos1})
    for (std::size_t n = 8; n < 64; ++n) {
      byte_vector b(n);
      store_u24(b.data(), static_cast<std::uint32_t>(n));
      b[3] = static_cast<std::byte>(t);
      CHECK(parse_copy(b) == parse::malformed);
    }
}

TEST_CASE("wire_frame: unknown types are malformed, with their header alone (CAT-58)") {
  for (unsigned t = 0; t < 256; ++t) {
    const auto type = static_cast<frame_type>(t);
    INFO(t);
    CHECK(parse_copy(header_of_length(100, type)) ==
          (wire::name_of(type).empty() ? parse::malformed : parse::need_more));
  }
}

TEST_CASE("wire_frame: one flipped bit is found wherever it is (CAT-59)") {
  const byte_vector more(limits::frame_bytes_max); // what follows, when the length grew
  for (const heard_frame& good : sample_frames()) {
    const bool message = good.type() >= frame_type::message_qos0;
    for (std::size_t bit = 0; bit < good.bytes.size() * 8; ++bit) {
      byte_vector b = good.bytes;
      b[bit / 8] ^= static_cast<std::byte>(1u << bit % 8);
      if (bit / 8 < 3) b.insert(b.end(), more.begin(), more.end());
      wire::frame f;
      const parse r = parse_frame(b, f);
      INFO(wire::name_of(good.type()) << " bit " << bit);
      if (r == parse::malformed) continue;
      // What the hop's check does not cover, the body's does.
      REQUIRE(r == parse::done);
      REQUIRE(message);
      const std::size_t header =
          good.type() == frame_type::message_qos1 ? wire::message_header_qos1 : wire::message_header_qos0;
      CHECK(bit / 8 >= header);
      CHECK_FALSE(wire::message_view(f.bytes).body_intact());
    }
  }
}

TEST_CASE("wire_frame: random bytes never crash the parser (CAT-58)") {
  std::uint64_t x = 42;
  for (int round = 0; round < 20'000; ++round) {
    byte_vector b;
    for (x = x * 6364136223846793005u + 1442695040888963407u; b.size() < (x >> 33) % 120;)
      b.push_back(static_cast<std::byte>((x = x * 6364136223846793005u + 1442695040888963407u) >> 56));
    if (b.size() > 4 && round % 2) { // a length that fits, and a type that exists
      store_u24(b.data(), static_cast<std::uint32_t>(b.size()));
      b[3] = static_cast<std::byte>(x >> 20 & 0x41);
    }
    wire::frame f;
    if (parse_frame(b, f) == parse::done) CHECK(f.bytes.size() <= b.size());
  }
}

TEST_CASE("wire_frame: a batch is cut into frames of about the batch size, and loses no record") {
  chunk_pool pool;
  output_chain out(pool);
  wire::batch_writer batch(frame_type::answers);
  CHECK(batch.empty());
  batch.flush(out);
  CHECK(out.empty());
  constexpr std::uint32_t count = 100'000;
  for (std::uint32_t i = 0; i < count; ++i)
    wire::answer_record{i, 1, answer::accepted, 0}.put(batch.next(out));
  batch.flush(out);
  std::uint32_t next = 0;
  for (const heard_frame& f : split_frames(taken_bytes(out))) {
    CHECK(f.bytes.size() <= limits::control_batch_bytes + 64);
    REQUIRE(wire::for_each_record<wire::answer_record>(f.payload(), [&](const auto& a) {
      if (a.number == next) ++next;
    }));
  }
  CHECK(next == count);
}
