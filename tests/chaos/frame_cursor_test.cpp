// The cursor that finds frames in what a link carries, however it is cut into reads.
#include "tests/chaos/frame_cursor.hpp"

#include <catch2/catch.hpp>

using namespace beeline::chaos;

namespace {

std::string frame(std::uint8_t type, std::size_t bytes) {
  std::string f(bytes, '.');
  f[0] = static_cast<char>(bytes & 0xff), f[1] = static_cast<char>(bytes >> 8), f[2] = 0;
  f[3] = static_cast<char>(type);
  return f;
}

} // namespace

TEST_CASE("frames of one read are told with their places") {
  const std::string bytes = frame(3, 8) + frame(0x41, 300) + frame(7, 9);
  frame_cursor c;
  const auto whole = c.take(bytes);
  REQUIRE(whole.size() == 3);
  CHECK(whole[1].at == 8);
  CHECK(whole[1].size == 300);
  CHECK(whole[1].type == 0x41);
  CHECK(whole[2].at == 308);
}

TEST_CASE("a frame that is cut is stepped over wherever the cut is") {
  const std::string bytes = frame(3, 8) + frame(0x41, 40) + frame(7, 9);
  for (std::size_t cut = 1; cut < bytes.size(); ++cut) {
    frame_cursor c;
    std::vector<std::uint8_t> types;
    std::size_t begin = 0;
    for (const auto& part : {bytes.substr(0, cut), bytes.substr(cut)}) {
      for (const frame_place& f : c.take(part)) {
        types.push_back(f.type);
        CHECK(begin + f.at == (f.type == 3 ? 0u : f.type == 7 ? 48u : 8u));
      }
      begin += part.size();
    }
    const bool between = cut == 8 || cut == 48;
    CHECK(types.size() == (between ? 3u : 2u));
  }
}

TEST_CASE("single bytes tell no frame and lose no place") {
  frame_cursor c;
  for (const char b : frame(3, 20)) CHECK(c.take({&b, 1}).empty());
  CHECK(c.take(frame(5, 12)).size() == 1);
}
