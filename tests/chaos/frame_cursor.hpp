// Finds whole frames in what a link carries, read by read, without keeping any of it.
//
//   read 1: [frame][frame][fra      read 2: me][frame] ...
//
// Only frames that lie in one read are told; the others are stepped over. A plain value, of whoever reads.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace beeline::chaos {

struct frame_place {
  std::size_t at = 0, size = 0;
  std::uint8_t type = 0;
};

class frame_cursor {
public:
  // The next bytes of the connection.
  std::vector<frame_place> take(std::span<const char> bytes) {
    std::vector<frame_place> whole;
    std::size_t at = 0;
    while (at < bytes.size()) {
      if (left_ > 0) { // of a frame that began earlier
        const std::size_t n = std::min(left_, bytes.size() - at);
        left_ -= n, at += n;
        continue;
      }
      const std::size_t begin = at;
      while (head_.size() < head_bytes && at < bytes.size()) head_ += bytes[at++];
      if (head_.size() < head_bytes) break;
      const std::size_t size = byte(0) | byte(1) << 8 | byte(2) << 16;
      left_ = size > head_bytes ? size - head_bytes : 0;
      if (at - begin == head_bytes && left_ <= bytes.size() - at)
        whole.push_back({begin, size, static_cast<std::uint8_t>(byte(3))});
      head_.clear();
    }
    return whole;
  }

private:
  static constexpr std::size_t head_bytes = 4; // length and type
  std::size_t byte(std::size_t i) const { return static_cast<unsigned char>(head_[i]); }
  std::size_t left_ = 0;
  std::string head_;
};

} // namespace beeline::chaos
