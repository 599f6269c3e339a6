// Output chains against a string, and the framing of a link's two streams.
#include "common/base/output.hpp"
#include "common/base/rng.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

using namespace beeline;

namespace {

std::string random_text(rng& r, std::size_t n) {
  std::string s(n, 0);
  for (char& c : s) c = static_cast<char>(r());
  return s;
}

std::size_t random_size(rng& r) { // mostly small, sometimes more than a chunk
  return r.one_in(20) ? r.below(40'000) : r.one_in(4) ? r.below(2'000) : r.below(120);
}

template <class Output> std::string gathered(const Output& out, std::size_t entries) {
  std::vector<iovec> iov(entries);
  std::string s;
  const std::size_t n = out.gather(iov.data(), entries);
  for (std::size_t i = 0; i < n; ++i) s.append(static_cast<const char*>(iov[i].iov_base), iov[i].iov_len);
  return s;
}

// A frame: 24 bits of length, kind, a number, filling that depends on both.
std::string frame(char kind, std::uint32_t number, std::size_t filling) {
  std::string f(3 + 1 + 4 + filling, static_cast<char>(number * 31 + static_cast<unsigned char>(kind)));
  store_u24(f.data(), static_cast<std::uint32_t>(f.size()));
  f[3] = kind;
  store_le(f.data() + 4, number);
  return f;
}

// Reads a link's byte stream, cut anywhere, and checks that it is whole frames in order.
class frame_checker {
public:
  void feed(const std::string& bytes) {
    pending_ += bytes;
    while (pending_.size() >= 8 && pending_.size() >= load_u24(pending_.data())) {
      const std::size_t n = load_u24(pending_.data());
      const char kind = pending_[3];
      REQUIRE((kind == 'u' || kind == 'd'));
      std::uint32_t& expected = kind == 'u' ? urgent : data;
      REQUIRE(load_le<std::uint32_t>(pending_.data() + 4) == expected);
      REQUIRE(pending_.substr(0, n) == frame(kind, expected, n - 8));
      ++expected;
      order.push_back(kind);
      pending_.erase(0, n);
    }
  }
  bool between_frames() const { return pending_.empty(); }
  std::uint32_t urgent = 0, data = 0; // frames seen
  std::string order;

private:
  std::string pending_;
};

std::string take(link_output& out, std::size_t n, std::size_t entries = 1024) {
  std::string sent = gathered(out, entries);
  sent.resize(std::min(n, sent.size()));
  out.consume(sent.size());
  return sent;
}

} // namespace

TEST_CASE("output chain gives the bytes that it was given", "[output]") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    rng r(seed);
    chunk_pool pool;
    {
      output_chain chain(pool);
      std::string model;
      for (int step = 0; step < 3'000; ++step) {
        const std::string text = random_text(r, random_size(r));
        switch (r.below(6)) {
        case 0:
        case 1:
          chain.append(as_bytes(text));
          model += text;
          break;
        case 2: {
          const std::string part = text.substr(0, chunk_pool::contiguous_max);
          std::memcpy(chain.extend(part.size()), part.data(), part.size());
          model += part;
          break;
        }
        case 3: {
          const std::size_t n = r.one_in(10) ? model.size() : r.below(model.size() + 1);
          chain.consume(n);
          model.erase(0, n);
          break;
        }
        case 4: {
          const std::size_t at = r.below(model.size() + 1), n = r.below(model.size() - at + 1);
          std::string copy(n, 0);
          chain.peek(at, copy.data(), n);
          REQUIRE(copy == model.substr(at, n));
          break;
        }
        default: {
          iovec iov[64];
          const std::size_t skip = r.below(model.size() + 1), limit = r.below(model.size() + 1);
          const std::size_t max = 1 + r.below(64), n = chain.gather(iov, max, skip, limit);
          std::string s;
          for (std::size_t i = 0; i < n; ++i) {
            REQUIRE(iov[i].iov_len > 0);
            s.append(static_cast<const char*>(iov[i].iov_base), iov[i].iov_len);
          }
          REQUIRE(n <= max);
          const std::string expected = model.substr(skip, limit);
          REQUIRE(s == (n < max ? expected : expected.substr(0, s.size())));
        }
        }
        REQUIRE(chain.size() == model.size());
        REQUIRE(chain.empty() == model.empty());
        REQUIRE(pool.bytes_in_use() >= model.size());
      }
      REQUIRE(gathered(chain, 100'000) == model);
      if (seed % 2) chain.clear();
    }
    CHECK(pool.bytes_in_use() == 0);
  }
}

TEST_CASE("output chain: what is cut from its end is gone, also when a part of it has been sent",
          "[output]") {
  chunk_pool pool;
  output_chain out(pool);
  std::vector<std::byte> first(40'000, std::byte{1}), second(50'000, std::byte{2});
  const auto content = [&] {
    std::vector<std::byte> b(out.size());
    if (!b.empty()) out.peek(0, b.data(), b.size());
    return b;
  };
  for (const std::size_t sent : {0u, 1u, 511u, 20'000u, 39'999u, 40'000u})
    for (const std::size_t more : {std::size_t{1}, std::size_t{600}, second.size()}) {
      out.append(first);
      out.consume(sent);
      const std::size_t before = out.size();
      out.append(const_bytes(second).first(more));
      out.cut(before);
      REQUIRE(content() == std::vector(first.begin() + static_cast<std::ptrdiff_t>(sent), first.end()));
      out.append(const_bytes(second).first(3)); // and it goes on
      REQUIRE(out.size() == before + 3);
      REQUIRE(content().back() == std::byte{2});
      out.clear();
      REQUIRE(pool.bytes_in_use() == 0);
    }
}

TEST_CASE("output chain of one small packet costs one small chunk", "[output]") {
  chunk_pool pool;
  output_chain chain(pool);
  chain.append(as_bytes("hello"));
  CHECK(pool.bytes_in_use() == chunk_pool::small_bytes);
  chain.consume(5);
  CHECK(pool.bytes_in_use() == 0);
}

TEST_CASE("link output sends whole frames, each stream in order, however the network cuts", "[output]") {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    rng r(seed);
    chunk_pool pool;
    link_output out(pool);
    frame_checker seen;
    std::uint32_t urgent = 0, data = 0;
    const std::size_t appetite = 1 + r.below(seed % 3 ? 300 : 60'000);
    for (int step = 0; step < 1'500; ++step) {
      for (auto k = r.below(4); k; --k) out.data.append(as_bytes(frame('d', data++, random_size(r))));
      if (r.one_in(3)) out.urgent.append(as_bytes(frame('u', urgent++, r.below(400))));
      const std::size_t entries = r.one_in(3) ? 1 + r.below(3) : 1024;
      seen.feed(take(out, r.one_in(4) ? SIZE_MAX : r.below(appetite + 1), entries));
    }
    while (out.size()) seen.feed(take(out, 1 + r.below(appetite)));
    CHECK(seen.between_frames());
    CHECK(seen.urgent == urgent);
    CHECK(seen.data == data);
  }
}

TEST_CASE("an urgent frame overtakes queued data but never enters a frame", "[output]") {
  const std::size_t length = frame('d', 0, 50).size();
  for (std::size_t cut = 0; cut <= 3 * length; ++cut) {
    chunk_pool pool;
    link_output out(pool);
    frame_checker seen;
    for (std::uint32_t i = 0; i < 3; ++i) out.data.append(as_bytes(frame('d', i, 50)));
    seen.feed(take(out, cut));
    out.urgent.append(as_bytes(frame('u', 0, 5)));
    // The frame that the cut went through ends first, then the urgent one, then the rest.
    const std::size_t before = (cut + length - 1) / length;
    std::string expected = std::string(before, 'd') + 'u' + std::string(3 - before, 'd');
    while (out.size()) seen.feed(take(out, 1 + cut % 7));
    CHECK(seen.order == expected);
    CHECK(seen.between_frames());
  }
}

TEST_CASE("data never enters an urgent frame that was partly sent", "[output]") {
  const std::string urgent_frame = frame('u', 0, 20);
  for (std::size_t cut = 0; cut <= urgent_frame.size(); ++cut) {
    chunk_pool pool;
    link_output out(pool);
    frame_checker seen;
    out.urgent.append(as_bytes(urgent_frame));
    seen.feed(take(out, cut));
    out.data.append(as_bytes(frame('d', 0, 20)));
    out.urgent.append(as_bytes(frame('u', 1, 0)));
    while (out.size()) seen.feed(take(out, 5));
    CHECK(seen.order == "uud");
  }
}

TEST_CASE("a cleared link output begins at a frame again", "[output]") {
  chunk_pool pool;
  link_output out(pool);
  for (std::uint32_t i = 0; i < 3; ++i) out.data.append(as_bytes(frame('d', i, 50)));
  take(out, 70);
  out.clear();
  CHECK(out.size() == 0);
  CHECK(pool.bytes_in_use() == 0);
  frame_checker seen;
  out.data.append(as_bytes(frame('d', 0, 50)));
  out.urgent.append(as_bytes(frame('u', 0, 0)));
  seen.feed(take(out, SIZE_MAX));
  CHECK(seen.order == "ud");
}
