#include "router/notices.hpp"

namespace beeline::router {

std::vector<std::byte> notices::frames(std::uint16_t version) {
  output_chain all(pool_);
  if (lost_ != no_member) wire::send(writer_, all, wire::frame_type::path_lost, wire::lane_event{lost_});
  wire::send_lanes(writer_, all, wire::frame_type::back, back_, version);
  wire::send_lanes(writer_, all, wire::frame_type::gone, gone_, version);
  left_.flush(left_frames_);
  std::vector<std::byte> bytes(all.size() + left_frames_.size());
  all.peek(0, bytes.data(), all.size());
  left_frames_.peek(0, bytes.data() + all.size(), left_frames_.size());
  return bytes;
}

void notices::clear() {
  left_.drop();
  left_frames_.clear();
  lost_ = no_member;
  back_.clear(), gone_.clear();
}

} // namespace beeline::router
