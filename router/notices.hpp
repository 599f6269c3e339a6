// What a shard has to tell all links of those that were lost, came back or are gone, gathered until it is
// told: one frame of a kind, however many links it is about.
//
//   path-lost   one for all: a lane sends everything again whichever link it was
//   back, gone  lists: they end the holds that answers `later` have named
//   members     who left
//
// That they wait changes no rule: they stay behind every answer that was given before. An index that is in
// here is dead, or its link is lost, so no answer that comes to stand before them names it anew.
// Owner: the shard's thread.
#pragma once
#include "common/wire/messages.hpp"

#include <vector>

namespace beeline::router {

class notices {
public:
  explicit notices(chunk_pool& pool) : pool_(pool), left_frames_(pool) {}

  void path_lost(member_index i) noexcept { lost_ = i; }
  void back(const std::vector<member_index>& links) { back_.insert(back_.end(), links.begin(), links.end()); }
  void gone(const std::vector<member_index>& links) { gone_.insert(gone_.end(), links.begin(), links.end()); }
  void left(const wire::member& m) { m.put(left_.next(left_frames_)); }

  bool empty() const noexcept { return lost_ == no_member && !about_lanes(); }
  bool about_lanes() const noexcept { return !back_.empty() || !gone_.empty() || !left_.empty(); }
  std::vector<std::byte> frames(std::uint16_t version); // for links that speak that version
  void clear();

private:
  member_index lost_ = no_member;
  std::vector<member_index> back_, gone_;
  wire::batch_writer left_{wire::frame_type::members};
  wire::frame_writer writer_;
  chunk_pool& pool_;
  output_chain left_frames_; // those of `left_` that are full
};

} // namespace beeline::router
